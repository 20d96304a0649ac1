import { type Clock, nextTurn } from './clock.ts';

interface Timer {
	readonly at: number;
	readonly order: number;
	readonly run: () => void;
	/** Where it stands in the heap; -1: nowhere any more. */
	place: number;
}

/** A clock that moves only when told to. Timers fire in order of time, then of creation. */
export class VirtualClock implements Clock {
	#ms = 0;
	#order = 0;
	readonly #epoch: number;
	readonly #timers = new TimerHeap();

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
		const timer = { at: this.#ms + Math.max(0, ms), order: this.#order++, run, place: -1 };
		this.#timers.push(timer);
		return () => this.#timers.remove(timer);
	}

	/** Moves time forward by `ms`, firing what falls due; promises settle between timers. */
	async advance(ms: number): Promise<void> {
		const end = this.#ms + ms;
		await nextTurn();
		while ((this.#timers.first?.at ?? Number.POSITIVE_INFINITY) <= end) await this.step();
		this.#ms = end;
		await nextTurn();
	}

	/** Moves time to the next timer, fires it and lets promises settle. Does nothing when no timer waits. */
	async step(): Promise<void> {
		const timer = this.#timers.first;
		if (timer === null) return;
		this.#timers.remove(timer);
		this.#ms = timer.at;
		timer.run();
		await nextTurn();
	}

	/** How many timers wait: zero after a well-behaved operation ended. */
	get pending(): number {
		return this.#timers.size;
	}
}

/** A binary heap with the earliest timer on top, so that a clock with thousands of timers is as quick as one with few. */
class TimerHeap {
	readonly #timers: Timer[] = [];

	get first(): Timer | null {
		return this.#timers[0] ?? null;
	}

	get size(): number {
		return this.#timers.length;
	}

	push(timer: Timer): void {
		this.#timers.push(timer);
		this.#rise(timer, this.#timers.length - 1);
	}

	/** Nothing happens when it is not there any more. */
	remove(timer: Timer): void {
		const { place } = timer;
		if (place === -1) return;
		timer.place = -1;
		const last = this.#timers.pop() as Timer;
		if (last === timer) return;
		this.#rise(last, place);
		this.#sink(last, last.place);
	}

	#rise(timer: Timer, from: number): void {
		let place = from;
		while (place > 0) {
			const above = this.#timers[(place - 1) >> 1] as Timer;
			if (isBefore(above, timer)) break;
			this.#put(above, place);
			place = (place - 1) >> 1;
		}
		this.#put(timer, place);
	}

	#sink(timer: Timer, from: number): void {
		let place = from;
		for (;;) {
			const left = this.#timers[2 * place + 1];
			const right = this.#timers[2 * place + 2];
			const next = left && right && isBefore(right, left) ? right : left;
			if (next === undefined || isBefore(timer, next)) break;
			const { place: below } = next;
			this.#put(next, place);
			place = below;
		}
		this.#put(timer, place);
	}

	#put(timer: Timer, place: number): void {
		this.#timers[place] = timer;
		timer.place = place;
	}
}

function isBefore(a: Timer, b: Timer): boolean {
	return a.at < b.at || (a.at === b.at && a.order < b.order);
}
