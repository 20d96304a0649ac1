import path from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { type OpenAiEmbedderConfig, openAiEmbedder } from '../../support/embedder-fixture.ts';
import {
	answerJson,
	type EmbeddingAnswer,
	type EmbeddingServer,
	startEmbeddingServer,
} from '../../support/embedding-server.ts';
import {
	collection,
	ingestion,
	jsonlSource,
	openRetrievalFixture,
	type RetrievalFixture,
	retrievalConfig,
} from '../../support/retrieval-fixture.ts';
import { openAiEmbeddings } from '../../support/upstream-double.ts';

let fixture: RetrievalFixture;
let server: EmbeddingServer;
afterEach(async () => {
	await fixture.close();
	await server.close();
});

const config = (dir: string, settings: Record<string, unknown>, embedder: Partial<OpenAiEmbedderConfig>) =>
	retrievalConfig(
		[
			collection([jsonlSource(path.join(dir, 'all.jsonl'))], {
				embedder: 'remote',
				ingestion: ingestion({ ingestion: settings }),
			}),
		],
		[openAiEmbedder(server.url, { retriesMax: 0, ...embedder })],
	);

async function open(settings: Record<string, unknown> = {}, embedder: Partial<OpenAiEmbedderConfig> = {}) {
	server = await startEmbeddingServer();
	fixture = await openRetrievalFixture((dir) => config(dir, settings, embedder));
}

const write = (count: number, textOf = (n: number) => `Document number ${n}.`) =>
	fixture.write({
		'all.jsonl': Array.from({ length: count }, (_, n) => JSON.stringify({ id: `d${n}`, text: textOf(n) })).join('\n'),
	});

interface Answer {
	data: { index: number; embedding: unknown }[];
}

/** Changes the answers to calls that hold a document; probes of the vector space stay as they are. */
function spoiling(change: (answer: Answer, input: readonly string[]) => void): EmbeddingAnswer {
	return (response, body) => {
		const { input }: { input: string[] } = JSON.parse(body);
		const answer = openAiEmbeddings(JSON.parse(body)) as unknown as Answer;
		if (input.some((text) => text.startsWith('Document'))) change(answer, input);
		response.setHeader('content-type', 'application/json').end(JSON.stringify(answer));
	};
}

describe('a document that its provider refuses', () => {
	it('fails alone: the others of its batch come in, and it is tried again by the next run', async () => {
		await open();
		await write(60, (n) => (n === 37 ? 'Document with poison.' : `Document number ${n}.`));
		server.answer = (response, body) => {
			if (!body.includes('poison')) answerJson(response, body);
			else response.writeHead(400, { 'content-type': 'application/json' }).end('{"error":{"message":"no"}}');
		};
		const report = await fixture.ingest();
		expect(report).toMatchObject({ promoted: true, sources: [{ seen: 60, new: 59, failures: 1 }] });
		expect(report.sources[0]?.failed).toEqual([
			{ document: 'd37', reason: expect.stringMatching(/^it could not be embedded: /) },
		]);
		expect(report.embedding?.failed).toBeLessThan(10);
		const query = { collection: 'docs', source: null, state: null, limit: 10 };
		expect(await fixture.records.quarantine.list(query)).toMatchObject([{ document: 'd37', kind: 'failed' }]);
		server.answer = answerJson;
		expect(await fixture.ingest()).toMatchObject({ promoted: true, sources: [{ new: 1, unchanged: 59, failures: 0 }] });
	});
});

/** Puts another vector in the place of each; the fault of a provider that changed, or that mixes things up. */
function vectors(change: (vector: number[], at: number, all: number[][]) => unknown): (answer: Answer) => void {
	return ({ data }) => {
		const all = data.map(({ embedding }) => embedding as number[]);
		for (const [at, one] of data.entries()) one.embedding = change(all[at] ?? [], at, all);
	};
}

describe.each([
	{ fault: 'nulls', change: vectors(() => null) },
	{ fault: 'one vector too few', change: ({ data }: Answer) => void data.pop() },
	{ fault: 'something that is no number', change: vectors((vector) => ['NaN', ...vector.slice(1)]) },
	{ fault: 'the wrong order', change: vectors((_, at, all) => all[(at + 1) % all.length]) },
])('batches that come back with $fault', ({ change }) => {
	it('are never written: the run stops with an alert, and the old generation serves', async () => {
		await open();
		await write(40);
		const { generation } = await fixture.ingest();
		await write(40, (n) => `Document of another kind, number ${n}.`);
		server.answer = spoiling(change);
		await expect(fixture.ingest()).rejects.toMatchObject({
			code: expect.stringMatching(/^(retrieval_failed|ingestion_stopped)$/),
		});
		expect([...fixture.alerts.keys()]).toContain('ingestion_failed:docs');
		server.answer = answerJson;
		const found = await fixture.search('Document number 7.', { mode: 'vector', k: 1 });
		expect(found).toMatchObject({ generation, hits: [{ documentId: 'd7', text: 'Document number 7.' }] });
		// Whatever of the broken run was kept is right: each document is found by its own words.
		expect(await fixture.ingest('docs', { accept: true })).toMatchObject({ promoted: true });
		for (const n of [0, 7, 20, 39]) {
			const [hit] = (await fixture.search(`Document of another kind, number ${n}.`, { mode: 'vector', k: 1 })).hits;
			expect(hit?.documentId).toBe(`d${n}`);
		}
	});
});

it('a run that reaches its cap of cost stops, and the next one with a higher cap embeds only what is missing', async () => {
	const price = { version: 'v1', inputMicrosPerMillion: 10_000_000 };
	await open({ cost_usd_max: 0.034 }, { price });
	await write(1_200);
	await expect(fixture.ingest()).rejects.toMatchObject({ code: 'embedding_budget_exceeded' });
	const first = server.texts.length;
	await fixture.restart(config(fixture.dir, { cost_usd_max: 1 }, { price }));
	server.texts.length = 0;
	const report = await fixture.ingest();
	expect(report).toMatchObject({ promoted: true, sources: [{ new: 1_200 }] });
	expect(report.embedding).toMatchObject({ costSource: expect.any(String), failed: 0 });
	expect(report.embedding?.costMicros).toBeGreaterThan(0);
	expect(first).toBeGreaterThan(500);
	expect(server.texts.length).toBeLessThan(1_200 - 500 + 60);
});
