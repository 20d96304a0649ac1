import * as z from 'zod';
import { decimal, integer, MILLISECONDS, text } from './fields.ts';
import { usdToMicros } from './money.ts';
import type { DiversityConfig, RerankConfig } from './ranking-config.ts';
import { apiKey, baseUrl } from './upstream-schema.ts';

/** How passages that say the same again are kept from one another. */
export const diversity = z
	.strictObject({
		kind: z
			.enum(['none', 'deduplicate', 'mmr'])
			.meta({
				description:
					'`deduplicate`: leaves out what is too similar to something better; `mmr`: trades relevance for difference; `none`: neither.',
			})
			.default('none'),
		similarity_max: decimal(0, 1, {
			description: 'Of `deduplicate`: the share of common shingles of three words above which a passage is left out.',
		}).default(0.8),
		lambda: decimal(0, 1, { description: 'Of `mmr`: 1 is relevance alone, 0 difference alone.' }).default(0.7),
		pool: integer(1, 200, { description: 'Passages from which the `k` are chosen.' }).default(50),
	})
	.prefault({})
	.meta({ description: 'How near-duplicates are kept out of the result.' });

/** A cross-encoder behind an endpoint. */
export const rerank = z
	.strictObject({
		format: z.enum(['cohere', 'jina', 'tei']).meta({
			examples: ['cohere'],
			description:
				'What the endpoint speaks: Cohere’s second version, Jina’s (also vLLM, Infinity and llama.cpp), or that of Text Embeddings Inference. `rerank` is put behind `base_url`.',
		}),
		base_url: baseUrl,
		model: text(1, 200, {
			description: 'Its name there; a TEI server has one model and is not told.',
			examples: ['rerank-v3.5'],
		}),
		api_key: apiKey,
		pool: integer(1, 200, { description: 'The best passages, which are ordered anew.' }).default(50),
		timeout_ms: integer(1, 60_000, {
			description: 'Of the one attempt; then the fused order stands, marked degraded.',
			'x-unit': MILLISECONDS,
		}).default(1_000),
		price_usd_per_thousand: z
			.number()
			.min(0)
			.max(1_000)
			.refine((usd) => usdToMicros(usd) !== null, 'is finer than a millionth of a dollar')
			.meta({
				description: 'What a thousand searches cost; null: nothing that is billed.',
				'x-unit': 'US dollars',
				examples: [2],
			})
			.nullable()
			.default(null),
	})
	.nullable()
	.default(null)
	.meta({ description: 'A cross-encoder that orders the best passages anew; null: none.' });

export function diversityOf(raw: z.output<typeof diversity>): DiversityConfig {
	const { kind, similarity_max: similarityMax, lambda, pool } = raw;
	return { kind, similarityMax, lambda, pool };
}

export function rerankOf(raw: z.output<typeof rerank>): RerankConfig | null {
	if (raw === null) return null;
	const { format, model, pool, price_usd_per_thousand: usd } = raw;
	const costMicros = usd === null ? null : Math.ceil((usdToMicros(usd) ?? 0) / 1_000);
	const place = { baseUrl: raw.base_url.replace(/\/+$/, ''), apiKey: raw.api_key ?? null };
	return { format, model, pool, timeoutMs: raw.timeout_ms, costMicros, ...place };
}
