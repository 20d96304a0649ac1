import { afterOverdue, type Clock } from '../base/clock.ts';
import type { Effect, IdempotencyStore, KeyClaim, KeyHolder, KeyState } from '../spec/idempotency.ts';
import { keysUnavailable } from './unavailable.ts';

/** After so many failures in a row nobody waits any more, but for one every so often that finds out. */
const FAILURES_MAX = 3;
const PROBE_EVERY_MS = 250;

/** An answer that exists waits longer to be on record than a request waits to begin. */
const COMPLETE_MS_MAX = 1_000;

/** A store in Redis that may be slow or gone: a request waits for it a few milliseconds at most, and after a few failures not at all. */
export class BoundedIdempotency implements IdempotencyStore {
	readonly #store: IdempotencyStore;
	readonly #clock: Clock;
	readonly #timeoutMs: number;
	#failures = 0;
	#probeAt = 0;

	constructor(parts: { store: IdempotencyStore; clock: Clock; timeoutMs: number }) {
		this.#store = parts.store;
		this.#clock = parts.clock;
		this.#timeoutMs = parts.timeoutMs;
	}

	isUp(): boolean {
		return this.#failures < FAILURES_MAX && this.#store.isUp();
	}

	async claim(claim: KeyClaim): Promise<KeyState> {
		if (this.#failures >= FAILURES_MAX) {
			if (this.#clock.monotonic() < this.#probeAt) throw keysUnavailable();
			this.#probeAt = this.#clock.monotonic() + PROBE_EVERY_MS;
		}
		try {
			const state = await this.#within(this.#timeoutMs, this.#store.claim(claim), (late) => {
				// Claimed after its request was answered otherwise.
				if (late.kind === 'claimed') return this.#store.release(claim);
			});
			this.#failures = 0;
			return state;
		} catch (thrown) {
			if (++this.#failures === FAILURES_MAX) this.#probeAt = this.#clock.monotonic() + PROBE_EVERY_MS;
			throw thrown;
		}
	}

	renew(holder: KeyHolder, leaseUntil: number): Promise<boolean> {
		return this.#within(COMPLETE_MS_MAX, this.#store.renew(holder, leaseUntil));
	}

	beginEffect(holder: KeyHolder, effect: Effect): Promise<boolean> {
		return this.#within(this.#timeoutMs, this.#store.beginEffect(holder, effect));
	}

	voidEffect(holder: KeyHolder, effect: Effect): Promise<boolean> {
		return this.#within(COMPLETE_MS_MAX, this.#store.voidEffect(holder, effect));
	}

	complete(holder: KeyHolder, end: Parameters<IdempotencyStore['complete']>[1]): Promise<boolean> {
		return this.#within(COMPLETE_MS_MAX, this.#store.complete(holder, end));
	}

	release(holder: KeyHolder): Promise<boolean> {
		return this.#within(COMPLETE_MS_MAX, this.#store.release(holder));
	}

	sweep(now: number, max: number): Promise<number> {
		return this.#store.sweep(now, max);
	}

	close(): Promise<void> {
		return this.#store.close();
	}

	/** Waits so long for an operation; what comes later goes to `undo`. Its late failure has been told as a time-out. */
	async #within<T>(ms: number, done: Promise<T>, undo?: (late: T) => unknown): Promise<T> {
		const { promise: expired, reject: expire } = Promise.withResolvers<never>();
		let isLate = false;
		const cancel = afterOverdue(this.#clock, ms, () => {
			isLate = true;
			expire(keysUnavailable());
		});
		const checked = done.then(async (value) => {
			if (isLate) await undo?.(value);
			return value;
		});
		checked.catch(() => undefined);
		try {
			return await Promise.race([checked, expired]);
		} finally {
			cancel();
		}
	}
}
