import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decisiveOf, hedgeDelayMs, hedgePlace } from '../../src/policy/hedge.ts';

describe('the wait before a second attempt', () => {
	it('is what the contract says', () => {
		expect(hedgeDelayMs({ afterMs: 900 }, [])).toBe(900);
	});

	it('is a quantile of the latest answers, once enough of them are known', () => {
		const hedge = { afterQuantile: 0.95, samplesMin: 20 };
		const twenty = Array.from({ length: 20 }, (_, n) => (n * 7) % 20);
		expect(hedgeDelayMs(hedge, twenty.slice(1))).toBeNull();
		expect(hedgeDelayMs(hedge, twenty)).toBe(18 + 1);
	});

	it('is passed by no larger a share of the known answers than the quantile leaves', () => {
		const times = fc.array(fc.integer({ min: 0, max: 1000 }), { minLength: 5, maxLength: 200 });
		fc.assert(
			fc.property(times, fc.double({ min: 0.5, max: 0.999, noNaN: true }), (recent, afterQuantile) => {
				const ms = hedgeDelayMs({ afterQuantile, samplesMin: 5 }, recent) ?? Number.NaN;
				const slower = recent.filter((took) => took >= ms).length;
				expect(slower).toBeLessThanOrEqual(recent.length * (1 - afterQuantile) + 1e-9);
			}),
		);
	});
});

describe('who is asked beside an upstream', () => {
	const seat = (name: string, change = {}) => ({ name, sideEffects: false, isClosed: true, ...change });
	const moment = { index: 0, attempts: 1, attemptsMax: 3, mayHaveActed: false, remainingMs: 1000 };

	it('is the next one of the route whose breaker is closed', () => {
		expect(hedgePlace({ ...moment, seats: [seat('a'), seat('b')] })).toBe(1);
		expect(hedgePlace({ ...moment, seats: [seat('a'), seat('b', { isClosed: false }), seat('c')] })).toBe(2);
		expect(hedgePlace({ ...moment, index: 1, seats: [seat('a'), seat('b')] })).toBeNull();
	});

	it('is nobody where one of the two acts on the world, or one may have acted already', () => {
		const acts = { sideEffects: true };
		expect(hedgePlace({ ...moment, seats: [seat('a', acts), seat('b')] })).toBeNull();
		expect(hedgePlace({ ...moment, seats: [seat('a'), seat('b', acts), seat('c')] })).toBeNull();
		expect(hedgePlace({ ...moment, mayHaveActed: true, seats: [seat('a'), seat('b')] })).toBeNull();
	});

	it('is nobody once the attempts or the time are used up', () => {
		const seats = [seat('a'), seat('b')];
		expect(hedgePlace({ ...moment, attempts: 3, seats })).toBeNull();
		expect(hedgePlace({ ...moment, remainingMs: 5, seats })).toBeNull();
	});
});

it('of two failures the one decides after which nothing may follow, else the one further on', () => {
	expect(decisiveOf('server_error', 'rate_limited')).toBe('hedge');
	expect(decisiveOf('bad_request', 'server_error')).toBe('first');
	expect(decisiveOf('server_error', 'authentication')).toBe('hedge');
});
