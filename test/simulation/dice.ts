import { type Random, seededRandom } from '../../src/base/random.ts';

/** Seeded draws, in the shapes that load and faults have. */
export class Dice {
	readonly #random: Random;

	/** @param salt one stream of draws for each purpose, so that a change to one leaves the others as they were. */
	constructor(seed: number, salt: string) {
		let mixed = seed >>> 0;
		for (const char of salt) mixed = Math.imul(mixed ^ char.charCodeAt(0), 0x9e3779b1) >>> 0;
		this.#random = seededRandom(mixed ^ (mixed >>> 15));
	}

	get random(): Random {
		return this.#random;
	}

	chance(probability: number): boolean {
		return this.#random.next() < probability;
	}

	between(low: number, high: number): number {
		return low + this.#random.next() * (high - low);
	}

	/** Both ends included. */
	whole(low: number, high: number): number {
		return low + Math.floor(this.#random.next() * (high - low + 1));
	}

	pick<T>(from: readonly T[]): T {
		return from[Math.floor(this.#random.next() * from.length)] as T;
	}

	/** The gap to the next of independent arrivals. */
	exponential(mean: number): number {
		return -mean * Math.log(1 - this.#random.next());
	}

	/** Latencies: most near the median, a few far above it. */
	lognormal(median: number, sigma: number): number {
		const normal = Math.sqrt(-2 * Math.log(1 - this.#random.next())) * Math.cos(2 * Math.PI * this.#random.next());
		return median * Math.exp(sigma * normal);
	}
}
