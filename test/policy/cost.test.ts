import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { costOf, UNKNOWN_PRICE, worstCaseCost } from '../../src/policy/cost.ts';
import type { Price, Usage } from '../../src/spec/model.ts';

const tokens = fc.nat(2_000_000_000);
const rate = fc.nat(2_000_000_000);
const price: fc.Arbitrary<Price> = fc.record({
	version: fc.constant('v1'),
	inputMicrosPerMillion: rate,
	cachedInputMicrosPerMillion: rate,
	outputMicrosPerMillion: rate,
});
const usage: fc.Arbitrary<Usage> = fc
	.tuple(tokens, tokens, fc.double({ min: 0, max: 1, noNaN: true }))
	.map(([tokensIn, tokensOut, share]) => ({
		tokensIn,
		tokensOut,
		tokensCached: Math.floor(tokensIn * share),
		tokensCacheWritten: 0,
		tokensReasoning: 0,
		source: 'reported',
	}));

const used = (tokensIn: number, tokensOut: number, tokensCached = 0): Usage => ({
	tokensIn,
	tokensOut,
	tokensCached,
	tokensCacheWritten: 0,
	tokensReasoning: 0,
	source: 'reported',
});

describe('the cost of an answer', () => {
	it('prices cached tokens once, as a part of the input', () => {
		const known = {
			version: 'v1',
			inputMicrosPerMillion: 2_500_000,
			cachedInputMicrosPerMillion: 1_250_000,
			outputMicrosPerMillion: 10_000_000,
		};
		expect(costOf(used(1000, 100, 400), known)).toEqual({
			micros: 1500 + 500 + 1000,
			source: 'reported',
			priceVersion: 'v1',
		});
	});

	it('is exact, rounded up once', () => {
		fc.assert(
			fc.property(usage, price, (u, p) => {
				const sum =
					BigInt(u.tokensIn - u.tokensCached) * BigInt(p.inputMicrosPerMillion) +
					BigInt(u.tokensCached) * BigInt(p.cachedInputMicrosPerMillion) +
					BigInt(u.tokensOut) * BigInt(p.outputMicrosPerMillion);
				expect(BigInt(costOf(u, p).micros)).toBe((sum + 999_999n) / 1_000_000n);
			}),
		);
	});

	it('never exceeds the worst case that was reserved for it', () => {
		fc.assert(
			fc.property(usage, price, tokens, (u, p, more) => {
				expect(costOf(u, p).micros).toBeLessThanOrEqual(worstCaseCost(u.tokensIn, u.tokensOut + more, p));
			}),
		);
	});

	it('is an estimate and never zero when the price is unknown, and an estimate when the usage is', () => {
		fc.assert(
			fc.property(usage, (u) => {
				const cost = costOf(u, null);
				expect(cost).toMatchObject({ source: 'estimated', priceVersion: UNKNOWN_PRICE.version });
				expect(cost.micros > 0).toBe(u.tokensIn + u.tokensOut > 0);
			}),
		);
		expect(worstCaseCost(1, 0, null)).toBeGreaterThan(0);
		expect(costOf({ ...used(1, 1), source: 'estimated' }, UNKNOWN_PRICE).source).toBe('estimated');
	});

	it('is zero for an upstream that says so', () => {
		const free = {
			version: 'local',
			inputMicrosPerMillion: 0,
			cachedInputMicrosPerMillion: 0,
			outputMicrosPerMillion: 0,
		};
		expect(costOf(used(1_000_000, 1_000_000), free)).toEqual({ micros: 0, source: 'reported', priceVersion: 'local' });
	});

	it.each([-1, 0.5, Number.NaN, Number.POSITIVE_INFINITY])('refuses %d tokens', (wrong) => {
		expect(() => costOf(used(wrong, 1), UNKNOWN_PRICE)).toThrow(RangeError);
		expect(() => worstCaseCost(1, wrong, UNKNOWN_PRICE)).toThrow(RangeError);
	});
});
