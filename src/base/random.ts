import { randomFillSync } from 'node:crypto';

/** The only door to randomness. */
export interface Random {
	/** A float in [0, 1). */
	next(): number;
	/** `length` unpredictable bytes (predictable only from a seeded Random, in tests). */
	bytes(length: number): Uint8Array;
}

/** Asking the system for a few bytes costs a microsecond, whatever their number: ask for many, hand each out once. */
const POOL_BYTES = 8192;
const pool = new Uint8Array(POOL_BYTES);
let used = POOL_BYTES;

export const systemRandom: Random = {
	next: () => Math.random(),
	bytes(length) {
		if (length > POOL_BYTES) return randomFillSync(new Uint8Array(length));
		if (used + length > POOL_BYTES) {
			randomFillSync(pool);
			used = 0;
		}
		used += length;
		const taken = pool.slice(used - length, used);
		// A secret must not stay behind in memory that others read from.
		pool.fill(0, used - length, used);
		return taken;
	},
};

/** Mulberry32: a small seeded generator, good enough to replay a test, never for secrets. */
export function seededRandom(seed: number): Random {
	let state = seed >>> 0;
	const next = () => {
		state = (state + 0x6d2b79f5) >>> 0;
		let t = state;
		t = Math.imul(t ^ (t >>> 15), t | 1);
		t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
		return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
	};
	return { next, bytes: (length) => Uint8Array.from({ length }, () => Math.floor(next() * 256)) };
}
