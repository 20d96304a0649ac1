import type { Clock } from './clock.ts';

/** The instant by which a request must end, and the signal that says it was reached or the client left. */
export class Deadline {
	readonly #clock: Clock;
	readonly #at: number;
	readonly #controller = new AbortController();
	readonly #cancelTimer: () => void;

	/** @param ms how long from now; @param reason what `signal` aborts with when the time is up. */
	constructor(clock: Clock, ms: number, reason: () => Error) {
		this.#clock = clock;
		this.#at = clock.monotonic() + ms;
		this.#cancelTimer = clock.after(ms, () => this.#controller.abort(reason()));
	}

	get signal(): AbortSignal {
		return this.#controller.signal;
	}

	/** Milliseconds left, never below zero. */
	remainingMs(): number {
		return Math.max(0, this.#at - this.#clock.monotonic());
	}

	/** Ends the wait early for a cause of the caller's, such as a client that left. */
	cancel(reason: Error): void {
		this.#controller.abort(reason);
		this.#cancelTimer();
	}

	/** Releases the timer; call once when the request has ended. */
	dispose(): void {
		this.#cancelTimer();
	}
}
