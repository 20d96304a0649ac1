import { VirtualClock } from '../../src/base/virtual-clock.ts';
import type { Checker, Observation, Violation } from './observation.ts';
import { Trail } from './trail.ts';

/** What everything in a simulation shares: time, the trail, and who looks on. */
export class World {
	readonly clock: VirtualClock;
	readonly trail = new Trail();
	/** How many events have happened: timers that fired, with all that followed from them at once. */
	events = 0;
	#violation: Violation | null = null;
	#checkers: readonly Checker[] = [];
	#onObservation: (observation: Observation) => void = () => {};

	constructor(epochMs: number) {
		this.clock = new VirtualClock(epochMs);
	}

	/** @param onObservation counts for the summary. */
	watch(checkers: readonly Checker[], onObservation: (observation: Observation) => void): void {
		this.#checkers = checkers;
		this.#onObservation = onObservation;
	}

	/** The first thing that went wrong; what follows from it is of no interest. */
	get violation(): Violation | null {
		return this.#violation;
	}

	violate(violation: Violation): void {
		if (this.#violation !== null) return;
		this.#violation = violation;
		this.say(`violation of invariant ${violation.invariant}: ${violation.message}`, violation.request);
	}

	/** Adds a line to the trail. */
	say(text: string, request: number | null = null): void {
		const seconds = (this.clock.monotonic() / 1000).toFixed(4);
		this.trail.add(`${String(this.events).padStart(7)}  ${seconds.padStart(9)} s  ${text}`, request);
	}

	observe(observation: Observation): void {
		this.#onObservation(observation);
		for (const checker of this.#checkers) checker.see(observation);
	}

	/** One event: the next timer fires, promises settle, and every invariant is looked at. */
	async step(): Promise<void> {
		this.events++;
		await this.clock.step();
		for (const checker of this.#checkers) checker.afterEvent?.();
	}

	async atRest(): Promise<void> {
		for (const checker of this.#checkers) await checker.atRest?.();
	}
}
