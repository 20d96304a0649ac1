import type { FieldType, FieldValue, Filter, Passage } from './retrieval.ts';

/** What the rows of one table have in common. */
export interface TableShape {
	readonly table: string;
	/** Of each row's vector; null for a table without vectors. */
	readonly dimensions: number | null;
	/**
	 * The fields of its documents, by name: columns that can be filtered. One whose name begins with an underscore is
	 * Plimsoll's own: it is in summaries and in no passage.
	 */
	readonly fields: ReadonlyMap<string, FieldType>;
}

/** One version of a table: what an index generation is. */
export interface IndexPlace {
	readonly table: string;
	/** Counts from 1, and goes up with every write. */
	readonly version: number;
}

export interface DocumentRef {
	readonly source: string;
	readonly documentId: string;
}

export interface IndexedDocument extends DocumentRef {
	/** Of the whole document: equal hashes need no work. */
	readonly contentHash: string;
}

/** What is told of a document without its text. Holds until the next batch is asked for. */
export interface DocumentSummary extends IndexedDocument {
	/** The fields of its table. */
	readonly names: readonly string[];
	/** Whether it has a value of a field. */
	has(name: string): boolean;
	/** Null: it has none. */
	field(name: string): FieldValue;
}

/** What is told of a chunk without its text. */
export interface ChunkSummary {
	readonly source: string;
	/** 0-based position of the chunk in its document. */
	readonly ordinal: number;
	readonly tokens: number;
	/** Of the document that it is the first chunk of; null for all others. */
	readonly document: DocumentSummary | null;
}

/** A chunk as it is written. */
export interface IndexRow extends Passage {
	readonly contentHash: string;
	/** What is searched: the chunk's title and headings, then its text from `textAt` on. */
	readonly body: string;
	readonly textAt: number;
	readonly vector: Float32Array | null;
}

/** Finds a chunk's row in one version of a table; means something to its engine alone. */
export type RowRef = bigint | string;

/** One leg's opinion of one chunk. What the chunk is called is read with its passage: reading it here would be most of a leg's cost. */
export interface Candidate {
	readonly row: RowRef;
	readonly score: number;
}

/** What a leg is asked besides its query. */
export interface LegRequest {
	readonly limit: number;
	/** Only chunks that it lets through are ranked and counted; null: all. */
	readonly filter: Filter | null;
	readonly timeoutMs: number;
}

/** Rows that were read, vectors and all. */
export interface RowsRead {
	readonly rows: number;
	/** Over these rows in any order, see `SumHash`; null where the engine itself finds out that what it reads is not what it wrote. */
	readonly digest: string | null;
}

/** What a writer did to its table. */
export interface TableChanges {
	/** The newest version when the writer was opened. */
	readonly since: number;
	/** Every document that was written or removed since; null: too many to name, or all rows were written anew. */
	readonly documents: readonly DocumentRef[] | null;
}

/** One version of a table, opened for reading: what is written meanwhile does not change it. */
export interface IndexReader {
	readonly place: IndexPlace;
	/** Rows when it was opened. */
	readonly chunks: number;
	/** BM25, best first. Words only: the query has no operators, so that no text is a syntax error. */
	lexical(query: string, ask: LegRequest): Promise<Candidate[]>;
	/**
	 * Cosine similarity with a unit vector, best first.
	 * @param ask `exact` looks at every vector, also where an index would look at a part of them.
	 */
	vector(vector: Float32Array, ask: LegRequest & { readonly exact: boolean }): Promise<Candidate[]>;
	/** The passages behind rows, by row. */
	passages(rows: readonly RowRef[], timeoutMs: number): Promise<Map<RowRef, Passage>>;
	/** The passages of documents, as far as they are among the first `chunks` of theirs; in no order. */
	openings(
		documents: readonly DocumentRef[],
		ask: { readonly chunks: number; readonly timeoutMs: number },
	): Promise<Passage[]>;
	/** Every document once, in batches and in no order. */
	documents(): AsyncIterable<readonly IndexedDocument[]>;
	/** Every chunk once, in batches and in no order. */
	summaries(): AsyncIterable<readonly ChunkSummary[]>;
	/**
	 * Reads every row and vector once, to tell damage from a passing fault. Throws when one cannot be read, or the signal's reason
	 * once it aborts, between two batches.
	 */
	readEverything(signal?: AbortSignal): Promise<RowsRead>;
	/** The same, but only the rows of these documents. */
	readDocuments(documents: readonly DocumentRef[], signal?: AbortSignal): Promise<RowsRead>;
	/** Only when no search uses it. */
	close(): void;
}

