import type { GenerationRecord, PointerMove, VerificationReport } from './generations.ts';

/** A member of two JSON documents that is not the same; undefined where one has none. */
export interface Difference {
	/** Such as `chunker.tokensMax`. */
	readonly path: string;
	readonly left: unknown;
	readonly right: unknown;
}

/** What two generations have not in common, `right` as seen from `left`. */
export interface GenerationDiff {
	readonly left: string;
	readonly right: string;
	/** Null when the rows of one of them are gone. Each list names at most 100. */
	readonly documents: {
		readonly added: DocumentList;
		readonly removed: DocumentList;
		readonly changed: DocumentList;
		readonly same: number;
	} | null;
	/** Of identity, space, chunker, fields, engine, fusion, counts and statistics. */
	readonly settings: readonly Difference[];
}

export interface DocumentList {
	readonly count: number;
	readonly some: readonly { readonly source: string; readonly document: string }[];
}

/** What building a collection from nothing would take, from what its runs took. */
export interface RebuildEstimate {
	readonly collection: string;
	readonly documents: number;
	readonly chunks: number;
	/** Null: nothing is live. */
	readonly tokens: number | null;
	/** Null: neither an embedder's nor a run's rate is known. */
	readonly seconds: number | null;
	/** At most, micro-dollars for the embedder; 0 without one that charges, null when nothing is live. */
	readonly costMicros: number | null;
	/** Whether the embedder's price is unknown. */
	readonly priceUnknown: boolean;
}

/** Who asks for a move of the pointer, and why: both are kept. */
export interface MoveOrder {
	readonly collection: string;
	readonly generation: string;
	readonly actor: string;
	readonly why: string;
	readonly signal: AbortSignal;
}

/** Looks after the generations of indexes. Throws `collection_not_found`, `generation_not_found`. */
export interface IndexAdmin {
	/** Newest first, with the moves of the pointer. */
	list(collection: string): Promise<{ generations: readonly GenerationRecord[]; moves: readonly PointerMove[] }>;
	show(collection: string, generation: string): Promise<GenerationRecord>;
	/** Throws `generation_refused` for one that is not sealed. */
	diff(collection: string, left: string, right: string): Promise<GenerationDiff>;
	/** Runs every check again, and keeps what they found. Throws `generation_refused` for one that has no rows. */
	verify(collection: string, generation: string, signal: AbortSignal): Promise<VerificationReport>;
	/**
	 * Makes a generation live whose checks failed, or that was live before. Throws `generation_refused` when it has no
	 * rows or a check fails that nobody can overrule.
	 */
	promote(order: MoveOrder): Promise<PointerMove>;
	/** Back to the generation that was live before, or to the one that is named. Throws as `promote` does. */
	rollBack(order: Omit<MoveOrder, 'generation'> & { readonly generation: string | null }): Promise<PointerMove>;
	/** Removes what is not kept. Waits for the run that builds. */
	collect(
		collection: string,
		signal: AbortSignal,
	): Promise<{ generations: readonly string[]; tables: readonly string[] }>;
	estimate(collection: string): Promise<RebuildEstimate>;
}
