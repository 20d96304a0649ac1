import type { VerificationReport } from './generations.ts';
import type { Payer, RerankReport } from './reranker.ts';

/** `text` is compared whole, `labels` is a set of texts, `time` is milliseconds since the epoch. */
export const FIELD_TYPES = ['text', 'number', 'boolean', 'time', 'labels'] as const;
export type FieldType = (typeof FIELD_TYPES)[number];

/** A `labels` field has a list, a `time` field a number; null: the document has no such field. */
export type FieldValue = string | number | boolean | readonly string[] | null;

/** What a field of a chunk's document must be. A document without the field meets no condition. */
export type Condition =
	| { readonly field: string; readonly is: 'equal'; readonly value: string | number | boolean }
	| { readonly field: string; readonly is: 'one_of'; readonly values: readonly (string | number)[] }
	/** Either end may be null; both ends are included. */
	| { readonly field: string; readonly is: 'between'; readonly least: number | null; readonly most: number | null }
	/** For `labels`: at least one of these is among them. */
	| { readonly field: string; readonly is: 'any_label'; readonly values: readonly string[] }
	| { readonly field: string; readonly is: 'present' };

/** Which chunks a search may find. An empty `all` lets everything through, an empty `any` nothing. */
export type Filter =
	| Condition
	| { readonly all: readonly Filter[] }
	| { readonly any: readonly Filter[] }
	| { readonly not: Filter };

/** A chunk of a document as retrieval returns it and prompts cite it. */
export interface Passage {
	/** Deterministic: the same document, chunker and place give the same id. */
	readonly chunkId: string;
	readonly documentId: string;
	/** Which source of the collection the document came from. */
	readonly source: string;
	readonly title: string;
	/** Headings above the chunk, outermost first. */
	readonly headingPath: readonly string[];
	readonly text: string;
	/** Offsets of the chunk in the document's text, in UTF-16 code units: [start, end). */
	readonly start: number;
	readonly end: number;
	/** 0-based position of the chunk in its document. */
	readonly ordinal: number;
	readonly tokens: number;
	/** The declared fields of its document. */
	readonly fields: Readonly<Record<string, FieldValue>>;
}

export interface Hit extends Passage {
	/** 1-based. */
	readonly rank: number;
	/** The fused score that ranks the hits. */
	readonly score: number;
	/** Raw BM25 score; null when the lexical leg did not return this chunk or did not run. */
	readonly lexicalScore: number | null;
	/** Cosine similarity; null when the vector leg did not return this chunk or did not run. */
	readonly vectorScore: number | null;
	/** What the re-ranker gave it, on its own scale; left out where it was not asked about it. */
	readonly rerankScore?: number;
}

export type SearchMode = 'hybrid' | 'lexical' | 'vector';

/** Who searches, as far as it is proved. */
export interface Reader {
	readonly tenantId: string;
	readonly user: string | null;
	readonly groups: readonly string[];
}

export interface SearchRequest {
	readonly collection: string;
	readonly query: string;
	readonly k: number;
	/** Null: as the collection is configured. */
	readonly mode: SearchMode | null;
	/** Null: everything in the collection. */
	readonly filter: Filter | null;
	/** What a client asks to be filtered by, as JSON: read and checked by the fields of the live generation. Left out: nothing. */
	readonly where?: unknown;
	/** In whose name: a collection with `access` finds what these may find, and refuses a search without them. `operator`: all. */
	readonly caller?: Reader | 'operator';
	/** The most that the whole search may take, milliseconds: legs that would outlast it are cut short. Left out: as configured. */
	readonly msMax?: number;
	/** Look further: more candidates from each leg, and every vector compared. */
	readonly widened?: boolean;
	readonly signal: AbortSignal | null;
	/** Left out: what costs is paid by the operator. */
	readonly payer?: Payer;
}

export interface SearchResult {
	readonly collection: string;
	/** The index generation that answered. */
	readonly generation: string;
	readonly mode: SearchMode;
	readonly hits: readonly Hit[];
	/** Milliseconds per leg; null when it did not run. */
	readonly lexicalMs: number | null;
	readonly vectorMs: number | null;
	/** Whether the query's vector was known already; null when it has none, as when it is left out. */
	readonly queryCached?: boolean | null;
	/** Which of the mode's legs answered. */
	readonly answered: SearchMode;
	/** Left out where no re-ranker was asked. */
	readonly rerank?: RerankReport;
	/** Why a leg that should have answered did not; null when all did. */
	readonly degraded: string | null;
}

/** Searches live index generations. Throws PlimsollError `collection_not_found`, `index_not_ready`, `retrieval_failed`. */
export interface Retriever {
	search(request: SearchRequest): Promise<SearchResult>;
	/** The partitions of a collection that were asked of late, the busiest first. Throws `collection_not_found`. */
	partitions?(collection: string): readonly PartitionView[];
	/** The state of every configured collection, for readiness and listings. Synchronous: the last known state. */
	status(): readonly CollectionStatus[];
}

/** How one partition of a collection stands. */
export interface PartitionView {
	/** `*`: searches that named none. */
	readonly partition: string;
	readonly running: number;
	readonly queued: number;
	/** Since the start. */
	readonly searches: number;
	readonly shed: number;
	readonly degraded: number;
	/** Of its latest 512 searches, from their place on; null: it had none. */
	readonly latencyMsP50: number | null;
	readonly latencyMsP99: number | null;
	/** A search had to wait, was degraded or was refused in the last minute, because others had all places. */
	readonly hot: boolean;
}

