import { type Clock, systemClock } from '../../src/base/clock.ts';
import { type Random, systemRandom } from '../../src/base/random.ts';
import type { EmbedderConfig, HostedEmbedderConfig } from '../../src/contracts/embedder.ts';
import { createEmbeddingModel } from '../../src/models/create-embedding-model.ts';
import { EmbedderPool, type EmbedderPoolParts } from '../../src/retrieval/embedding/embedder-pool.ts';
import { type EmbeddingSpace, sameSpace } from '../../src/retrieval/embedding/embedding-space.ts';
import { Measurements } from '../../src/retrieval/embedding/measurements.ts';
import { QueryEmbedder } from '../../src/retrieval/embedding/query-embedder.ts';
import { QueryVectors } from '../../src/retrieval/embedding/query-vectors.ts';
import type { Embedder, EmbedderSource } from '../../src/spec/embedding.ts';

export type OpenAiEmbedderConfig = Extract<HostedEmbedderConfig, { family: 'openai-compatible' }>;

/** What every embedder behind an endpoint has, as the schema has it by default. */
export const HOSTED_DEFAULTS = {
	name: 'remote',
	aliases: [],
	apiKey: null,
	model: 'm',
	dimensions: 64,
	queryPrefix: '',
	documentPrefix: '',
	queryType: null,
	documentType: null,
	requestDimensions: false,
	tokensMax: 8_192,
	batchMax: 64,
	batchTokensMax: 100_000,
	timeoutMs: 10_000,
	concurrencyMax: 4,
	requestsPerMinute: null,
	tokensPerMinute: null,
	retriesMax: 6,
	retryWaitMsMax: 300_000,
	breaker: null,
	checkIntervalMs: null,
	providerOptions: {},
	price: null,
} as const;

export function openAiEmbedder(baseUrl: string, overrides: Partial<OpenAiEmbedderConfig> = {}): OpenAiEmbedderConfig {
	const wire = {
		keyHeader: 'authorization',
		encodingFormat: true,
		dimensionsField: 'dimensions',
		typeField: null,
	} as const;
	return { ...HOSTED_DEFAULTS, family: 'openai-compatible', baseUrl, wire, ...overrides };
}

/** The parts of a pool over real endpoints. */
export function poolParts({
	clock = systemClock,
	random = systemRandom,
}: {
	clock?: Clock;
	random?: Random;
} = {}): EmbedderPoolParts {
	return {
		clock,
		random,
		cacheDir: '/nonexistent',
		openModel: (config) => createEmbeddingModel(config, { clock }),
	};
}

/** A pool of these embedders; the caller closes it. */
export async function embedderPool(
	configs: readonly EmbedderConfig[],
	parts: Partial<EmbedderPoolParts> & { clock?: Clock } = {},
): Promise<EmbedderPool> {
	const pool = new EmbedderPool({ ...poolParts(parts), ...parts });
	await pool.update(new Map(configs.map((config) => [config.name, config])));
	return pool;
}

/** Queries for one embedder that nobody measures: its names decide whether an index fits. */
export function namedQueries(get: EmbedderSource['get'], clock: Clock): QueryEmbedder {
	const watch = {
		judge: async (_name: string, { identity }: Embedder, space: EmbeddingSpace) =>
			sameSpace(space, { identity, fingerprint: null }),
	};
	return new QueryEmbedder({ embedders: { get }, watch, vectors: new QueryVectors(new Measurements(clock)) });
}