/**
 * The writing side of one table. What it writes are new versions; readers stay on theirs. Every write is one commit, so
 * that a kill at any time leaves whole documents. Throws PlimsollError `storage_failed`, or `index_conflict` where another
 * writer changed the table meanwhile.
 */
export interface IndexWriter {
	readonly table: string;
	readonly changes: TableChanges;
	/** Every document of the newest version once, in batches and in no order. */
	documents(): AsyncIterable<readonly IndexedDocument[]>;
	/** Every chunk of the newest version once, in batches and in no order. */
	summaries(): AsyncIterable<readonly ChunkSummary[]>;
	/** Replaces or adds whole documents: first what was there goes, then the rows come. */
	write(replaced: readonly DocumentRef[], rows: readonly IndexRow[]): Promise<void>;
	remove(documents: readonly DocumentRef[]): Promise<void>;
	version(): Promise<number>;
	/**
	 * Brings the indexes up to date, merges small files, and drops versions.
	 * @param keep versions that stay readable, and with them all that are newer than the oldest of them.
	 * @param options `erase` leaves nothing of what was dropped, not even what a broken-off write left behind.
	 * @returns the version to point at, and its rows.
	 */
	seal(keep: readonly number[], options?: { readonly erase: boolean }): Promise<{ version: number; chunks: number }>;
	/**
	 * Writes every row anew and takes the indexes away, which `seal` makes again: what was removed is then in no file of the
	 * newest version, while older versions stay readable.
	 */
	rewrite(): Promise<void>;
	close(): void;
}

/** How an engine scores text; stored with each generation. */
export interface LexicalDescription {
	readonly formula: string;
	readonly k1: number;
	readonly b: number;
	readonly tokenizer: Readonly<Record<string, string | boolean | number>>;
}

/** An engine that holds indexes. */
export interface IndexStore {
	readonly lexical: LexicalDescription;
	/** Changes when tables of before cannot be used any more: every collection is then built anew. */
	readonly revision: string;
	/** Throws PlimsollError `storage_failed` when it cannot be used. */
	open(): Promise<void>;
	/** Opens the newest version of a table, or makes an empty one. Throws PlimsollError `storage_failed`. */
	writer(shape: TableShape): Promise<IndexWriter>;
	/** Opens one version: its text index is loaded and one row is read. Throws when it is damaged or gone. */
	reader(place: IndexPlace): Promise<IndexReader>;
	/** The same past every cache; the caller closes it. */
	freshReader(place: IndexPlace): Promise<IndexReader>;
	/** Whether what a reader threw speaks of what is stored; a full disk or a lost connection does not. */
	isDamage(cause: unknown): boolean;
	/** What is cached of tables until now is not taken for what comes in their place. Open readers go on. */
	forgetCaches(): Promise<void>;
	/** Names of tables that begin so. */
	tables(prefix: string): Promise<string[]>;
	/** Removes a table that nothing points at, even one that cannot be opened. */
	drop(table: string): Promise<void>;
	/**
	 * Moves a damaged table out of the way, since another tool may still read it. Returns its new name, null when nothing of it is left. Throws PlimsollError `storage_failed`.
	 * @param at milliseconds since the epoch, for the name.
	 */
	setAside(table: string, at: number): Promise<string | null>;
	close(): void;
}
