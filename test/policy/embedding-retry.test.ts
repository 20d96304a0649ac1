import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { embeddingRetryMs, type FailedCall } from '../../src/policy/embedding-retry.ts';
import { FAILURES } from '../../src/policy/failure-table.ts';
import type { UpstreamFailure } from '../../src/spec/model.ts';

const KINDS = Object.keys(FAILURES).filter((kind) => !kind.endsWith('_open')) as UpstreamFailure[];

const call = (overrides: Partial<FailedCall> = {}): FailedCall => ({
	failure: 'server_error',
	retryAfterMs: null,
	failures: 1,
	retriesMax: 6,
	waitMsLeft: 300_000,
	draw: 0.5,
	...overrides,
});

describe('a failed embedding call', () => {
	it.each(['bad_request', 'authentication', 'quota', 'context_length', 'content_filter', 'cancelled'] as const)(
		'is never repeated after %s',
		(failure) => expect(embeddingRetryMs(call({ failure }))).toBeNull(),
	);

	it('is repeated within its count and its time alone, and never before the provider says', () => {
		fc.assert(
			fc.property(
				fc.record({
					failure: fc.constantFrom(...KINDS),
					retryAfterMs: fc.option(fc.integer({ min: 0, max: 600_000 }), { nil: null }),
					failures: fc.integer({ min: 1, max: 30 }),
					retriesMax: fc.integer({ min: 0, max: 20 }),
					waitMsLeft: fc.integer({ min: 0, max: 600_000 }),
					draw: fc.double({ min: 0, max: 0.999, noNaN: true }),
				}),
				(failed) => {
					const waitMs = embeddingRetryMs(failed);
					if (waitMs === null) return;
					expect(FAILURES[failed.failure].again).toBe(true);
					expect(failed.failures).toBeLessThanOrEqual(failed.retriesMax);
					expect(waitMs).toBeLessThanOrEqual(failed.waitMsLeft);
					expect(waitMs).toBeGreaterThanOrEqual(failed.retryAfterMs ?? 0);
					expect(waitMs).toBeLessThanOrEqual((failed.retryAfterMs ?? 1_000) + 30_000);
				},
			),
		);
	});

	it('waits longer each time, and is not repeated twice for an answer that is wrong', () => {
		expect([1, 2, 3].map((failures) => embeddingRetryMs(call({ failures })))).toEqual([125, 250, 500]);
		expect(embeddingRetryMs(call({ failure: 'nonsense' }))).toBe(125);
		expect(embeddingRetryMs(call({ failure: 'nonsense', failures: 2 }))).toBeNull();
	});
});
