import type { EmbeddingPrice } from '../spec/retrieval.ts';
import { cloudFamilyOf } from './cloud-family.ts';
import { bedrockUrl, vertexHost, withoutSlash } from './compile-upstream.ts';
import type { EmbedderConfig, HostedEmbedderConfig } from './embedder.ts';
import { embedderPreset } from './embedder-presets.ts';
import type { RawEmbedder } from './embedder-schema.ts';
import { modelPlace } from './model-place.ts';
import { usdToMicros } from './money.ts';
import { breakerOf } from './storm-schema.ts';

type RawHosted = Exclude<RawEmbedder, { family: 'builtin' | 'local' }>;

/** @param dir absolute folder of plimsoll.yaml. */
export function embedderOf(name: string, raw: RawEmbedder, dir: string): EmbedderConfig {
	const { aliases } = raw;
	if (raw.family === 'builtin') return { name, family: raw.family, dimensions: raw.dimensions, aliases };
	if (raw.family !== 'local') return hostedOf(name, raw);
	const { dimensions, query_prefix: queryPrefix, document_prefix: documentPrefix } = raw;
	const model = modelPlace(raw.model, dir);
	return { name, family: raw.family, model, dimensions, queryPrefix, documentPrefix, aliases };
}

function hostedOf(name: string, raw: RawHosted): HostedEmbedderConfig {
	const place = raw.base_url ?? regionalUrl(raw);
	return {
		name,
		baseUrl: place === null ? null : withoutSlash(place),
		apiKey: 'api_key' in raw ? raw.api_key : null,
		model: raw.model,
		dimensions: raw.dimensions,
		queryPrefix: raw.query_prefix,
		documentPrefix: raw.document_prefix,
		...typesOf(raw),
		requestDimensions: raw.request_dimensions,
		tokensMax: raw.tokens_max,
		batchMax: Math.min(raw.batch_max, raw.family === 'openai-compatible' ? embedderPreset(raw.preset).textsMax : 2_048),
		batchTokensMax: raw.batch_tokens_max,
		timeoutMs: raw.timeout_ms,
		concurrencyMax: raw.concurrency_max,
		requestsPerMinute: raw.requests_per_minute,
		tokensPerMinute: raw.tokens_per_minute,
		retriesMax: raw.retries_max,
		retryWaitMsMax: raw.retry_wait_ms_max,
		breaker: breakerOf(raw.breaker),
		checkIntervalMs: raw.check_interval_ms,
		providerOptions: raw.provider_options,
		aliases: raw.aliases,
		price: priceOf(raw.price),
		...familyOf(raw),
	};
}

function familyOf(raw: RawHosted) {
	switch (raw.family) {
		case 'openai-compatible':
			return { family: raw.family, wire: embedderPreset(raw.preset).wire };
		case 'vertex':
		case 'bedrock':
		case 'ai-sdk':
			return cloudFamilyOf(raw);
		default:
			return { family: raw.family };
	}
}

function typesOf(raw: RawHosted): Pick<HostedEmbedderConfig, 'queryType' | 'documentType'> {
	const usual = usualTypes(raw);
	const said = (own: string | null | undefined, other: string | null) => (own === undefined ? other : own);
	if (!('query_type' in raw)) return usual;
	return {
		queryType: said(raw.query_type, usual.queryType),
		documentType: said(raw.document_type, usual.documentType),
	};
}

/** What a provider is told where the file says nothing of it. */
function usualTypes(raw: RawHosted): Pick<HostedEmbedderConfig, 'queryType' | 'documentType'> {
	if (raw.family === 'openai-compatible') return embedderPreset(raw.preset);
	if (raw.family === 'bedrock' && raw.model.includes('cohere.embed-')) {
		return { queryType: 'search_query', documentType: 'search_document' };
	}
	if (raw.family === 'bedrock' && raw.model.includes('amazon.nova-')) {
		return { queryType: 'GENERIC_RETRIEVAL', documentType: 'GENERIC_INDEX' };
	}
	return { queryType: null, documentType: null };
}

function regionalUrl(raw: RawHosted): string | null {
	if (raw.family === 'bedrock') return bedrockUrl(raw.region);
	if (raw.family !== 'vertex') return null;
	const { region, project } = raw;
	return `https://${vertexHost(region)}/v1/projects/${project}/locations/${region}/publishers/google`;
}

function priceOf(raw: RawHosted['price']): EmbeddingPrice | null {
	if (raw === null) return null;
	const inputMicrosPerMillion = usdToMicros(raw.input_usd_per_million ?? 0) ?? 0;
	return { version: raw.version ?? 'free', inputMicrosPerMillion };
}
