/** `misfit`: it does not fit the rules of its source. `failed`: it could not be read, or not be embedded. */
export const QUARANTINE_KINDS = ['misfit', 'failed'] as const;

/** `held`: it waits for a change. `retry`: the next run reads it again. `dropped`: a person said that it may stay out. */
export const QUARANTINE_STATES = ['held', 'retry', 'dropped'] as const;
export type QuarantineState = (typeof QUARANTINE_STATES)[number];

/** A document that a source holds and that the last run did not take in. */
export interface QuarantineEntry {
	/** Short, for commands; the same for the same document. */
	readonly id: string;
	readonly collection: string;
	readonly source: string;
	readonly document: string;
	readonly kind: (typeof QUARANTINE_KINDS)[number];
	readonly reasons: readonly string[];
	/** Of the document's content; null where it could not be read. */
	readonly contentHash: string | null;
	/** Of the rules that it was held against. */
	readonly rulesHash: string;
	/** The last run that met it. */
	readonly runId: string;
	/** Milliseconds since the epoch. */
	readonly firstAt: number;
	readonly lastAt: number;
	/** Whether an earlier version of it is in the index. */
	readonly kept: boolean;
	readonly state: QuarantineState;
}

export interface QuarantineQuery {
	/** Null: all. */
	readonly collection: string | null;
	readonly source: string | null;
	/** Null: all but the dropped ones. */
	readonly state: QuarantineState | null;
	readonly limit: number;
}

/** Documents that did not come in, with the reasons. Throws PlimsollError `storage_failed`. */
export interface QuarantineStore {
	/**
	 * Adds entries, or replaces those of the same documents; these keep when they came first, and stay dropped while their content and
	 * the rules are the same. All or nothing.
	 * @param max entries of one collection.
	 * @returns how many were not added because the collection has as many as it may.
	 */
	put(entries: readonly QuarantineEntry[], max: number): Promise<number>;
	/** By collection, source and document. */
	list(query: QuarantineQuery): Promise<readonly QuarantineEntry[]>;
	/** Null when there is none. */
	find(id: string): Promise<QuarantineEntry | null>;
	/** Those of these ids that there are, in no order. */
	findAll(ids: readonly string[]): Promise<readonly QuarantineEntry[]>;
	/** Removes what a whole run of a collection did not meet, and notes what the run left behind. */
	settle(collection: string, run: WholeRun): Promise<void>;
	/** Removes what a run did not meet of the sources that it read, when it read not all of them. */
	settlePart(collection: string, run: { readonly runId: string; readonly sources: readonly string[] }): Promise<void>;
	/** Removes the entries of documents. @param ids null: all of the source. */
	forget(place: { readonly collection: string; readonly source: string }, ids: readonly string[] | null): Promise<void>;
	/** What the last whole run left behind; null before the first. */
	lastRun(collection: string): Promise<Omit<WholeRun, 'runId'> | null>;
	/** What was taken for right, of the sources of which something was. */
	acceptedLosses(collection: string): Promise<readonly AcceptedLoss[]>;
	/** Replaces what is taken for right of these sources. All or nothing. */
	acceptLosses(collection: string, losses: readonly AcceptedLoss[]): Promise<void>;
	/** How many documents are listed, by state, and how many there was no room for. */
	count(collection: string): Promise<QuarantineCount>;
	/** @param ids null: all of the collection that are in no such state. @returns how many changed. */
	mark(collection: string, ids: readonly string[] | null, state: QuarantineState): Promise<number>;
}

/** A run that came to the end of every source. */
export interface WholeRun {
	readonly runId: string;
	/** The index table that it wrote to. */
	readonly table: string;
	/** Of the rules that everything in the table was held against. */
	readonly rulesHash: string;
	/** Documents that did not come in and are not listed, for want of room. */
	readonly unlisted: number;
}

/** How many documents of a source a person knows not to come in. */
export interface AcceptedLoss {
	readonly source: string;
	readonly failed: number;
	readonly misfits: number;
}

export interface QuarantineCount extends Readonly<Record<QuarantineState, number>> {
	readonly unlisted: number;
}
