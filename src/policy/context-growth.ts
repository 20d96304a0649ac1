const SLOT_MS = 5 * 60_000;
/** The last hour. */
const RECENT_SLOTS = 12;
/** A part of it that shows a change while most of the hour is still from before. */
const NEWEST_SLOTS = 3;
/** The day before that hour. */
const BASE_SLOTS = 288;
const SLOTS = RECENT_SLOTS + BASE_SLOTS;

/**
 * What counts as grown. The mean of 30 contexts, none above its cap, scatters by about a sixth, so that 1.75 is four such
 * scatters away, and a true doubling is not missed half of the time, as it would be at 2.
 */
const GROWN_RATIO = 1.75;
/** Where an alert ends again: well below where it began, so that it does not flap. */
const CALM_RATIO = 1.4;
const RECENT_MIN = 30;
const BASE_MIN = 100;
/** Growth of fewer tokens costs nobody anything. */
const EFFECT_TOKENS_MIN = 200;

export interface Growth {
	readonly recentMean: number;
	readonly baseMean: number;
	readonly recentCount: number;
}

/** How large one feature's contexts were, in tokens, over a day and an hour. Holds sums, whatever the traffic. */
export class ContextGrowth {
	readonly #counts = new Float64Array(SLOTS);
	readonly #sums = new Float64Array(SLOTS);
	/** Number of the newest slot, counted from time zero. */
	#newest = Number.NEGATIVE_INFINITY;

	note(tokens: number, nowMs: number): void {
		const slot = this.#advance(nowMs);
		this.#counts[slot % SLOTS] = (this.#counts[slot % SLOTS] ?? 0) + 1;
		this.#sums[slot % SLOTS] = (this.#sums[slot % SLOTS] ?? 0) + tokens;
	}

	/** `grown` with its size, `calm` when it is certainly not, and null where neither can be said. */
	judge(nowMs: number): { verdict: 'grown'; growth: Growth } | { verdict: 'calm' } | null {
		const newest = this.#advance(nowMs);
		const base = this.#over(newest - SLOTS + 1, newest - RECENT_SLOTS);
		if (base.count < BASE_MIN) return null;
		const baseMean = base.sum / base.count;
		const windows = [NEWEST_SLOTS, RECENT_SLOTS]
			.map((slots) => this.#over(newest - slots + 1, newest))
			.filter(({ count }) => count >= RECENT_MIN);
		for (const { count, sum } of windows) {
			const recentMean = sum / count;
			if (recentMean < baseMean * GROWN_RATIO || recentMean - baseMean < EFFECT_TOKENS_MIN) continue;
			return { verdict: 'grown', growth: { recentMean, baseMean, recentCount: count } };
		}
		const isCalm = windows.length > 0 && windows.every(({ count, sum }) => sum / count < baseMean * CALM_RATIO);
		return isCalm ? { verdict: 'calm' } : null;
	}

	/** A clock that was set back writes into the newest slot that there is. */
	#advance(nowMs: number): number {
		const slot = Math.max(Math.floor(nowMs / SLOT_MS), this.#newest);
		for (let empty = Math.max(this.#newest + 1, slot - SLOTS + 1); empty <= slot; empty++) {
			this.#counts[empty % SLOTS] = 0;
			this.#sums[empty % SLOTS] = 0;
		}
		this.#newest = slot;
		return slot;
	}

	#over(from: number, to: number): { count: number; sum: number } {
		const total = { count: 0, sum: 0 };
		for (let slot = Math.max(0, from); slot <= to; slot++) {
			total.count += this.#counts[slot % SLOTS] ?? 0;
			total.sum += this.#sums[slot % SLOTS] ?? 0;
		}
		return total;
	}
}
