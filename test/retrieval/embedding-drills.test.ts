import { afterEach, describe, expect, it } from 'vitest';
import { type Clock, systemClock } from '../../src/base/clock.ts';
import { parseManifest } from '../../src/retrieval/manifest.ts';
import { type OpenAiEmbedderConfig, openAiEmbedder } from '../support/embedder-fixture.ts';
import { answering, type EmbeddingServer, startEmbeddingServer } from '../support/embedding-server.ts';
import {
	collection,
	folderSource,
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

const PAGES = { 'a.md': '# Hull\n\nThe hull is of oak.', 'b.md': '# Sail\n\nThe sail is of flax.' };

type Hosted = OpenAiEmbedderConfig;

const embedder = (overrides: Partial<Hosted> = {}) => openAiEmbedder(server.url, { model: 'm-1', ...overrides });

const config = (dir: string, overrides: Partial<Hosted> = {}) =>
	retrievalConfig([collection([folderSource(dir)], { embedder: 'remote' })], [embedder(overrides)]);

/** Another model of as many dimensions. */
const OTHER_WEIGHTS = answering((vector) => vector.toReversed());

async function live() {
	const [record] = await fixture.records.generations.live();
	if (!record) throw new Error('no generation is live');
	return parseManifest(record);
}

/** Real time, but nobody waits for the second measurement. */
const HASTY: Clock = { ...systemClock, after: (ms, run) => systemClock.after(ms === 2_000 ? 0 : ms, run) };

async function build(overrides: Partial<Hosted> = {}) {
	server = await startEmbeddingServer();
	fixture = await openRetrievalFixture((dir) => config(dir, overrides), HASTY);
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

	it('is searched on under another name of the same vectors, without an ingestion and without an alert', async () => {
		await build();
		await fixture.restart(config(fixture.dir, { model: 'm-1-alias' }));
		expect(await fixture.search('hull of oak', { mode: 'vector' })).toMatchObject({ degraded: null });
		expect(await fixture.retrieval.desk.check('remote')).toMatchObject({
			indexes: [{ space: 'alias', message: null }],
		});
		expect([...fixture.alerts.keys()]).toEqual([]);
		expect(embedded().filter((text) => text.includes('The hull'))).toEqual([]);
	});

	it('answers by words alone from the moment that other weights are measured, alerts with the price, and recovers', async () => {
		const before = await build();
		server.answer = OTHER_WEIGHTS;
		const view = await fixture.retrieval.desk.check('remote');
		expect(view.indexes).toMatchObject([
			{
				collection: 'docs',
				generation: before.generation,
				space: 'other',
				difference: 'weights',
				onIdentityChange: 'lexical',
			},
		]);
		expect(view.indexes[0]?.rebuild).toMatchObject({ chunks: 2, tokens: expect.any(Number) });
		expect(view.indexes[0]?.rebuild.costMicros).toBeGreaterThan(0);
		expect(fixture.alerts.get('embedding_identity:docs')).toMatchObject({
			message: expect.stringMatching(
				/plimsoll ingest docs embeds its 2 chunks anew: about \d+ tokens for at most \$0\.\d+/,
			),
		});
		expect(await fixture.search('hull of oak')).toMatchObject({
			hits: [{ documentId: 'a.md', vectorScore: null }],
			degraded: expect.stringContaining('other weights under the same name'),
		});
		await expect(fixture.search('hull', { mode: 'vector' })).rejects.toMatchObject({
			code: 'embedding_identity_changed',
			message: expect.stringContaining('plimsoll ingest docs'),
		});
		await fixture.ingest();
		expect([...fixture.alerts.keys()]).toEqual([]);
		expect(await fixture.search('hull of oak', { mode: 'vector' })).toMatchObject({ degraded: null });
	});

	it('refuses where its collection would rather have no answer', async () => {
		await build();
		const { collections, embedders } = config(fixture.dir);
		const strict = [...collections.values()].map((one) => ({ ...one, onIdentityChange: 'refuse' as const }));
		await fixture.restart({ collections: new Map(strict.map((one) => [one.name, one])), embedders });
		server.answer = OTHER_WEIGHTS;
		await fixture.retrieval.desk.check('remote');
		await expect(fixture.search('hull of oak')).rejects.toMatchObject({ code: 'embedding_identity_changed' });
	});

	it.each<[string, Partial<Hosted>, RegExp]>([
		['prefix', { queryPrefix: 'query: ' }, /prefix of queries/],
		['input type', { queryType: 'query' }, /input type of queries/],
		['number of tokens that are read', { tokensMax: 512 }, /tokens that are read/],
	])('is not searched with another %s, and is built anew', async (_, change, reason) => {
		const before = await build();
		await fixture.restart(config(fixture.dir, change));
		expect(await fixture.search('hull of oak')).toMatchObject({ degraded: expect.stringMatching(reason) });
		expect(await fixture.ingest()).toMatchObject({ promoted: true });
		expect((await live()).table).not.toBe(before.table);
		expect(await fixture.search('hull of oak')).toMatchObject({ degraded: null });
	});

	it('is not searched with vectors of another length', async () => {
		await build();
		server.answer = answering((vector) => vector.slice(0, 32));
		await fixture.restart(config(fixture.dir, { dimensions: 32 }));
		expect(await fixture.search('hull of oak')).toMatchObject({
			degraded: expect.stringContaining('dimensions: 64 is not 32'),
		});
	});
});
