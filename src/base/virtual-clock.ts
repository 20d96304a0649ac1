import { type Clock, nextTurn } from './clock.ts';

interface Timer {
	at: number;
	order: number;
	run: () => void;
}

/** A clock that moves only when told to. Timers fire in order of time, then of creation. */
export class VirtualClock implements Clock {
	#ms = 0;
	#order = 0;
	readonly #epoch: number;
	readonly #timers = new Set<Timer>();

	constructor(epochMs = 1_750_000_000_000) {
		this.#epoch = epochMs;
	}

	now(): number {
		return this.#epoch + this.#ms;
	}

	monotonic(): number {
		return this.#ms;
	}

	after(ms: number, run: () => void): () => void {
		const timer = { at: this.#ms + Math.max(0, ms), order: this.#order++, run };
		this.#timers.add(timer);
		return () => this.#timers.delete(timer);
	}

	/** Moves time forward by `ms`, firing what falls due; promises settle between timers. */
	async advance(ms: number): Promise<void> {
		const end = this.#ms + ms;
		await nextTurn();
		for (let next = this.#next(end); next; next = this.#next(end)) {
			this.#timers.delete(next);
			this.#ms = next.at;
			next.run();
			await nextTurn();
		}
		this.#ms = end;
		await nextTurn();
	}

	/** How many timers wait: zero after a well-behaved operation ended. */
	get pending(): number {
		return this.#timers.size;
	}

	#next(end: number): Timer | null {
		let best: Timer | null = null;
		for (const timer of this.#timers) {
			if (timer.at > end) continue;
			if (!best || timer.at < best.at || (timer.at === best.at && timer.order < best.order)) best = timer;
		}
		return best;
	}
}
