import type { IncomingHttpHeaders } from 'node:http';
import type { Patience } from '../runtime/request-context.ts';
import { PlimsollError } from '../spec/errors.ts';

export const DEADLINE_HEADER = 'x-plimsoll-deadline-ms';

/** No client retries more often, and the trace needs no larger number. */
const RETRIES_MAX = 1_000;

/** Longest deadline that a client may name, milliseconds: above any that holds, so that a generous client is not refused. */
export const DEADLINE_MS_MAX = 86_400_000;

const NO_PATIENCE: Patience = Object.freeze({ deadlineMs: null, beginMs: null });

/**
 * How often the client had sent the same request before, as its library or a proxy says: `x-stainless-retry-count` (the
 * SDKs of OpenAI and Anthropic), `x-retry-count`, `amz-sdk-request: attempt=2; max=3` (AWS), `x-envoy-attempt-count` (the
 * last two count attempts from 1). What is no number is no retry: the word is only ever used to hold back.
 */
export function clientRetries(headers: IncomingHttpHeaders): number {
	const retries = headers['x-stainless-retry-count'] ?? headers['x-retry-count'];
	if (retries !== undefined) return count(retries);
	const attempts = headers['x-envoy-attempt-count'] ?? headers['amz-sdk-request'];
	if (attempts === undefined) return 0;
	return Math.max(0, count(/^attempt=(\d+)/.exec(String(attempts))?.[1] ?? attempts) - 1);
}

/**
 * How long the client waits. `x-plimsoll-deadline-ms` is its wish for the whole request. `x-stainless-timeout`, which
 * OpenAI's and Anthropic's SDKs send in seconds, is when they give up on an answer that has not begun; they cut it down to
 * whole seconds, so that one more is granted. Throws `request_invalid` for a wish that is no whole number of milliseconds.
 */
export function patienceOf(headers: IncomingHttpHeaders): Patience {
	const wish = headers[DEADLINE_HEADER];
	const timeout = headers['x-stainless-timeout'];
	if (wish === undefined && timeout === undefined) return NO_PATIENCE;
	return { deadlineMs: wish === undefined ? null : deadlineOf(wish), beginMs: timeoutMs(timeout) };
}

function deadlineOf(wish: string | string[]): number {
	const ms = typeof wish === 'string' && /^\d{1,9}$/.test(wish) ? Number(wish) : 0;
	if (ms >= 1 && ms <= DEADLINE_MS_MAX) return ms;
	throw new PlimsollError(
		'request_invalid',
		`${DEADLINE_HEADER} must be a whole number of milliseconds from 1 to ${DEADLINE_MS_MAX}.`,
		{ param: DEADLINE_HEADER },
	);
}

/** Null for what is no time: a library sent it, and nobody wished for it. */
function timeoutMs(timeout: string | string[] | undefined): number | null {
	if (typeof timeout !== 'string' || !/^\d{1,9}(?:\.\d{1,9})?$/.test(timeout)) return null;
	const seconds = Number(timeout);
	return (Number.isInteger(seconds) ? seconds + 1 : seconds) * 1000;
}

function count(header: string | string[]): number {
	return typeof header === 'string' && /^\d{1,9}$/.test(header) ? Math.min(Number(header), RETRIES_MAX) : 0;
}