export interface CollectionStatus {
	readonly collection: string;
	/** Null until a generation is live. */
	readonly generation: string | null;
	readonly documents: number;
	readonly chunks: number;
}

export type TextKind = 'query' | 'document' | 'as_sent';

/** What an embedder charges for its input; it has no output. */
export interface EmbeddingPrice {
	readonly version: string;
	readonly inputMicrosPerMillion: number;
}

export interface EmbeddingIdentity {
	readonly provider: string;
	readonly model: string;
	readonly revision: string;
	readonly dimensions: number;
	readonly normalised: boolean;
	readonly queryPrefix: string;
	readonly documentPrefix: string;
	/** What the provider is told that a text is (Cohere's `input_type`, Gemini's `taskType`); left out where it takes nothing of the kind. */
	readonly queryType?: string | undefined;
	readonly documentType?: string | undefined;
	/** Longer texts are cut to this many tokens by the embedder. */
	readonly tokensMax: number;
}

/** A document that did not come in, and why. */
export interface LeftOut {
	readonly document: string;
	readonly reason: string;
}

/**
 * What one source did in one ingestion run. seen = new + changed + unchanged + quarantined + failures; every document
 * that the source or the live generation holds of it is unchanged, new or changed, quarantined, failed or deleted.
 */
export interface SourceReport {
	readonly source: string;
	readonly seen: number;
	readonly new: number;
	readonly changed: number;
	readonly unchanged: number;
	readonly deleted: number;
	/** Documents that do not fit the rules of the source. */
	readonly quarantined: number;
	/** Documents that could not be read or embedded, those with an id that came before, and folders that could not be listed. */
	readonly failures: number;
	/** Of the failures, those with an id that came before: the first one counts. */
	readonly repeated: number;
	/** Documents of the live generation in folders that could not be listed. They stay, and count as failed. */
	readonly unreachable: number;
	/** Quarantined and failed documents of which an earlier version stays in the index. */
	readonly kept: number;
	/** The first failures and misfits; the quarantine lists them all. */
	readonly failed: readonly LeftOut[];
	readonly misfits: readonly LeftOut[];
	/** Chunks and tokens that were written. */
	readonly chunks: number;
	readonly tokens: number;
	readonly seconds: number;
}

/** What one run spent on embeddings. */
export interface EmbeddingReport {
	/** Calls that were answered, and calls that failed: documents in them were tried again in smaller parts, or are reported as failed. */
	readonly calls: number;
	readonly failed: number;
	readonly texts: number;
	readonly tokens: number;
	/** Micro-dollars. */
	readonly costMicros: number;
	/** `estimated` when a part of it is: an unknown price, or tokens that the provider did not count. */
	readonly costSource: 'reported' | 'estimated';
	/** The cap; null: none. */
	readonly costMicrosMax: number | null;
}

export interface IngestReport {
	readonly runId: string;
	readonly collection: string;
	/** The generation that is live after the run; null when the first one was refused. */
	readonly generation: string | null;
	/** False when nothing changed, or the new generation was refused, and the old one stayed. */
	readonly promoted: boolean;
	/** What the run built and its checks refused; null when nothing was. */
	readonly refused: { readonly generation: string; readonly verification: VerificationReport } | null;
	readonly sources: readonly SourceReport[];
	/** Null without an embedder, and in runs of before it was told. */
	readonly embedding?: EmbeddingReport | null | undefined;
}

export interface IngestProgress {
	readonly source: string;
	readonly phase: 'scan' | 'write' | 'index';
	readonly done: number;
	/** Reckoned from what was read of the file, or from what is live, where the source does not say it; null: not known. */
	readonly total: number | null;
	/** Tokens that were embedded in this run so far, and what they cost; left out without an embedder. */
	readonly tokens?: number | undefined;
	readonly costMicros?: number | undefined;
}

export type RunOutcome = 'succeeded' | 'refused' | 'failed' | 'cancelled';

/** What the ingestions of one collection added up to since the start. */
export interface IngestionView {
	readonly collection: string;
	readonly runs: Readonly<Record<RunOutcome, number>>;
	/** Of runs that came to an end with a report. */
	readonly documents: Readonly<Record<'unchanged' | 'written' | 'quarantined' | 'failed' | 'deleted', number>>;
	/** Written by any run; and of those by rebuilds. */
	readonly chunks: number;
	readonly rebuiltChunks: number;
	/** Tokens and micro-dollars also of runs that failed. */
	readonly embedding: {
		readonly answered: number;
		readonly failed: number;
		readonly tokens: number;
		readonly costMicros: number;
	};
	readonly seconds: number;
	/** The run that goes on now, with the documents that it has come past; null: none does. */
	readonly running: { readonly rebuild: boolean; readonly documents: number } | null;
}

export interface IngestOptions {
	readonly signal: AbortSignal;
	readonly onProgress?: (progress: IngestProgress) => void;
	/** Takes what the run finds for right, however much it differs from what is live. */
	readonly accept?: boolean;
	/** What the run is called; left out: it gets an id. */
	readonly runId?: string;
	/**
	 * Reads only what was sent, where the rest of the collection is as the last run left it: other sources are not asked.
	 * A run over all of them takes its place after a change of the configuration.
	 */
	readonly pushedOnly?: boolean;
	/** Builds into a new table beside the live one, from nothing, or goes on with such a build that broke off. */
	readonly fresh?: boolean;
}

/** Builds index generations from sources. One run at a time per collection; a second one waits for the first. */
export interface Ingester {
	ingest(collection: string, options: IngestOptions): Promise<IngestReport>;
}
