import path from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { openAiEmbedder } from '../support/embedder-fixture.ts';
import {
	answering,
	answerJson,
	type EmbeddingAnswer,
	type EmbeddingServer,
	startEmbeddingServer,
} from '../support/embedding-server.ts';
import {
	collection,
	jsonlSource,
	openRetrievalFixture,
	type RetrievalFixture,
	retrievalConfig,
} from '../support/retrieval-fixture.ts';

let fixture: RetrievalFixture;
let server: EmbeddingServer;
afterEach(async () => {
	await fixture.close();
	await server.close();
});

/** More than one batch. */
const DOCUMENTS = 700;

const write = (textOf: (n: number) => string) =>
	fixture.write({
		'all.jsonl': Array.from({ length: DOCUMENTS }, (_, n) => JSON.stringify({ id: `d${n}`, text: textOf(n) })).join(
			'\n',
		),
	});
const oldText = (n: number) => `Document number ${n} is of oak.`;
const newText = (n: number) => `Document number ${n} is of flax.`;

/** A generation is live, and the next run finds every document changed. */
async function built(): Promise<string | null> {
	server = await startEmbeddingServer();
	fixture = await openRetrievalFixture((dir) =>
		retrievalConfig(
			[collection([jsonlSource(path.join(dir, 'all.jsonl'))], { embedder: 'remote' })],
			[openAiEmbedder(server.url, { retriesMax: 0, batchMax: 512 })],
		),
	);
	await write(oldText);
	const { generation } = await fixture.ingest();
	await write(newText);
	server.texts.length = 0;
	return generation;
}

async function serves(generation: string | null): Promise<void> {
	for (const n of [3, 690]) {
		const found = await fixture.search(oldText(n), { mode: 'vector', k: 1 });
		expect(found).toMatchObject({ generation, degraded: null, hits: [{ documentId: `d${n}`, text: oldText(n) }] });
	}
}

/** Every vector that can be found is that of its own text. */
async function isWhole(): Promise<void> {
	for (const n of [0, 3, 300, 511, 512, 600, 690, 699]) {
		const [hit] = (await fixture.search(newText(n), { mode: 'vector', k: 1 })).hits;
		expect(hit).toMatchObject({ documentId: `d${n}`, text: newText(n) });
		expect(hit?.vectorScore).toBeGreaterThan(0.999);
	}
}

const OTHER_WEIGHTS = answering((vector) => vector.toReversed());

/** The first batch is embedded as ever; from the second on the provider answers so. */
function fromTheSecondBatch(answer: EmbeddingAnswer): EmbeddingAnswer {
	return (response, body) => {
		const embedded = new Set(server.texts.filter((text) => text.startsWith('Document number'))).size;
		(embedded <= 512 ? answerJson : answer)(response, body);
	};
}

describe('a provider that loads other weights under the same name in the middle of a build', () => {
	it.each<{ when: string; begin: () => void; onProgress?: (progress: { phase: string }) => void }>([
		{
			when: 'between two batches',
			begin: () => {
				server.answer = fromTheSecondBatch(OTHER_WEIGHTS);
			},
		},
		{
			when: 'between the last batch and the promotion',
			begin: () => {},
			onProgress: ({ phase }) => {
				if (phase === 'index') server.answer = OTHER_WEIGHTS;
			},
		},
	])(
		'$when: nothing goes live, it is named, and the next run embeds anew what the run wrote',
		async ({ begin, onProgress }) => {
			const generation = await built();
			begin();
			const refused = await fixture.ingest('docs', onProgress ? { onProgress } : {});
			expect(refused).toMatchObject({ generation, promoted: false });
			expect(refused.refused?.verification.checks.filter(({ passed }) => !passed)).toMatchObject([
				{ check: 'fingerprint', overrulable: false, message: expect.stringContaining('weights') },
			]);
			expect(fixture.alerts.get('index_refused:docs')?.message).toMatch(
				/fingerprint: .* other weights under the same name/,
			);
			// The provider takes it back: what was written meanwhile must not pass for vectors of this space.
			server.answer = answerJson;
			await fixture.retrieval.desk.check('remote');
			await serves(generation);
			expect(await fixture.ingest()).toMatchObject({ promoted: true, sources: [{ chunks: DOCUMENTS }] });
			expect([...fixture.alerts.keys()]).toEqual([]);
			await isWhole();
		},
	);
});

describe('a provider that changes in the middle of a build', () => {
	const refusing =
		(status: number): EmbeddingAnswer =>
		(response) =>
			void response.writeHead(status, { 'content-type': 'application/json' }).end('{"error":{"message":"no"}}');

	it.each<[string, EmbeddingAnswer, RegExp]>([
		['to vectors of another length', answering((vector) => vector.slice(0, 32)), /32 dimensions/],
		['so that the key has expired', refusing(401), /401/],
		['so that it is gone', refusing(503), /503/],
		[
			'to NaN',
			answering(([, ...vector]) => ['NaN' as unknown as number, ...vector]),
			/not a (finite )?number|no number|NaN/,
		],
	])(
		'%s: the run ends with that reason and an alert, the old generation serves, and the next run finishes',
		async (_, answer, reason) => {
			const generation = await built();
			server.answer = fromTheSecondBatch(answer);
			const ended = await fixture.ingest().then(
				() => null,
				(thrown: Error) => thrown,
			);
			expect(ended?.message).toMatch(reason);
			expect(fixture.alerts.get('ingestion_failed:docs')?.message).toBe(ended?.message);
			server.answer = answerJson;
			await serves(generation);
			server.texts.length = 0;
			expect(await fixture.ingest()).toMatchObject({ promoted: true });
			expect([...fixture.alerts.keys()]).toEqual([]);
			// What was embedded before is not embedded again.
			expect(new Set(server.texts.filter((text) => text.endsWith('flax.'))).size).toBeLessThanOrEqual(DOCUMENTS - 512);
			await isWhole();
		},
	);
});
