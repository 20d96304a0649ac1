import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { firstWithTies, fuse } from '../../src/retrieval/fusion.ts';
import type { Candidate } from '../../src/spec/index-store.ts';

const CONVEX = { fusion: 'convex', vectorWeight: 0.25, rrfK: 60 } as const;
const RRF = { fusion: 'rrf', vectorWeight: 0.25, rrfK: 60 } as const;

function leg(scores: Record<string, number>): Candidate[] {
	return Object.entries(scores).map(([row, score]) => ({ row, score }));
}

function scores(fused: ReturnType<typeof fuse>): Record<string, number> {
	return Object.fromEntries(fused.map(({ row, score }) => [row, Number(score.toFixed(6))]));
}

const anyLeg = fc
	.uniqueArray(fc.tuple(fc.constantFrom(...'abcdefghijkl'), fc.double({ min: -5, max: 50, noNaN: true })), {
		selector: ([id]) => id,
	})
	// Adding 0 turns -0, which equals 0 and is not the same, into 0.
	.map((entries) => leg(Object.fromEntries(entries.map(([id, score]) => [id, score + 0]))));

describe('convex fusion', () => {
	it('mixes min-max normalised scores by weight; a chunk that a leg did not return gets 0 from it', () => {
		const fused = fuse({ lexical: leg({ a: 10, b: 6, c: 2 }), vector: leg({ b: 0.9, d: 0.5 }) }, CONVEX);
		expect(scores(fused)).toEqual({ a: 0.75, b: 0.625, c: 0, d: 0 });
		expect(fused[1]).toMatchObject({ row: 'b', lexicalScore: 6, vectorScore: 0.9 });
		expect(fused.find(({ row }) => row === 'd')).toMatchObject({ lexicalScore: null, vectorScore: 0.5 });
	});

	it('gives 1 for a single hit and for equal scores', () => {
		expect(scores(fuse({ lexical: leg({ a: 3, b: 3 }), vector: leg({ c: 0.2 }) }, CONVEX))).toEqual({
			a: 0.75,
			b: 0.75,
			c: 0.25,
		});
	});

	it('takes a weight of 0 as 0 and of 1 as 1', () => {
		const legs = { lexical: leg({ a: 2, b: 1 }), vector: leg({ b: 0.9, a: 0.1 }) };
		expect(fuse(legs, { ...CONVEX, vectorWeight: 0 })[0]?.row).toBe('a');
		expect(fuse(legs, { ...CONVEX, vectorWeight: 1 })[0]?.row).toBe('b');
	});
});

it('reciprocal rank fusion sums 1 / (k + rank)', () => {
	expect(scores(fuse({ lexical: leg({ a: 9, b: 8 }), vector: leg({ b: 0.9, c: 0.8 }) }, RRF))).toEqual({
		b: Number((1 / 62 + 1 / 61).toFixed(6)),
		a: Number((1 / 61).toFixed(6)),
		c: Number((1 / 62).toFixed(6)),
	});
});

it('reciprocal rank fusion gives equal scores of a leg one rank, whatever order they came in', () => {
	const once = scores(fuse({ lexical: leg({ a: 9, b: 9, c: 1 }), vector: leg({}) }, RRF));
	expect(once).toEqual({ a: once.b, b: once.b, c: Number((1 / 63).toFixed(6)) });
	expect(once.a).toBe(Number((1 / 61).toFixed(6)));
});

it('a cut takes all that score as the last before it', () => {
	fc.assert(
		fc.property(fc.array(fc.integer({ min: 0, max: 4 })), fc.integer({ min: 1, max: 12 }), (drawn, count) => {
			const ranked = drawn.toSorted((a, b) => b - a).map((score, at) => ({ row: String(at), score }));
			const least = ranked[count - 1]?.score ?? Number.NEGATIVE_INFINITY;
			expect(firstWithTies(ranked, count)).toEqual(ranked.filter(({ score }) => score >= least));
		}),
	);
});

describe.each([CONVEX, RRF])('fusion by $fusion', (search) => {
	it('ranks each candidate once, by score and then by row, whatever order the legs came in', () => {
		fc.assert(
			fc.property(anyLeg, anyLeg, (lexical, vector) => {
				const fused = fuse({ lexical, vector }, search);
				expect(new Set(fused.map(({ row }) => row)).size).toBe(fused.length);
				expect(fused).toHaveLength(new Set([...lexical, ...vector].map(({ row }) => row)).size);
				fused.forEach((hit, index) => {
					const next = fused[index + 1];
					if (next) expect(hit.score > next.score || (hit.score === next.score && hit.row < next.row)).toBe(true);
				});
				expect(fuse({ lexical: lexical.toReversed(), vector: vector.toReversed() }, search)).toEqual(fused);
			}),
		);
	});

	it('leaves the scores of a single leg as they are', () => {
		fc.assert(
			fc.property(anyLeg, (only) => {
				for (const { score, lexicalScore } of fuse({ lexical: only, vector: null }, search))
					expect(score).toBe(lexicalScore);
				for (const { score, vectorScore } of fuse({ lexical: null, vector: only }, search))
					expect(score).toBe(vectorScore);
			}),
		);
	});
});
