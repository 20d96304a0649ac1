import { PlimsollError } from '../spec/errors.ts';

/** Told where nothing was measured yet: long enough to drain a few requests, short enough to be worth it. */
const UNKNOWN_WAIT_MS = 1_000;
const WAIT_MS_MIN = 50;
const WAIT_MS_MAX = 60_000;

export function draining(): PlimsollError {
	return new PlimsollError('server_draining', 'The server is stopping.', retryAfter(null));
}

/** What a client is told to wait. */
function retryAfter(waitMs: number | null): { retryAfterMs: number } {
	return { retryAfterMs: Math.min(WAIT_MS_MAX, Math.max(WAIT_MS_MIN, Math.ceil(waitMs ?? UNKNOWN_WAIT_MS))) };
}

/** @param full whose bound is reached. */
export function fullQueue(full: 'flow' | 'all', waitMs: number | null): PlimsollError {
	const whose = full === 'flow' ? 'requests of this tenant wait' : 'requests wait';
	return new PlimsollError('queue_full', `No place is free, and as many ${whose} as may.`, retryAfter(waitMs));
}

/** @param waitMs until its turn, as estimated; null: it has waited for as long as its deadline allowed. */
export function tooLate(waitMs: number | null, ms: number): PlimsollError {
	const message =
		waitMs === null
			? `The deadline passed after ${Math.round(ms)} ms in the queue.`
			: `A place would be free in about ${Math.round(waitMs)} ms; the deadline is in ${Math.round(ms)} ms.`;
	return new PlimsollError('queue_deadline', message, retryAfter(waitMs));
}

export function overloaded(waitMs: number | null): PlimsollError {
	const message = 'Upstreams have become slow, and batch work is turned away first.';
	return new PlimsollError('overloaded', message, retryAfter(waitMs));
}

/** Where nobody may wait. */
export function noPlace(limit: number): PlimsollError {
	const message = `${limit} requests are running, the most that the server allows now.`;
	return new PlimsollError('concurrency_exceeded', message, retryAfter(null));
}
