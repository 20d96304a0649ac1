import { describe, expect, it } from 'vitest';
import { bootstrapMean } from '../../src/base/bootstrap.ts';
import { type Random, seededRandom } from '../../src/base/random.ts';
import { type LabelledLegs, ndcg, tune } from '../../src/retrieval/tuning.ts';

const DOCUMENTS = 40;

/** Queries of which each leg ranks the right document by a score of its own, with noise. */
function planted(
	random: Random,
	{ lexical, vector }: { lexical: number; vector: number },
	count = 120,
): LabelledLegs[] {
	const leg = (right: number, strength: number) =>
		Array.from({ length: DOCUMENTS }, (_, at) => {
			const id = `d${String(at).padStart(2, '0')}`;
			return { row: id, score: random.next() + (at === right ? strength * random.next() : 0) };
		});
	return Array.from({ length: count }, () => {
		const right = Math.floor(random.next() * DOCUMENTS);
		const grades = new Map([[`d${String(right).padStart(2, '0')}`, 1]]);
		return { lexical: leg(right, lexical), vector: leg(right, vector), grades };
	});
}

const run = (legs: LabelledLegs[], seed = 1) => tune(legs, { k: 10, documentOf: String, random: seededRandom(seed) });

describe('tuning a fusion', () => {
	it('recommends hybrid where two legs with faults of their own help each other', () => {
		const { recommended, gain, notWorth } = run(planted(seededRandom(3), { lexical: 1.2, vector: 1.2 }));
		expect(['convex', 'rrf']).toContain(recommended.kind);
		expect(gain?.low).toBeGreaterThan(0);
		expect(notWorth).toBeNull();
	});

	it('says that hybrid does not help where one leg knows nothing, and recommends the other', () => {
		const byWords = run(planted(seededRandom(4), { lexical: 1.5, vector: 0 }));
		expect(byWords.recommended).toEqual({ kind: 'lexical' });
		expect(byWords.notWorth?.low).toBeLessThanOrEqual(0);
		expect(run(planted(seededRandom(4), { lexical: 0, vector: 1.5 })).recommended).toEqual({ kind: 'vector' });
	});

	it('recommends hybrid in few of 25 draws in which no fusion can help: what it chose by does not judge it', () => {
		const draws = Array.from({ length: 25 }, (_, seed) =>
			run(planted(seededRandom(seed), { lexical: 2, vector: 0 }, 60), seed),
		);
		const wrong = draws.filter(({ recommended }) => recommended.kind !== 'lexical');
		expect(wrong.length).toBeLessThanOrEqual(3);
	});

	it('gives the same for the same seed', () => {
		const legs = planted(seededRandom(5), { lexical: 1, vector: 1 });
		expect(run(legs, 7)).toEqual(run(legs, 7));
	});
});

describe('what it measures by', () => {
	it('nDCG is 1 for the ideal order, 0 for none of the right ones, and falls with the rank and the grade', () => {
		const grades = new Map([
			['a', 2],
			['b', 1],
		]);
		expect(ndcg(['a', 'b', 'x'], grades, 10)).toBe(1);
		expect(ndcg(['x', 'y'], grades, 10)).toBe(0);
		// By hand: (1/log2(2) + 3/log2(3)) / (3/log2(2) + 1/log2(3)).
		expect(ndcg(['b', 'a'], grades, 10)).toBeCloseTo(0.7967, 4);
		expect(ndcg(['x', 'a'], grades, 1)).toBe(0);
	});

	it('the bootstrap interval holds the true mean about as often as it says', () => {
		const random = seededRandom(11);
		const holds = Array.from({ length: 200 }, () => {
			const sample = Array.from({ length: 50 }, () => (random.next() < 0.7 ? 1 : 0));
			const { low, high } = bootstrapMean(sample, random);
			return low <= 0.7 && 0.7 <= high;
		}).filter(Boolean).length;
		expect(holds).toBeGreaterThan(178);
		expect(holds).toBeLessThan(200);
	});
});
