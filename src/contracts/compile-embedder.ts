import { isAbsolute, join } from 'node:path';
import type { EmbeddingPrice } from '../spec/retrieval.ts';
import { withoutSlash } from './compile-upstream.ts';
import type { RawEmbedder } from './embedder-schema.ts';
import { usdToMicros } from './money.ts';
import type { EmbedderConfig } from './project.ts';

/** @param dir absolute folder of plimsoll.yaml. */
export function embedderOf(name: string, raw: RawEmbedder, dir: string): EmbedderConfig {
	const { aliases } = raw;
	if (raw.family === 'builtin') return { name, family: raw.family, dimensions: raw.dimensions, aliases };
	const { dimensions, query_prefix: queryPrefix, document_prefix: documentPrefix } = raw;
	if (raw.family === 'local') {
		const isPath = isAbsolute(raw.model) || /^\.\.?[/\\]/.test(raw.model);
		const model = isPath && !isAbsolute(raw.model) ? join(dir, raw.model) : raw.model;
		return { name, family: raw.family, model, dimensions, queryPrefix, documentPrefix, aliases };
	}
	return {
		name,
		family: raw.family,
		baseUrl: withoutSlash(raw.base_url),
		apiKey: raw.api_key,
		model: raw.model,
		dimensions,
		queryPrefix,
		documentPrefix,
		batchMax: raw.batch_max,
		timeoutMs: raw.timeout_ms,
		aliases,
		price: priceOf(raw.price),
	};
}

function priceOf(raw: Extract<RawEmbedder, { family: 'openai-compatible' }>['price']): EmbeddingPrice | null {
	if (raw === null) return null;
	const inputMicrosPerMillion = usdToMicros(raw.input_usd_per_million ?? 0) ?? 0;
	return { version: raw.version ?? 'free', inputMicrosPerMillion };
}
