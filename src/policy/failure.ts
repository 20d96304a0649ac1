import type { FailureAction, FailureSituation } from '../contracts/release.ts';
import type { ErrorCode } from '../spec/errors.ts';
import type { UpstreamFailure } from '../spec/model.ts';

/** What one attempt's failure means: which promise of the contract it touches, and the error if nothing saves it. */
interface Meaning {
	/** Null: no policy may answer for it. */
	readonly situation: FailureSituation | null;
	readonly code: ErrorCode;
}

const MEANINGS: Readonly<Record<UpstreamFailure, Meaning>> = {
	connect: { situation: 'upstream_outage', code: 'upstream_unavailable' },
	server_error: { situation: 'upstream_outage', code: 'upstream_unavailable' },
	nonsense: { situation: 'upstream_outage', code: 'upstream_nonsense' },
	timeout_connect: { situation: 'upstream_timeout', code: 'upstream_timeout' },
	timeout_first_token: { situation: 'upstream_timeout', code: 'upstream_timeout' },
	timeout_idle: { situation: 'stream_broken', code: 'upstream_timeout' },
	timeout_total: { situation: 'upstream_timeout', code: 'upstream_timeout' },
	rate_limited: { situation: 'upstream_quota', code: 'upstream_rate_limited' },
	quota: { situation: 'upstream_quota', code: 'upstream_rate_limited' },
	cut: { situation: 'stream_broken', code: 'upstream_stream_cut' },
	// The prompt fits by our count but not by the provider's: never re-sent unchanged, only to a larger context.
	context_length: { situation: 'budget_exceeded', code: 'budget_tokens_in_exceeded' },
	bad_request: { situation: null, code: 'upstream_rejected' },
	authentication: { situation: null, code: 'upstream_rejected' },
	// What was refused is never routed around.
	content_filter: { situation: null, code: 'upstream_content_filtered' },
	cancelled: { situation: null, code: 'client_closed' },
};

export interface FailedAttempt {
	readonly failure: UpstreamFailure;
	readonly retryAfterMs: number | null;
	/** Failures in a row at this upstream, this one included. */
	readonly failuresHere: number;
	/** Attempts that the request has made so far, this one included. */
	readonly attempts: number;
	readonly attemptsMax: number;
	/** Whether the route has another upstream behind this one. */
	readonly hasNext: boolean;
	readonly canEscalate: boolean;
	/** Whether the retry budget allows to ask the same upstream again. */
	readonly mayRetry: boolean;
	/** Whether any of the answer has reached the client: then nothing may start again. */
	readonly answerStarted: boolean;
	/** Whether an upstream with side effects got the request: then no upstream may get it again. */
	readonly mayHaveActed: boolean;
	readonly remainingMs: number;
	/** Full-jitter draw in [0, 1). */
	readonly draw: number;
}

export type Recovery =
	| { readonly action: 'retry'; readonly afterMs: number }
	| { readonly action: 'fail_over' }
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

/** First back-off; it doubles with each failure, and full jitter draws between zero and it. */
const BACKOFF_BASE_MS = 200;

/**
 * Decides what follows a failed attempt. `retry` asks the same upstream once more, if the retry budget allows it, and
 * then the next of the route; `fail_over` asks the next at once. When no attempt, no time or no upstream is left, the request fails.
 */
export function decideRecovery(
	attempt: FailedAttempt,
	onFailure: Readonly<Record<FailureSituation, FailureAction>>,
): Decision {
	const { situation, code: known } = MEANINGS[attempt.failure];
	const code = attempt.mayHaveActed && isUncertain(attempt.failure) ? 'upstream_outcome_unknown' : known;
	return { recovery: situation === null ? FAIL : recover(attempt, onFailure[situation]), situation, code };
}

/** Whether the upstream may have done what it was asked to, for all that its failure tells. */
function isUncertain(failure: UpstreamFailure): boolean {
	switch (failure) {
		case 'rate_limited':
		case 'quota':
		case 'bad_request':
		case 'authentication':
		case 'context_length':
		case 'content_filter':
		case 'cancelled':
			return false;
		default:
			return true;
	}
}

const FAIL: Recovery = { action: 'fail' };

function recover(attempt: FailedAttempt, policy: FailureAction): Recovery {
	if (attempt.answerStarted) return FAIL;
	if (policy.action === 'fall_back') return { action: 'fall_back', answer: policy.answer };
	if (attempt.mayHaveActed) return FAIL;
	if (attempt.attempts >= attempt.attemptsMax || attempt.remainingMs < ATTEMPT_MS_MIN) return FAIL;
	if (policy.action === 'escalate') return attempt.canEscalate ? { action: 'escalate' } : FAIL;
	if (policy.action === 'retry' && attempt.mayRetry && attempt.failuresHere < 2) {
		const afterMs = attempt.retryAfterMs ?? attempt.draw * BACKOFF_BASE_MS * 2 ** (attempt.failuresHere - 1);
		if (afterMs + ATTEMPT_MS_MIN < attempt.remainingMs) return { action: 'retry', afterMs };
	}
	const mayMoveOn = policy.action === 'retry' || policy.action === 'fail_over';
	return mayMoveOn && attempt.hasNext ? { action: 'fail_over' } : FAIL;
}
