import type { IndexedDocument } from '../../spec/index-store.ts';
import { type Ledger, OUTCOMES, type Outcome } from './ledger.ts';

/** Documents that a message names. */
const NAMED_MAX = 5;

/** What a run says of one source; see `SourceReport`. */
export interface SourceTerms {
	readonly source: string;
	readonly unchanged: number;
	readonly written: number;
	readonly quarantined: number;
	readonly failed: number;
	readonly deleted: number;
}

export interface Conservation {
	readonly passed: boolean;
	readonly message: string;
	readonly detail: Readonly<Record<string, Readonly<Record<string, number>>>>;
}

interface Count extends Record<Exclude<Outcome, 'pending'>, number> {
	pending: number;
	/** Documents that the sealed version must hold. */
	expected: number;
	missing: number;
	/** In the sealed version and expected there, or expected otherwise. */
	stored: number;
	excess: number;
	differing: number;
}

/**
 * The law of an ingestion: of each source, every document that it holds or that the live generation holds of it has
 * exactly one end (unchanged, written, quarantined, failed, deleted), these are the numbers that the run reports, and the
 * sealed version holds just the documents that were to be there, once each, with the hashes that the sources gave. It is
 * checked on what the store gives back, not on what was counted on the way.
 */
export class Census {
	readonly #ledger: Ledger;
	readonly #counts = new Map<string, Count>();
	readonly #named: string[] = [];

	constructor(ledger: Ledger) {
		this.#ledger = ledger;
	}

	/** Meets a document of the sealed version. */
	add({ source, documentId, contentHash }: IndexedDocument): void {
		const ledger = this.#ledger;
		const count = this.#of(source);
		count.stored++;
		const slot = ledger.find(source, documentId);
		if (slot < 0 || !ledger.isWritten(slot) || !ledger.count(slot)) count.excess++;
		else if (!ledger.isWrittenAs(slot, contentHash)) count.differing++;
		else return;
		if (this.#named.length < NAMED_MAX) this.#named.push(documentId);
	}

	/** What holds of all documents that were met. */
	conclude(reported: readonly SourceTerms[]): Conservation {
		const ledger = this.#ledger;
		for (let slot = 0; slot < ledger.size; slot++) {
			const count = this.#of(ledger.sourceOf(slot));
			count[ledger.outcome(slot)]++;
			if (!ledger.isWritten(slot)) continue;
			count.expected++;
			if (!ledger.isCounted(slot)) count.missing++;
		}
		const counts = this.#counts;
		const faults = [...counts].flatMap(([source, count]) => faultsOf(source, count, reported));
		const unknown = reported.filter(({ source, ...terms }) => !counts.has(source) && sum(terms) > 0);
		faults.push(...unknown.map(({ source }) => `${source}: the run reports documents of it and met none`));
		const detail = Object.fromEntries([...counts].map(([source, count]) => [source, { ...count }]));
		if (faults.length === 0) {
			const total = [...counts.values()].reduce((all, { stored }) => all + stored, 0);
			return { passed: true, message: `all ${total} documents of the generation are accounted for`, detail };
		}
		const examples = this.#named.length === 0 ? '' : ` (${this.#named.join(', ')})`;
		return { passed: false, message: `documents are not accounted for: ${faults.join('; ')}${examples}`, detail };
	}

	#of(source: string): Count {
		const known = this.#counts.get(source);
		if (known) return known;
		const count = emptyCount();
		this.#counts.set(source, count);
		return count;
	}
}

/** A census of all documents that the store gives back. */
export async function conserve(
	ledger: Ledger,
	sealed: AsyncIterable<readonly IndexedDocument[]>,
	reported: readonly SourceTerms[],
): Promise<Conservation> {
	const census = new Census(ledger);
	for await (const documents of sealed) for (const document of documents) census.add(document);
	return census.conclude(reported);
}

function emptyCount(): Count {
	const ends = Object.fromEntries(OUTCOMES.map((outcome) => [outcome, 0])) as Record<Outcome, number>;
	return { ...ends, expected: 0, missing: 0, stored: 0, excess: 0, differing: 0 };
}

function faultsOf(source: string, count: Count, reported: readonly SourceTerms[]): string[] {
	const faults: string[] = [];
	const say = (documents: number, what: string) => documents > 0 && faults.push(`${source}: ${documents} ${what}`);
	say(count.pending, 'documents came to no end');
	say(count.missing, 'documents are missing from the index');
	say(count.excess, 'documents are in the index that should not be there, or are there twice');
	say(count.differing, 'documents are in the index with another content than the source gave');
	const report = reported.find((terms) => terms.source === source);
	const found = { unchanged: count.unchanged, written: count.new + count.changed, quarantined: count.quarantined };
	for (const [term, documents] of Object.entries({ ...found, failed: count.failed, deleted: count.deleted })) {
		const said = report?.[term as keyof typeof found] ?? 0;
		if (said !== documents)
			faults.push(`${source}: the run reports ${said} ${term} documents, and there are ${documents}`);
	}
	return faults;
}

function sum(terms: Readonly<Record<string, number>>): number {
	return Object.values(terms).reduce((all, term) => all + term, 0);
}
