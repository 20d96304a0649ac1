import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { costOf, UNKNOWN_PRICE, worstCaseCost } from '../../src/policy/cost.ts';
import type { Price, Usage } from '../../src/spec/model.ts';
import { flatPrice } from '../support/prices.ts';

const tokens = fc.nat(2_000_000_000);
const rate = fc.nat(2_000_000_000);
const rates = {
	inputMicrosPerMillion: rate,
	cachedInputMicrosPerMillion: rate,
	cacheWriteMicrosPerMillion: rate,
	outputMicrosPerMillion: rate,
	reasoningMicrosPerMillion: rate,
};
const price: fc.Arbitrary<Price> = fc.record({
	version: fc.constant('v1'),
	asOf: fc.constant(null),
	...rates,
	tiers: fc
		.uniqueArray(fc.record({ tokensInAbove: tokens, ...rates }), {
			maxLength: 3,
			selector: (tier) => tier.tokensInAbove,
		})
		.map((tiers) => tiers.toSorted((a, b) => a.tokensInAbove - b.tokensInAbove)),
	batch: fc.option(fc.record(rates)),
});
const share = fc.double({ min: 0, max: 1, noNaN: true });
const usage: fc.Arbitrary<Usage> = fc
	.record({ tokensIn: tokens, tokensOut: tokens, cached: share, written: share, reasoning: share, batch: fc.boolean() })
	.map(({ tokensIn, tokensOut, cached, written, reasoning, batch }) => {
		const tokensCached = Math.floor(tokensIn * cached);
		return {
			tokensIn,
			tokensOut,
			tokensCached,
			tokensCacheWritten: Math.floor((tokensIn - tokensCached) * written),
			tokensReasoning: Math.floor(tokensOut * reasoning),
			batch,
			source: 'reported',
		};
	});

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
		const known = flatPrice('v1', 2_500_000, 10_000_000, 1_250_000);
		expect(costOf(used(1000, 100, 400), known)).toEqual({
			micros: 1500 + 500 + 1000,
			source: 'reported',
			priceVersion: 'v1',
		});
	});

	it('prices every part of the input and the output once, by the tier that the input reaches', () => {
		const base = { ...flatPrice('v1', 1_000_000, 4_000_000, 100_000), cacheWriteMicrosPerMillion: 1_250_000 };
		const known: Price = {
			...base,
			reasoningMicrosPerMillion: 2_000_000,
			tiers: [{ ...flatPrice('', 2_000_000, 8_000_000), tokensInAbove: 1_000 }],
			batch: flatPrice('', 500_000, 2_000_000),
		};
		const parts = { tokensCacheWritten: 200, tokensReasoning: 60 };
		const micros = (tokensIn: number, more: Partial<Usage> = {}) =>
			costOf({ ...used(tokensIn, 100, 300), ...parts, ...more }, known).micros;
		expect(micros(1_000)).toBe(500 + 30 + 250 + 40 * 4 + 60 * 2);
		expect(micros(1_001)).toBe(1_001 * 2 + 100 * 8);
		expect(micros(1_000, { batch: true })).toBe(500 + 200);
	});

	it('is exact, rounded up once', () => {
		fc.assert(
			fc.property(usage, price, (u, p) => {
				const tier = p.tiers.filter(({ tokensInAbove }) => u.tokensIn > tokensInAbove).at(-1);
				const by = u.batch && p.batch !== null ? p.batch : (tier ?? p);
				const parts = [
					[u.tokensIn - u.tokensCached - u.tokensCacheWritten, by.inputMicrosPerMillion],
					[u.tokensCached, by.cachedInputMicrosPerMillion],
					[u.tokensCacheWritten, by.cacheWriteMicrosPerMillion],
					[u.tokensOut - u.tokensReasoning, by.outputMicrosPerMillion],
					[u.tokensReasoning, by.reasoningMicrosPerMillion],
				] as const;
				const sum = parts.reduce((so, [count, rate]) => so + BigInt(count) * BigInt(rate), 0n);
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
		const free = flatPrice('local', 0, 0);
		expect(costOf(used(1_000_000, 1_000_000), free)).toEqual({ micros: 0, source: 'reported', priceVersion: 'local' });
	});

	it.each([-1, 0.5, Number.NaN, Number.POSITIVE_INFINITY])('refuses %d tokens', (wrong) => {
		expect(() => costOf(used(wrong, 1), UNKNOWN_PRICE)).toThrow(RangeError);
		expect(() => worstCaseCost(1, wrong, UNKNOWN_PRICE)).toThrow(RangeError);
	});
});
