import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { pino } from 'pino';
import { expect, onTestFinished, test } from 'vitest';
import { LocalSession } from '../../src/app/local-session.ts';
import { projectFolder, VALID_PROJECT, writeInto } from '../support/project-folder.ts';
import { writeTinyCrossEncoder } from '../support/tiny-model.ts';

const SIGNAL = new AbortController().signal;

/** A project of two collections with a re-ranker each. A model that is loaded is told by its weights, which are none. */
async function project() {
	const collection = (name: string) => `  ${name}:
    search: {rerank: {format: local, model: ./models/${name}}}
    sources:
      manual: {kind: folder, path: docs}
`;
	const contract = (name: string) =>
		`owner: tests\nretrieval: {collection: ${name}}\nmodels: {route: [local/extractive]}\n`;
	const prompt = VALID_PROJECT['features/ask/prompts/answer.prompt'] ?? '';
	const dir = await projectFolder({
		'plimsoll.yaml': `upstreams:\n  local/extractive: {family: extractive}\ncollections:\n${collection('hulls')}${collection('masts')}`,
		'docs/one.md': 'The mark is painted on the hull amidships.\n',
		'features/ask/contract.yaml': contract('masts'),
		'features/ask/prompts/answer.prompt': prompt,
	});
	for (const name of ['hulls', 'masts']) {
		await writeTinyCrossEncoder(join(dir, 'models', name), { mark: 1 });
		await writeInto(dir, `models/${name}/onnx/model.onnx`, 'no weights');
	}
	return dir;
}

async function told(use: (session: LocalSession) => Promise<unknown>): Promise<string> {
	const dir = await project();
	const stream = new PassThrough();
	const lines: string[] = [];
	stream.on('data', (line) => lines.push(String(line)));
	const session = new LocalSession({ dir, dataDir: join(dir, '.plimsoll'), log: pino({ level: 'warn' }, stream) });
	onTestFinished(() => session.close());
	for (const collection of ['hulls', 'masts']) {
		await session.ingest(collection, { signal: SIGNAL, accept: false, onProgress: () => {} });
	}
	expect(lines.join('')).not.toContain('re-ranker');
	await use(session);
	return lines.join('');
}

test('a search in this process loads the re-ranker of the collection that it searches, and no other', async () => {
	const ask = { query: 'mark', k: 3, mode: null, filter: undefined, signal: SIGNAL };
	const lines = await told((session) => session.search('hulls', ask));
	expect(lines).toContain('the re-ranker hulls cannot be used');
	expect(lines).not.toContain('masts');
});

test('a question loads the re-ranker of what its feature retrieves from', async () => {
	const ask = { question: 'Where is the mark?', signal: SIGNAL };
	const lines = await told((session) => session.ask('ask', ask));
	expect(lines).toContain('the re-ranker masts cannot be used');
	expect(lines).not.toContain('hulls');
});
