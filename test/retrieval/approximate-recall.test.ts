import { expect, it, onTestFinished } from 'vitest';
import type { Canary } from '../../src/contracts/canary.ts';
import { approximateRecall } from '../../src/retrieval/approximate-recall.ts';
import type { Catalogue } from '../../src/retrieval/catalogue.ts';
import type { QueryEmbedder } from '../../src/retrieval/embedding/query-embedder.ts';
import {
	BUILTIN,
	collection,
	folderSource,
	openRetrievalFixture,
	retrievalConfig,
	SEARCH,
} from '../support/retrieval-fixture.ts';

const WORDS = ['hull', 'mast', 'keel', 'anchor', 'rudder', 'galley', 'cabin', 'deck', 'sail', 'bilge', 'stern', 'bow'];
const canary = (query: string): Canary => ({ id: query, query }) as Canary;
const NEVER = new AbortController().signal;

function open(vectorWeight: number) {
	return openRetrievalFixture((dir) =>
		retrievalConfig(
			[collection([folderSource(dir)], { embedder: 'builtin', search: { ...SEARCH, vectorWeight } })],
			[BUILTIN],
		),
	);
}

it('is whole where every vector is compared, and says nothing where vectors are not searched', async () => {
	const fixture = await open(0.5);
	onTestFinished(() => fixture.close());
	await fixture.write(Object.fromEntries(WORDS.map((word) => [`${word}.txt`, `All about the ${word} of a ship.`])));
	await fixture.ingest();
	const measure = () => fixture.retrieval.approximateRecall('docs', [canary('the keel'), canary('???')], NEVER);
	expect(await measure()).toBe(1);
	const lexical = retrievalConfig(
		[collection([folderSource(fixture.dir)], { embedder: 'builtin', search: { ...SEARCH, vectorWeight: 0 } })],
		[BUILTIN],
	);
	await fixture.retrieval.update(lexical);
	expect(await measure()).toBeNull();
});

it('is the share of the ten nearest that is found, in the mean over the queries that have a direction', async () => {
	// Chunks on a line: the exact search sees all, the approximate one those with even numbers.
	const nearest = (at: number, step: number) =>
		Array.from({ length: 100 }, (_, chunk) => chunk)
			.filter((chunk) => chunk % step === 0)
			.sort((a, b) => Math.abs(a - at) - Math.abs(b - at) || a - b)
			.slice(0, 10)
			.map((chunk) => ({ chunkId: String(chunk), row: String(chunk), score: -Math.abs(chunk - at) }));
	const reader = {
		vector: async ([at = 0]: Float32Array, { exact }: { exact: boolean }) => nearest(at, exact ? 1 : 2),
	};
	const config = collection([], { embedder: 'builtin' });
	const catalogue = {
		state: () => ({ config, index: { manifest: {}, reader }, problem: null }),
	} as unknown as Catalogue;
	const vectors: Record<string, Float32Array | null> = {
		middle: Float32Array.of(50),
		start: Float32Array.of(1),
		none: null,
	};
	const queries = {
		embed: async (text: string) => ({ vector: vectors[text] ?? null, cached: false }),
	} as unknown as QueryEmbedder;
	const measure = (...asked: string[]) =>
		approximateRecall({ catalogue, queries }, { collection: 'docs', canaries: asked.map(canary), signal: NEVER });
	expect(await measure('middle')).toBe(0.5);
	expect(await measure('middle', 'start', 'none')).toBe(0.5);
	expect(await measure('none')).toBeNull();
});
