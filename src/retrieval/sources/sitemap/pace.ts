import { type Clock, sleep } from '../../../base/clock.ts';

/** Lets requests through one after another, with a pause between two. */
export class Pace {
	readonly #clock: Clock;
	#pauseMs: number;
	#next = Number.NEGATIVE_INFINITY;

	constructor(clock: Clock, pauseMs: number) {
		this.#clock = clock;
		this.#pauseMs = pauseMs;
	}

	/** A site asks for a longer pause. */
	slowTo(pauseMs: number): void {
		this.#pauseMs = Math.max(this.#pauseMs, pauseMs);
	}

	/** Resolves when it is this request's turn. Rejects when the signal aborts. */
	async turn(signal: AbortSignal): Promise<void> {
		const now = this.#clock.monotonic();
		const at = Math.max(now, this.#next);
		this.#next = at + this.#pauseMs;
		if (at > now) await sleep(this.#clock, at - now, signal);
	}
}
