import type { Clock } from '../base/clock.ts';
import { Deadline } from '../base/deadline.ts';
import type { CollectionConfig } from '../contracts/collection.ts';
import type { Embedder } from '../spec/embedding.ts';
import type { CheckResult, VerificationReport } from '../spec/generations.ts';
import type { SearchRequest, SearchResult } from '../spec/retrieval.ts';
import type { NamedSpace } from './embedding/spaces.ts';
import type { SourceTerms } from './ingestion/conserve.ts';
import type { Ledger } from './ingestion/ledger.ts';
import type { Base, LiveIndex } from './live-index.ts';

/** A check that hangs keeps the old generation live for ever. */
const CHECK_MS_MAX = 600_000;

/** A sealed generation that is to go live, with what checks compare it with. */
export interface Candidate {
	readonly config: CollectionConfig;
	/** Opened past every cache. */
	readonly index: LiveIndex;
	/** What it was made of, where only the difference has to be read; null: every row is. */
	readonly base: Base | null;
	/** Reads all chunks, once for all checks. Rejects when they cannot be read. */
	readonly census: () => Promise<CensusOutcome>;
	/** What the run that built it knows of every document; null when it is verified later, without reading the sources. */
	readonly run: { readonly ledger: Ledger; readonly terms: readonly SourceTerms[]; readonly accept: boolean } | null;
	/** The generation that serves now, and its statistics; null when none does. */
	readonly live: { readonly index: LiveIndex; readonly statistics: unknown } | null;
	/** Of the collection, as configured now; null: it has none. */
	readonly embedder: Embedder | null;
	/** As measured now; null without an embedder. */
	readonly space: NamedSpace | null;
	/** Searches the candidate as the live generation is searched. */
	readonly search: (request: Omit<SearchRequest, 'collection'>) => Promise<SearchResult>;
	readonly signal: AbortSignal;
}

/** What all chunks of a candidate tell. */
export interface CensusOutcome {
	readonly conservation: CheckOutcome;
	/** See ingestion/statistics. */
	readonly statistics: unknown;
}

export type CheckOutcome = Pick<CheckResult, 'passed' | 'message' | 'detail'>;

/** Something that must hold before a generation goes live. */
export interface Check {
	/** In snake_case; stands in records, alerts and reports. */
	readonly name: string;
	/** False where no person can make it right by wishing: the generation can never go live while it fails. */
	readonly overrulable: boolean;
	/** Null: it does not apply to this candidate. What it throws is a failure. */
	run(candidate: Candidate): Promise<CheckOutcome | null>;
}

/** Runs every check, in order, each within ten minutes; one that fails does not keep the others from running. */
export async function verify(
	candidate: Candidate,
	{ checks, clock }: { checks: readonly Check[]; clock: Clock },
): Promise<VerificationReport> {
	const results: CheckResult[] = [];
	for (const check of checks) {
		const outcome = await outcomeOf(check, candidate, clock);
		if (outcome) results.push({ check: check.name, overrulable: check.overrulable, ...outcome });
		candidate.signal.throwIfAborted();
	}
	return { at: clock.now(), passed: results.every(({ passed }) => passed), checks: results };
}

async function outcomeOf(check: Check, candidate: Candidate, clock: Clock): Promise<CheckOutcome | null> {
	const deadline = new Deadline(clock, () => new Error(`it did not end within ${CHECK_MS_MAX / 60_000} minutes`));
	deadline.set(CHECK_MS_MAX);
	const leave = () => deadline.cancel(candidate.signal.reason);
	candidate.signal.addEventListener('abort', leave, { once: true });
	try {
		return await Promise.race([check.run({ ...candidate, signal: deadline.signal }), ended(deadline.signal)]);
	} catch (thrown) {
		const reason = thrown instanceof Error ? thrown.message : String(thrown);
		return { passed: false, message: `The check ${check.name} could not be made: ${reason}`, detail: { reason } };
	} finally {
		deadline.dispose();
		candidate.signal.removeEventListener('abort', leave);
	}
}

function ended(signal: AbortSignal): Promise<never> {
	const { promise, reject } = Promise.withResolvers<never>();
	signal.addEventListener('abort', () => reject(signal.reason), { once: true });
	return promise;
}

/** The checks that failed, as one text. */
export function failures({ checks }: VerificationReport): string {
	return checks.flatMap(({ check, passed, message }) => (passed ? [] : [`${check}: ${message}`])).join('; ');
}
