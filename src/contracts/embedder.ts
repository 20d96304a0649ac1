import type { EmbeddingPrice } from '../spec/retrieval.ts';
import type { BreakerSettings } from './breaker-settings.ts';
import type { CloudFamily } from './cloud-family.ts';

interface EmbedderBase {
	readonly name: string;
	readonly dimensions: number;
	/** Further names under which clients may ask for it. */
	readonly aliases: readonly string[];
}

/** An embedder that computes in this process. */
export type LocalEmbedderConfig = EmbedderBase & {
	readonly family: 'local';
	/** A folder with an ONNX sentence transformer, absolute; or a hub id such as `Xenova/all-MiniLM-L6-v2`. */
	readonly model: string;
	readonly queryPrefix: string;
	readonly documentPrefix: string;
};

/** How an endpoint that speaks OpenAI's embeddings differs from OpenAI. */
export interface EmbeddingWire {
	readonly keyHeader: 'authorization' | 'api-key';
	/** Whether it takes `encoding_format: float`. */
	readonly encodingFormat: boolean;
	/** The parameter that takes the number of dimensions. */
	readonly dimensionsField: string;
	/** The parameter that takes what a text is; null: it has none. */
	readonly typeField: string | null;
}

/** How its calls are paced, repeated and given up. */
interface EmbedderCalls {
	readonly batchMax: number;
	readonly batchTokensMax: number;
	/** One call. */
	readonly timeoutMs: number;
	/** Calls at once. */
	readonly concurrencyMax: number;
	/** Of this process; null: as many as may. */
	readonly requestsPerMinute: number | null;
	readonly tokensPerMinute: number | null;
	/** How often an ingestion repeats a call. */
	readonly retriesMax: number;
	/** How long an ingestion waits for one call to succeed, all its waits together. */
	readonly retryWaitMsMax: number;
	/** Null: it has none. */
	readonly breaker: BreakerSettings | null;
}

/** An embedder behind an endpoint. */
export type HostedEmbedderConfig = EmbedderBase &
	EmbedderCalls & {
		/** Null only where a package knows the address. */
		readonly baseUrl: string | null;
		readonly apiKey: string | null;
		readonly model: string;
		readonly queryPrefix: string;
		readonly documentPrefix: string;
		/** What the provider is told that a text is; null: nothing. */
		readonly queryType: string | null;
		readonly documentType: string | null;
		/** Whether the provider is asked for vectors of `dimensions`. */
		readonly requestDimensions: boolean;
		/** The longest text that the model reads. */
		readonly tokensMax: number;
		/** Sent with every call. */
		readonly providerOptions: Readonly<Record<string, unknown>>;
		readonly price: EmbeddingPrice | null;
		/** How often its fingerprint is compared; null: at start and when the provider says that something changed. */
		readonly checkIntervalMs: number | null;
	} & (
		| { readonly family: 'openai-compatible'; readonly wire: EmbeddingWire }
		| { readonly family: 'cohere' | 'google' }
		| CloudFamily
	);

export type EmbedderConfig =
	| (EmbedderBase & { readonly family: 'builtin' })
	| LocalEmbedderConfig
	| HostedEmbedderConfig;

export function isHosted(config: EmbedderConfig): config is HostedEmbedderConfig {
	return config.family !== 'builtin' && config.family !== 'local';
}
