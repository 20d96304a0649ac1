import type { Clock } from '../../base/clock.ts';
import type { EmbeddingCall } from '../../spec/embedding.ts';
import type { AttemptOptions } from '../exchange/attempt.ts';
import type { Failures } from '../exchange/failure.ts';

/** How long a connection may take to open; a call may have less. */
export const CONNECT_MS = 5_000;

/** Bytes that one number of an answer may take, with room to spare. */
const NUMBER_BYTES_MAX = 32;

export interface EmbeddingParts {
	readonly clock: Clock;
	readonly failures: Failures;
}

/** An embedding call as an exchange: there are no tokens to wait for, only the whole. */
export function exchangeOf({ timeoutMs, signal }: EmbeddingCall, { clock, failures }: EmbeddingParts): AttemptOptions {
	const connectMs = Math.min(CONNECT_MS, timeoutMs);
	const timeouts = { connectMs, firstTokenMs: timeoutMs, idleMs: timeoutMs, totalMs: timeoutMs };
	return { request: { signal, timeouts }, clock, failures };
}

/** The largest answer that can be right. */
export function answerBytesMax(texts: number, dimensions: number): number {
	return texts * (dimensions * NUMBER_BYTES_MAX + 1_024) + 65_536;
}
