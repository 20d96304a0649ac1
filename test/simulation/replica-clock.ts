import { AsyncResource } from 'node:async_hooks';
import type { Clock } from '../../src/base/clock.ts';

/** The clock of one process: its wall time is off by some, and its timers end with the process. */
export class ReplicaClock implements Clock {
	/** How far its wall time is ahead, milliseconds. May be stepped while it runs, as NTP does. */
	skewMs: number;
	readonly #world: Clock;
	readonly #cancels = new Set<() => void>();
	#isStopped = false;

	constructor(world: Clock, skewMs: number) {
		this.#world = world;
		this.skewMs = skewMs;
	}

	now(): number {
		return Math.floor(this.#world.now() + this.skewMs);
	}

	monotonic(): number {
		return this.#world.monotonic();
	}

	after(ms: number, run: () => void): () => void {
		if (this.#isStopped) return () => {};
		// As Node's own timers do: on behalf of whoever set it.
		const onBehalf = AsyncResource.bind(run);
		const cancelTimer = this.#world.after(ms, () => {
			this.#cancels.delete(cancelTimer);
			onBehalf();
		});
		this.#cancels.add(cancelTimer);
		return () => {
			this.#cancels.delete(cancelTimer);
			cancelTimer();
		};
	}

	get isStopped(): boolean {
		return this.#isStopped;
	}

	/** The process is gone: nothing that it waited for happens any more. */
	stop(): void {
		this.#isStopped = true;
		for (const cancelTimer of this.#cancels) cancelTimer();
		this.#cancels.clear();
	}
}
