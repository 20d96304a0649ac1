import type { Clock } from './clock.ts';

/** The instant by which a request must end, and the signal that says it was reached or the client left. */
export class Deadline {
	readonly #clock: Clock;
	readonly #reason: () => Error;
	readonly #controller = new AbortController();
	#at = Number.POSITIVE_INFINITY;
	#cancelTimer: (() => void) | null = null;

	/** @param reason what `signal` aborts with when the time is up. There is no limit until `set` is called. */
	constructor(clock: Clock, reason: () => Error) {
		this.#clock = clock;
		this.#reason = reason;
	}

	get signal(): AbortSignal {
		return this.#controller.signal;
	}

	/** Puts the deadline `ms` from now, in place of the one before. */
	set(ms: number): void {
		this.dispose();
		if (this.signal.aborted) return;
		this.#at = this.#clock.monotonic() + ms;
		this.#cancelTimer = this.#clock.after(ms, () => this.#controller.abort(this.#reason()));
	}

	/** Milliseconds left, never below zero. */
	remainingMs(): number {
		return Math.max(0, this.#at - this.#clock.monotonic());
	}

	/** Ends the wait early for a cause of the caller's, such as a client that left. */
	cancel(reason: Error): void {
		this.dispose();
		this.#controller.abort(reason);
	}

	/** Releases the timer; call once when the request has ended. */
	dispose(): void {
		this.#cancelTimer?.();
		this.#cancelTimer = null;
	}
}
