import type { UpstreamFailure } from './model.ts';
import type { EmbeddingIdentity, TextKind } from './retrieval.ts';

/** One call to a provider's embedding model. */
export interface EmbeddingCall {
	/** As they are sent: with their prefixes. */
	readonly texts: readonly string[];
	readonly kind: TextKind;
	readonly timeoutMs: number;
	readonly signal: AbortSignal;
}

/** What a provider answered, before anyone looked at the numbers. */
export interface EmbeddingAnswer {
	/** One for each text, in order; each should be a list of numbers, and may be anything. */
	readonly rows: readonly unknown[];
	/** Tokens that the provider counted; null where it does not say. */
	readonly tokens: number | null;
	/** What the provider says that it served: model, version, fingerprint. Null where it does not say. */
	readonly served: string | null;
}

/**
 * A provider's embedding model. Each call is one HTTP exchange within its time-out and nothing is repeated. Rejects with
 * UpstreamError, also for an answer that does not have exactly one row for each text.
 */
export interface EmbeddingModel {
	/** The most texts that one call may have. */
	readonly textsMax: number;
	embed(call: EmbeddingCall): Promise<EmbeddingAnswer>;
	close(): Promise<void>;
}

export interface Embedder {
	/** Everything that makes two vectors comparable; hashed into the index manifest. */
	readonly identity: EmbeddingIdentity;
	/**
	 * Throws PlimsollError `retrieval_failed`, with an endpoint's fault as its cause (UpstreamError); `upstream_unavailable`
	 * while the endpoint is left alone; `embedding_budget_exceeded` when the run's budget does not cover it. Nothing is
	 * returned of texts of which one failed.
	 * @param kind which prefix the texts get; `as_sent`: none.
	 */
	embed(texts: readonly string[], kind: TextKind, options: EmbedOptions): Promise<Embedded>;
	close(): Promise<void>;
}

export interface EmbedOptions {
	readonly signal: AbortSignal | null;
	/** The ingestion that it is for, which waits longer than a request and has a budget of its own. */
	readonly run?: EmbeddingRun | undefined;
	/** Hears of each call to an endpoint as it ends. */
	readonly onCall?: ((call: EmbeddingCallReport) => void) | undefined;
}

/** What an ingestion spends on embedding. */
export interface EmbeddingRun {
	/** Sets money aside before texts are sent; whatever is not spent of it must be given back. Throws `embedding_budget_exceeded`. */
	reserve(micros: number): void;
	giveBack(micros: number): void;
	/** A call that ended, paid from what was set aside. */
	spent(call: EmbeddingCallReport): void;
}

export interface EmbeddingCallReport {
	/** `ok`, or how it failed. */
	readonly outcome: 'ok' | UpstreamFailure;
	/** For the operator. */
	readonly error: string | null;
	readonly tookMs: number;
	readonly texts: number;
	/** Zero where the call cannot have been billed. */
	readonly tokens: number;
	readonly costMicros: number;
	/** `estimated`: the tokens are our count, or the price is unknown. */
	readonly source: 'reported' | 'estimated';
}

export interface Embedded {
	/** One unit-length vector of `identity.dimensions` floats for each text, in order. */
	readonly vectors: readonly Float32Array[];
	/** The shortest and the longest vector as the model made them, before they were scaled. */
	readonly lengthMin: number;
	readonly lengthMax: number;
	/** Of an endpoint's calls; null in process, where nothing is counted and nothing costs. */
	readonly tokens: number | null;
	/** Integer micro-dollars, of calls that failed too. */
	readonly costMicros: number;
}

/** The configured embedders. */
export interface EmbedderSource {
	/** Throws `dependency_missing` or `configuration_invalid` when it cannot be made. */
	get(name: string): Promise<Embedder>;
}
