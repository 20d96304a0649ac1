import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { estimateWaitMs, type WaitAsk } from '../../src/policy/queue-wait.ts';

const holders = fc.record({
	running: fc.integer({ min: 1, max: 500 }),
	heldMs: fc.double({ min: 0.1, max: 1e6, noNaN: true }),
});
const asks: fc.Arbitrary<WaitAsk> = fc
	.record({
		ahead: fc.nat(1000),
		others: fc.nat(1000),
		share: fc.double({ min: 0.001, max: 1, noNaN: true }),
		server: fc.option(holders),
		tenant: fc.option(holders),
	})
	.map(({ others, ...rest }) => ({ ...rest, waiting: rest.ahead + others }));

describe('the estimate of a wait', () => {
	it('is positive and finite, and known exactly when something was measured', () => {
		fc.assert(
			fc.property(asks, (ask) => {
				const ms = estimateWaitMs(ask);
				expect(ms === null).toBe(ask.server === null && ask.tenant === null);
				if (ms !== null) expect(ms > 0 && Number.isFinite(ms)).toBe(true);
			}),
		);
		const unmeasured = { running: 10, heldMs: null };
		expect(estimateWaitMs({ ahead: 3, waiting: 3, share: 1, server: unmeasured, tenant: null })).toBeNull();
	});

	it('grows with what stands in front, and shrinks with the share and with the places', () => {
		fc.assert(
			fc.property(asks, (ask) => {
				const ms = estimateWaitMs(ask) ?? 0;
				const more = (change: Partial<WaitAsk>) => estimateWaitMs({ ...ask, ...change }) ?? 0;
				expect(more({ ahead: ask.ahead + 1, waiting: ask.waiting + 1 })).toBeGreaterThanOrEqual(ms);
				expect(more({ share: Math.min(1, ask.share * 2) })).toBeLessThanOrEqual(ms);
				const wider = (of: WaitAsk['server']) => of && { ...of, running: of.running * 2 };
				expect(more({ server: wider(ask.server), tenant: wider(ask.tenant) })).toBeLessThanOrEqual(ms);
			}),
		);
	});

	it('is right for a queue in order of arrival with places that are held equally long', () => {
		fc.assert(
			fc.property(
				fc.integer({ min: 1, max: 50 }),
				fc.nat(200),
				fc.integer({ min: 1, max: 5000 }),
				(places, ahead, heldMs) => {
					// Places taken one after the other at even distances come free at even distances.
					const freeAt = Array.from({ length: places }, (_, n) => ((n + 1) * heldMs) / places);
					for (let n = 0; n < ahead; n++) {
						const next = Math.min(...freeAt);
						freeAt[freeAt.indexOf(next)] = next + heldMs;
					}
					const server = { running: places, heldMs };
					const ms = estimateWaitMs({ ahead, waiting: ahead, share: 1, server, tenant: null });
					expect(ms).toBeCloseTo(Math.min(...freeAt), 3);
				},
			),
		);
	});

	it('is no longer than until all who wait now have gone, however small the share', () => {
		const server = { running: 10, heldMs: 1000 };
		expect(estimateWaitMs({ ahead: 0, waiting: 4, share: 0.001, server, tenant: null })).toBe(500);
	});
});
