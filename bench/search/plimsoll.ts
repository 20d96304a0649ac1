import { systemClock } from '../../src/base/clock.ts';
import type { CollectionConfig } from '../../src/contracts/collection.ts';
import type { CollectionState } from '../../src/retrieval/catalogue.ts';
import { chunkerIdentity } from '../../src/retrieval/chunkers/chunker.ts';
import { fusionDescription } from '../../src/retrieval/manifest.ts';
import { createRetriever } from '../../src/retrieval/search.ts';
import type { IndexReader, IndexStore } from '../../src/spec/index-store.ts';
import type { EmbeddingIdentity, SearchMode } from '../../src/spec/retrieval.ts';
import { collection } from '../../test/support/retrieval-fixture.ts';
import { type BenchQuery, type Corpus, DIMENSIONS, FILTER, SHAPE } from './corpus.ts';
import type { Run } from './measure.ts';

const BATCH = 5_000;
const K = 10;

/** Writes the corpus as an ingestion does. Returns the reader and what it took. */
export async function build(store: IndexStore, corpus: Corpus, tell: (message: string) => void) {
	const started = systemClock.monotonic();
	const writer = await store.writer(SHAPE);
	let [written, making] = [0, 0];
	for (const batch of corpus.batches(BATCH)) {
		const made = systemClock.monotonic();
		await writer.write([], batch);
		making += systemClock.monotonic() - made;
		written += batch.length;
		if (written % 50_000 === 0) tell(`${written} of ${corpus.chunks} chunks written`);
	}
	const sealing = systemClock.monotonic();
	const { version } = await writer.seal([]);
	writer.close();
	tell(`sealed; everything took ${Math.round((systemClock.monotonic() - started) / 1_000)} s`);
	const reader = await store.reader({ table: SHAPE.table, version });
	return { reader, writeSeconds: making / 1_000, sealSeconds: (systemClock.monotonic() - sealing) / 1_000 };
}

const IDENTITY: EmbeddingIdentity = {
	...{ provider: 'bench', model: 'bench', revision: '1', dimensions: DIMENSIONS, normalised: true },
	...{ queryPrefix: '', documentPrefix: '', tokensMax: 8_192 },
};

/** Searches as a request does, with both legs, fusion and the reading of passages; a query's vector is there already. */
export function searcher(store: IndexStore, reader: IndexReader) {
	const config: CollectionConfig = { ...collection([]), name: 'bench', embedder: 'bench' };
	const hybrid: CollectionConfig = { ...config, search: { ...config.search, vectorWeight: 0.5 } };
	const manifest = {
		...{ format: 1 as const, collection: 'bench', generation: 'bench-g1', sequence: 1, createdByRun: 'bench' },
		...{
			...reader.place,
			hash: null,
			engine: store.revision,
			embedding: IDENTITY,
			fields: Object.fromEntries(SHAPE.fields),
		},
		chunker: chunkerIdentity(config.chunker),
		lexical: { ...store.lexical, tokenizer: { ...store.lexical.tokenizer } },
		...{ fusion: fusionDescription(hybrid.search), documents: reader.chunks, sources: {}, chunks: reader.chunks },
	};
	const state: CollectionState = { config: hybrid, index: { manifest, reader }, problem: null };
	const vectors = new Map<string, Float32Array>();
	const retriever = createRetriever({
		catalogue: { state: () => state, status: () => [], examine: async () => state },
		queries: { embed: async (text) => ({ vector: vectors.get(text) ?? null, cached: true }) },
		clock: systemClock,
	});
	return (mode: SearchMode, filtered: boolean): Run =>
		async ({ text, vector }) => {
			vectors.set(text, vector);
			const filter = filtered ? FILTER : null;
			const found = await retriever.search({ collection: 'bench', query: text, k: K, mode, filter, signal: null });
			if (found.degraded !== null) throw new Error(found.degraded);
		};
}

/** Of the ten nearest by an exact search, how many the approximate one finds. */
export async function recall(reader: IndexReader, queries: readonly BenchQuery[], filtered: boolean): Promise<number> {
	let [found, wanted] = [0, 0];
	for (const { vector } of queries) {
		const ask = { limit: K, filter: filtered ? FILTER : null, timeoutMs: 60_000 };
		const exact = await reader.vector(vector, { ...ask, exact: true });
		const near = new Set((await reader.vector(vector, { ...ask, exact: false })).map(({ row }) => row));
		wanted += exact.length;
		found += exact.filter(({ row }) => near.has(row)).length;
	}
	return found / wanted;
}
