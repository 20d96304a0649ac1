import type { Clock } from '../base/clock.ts';
import type { IngestionView, IngestProgress, IngestReport, RunOutcome } from '../spec/retrieval.ts';

type Counts = { -readonly [K in keyof Omit<IngestionView, 'running'>]: Omit<IngestionView, 'running'>[K] };

/** What one run tells while it goes on. */
export interface RunTally {
	progress(progress: IngestProgress): void;
	/** @param report null: the run did not come as far. */
	end(outcome: RunOutcome, report: IngestReport | null): void;
}

/** What the runs of each collection added up to since the start. */
export class IngestionTally {
	readonly #clock: Clock;
	readonly #counts = new Map<string, Counts>();
	readonly #running = new Map<string, NonNullable<IngestionView['running']>>();

	constructor(clock: Clock) {
		this.#clock = clock;
	}

	begin(collection: string, { rebuild }: { readonly rebuild: boolean }): RunTally {
		const startedAt = this.#clock.monotonic();
		const sources = new Map<string, number>();
		let spent = { tokens: 0, costMicros: 0 };
		this.#running.set(collection, { rebuild, documents: 0 });
		return {
			progress: ({ source, phase, done, tokens = spent.tokens, costMicros = spent.costMicros }) => {
				spent = { tokens, costMicros };
				if (phase === 'index') return;
				sources.set(source, done);
				const documents = [...sources.values()].reduce((sum, one) => sum + one, 0);
				this.#running.set(collection, { rebuild, documents });
			},
			end: (outcome, report) => {
				this.#running.delete(collection);
				const before = this.#counts.get(collection) ?? nothing(collection);
				const counts = report === null ? withSpent(before, spent) : withReport(before, report, rebuild);
				const runs = { ...counts.runs, [outcome]: counts.runs[outcome] + 1 };
				const seconds = counts.seconds + (this.#clock.monotonic() - startedAt) / 1_000;
				this.#counts.set(collection, { ...counts, runs, seconds });
			},
		};
	}

	/** By collection; those that had no run are left out. */
	view(): IngestionView[] {
		const names = new Set([...this.#counts.keys(), ...this.#running.keys()]);
		return [...names].map((collection) => ({
			...(this.#counts.get(collection) ?? nothing(collection)),
			running: this.#running.get(collection) ?? null,
		}));
	}
}

function nothing(collection: string): Counts {
	return {
		collection,
		runs: { succeeded: 0, refused: 0, failed: 0, cancelled: 0 },
		documents: { unchanged: 0, written: 0, quarantined: 0, failed: 0, deleted: 0 },
		chunks: 0,
		rebuiltChunks: 0,
		embedding: { answered: 0, failed: 0, tokens: 0, costMicros: 0 },
		seconds: 0,
	};
}

function withReport(before: Counts, { sources, embedding }: IngestReport, rebuild: boolean): Counts {
	const { documents } = before;
	const sum = (of: (source: IngestReport['sources'][number]) => number) =>
		sources.reduce((all, source) => all + of(source), 0);
	const chunks = sum((source) => source.chunks);
	return {
		...before,
		documents: {
			unchanged: documents.unchanged + sum((source) => source.unchanged),
			written: documents.written + sum((source) => source.new + source.changed),
			quarantined: documents.quarantined + sum((source) => source.quarantined),
			failed: documents.failed + sum((source) => source.failures),
			deleted: documents.deleted + sum((source) => source.deleted),
		},
		chunks: before.chunks + chunks,
		rebuiltChunks: before.rebuiltChunks + (rebuild ? chunks : 0),
		embedding: {
			answered: before.embedding.answered + (embedding?.calls ?? 0),
			failed: before.embedding.failed + (embedding?.failed ?? 0),
			tokens: before.embedding.tokens + (embedding?.tokens ?? 0),
			costMicros: before.embedding.costMicros + (embedding?.costMicros ?? 0),
		},
	};
}

/** What a run had spent that has no report: money is never left out. */
function withSpent(before: Counts, spent: { readonly tokens: number; readonly costMicros: number }): Counts {
	const { embedding } = before;
	const tokens = embedding.tokens + spent.tokens;
	return { ...before, embedding: { ...embedding, tokens, costMicros: embedding.costMicros + spent.costMicros } };
}
