import { afterEach, describe, expect, it } from 'vitest';
import { parseManifest } from '../../src/retrieval/manifest.ts';
import { type OpenAiEmbedderConfig, openAiEmbedder } from '../support/embedder-fixture.ts';
import { type EmbeddingAnswer, type EmbeddingServer, startEmbeddingServer } from '../support/embedding-server.ts';
import {
	collection,
	folderSource,
	openRetrievalFixture,
	type RetrievalFixture,
	retrievalConfig,
} from '../support/retrieval-fixture.ts';
import { openAiEmbeddings } from '../support/upstream-double.ts';

let fixture: RetrievalFixture;
let server: EmbeddingServer;
afterEach(async () => {
	await fixture.close();
	await server.close();
});

const PAGES = { 'a.md': '# Hull\n\nThe hull is of oak.', 'b.md': '# Sail\n\nThe sail is of flax.' };

type Hosted = OpenAiEmbedderConfig;

const embedder = (overrides: Partial<Hosted> = {}) => openAiEmbedder(server.url, { model: 'm-1', ...overrides });

const config = (dir: string, overrides: Partial<Hosted> = {}) =>
	retrievalConfig([collection([folderSource(dir)], { embedder: 'remote' })], [embedder(overrides)]);

/** The provider's answers, with each vector changed. */
function answering(change: (vector: number[]) => number[]): EmbeddingAnswer {
	return (response, body) => {
		const answer = openAiEmbeddings(JSON.parse(body)) as { data: { embedding: number[] }[] };
		for (const one of answer.data) one.embedding = change(one.embedding);
		response.setHeader('content-type', 'application/json').end(JSON.stringify(answer));
	};
}

/** Another model of as many dimensions. */
const OTHER_WEIGHTS = answering((vector) => vector.toReversed());

async function live() {
	const [record] = await fixture.records.generations.live();
	if (!record) throw new Error('no generation is live');
	return parseManifest(record);
}

async function build(overrides: Partial<Hosted> = {}) {
	server = await startEmbeddingServer();
	fixture = await openRetrievalFixture((dir) => config(dir, overrides));
	await fixture.write(PAGES);
	await fixture.ingest();
	server.texts.length = 0;
	return live();
}

/** The texts of documents that the provider was asked for; one comes twice, to see that vectors come in order. */
const embedded = () => [...new Set(server.texts.filter((text) => /of oak|of flax/.test(text)))];

describe('an index whose embedder changes', () => {
	it('is not embedded again when the same vectors come under another name', async () => {
		const before = await build();
		await fixture.restart(config(fixture.dir, { model: 'm-1-alias' }));
		const report = await fixture.ingest();
		expect(report).toMatchObject({ promoted: false, generation: before.generation, sources: [{ unchanged: 2 }] });
		expect(embedded()).toEqual([]);
		expect(await live()).toMatchObject({ table: before.table, space: before.space, embedding: { model: 'm-1-alias' } });
		expect(await fixture.search('hull of oak', { mode: 'vector' })).toMatchObject({ degraded: null, mode: 'vector' });
	});

	it('is built anew when other weights hide under the same name and dimensions', async () => {
		const before = await build();
		server.answer = OTHER_WEIGHTS;
		expect(await fixture.ingest()).toMatchObject({ promoted: true, sources: [{ seen: 2 }] });
		expect(embedded()).toHaveLength(2);
		const after = await live();
		expect(after.embedding).toEqual(before.embedding);
		expect(after.space).not.toBe(before.space);
		expect(after.table).not.toBe(before.table);
	});
});
