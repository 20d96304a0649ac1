import type { RawLimits } from './script-schema.ts';
import type { LimitLeft } from './wire-format.ts';

interface Bucket {
	left: number;
	atMs: number;
}

const MINUTE_MS = 60_000;
/** More callers than these share what is left of the oldest ones. */
const KEYS_MAX = 10_000;

/** What each key has left of its requests and tokens per minute: buckets that fill steadily. */
export class KeyLimits {
	readonly #buckets = new Map<string, Bucket>();

	/**
	 * Takes one request and its tokens from a key's limits, or nothing where one of them has not enough.
	 * `waitMs` is null when all was taken, else how long until it could be.
	 */
	take(
		key: string,
		limits: RawLimits,
		{ tokens, nowMs }: { tokens: number; nowMs: number },
	): { waitMs: number | null; left: readonly LimitLeft[] } {
		const wanted = [
			{ limit: 'requests' as const, max: limits.requests_per_minute, amount: 1 },
			{ limit: 'tokens' as const, max: limits.tokens_per_minute, amount: tokens },
		].flatMap(({ limit, max, amount }) => {
			if (max === undefined) return [];
			return [{ limit, max, amount, bucket: this.#bucket(`${limit} ${key}`, max, nowMs) }];
		});
		const waits = wanted.map(({ max, amount, bucket }) => ((amount - bucket.left) * MINUTE_MS) / max);
		const waitMs = Math.max(0, ...waits);
		if (waitMs === 0) for (const { amount, bucket } of wanted) bucket.left -= amount;
		const left = wanted.map(({ limit, max, bucket }) => ({
			limit,
			max,
			left: Math.floor(bucket.left),
			resetMs: ((max - bucket.left) * MINUTE_MS) / max,
		}));
		return { waitMs: waitMs === 0 ? null : Math.ceil(waitMs), left };
	}

	clear(): void {
		this.#buckets.clear();
	}

	#bucket(name: string, max: number, nowMs: number): Bucket {
		const known = this.#buckets.get(name);
		if (known) {
			known.left = Math.min(max, known.left + ((nowMs - known.atMs) * max) / MINUTE_MS);
			known.atMs = nowMs;
			return known;
		}
		if (this.#buckets.size >= KEYS_MAX) this.#buckets.delete(this.#buckets.keys().next().value ?? '');
		const fresh = { left: max, atMs: nowMs };
		this.#buckets.set(name, fresh);
		return fresh;
	}
}
