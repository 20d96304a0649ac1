import { PlimsollError } from '../spec/errors.ts';

/** Told while what others share does not answer: soon enough to be back with it, late enough not to be in its way. */
const RETRY_AFTER_MS = 1_000;

/** @param cause an error, or words; for the operator alone: where a store stands is nobody else's to know. */
export function limitsUnavailable(cause?: unknown): PlimsollError {
	return unavailable('limits_unavailable', 'The shared state behind the limits does not answer.', cause);
}

/** @param cause as above. */
export function keysUnavailable(cause?: unknown): PlimsollError {
	return unavailable('idempotency_unavailable', 'The store of idempotency keys does not answer.', cause);
}

function unavailable(
	code: 'limits_unavailable' | 'idempotency_unavailable',
	message: string,
	cause: unknown,
): PlimsollError {
	const retryAfterMs = RETRY_AFTER_MS;
	if (cause === undefined) return new PlimsollError(code, message, { retryAfterMs });
	const internal = cause instanceof Error ? cause.message : String(cause);
	return new PlimsollError(code, message, { retryAfterMs, internal, cause });
}
