export interface DiversityConfig {
	readonly kind: 'none' | 'deduplicate' | 'mmr';
	/** In [0, 1], of `deduplicate`. */
	readonly similarityMax: number;
	/** In [0, 1], of `mmr`. */
	readonly lambda: number;
	readonly pool: number;
}

/** A cross-encoder behind an endpoint. */
export interface HostedRerankConfig {
	readonly format: 'cohere' | 'jina' | 'tei';
	readonly baseUrl: string;
	readonly model: string;
	readonly apiKey: string | null;
	readonly pool: number;
	readonly timeoutMs: number;
	/** Of one search; null: nothing is billed. */
	readonly costMicros: number | null;
}

/** An ONNX cross-encoder in this process. */
export interface LocalRerankConfig {
	readonly format: 'local';
	/** A folder, absolute; or a hub id. */
	readonly model: string;
	readonly pool: number;
	readonly timeoutMs: number;
}

export type RerankConfig = HostedRerankConfig | LocalRerankConfig;

/** See `partition` of a collection. */
export interface PartitionConfig {
	/** `tenant`, or a field. */
	readonly by: string;
	readonly searchesMax: number;
	readonly queuedMax: number;
	readonly over: 'shed' | 'lexical';
}
