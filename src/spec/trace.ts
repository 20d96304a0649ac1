/** The canonical trace: field names are fixed, they are what users query and export. Times in ms, money in micro-dollars. */
export const OUTCOMES = ['ok', 'degraded', 'refused', 'failed', 'cancelled'] as const;
export type Outcome = (typeof OUTCOMES)[number];

export const STAGES = ['admit', 'assign', 'route', 'retrieve', 'assemble', 'generate', 'guard', 'respond'] as const;
export type Stage = (typeof STAGES)[number];

export interface GuardVerdict {
	readonly guard: string;
	readonly verdict: 'pass' | 'fail';
	/** Why it failed; null when it passed. */
	readonly reason: string | null;
	/** How the answer was made to pass: `unwrapped` of what stood around it, or its `syntax` repaired; left out: it was as it is. */
	readonly repaired?: 'unwrapped' | 'syntax' | undefined;
}

/** One record for each request that entered. */
export interface RequestTrace {
	readonly request_id: string;
	/** Milliseconds since the epoch. */
	readonly started_at: number;
	/** Null when the caller could not be identified. */
	readonly tenant_id: string | null;
	readonly key_id: string | null;
	readonly user_id_hash: string | null;
	/** Null for a bare upstream. */
	readonly feature: string | null;
	readonly release: string | null;
	readonly variant: 'control' | null;
	/** By flag the variant that it gave, or its value where it names none; null when it could not be used. */
	readonly flags: Readonly<Record<string, string | null>>;
	/** By flag why, in OpenFeature's words; `ERROR` when the contract's own choice held. */
	readonly flag_reasons: Readonly<Record<string, string>>;
	readonly prompt_name: string | null;
	readonly prompt_version: string | null;
	readonly prompt_hash: string | null;
	/** The upstream that produced the answer. */
	readonly upstream: string | null;
	/** The provider's name of the model that produced the answer. */
	readonly model_name: string | null;
	readonly provider: string | null;
	readonly provider_fingerprint: string | null;
	readonly streamed: boolean;
	readonly tokens_in: number;
	readonly tokens_out: number;
	/** Input tokens that the provider read from its cache, and that it wrote to it: parts of `tokens_in`. */
	readonly tokens_cached: number;
	readonly tokens_cache_written: number;
	/** Output tokens that the model thought: a part of `tokens_out`. */
	readonly tokens_reasoning: number;
	readonly cost_usd_micros: number;
	readonly cost_source: 'reported' | 'estimated' | null;
	readonly price_version: string | null;
	readonly latency_ms: number;
	readonly time_to_first_token_ms: number | null;
	/** Attempts beyond the first. */
	readonly retries: number;
	/** How often the client had sent the same before, as it says itself. */
	readonly client_retries: number;
	readonly cache_hit: 'none';
	readonly retrieval_collection: string | null;
	readonly retrieval_generation: string | null;
	/** Chunk ids in rank order, as used in the prompt. */
	readonly retrieval_doc_ids: readonly string[];
	readonly retrieval_scores: readonly number[];
	readonly guard_verdicts: readonly GuardVerdict[];
	readonly escalated_from: string | null;
	readonly degraded: boolean;
	/** Which failure policy answered, e.g. `upstream_timeout: fail_over`; null when none did. */
	readonly degraded_reason: string | null;
	readonly outcome: Outcome;
	readonly error_code: string | null;
	readonly finish_reason: string | null;
	readonly steps: readonly StepTrace[];
}

export interface StepTrace {
	/** 0-based order. */
	readonly seq: number;
	readonly stage: Stage;
	/** Milliseconds since the request started. */
	readonly started_ms: number;
	readonly latency_ms: number;
	readonly outcome: 'ok' | 'failed';
	readonly error_code: string | null;
	/** What this stage has to say for itself: small, flat, no prompt or answer text. */
	readonly detail: Readonly<Record<string, string | number | boolean | null>>;
	readonly attempts: readonly AttemptTrace[];
}

/**
 * Why an attempt was made. `first`: the request's own; `retry`: its upstream once more; `fail_over`: another upstream, also where a
 * contract escalates; `hedge`: beside one that was slow; `re_ask`: to say again what did not fit its schema.
 */
export const ATTEMPT_KINDS = ['first', 'retry', 'fail_over', 'hedge', 're_ask'] as const;
export type AttemptKind = (typeof ATTEMPT_KINDS)[number];

export interface AttemptTrace {
	/** 0-based within its step. */
	readonly seq: number;
	readonly upstream: string;
	readonly model_name: string | null;
	readonly provider_response_id: string | null;
	readonly started_ms: number;
	readonly latency_ms: number;
	readonly time_to_first_token_ms: number | null;
	/** `ok`, or the UpstreamFailure. */
	readonly outcome: string;
	readonly error: string | null;
	readonly tokens_in: number;
	readonly tokens_out: number;
	readonly cost_usd_micros: number;
	/** Null: it answered no request, or is of a release that did not say. */
	readonly kind: AttemptKind | null;
}

/** Where finished traces go. Never blocks and never throws: what cannot be kept is counted. */
export interface TraceSink {
	record(trace: RequestTrace): void;
	/** Traces that were refused because the buffer was full or the store failed, since start. */
	readonly dropped: number;
	/** Resolves when everything recorded so far is on disk. */
	flush(): Promise<void>;
}

export interface TraceFilter {
	/** Null: all tenants (only for an operator). */
	readonly tenantId: string | null;
	readonly feature: string | null;
	readonly limit: number;
}

/** What a feature did lately, against its objective. */
export interface FeatureStats {
	readonly feature: string;
	readonly requests: number;
	readonly failed: number;
	readonly degraded: number;
	/** Attempts beyond the first of each request. */
	readonly retries: number;
	/** Requests that a client sent again. */
	readonly client_retries: number;
	readonly latency_ms_p50: number;
	readonly latency_ms_p95: number;
	readonly time_to_first_token_ms_p95: number | null;
	readonly cost_usd_micros: number;
}

export interface TraceReader {
	/** Null when unknown or of another tenant. */
	find(requestId: string, tenantId: string | null): Promise<RequestTrace | null>;
	/** Newest first, without steps. */
	recent(filter: TraceFilter): Promise<readonly Omit<RequestTrace, 'steps'>[]>;
	/** What features did since an instant, milliseconds since the epoch. */
	stats(filter: Omit<TraceFilter, 'limit'> & { readonly sinceMs: number }): Promise<readonly FeatureStats[]>;
}
