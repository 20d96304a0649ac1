import type { Clock } from '../../base/clock.ts';

/** What an attempt may be waiting for, named after the failure that waiting too long for it is. `tail`: the end of a stream that has said all it has to say. */
export type Wait = 'timeout_connect' | 'timeout_first_token' | 'timeout_idle' | 'timeout_total' | 'tail';

/**
 * All time-outs of one attempt on one timer. Moving the due time is a store; the timer is only touched when the new
 * due time is earlier than it, or when it fires early and is set again.
 */
export class Watchdog {
	readonly #clock: Clock;
	readonly #expired: (wait: Wait) => void;
	readonly #totalAt: number;
	#wait: Wait = 'timeout_total';
	#waitAt = Number.POSITIVE_INFINITY;
	#timerAt = Number.POSITIVE_INFINITY;
	#cancelTimer: (() => void) | null = null;
	#over = false;

	constructor(clock: Clock, totalMs: number, expired: (wait: Wait) => void) {
		this.#clock = clock;
		this.#expired = expired;
		this.#totalAt = clock.monotonic() + totalMs;
	}

	/** Starts, or starts again, a wait of at most `ms`; takes effect at the next `arm` when that is the first. */
	wait(wait: Wait, ms: number): void {
		this.#wait = wait;
		this.#waitAt = this.#clock.monotonic() + ms;
		if (this.#cancelTimer !== null) this.arm();
	}

	/** Nothing is awaited from the upstream: only the total counts. */
	pause(): void {
		this.#waitAt = Number.POSITIVE_INFINITY;
	}

	/** Sets the timer; apart from `wait`, so that a request that finds an open connection sets it once. */
	arm(): void {
		const due = Math.min(this.#waitAt, this.#totalAt);
		if (this.#over || due >= this.#timerAt) return;
		this.#cancelTimer?.();
		this.#timerAt = due;
		// Whole milliseconds and at least one: a timer may fire a fraction early and must then not spin.
		this.#cancelTimer = this.#clock.after(Math.max(1, Math.ceil(due - this.#clock.monotonic())), () => this.#fire());
	}

	stop(): void {
		this.#over = true;
		this.#cancelTimer?.();
		this.#cancelTimer = null;
	}

	#fire(): void {
		this.#timerAt = Number.POSITIVE_INFINITY;
		this.#cancelTimer = null;
		const now = this.#clock.monotonic();
		if (now >= this.#totalAt) this.#expired('timeout_total');
		else if (now >= this.#waitAt) this.#expired(this.#wait);
		else this.arm();
	}
}
