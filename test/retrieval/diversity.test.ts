import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { diversified } from '../../src/retrieval/diversity.ts';
import { hit } from '../support/runtime-fixture.ts';

const BASE = { similarityMax: 0.8, lambda: 0.7, pool: 50 };
const text = fc
	.array(fc.constantFrom('load', 'line', 'mark', 'hull', 'ship', 'draught'), { minLength: 1, maxLength: 8 })
	.map((words) => words.join(' '));
const ranking = fc.array(text, { maxLength: 20 }).map((texts) => texts.map((one, at) => hit(at + 1, one)));

describe('what says the same again', () => {
	it('deduplicate leaves out copies and near-copies, and keeps the better one', () => {
		const long = 'the load line mark is painted amidships on both sides of the hull of every ship';
		const ranked = [
			hit(1, long),
			hit(2, `${long} now`),
			hit(3, 'draught is measured in metres'),
			hit(4, long.toUpperCase()),
		];
		const kept = diversified(ranked, 3, { ...BASE, kind: 'deduplicate' });
		expect(kept.map(({ chunkId }) => chunkId)).toEqual(['chunk-1', 'chunk-3']);
	});

	it('mmr puts what is different before what is alike', () => {
		const ranked = [hit(1, 'a b c d e'), hit(2, 'a b c d e'), hit(3, 'v w x y z')];
		const order = (lambda: number) => diversified(ranked, 3, { ...BASE, kind: 'mmr', lambda }).map(({ rank }) => rank);
		expect(order(0.5)).toEqual([1, 3, 2]);
		expect(order(1)).toEqual([1, 2, 3]);
	});

	it('any ranking: the first stays first, nothing comes twice, at most k come, and the same again gives the same', () => {
		const settings = fc.record({
			kind: fc.constantFrom('deduplicate' as const, 'mmr' as const, 'none' as const),
			similarityMax: fc.double({ min: 0, max: 1, noNaN: true }),
			lambda: fc.double({ min: 0.01, max: 1, noNaN: true }),
			pool: fc.constant(50),
		});
		fc.assert(
			fc.property(ranking, fc.integer({ min: 1, max: 20 }), settings, (ranked, k, config) => {
				const kept = diversified(ranked, k, config);
				expect(kept.length).toBeLessThanOrEqual(k);
				expect(new Set(kept).size).toBe(kept.length);
				if (ranked.length > 0) expect(kept[0]).toBe(ranked[0]);
				if (config.kind !== 'deduplicate') expect(kept.length).toBe(Math.min(k, ranked.length));
				expect(diversified(ranked, k, config)).toEqual(kept);
			}),
		);
	});
});
