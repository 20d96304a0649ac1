import type { UpstreamFailure } from '../spec/model.ts';
import { FAILURES } from './failure-table.ts';

export interface FailedCall {
	readonly failure: UpstreamFailure;
	/** From the provider. */
	readonly retryAfterMs: number | null;
	/** Failures in a row, this one included. */
	readonly failures: number;
	readonly retriesMax: number;
	/** What is left of the time that may be spent waiting. */
	readonly waitMsLeft: number;
	/** In [0, 1). */
	readonly draw: number;
}

/** First back-off; it doubles with each failure up to the cap. */
const BACKOFF_BASE_MS = 250;
const BACKOFF_MS_MAX = 30_000;
/** Who refuses for a limit and does not say for how long is not asked again at once. */
const LIMIT_WAIT_MS_MIN = 1_000;

/**
 * How long to wait before a failed embedding call is repeated, milliseconds; null: it is not. The same failures may be
 * repeated as for models (see `FAILURES`), and an answer that is wrong once only. Full jitter (Brooker, "Exponential
 * Backoff and Jitter", 2015) comes on top of what the provider asks for.
 */
export function embeddingRetryMs(call: FailedCall): number | null {
	const retriesMax = call.failure === 'nonsense' ? Math.min(1, call.retriesMax) : call.retriesMax;
	if (!FAILURES[call.failure].again || call.failures > retriesMax) return null;
	const asked = call.retryAfterMs ?? (call.failure === 'rate_limited' ? LIMIT_WAIT_MS_MIN : 0);
	const waitMs = asked + call.draw * Math.min(BACKOFF_MS_MAX, BACKOFF_BASE_MS * 2 ** (call.failures - 1));
	return waitMs <= call.waitMsLeft ? waitMs : null;
}
