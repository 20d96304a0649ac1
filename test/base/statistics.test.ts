import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { seededRandom } from '../../src/base/random.ts';
import { bootstrapMean, mcnemarWorse, signFlipTest, wilson } from '../../src/base/statistics.ts';

describe('Wilson’s interval', () => {
	// R. G. Newcombe, "Two-sided confidence intervals for the single proportion" (1998), table I, method 3.
	it.each([
		[81, 263, 0.2553, 0.3662],
		[15, 148, 0.0624, 0.1605],
		[0, 20, 0, 0.1611],
		[1, 29, 0.0061, 0.1718],
	])('of %i in %i is as published', (successes, trials, low, high) => {
		const interval = wilson(successes, trials);
		expect(interval.low).toBeCloseTo(low, 4);
		expect(interval.high).toBeCloseTo(high, 4);
	});

	it('holds the share and stays in [0, 1], for any counts', () => {
		fc.assert(
			fc.property(fc.nat(5_000), fc.nat(5_000), (a, b) => {
				const { low, high } = wilson(a, a + b);
				const share = a + b === 0 ? 0 : a / (a + b);
				expect(low).toBeGreaterThanOrEqual(0);
				expect(high).toBeLessThanOrEqual(1);
				expect(low).toBeLessThanOrEqual(share);
				expect(high).toBeGreaterThanOrEqual(share);
			}),
		);
	});
});

describe('McNemar’s exact test', () => {
	it('is the tail of the binomial at one half', () => {
		expect(mcnemarWorse(0, 0)).toBe(1);
		expect(mcnemarWorse(5, 0)).toBeCloseTo(1 / 32, 12);
		expect(mcnemarWorse(8, 2)).toBeCloseTo((1 + 10 + 45) / 1_024, 12);
		expect(mcnemarWorse(3, 3)).toBeCloseTo((1 + 6 + 15 + 20) / 64, 12);
		expect(mcnemarWorse(0, 7)).toBeCloseTo(1, 12);
	});

	it('does not underflow for thousands of pairs', () => {
		expect(mcnemarWorse(1_000, 1_000)).toBeCloseTo(0.509, 3);
		expect(mcnemarWorse(3_000, 0)).toBeGreaterThanOrEqual(0);
		expect(mcnemarWorse(3_000, 0)).toBeLessThan(1e-300);
	});
});

describe('the permutation test of pairs', () => {
	it('is near what all sign flips give', () => {
		const differences = [0.5, 0.5, 1, 0.25, -0.2, 0.75, 0, 0.1];
		const changed = differences.filter((one) => one !== 0);
		const observed = changed.reduce((sum, one) => sum + one, 0);
		let asLarge = 0;
		for (let flips = 0; flips < 2 ** changed.length; flips++) {
			const sum = changed.reduce((all, one, at) => all + ((flips >> at) & 1 ? -one : one), 0);
			if (sum >= observed - 1e-9) asLarge++;
		}
		const exact = asLarge / 2 ** changed.length;
		expect(Math.abs(signFlipTest(differences, seededRandom(1)) - exact)).toBeLessThan(0.01);
	});

	it('of many differences agrees with draws, and knows that nothing fell', () => {
		const random = seededRandom(3);
		const many = Array.from({ length: 500 }, () => random.next() - 0.47);
		const drawn = signFlipTest(many.slice(0, 400), seededRandom(4));
		const observed = many.slice(0, 400).reduce((sum, one) => sum + one, 0);
		expect(observed).toBeGreaterThan(0);
		// Twice the same 400 is as if they were seen with √2 of the distance.
		const normal = signFlipTest([...many.slice(0, 400), ...many.slice(0, 1)], seededRandom(4));
		expect(Math.abs(normal - drawn)).toBeLessThan(0.02);
		expect(signFlipTest([], random)).toBe(1);
		expect(signFlipTest([-1, 0.5], random)).toBe(1);
	});

	it('is the same for the same seed', () => {
		const differences = [0.3, 0.4, -0.1];
		expect(signFlipTest(differences, seededRandom(9))).toBe(signFlipTest(differences, seededRandom(9)));
	});
});

it('the bootstrap holds the true mean about as often as it says', () => {
	const random = seededRandom(5);
	let held = 0;
	for (let n = 0; n < 300; n++) {
		const values = Array.from({ length: 60 }, () => (random.next() < 0.7 ? 1 : random.next() < 0.5 ? 0.5 : 0));
		const { low, high } = bootstrapMean(values, random, 300);
		if (low <= 0.775 && high >= 0.775) held++;
	}
	expect(held / 300).toBeGreaterThan(0.9);
	expect(held / 300).toBeLessThan(0.99);
});
