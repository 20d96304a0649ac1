import { expect, onTestFinished, test } from 'vitest';
import { createRuntime } from '../../src/app/create-runtime.ts';
import { projectFolder, VALID_PROJECT } from '../support/project-folder.ts';
import { type Plan, startUpstreamDouble } from '../support/upstream-double.ts';

/** A project over a double that embeds and answers; `plan` says how each request fares. */
async function start(search: string, retrieval: string) {
	let plan: Plan = {};
	const double = await startUpstreamDouble({ plan: () => plan, record: true });
	onTestFinished(() => double.close());
	const dir = await projectFolder({
		'plimsoll.yaml': `upstreams:
  local/extractive: {family: extractive}
embedders:
  remote: {family: openai-compatible, base_url: "${double.url}", model: mock-embed, dimensions: 64, api_key: {env: MOCK_KEY}, timeout_ms: 60000}
collections:
  docs:
    embedder: remote
    search: ${search}
    sources:
      manual: {kind: folder, path: docs}
`,
		'docs/line.md': '# Load line\n\nThe load line mark is painted amidships on both sides of the hull.\n',
		'features/ask/contract.yaml': `owner: tests\nbudget: {deadline_ms: 60000}\nretrieval: {collection: docs, ${retrieval}}\nmodels: {route: [local/extractive]}\n`,
		'features/ask/prompts/answer.prompt': VALID_PROJECT['features/ask/prompts/answer.prompt'] ?? '',
	});
	const runtime = await createRuntime({ dir, env: { MOCK_KEY: 'k' } });
	onTestFinished(() => runtime.close());
	await runtime.ingest('docs');
	// A vector of a question asked before is remembered: after the stall another one is asked.
	let question = 'Where is the load line mark painted?';
	const ask = async () => {
		const answer = await runtime.ask('ask', { question });
		await expect.poll(() => runtime.trace(answer.requestId), { timeout: 30_000 }).not.toBeNull();
		const trace = await runtime.trace(answer.requestId);
		return { answer, detail: trace?.steps.find(({ stage }) => stage === 'retrieve')?.detail, trace };
	};
	const stall = () => {
		plan = { fault: 'silent' };
		question = 'Where on the hull is the load line mark painted?';
	};
	return { ask, stall, double };
}

test('an embedding that stalls costs its time-out and no more, and the answer is found by words, marked degraded', async () => {
	const { ask, stall, double } = await start('{vector_weight: 0.5, vector_timeout_ms: 2000}', 'score_min: 0.1');
	expect((await ask()).answer.degraded).toBeNull();
	stall();
	const asked = double.bodies.length;
	const { answer, detail, trace } = await ask();
	expect(answer.text).toContain('amidships');
	expect(answer.degraded).toMatch(/^retrieval: the vector leg failed: no answer within 2000 ms$/);
	expect(trace?.outcome).toBe('degraded');
	expect(detail).toMatchObject({ mode: 'hybrid', answered: 'lexical' });
	// The call was made once, and is not made again.
	expect(double.bodies.length).toBe(asked + 1);
	expect(Number(detail?.vector_ms)).toBeGreaterThanOrEqual(1999);
});

test('a search by vectors alone goes on by words where the contract says so', async () => {
	const search = '{vector_weight: 0.5, vector_timeout_ms: 2000}';
	const { ask, stall } = await start(search, 'mode: vector}\non_failure: {empty_retrieval: [lexical, degrade]');
	expect((await ask()).answer.degraded).toBeNull();
	stall();
	const { answer, detail } = await ask();
	expect(answer.text).toContain('amidships');
	expect(answer.degraded).toBe('empty_retrieval: lexical');
	expect(detail).toMatchObject({ mode: 'lexical', floor: 'lexical: 1', floor_action: 'lexical' });
});
