import type { AcceptedLoss } from '../../spec/quarantine.ts';
import type { LeftOut, SourceReport } from '../../spec/retrieval.ts';
import type { SourceTerms } from './conserve.ts';

/** Documents that a report names; the quarantine lists the others. */
const NAMED_MAX = 1_000;

/** What a run counts of one source. */
export class Counts {
	readonly source: string;
	seen = 0;
	new = 0;
	changed = 0;
	unchanged = 0;
	deleted = 0;
	quarantined = 0;
	failures = 0;
	repeated = 0;
	unreachable = 0;
	kept = 0;
	chunks = 0;
	tokens = 0;
	seconds = 0;
	readonly #failed: LeftOut[] = [];
	readonly #misfits: LeftOut[] = [];

	constructor(source: string) {
		this.source = source;
	}

	fail(document: string, reason: string): void {
		this.failures++;
		if (this.#failed.length < NAMED_MAX) this.#failed.push({ document, reason });
	}

	misfit(document: string, reasons: readonly string[]): void {
		this.quarantined++;
		if (this.#misfits.length < NAMED_MAX) this.#misfits.push({ document, reason: reasons.join('; ') });
	}

	/** The first document that failed, for messages. */
	get firstFailure(): LeftOut | null {
		return this.#failed[0] ?? null;
	}

	get firstMisfit(): LeftOut | null {
		return this.#misfits[0] ?? null;
	}

	get losses(): AcceptedLoss {
		return { source: this.source, failed: this.failures, misfits: this.quarantined };
	}

	get terms(): SourceTerms {
		const { source, unchanged, quarantined, deleted } = this;
		const failed = this.failures - this.repeated + this.unreachable;
		return { source, unchanged, written: this.new + this.changed, quarantined, failed, deleted };
	}

	get report(): SourceReport {
		const { source, seen, changed, unchanged, deleted, quarantined, failures, repeated, unreachable, kept } = this;
		const { chunks, tokens, seconds } = this;
		return {
			source,
			seen,
			new: this.new,
			changed,
			unchanged,
			deleted,
			quarantined,
			failures,
			repeated,
			unreachable,
			kept,
			failed: this.#failed,
			misfits: this.#misfits,
			chunks,
			tokens,
			seconds,
		};
	}
}

/** Why nothing of all sources can be indexed. */
export function whyNothing(all: readonly Counts[]): string {
	const sum = (pick: (counts: Counts) => number) => all.reduce((total, counts) => total + pick(counts), 0);
	const failures = sum(({ failures: n }) => n);
	const quarantined = sum(({ quarantined: n }) => n);
	const first = all.flatMap((counts) => counts.firstFailure ?? counts.firstMisfit ?? [])[0];
	if (!first) return 'its sources are empty';
	const what =
		quarantined === 0
			? `all ${failures} documents failed`
			: `${quarantined} documents do not fit and ${failures} failed`;
	return `${what}, e.g. ${first.document}: ${first.reason}`;
}
