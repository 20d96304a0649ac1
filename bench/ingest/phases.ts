const SAMPLE_MS = 20;

/** What an ingestion does, in order. */
export const PHASES = ['open', 'write', 'seal', 'verify', 'promote'] as const;
type Phase = (typeof PHASES)[number];

/** The most memory that a process held in each phase of its work, in MB. What one leaves behind counts for the next. */
export class Phases {
	#phase: Phase = 'open';
	readonly #peaks = new Map<Phase, number>();
	readonly #timer = setInterval(() => this.#sample(), SAMPLE_MS);

	get current(): Phase {
		return this.#phase;
	}

	begin(phase: Phase): void {
		this.#sample();
		this.#phase = phase;
		this.#sample();
	}

	end(): Partial<Record<Phase, number>> {
		this.#sample();
		clearInterval(this.#timer);
		return Object.fromEntries(this.#peaks);
	}

	#sample(): void {
		const megabytes = Math.round(process.memoryUsage.rss() / 1_048_576);
		this.#peaks.set(this.#phase, Math.max(megabytes, this.#peaks.get(this.#phase) ?? 0));
	}
}
