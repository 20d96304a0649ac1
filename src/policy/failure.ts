import type { FailureAction, FailureSituation } from '../contracts/release.ts';
import type { ErrorCode } from '../spec/errors.ts';
import { FAILURES, type Setback } from './failure-table.ts';

export interface FailedAttempt {
	readonly failure: Setback;
	/** What the provider asked for, milliseconds. */
	readonly retryAfterMs: number | null;
	/** Failures in a row at this upstream, this one included. */
	readonly failuresHere: number;
	/** Attempts that the request has made so far, this one included. */
	readonly attempts: number;
	readonly attemptsMax: number;
	/** The place in the route of who may be asked instead, see `successorOf`; null: nobody. */
	readonly next: number | null;
	readonly canEscalate: boolean;
	/** Whether the retry budgets and the breaker allow to ask the same upstream again. */
	readonly mayRetry: boolean;
	/** Whether any of the answer has reached the client: then nothing may start again, and only be gone on with. */
	readonly answerStarted: boolean;
	/** The place in the route of the next upstream that can go on with what has reached the client; null: none can. */
	readonly nextToContinue: number | null;
	/** Whether an upstream with side effects got the request: then no upstream may get it again. */
	readonly mayHaveActed: boolean;
	readonly remainingMs: number;
	/** Full-jitter draw in [0, 1). */
	readonly draw: number;
}

export type Recovery =
	| { readonly action: 'retry'; readonly afterMs: number }
	| { readonly action: 'fail_over' | 'continue'; readonly to: number }
	| { readonly action: 'escalate' }
	| { readonly action: 'fall_back'; readonly answer: string }
	| { readonly action: 'fail' };

export interface Decision {
	readonly recovery: Recovery;
	readonly situation: FailureSituation | null;
	/** The code that the request ends with if the recovery is `fail`. */
	readonly code: ErrorCode;
}

/** Shortest time in which another attempt is worth its price, milliseconds. */
const ATTEMPT_MS_MIN = 20;

/** First back-off; it doubles with each failure, and the wait is drawn between zero and it. */
const BACKOFF_BASE_MS = 200;

/**
 * Decides what follows a failed attempt. `retry` asks the same upstream once more, if the retry budget allows it, and
 * then the next of the route; `fail_over` asks the next at once. When no attempt, no time or no upstream is left, the request fails.
 */
export function decideRecovery(
	attempt: FailedAttempt,
	onFailure: Readonly<Record<FailureSituation, FailureAction>>,
): Decision {
	const { situation: own, code: known, uncertain, next } = FAILURES[attempt.failure];
	const code = attempt.mayHaveActed && uncertain ? 'upstream_outcome_unknown' : known;
	// Whatever ends a stream of which the client has seen a part has broken it; but what was refused is not routed around.
	const situation = attempt.answerStarted && next !== 'none' ? 'stream_broken' : own;
	return { recovery: situation === null ? FAIL : recover(attempt, onFailure[situation]), situation, code };
}

const FAIL: Recovery = { action: 'fail' };

/** What a client is told where nobody knows how long to wait: a second, and at most as much again. */
const STRAIN_WAIT_MS = 1_000;

/**
 * How long a client should stay away after a request failed for good, milliseconds. Null: it may ask again when it likes,
 * since the upstream is not known to be down and a retry could still be afforded.
 */
export function clientWaitMs(state: {
	/** What the provider asked for. */
	readonly retryAfterMs: number | null;
	/** Until the upstream's breaker lets somebody through; zero: now. */
	readonly breakerMs: number;
	/** The shortest wait among the upstreams of the route that were passed over. */
	readonly skippedMs: number | null;
	/** The retry budget is spent, or the provider refuses for its limits and does not say for how long. */
	readonly isStrained: boolean;
	readonly draw: number;
}): number | null {
	const knownMs = Math.max(state.retryAfterMs ?? 0, state.breakerMs);
	const ownMs = knownMs === 0 && state.isStrained ? STRAIN_WAIT_MS * (1 + state.draw) : knownMs;
	if (ownMs === 0) return null;
	return Math.max(1, Math.ceil(Math.min(ownMs, state.skippedMs ?? ownMs)));
}

function recover(attempt: FailedAttempt, policy: FailureAction): Recovery {
	const { again, next } = FAILURES[attempt.failure];
	const mayAsk =
		!attempt.mayHaveActed && attempt.attempts < attempt.attemptsMax && attempt.remainingMs >= ATTEMPT_MS_MIN;
	if (attempt.answerStarted) {
		const mayContinue = policy.action === 'continue' && mayAsk && attempt.nextToContinue !== null;
		return mayContinue ? { action: 'continue', to: attempt.nextToContinue } : FAIL;
	}
	// Policies are for a prompt that fits nowhere: one that has a larger context in its route does.
	if (next === 'larger' && mayAsk && attempt.next !== null) return { action: 'fail_over', to: attempt.next };
	if (policy.action === 'fall_back') return { action: 'fall_back', answer: policy.answer };
	if (!mayAsk) return FAIL;
	if (policy.action === 'escalate') return attempt.canEscalate ? { action: 'escalate' } : FAIL;
	const mayRepeat = policy.action === 'retry' || policy.action === 'continue';
	if (mayRepeat && again && attempt.mayRetry && attempt.failuresHere < 2) {
		// Full jitter (Brooker, "Exponential Backoff and Jitter", 2015), on top of what the provider asks for, so that those
		// who were sent away together do not come back together.
		const jitterMs = attempt.draw * BACKOFF_BASE_MS * 2 ** (attempt.failuresHere - 1);
		const afterMs = (attempt.retryAfterMs ?? 0) + jitterMs;
		if (afterMs + ATTEMPT_MS_MIN < attempt.remainingMs) return { action: 'retry', afterMs };
	}
	const mayMoveOn = mayRepeat || policy.action === 'fail_over';
	return mayMoveOn && attempt.next !== null ? { action: 'fail_over', to: attempt.next } : FAIL;
}
