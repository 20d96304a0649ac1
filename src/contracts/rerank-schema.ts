import * as z from 'zod';
import { decimal, integer, localModel, MILLISECONDS, text } from './fields.ts';
import { modelPlace } from './model-place.ts';
import { usdToMicros } from './money.ts';
import type { DiversityConfig, HostedRerankConfig, RerankConfig } from './ranking-config.ts';
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

const pool = integer(1, 200, { description: 'The best passages, which are ordered anew.' });
const timeoutMs = integer(1, 60_000, {
	description: 'Of the one attempt; then the fused order stands, marked degraded.',
	'x-unit': MILLISECONDS,
});

const endpoint = {
	base_url: baseUrl,
	model: text(1, 200, { description: 'Its name there, and in traces.', examples: ['rerank-v3.5'] }),
	api_key: apiKey,
	pool: pool.default(50),
	timeout_ms: timeoutMs.default(1_000),
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
};

const hosted = <Format extends HostedRerankConfig['format']>(format: Format, description: string) =>
	z.strictObject({ format: z.literal(format).meta({ description }), ...endpoint });

const local = z.strictObject({
	format: z.literal('local').meta({
		description: 'An ONNX cross-encoder in this process. Its package is installed on demand.',
	}),
	model: localModel('Xenova/ms-marco-MiniLM-L-6-v2'),
	pool: pool.default(10),
	timeout_ms: timeoutMs.default(1_000),
});

export const rerank = z
	.discriminatedUnion('format', [
		hosted('cohere', 'Cohere’s API, version 2; `/rerank` is put behind `base_url`.'),
		hosted('jina', 'Jina’s API, which vLLM, Infinity and llama.cpp speak too; `/rerank` is put behind `base_url`.'),
		hosted('tei', 'Text Embeddings Inference, which has one model and is not told its name.'),
		local,
	])
	.meta({ description: 'A cross-encoder that orders the best passages anew; null: none.' })
	.nullable()
	.default(null);

export function diversityOf(raw: z.output<typeof diversity>): DiversityConfig {
	const { kind, similarity_max: similarityMax, lambda, pool } = raw;
	return { kind, similarityMax, lambda, pool };
}

/** @param dir absolute folder of plimsoll.yaml. */
export function rerankOf(raw: z.output<typeof rerank>, dir: string): RerankConfig | null {
	if (raw === null) return null;
	const { pool, timeout_ms: timeoutMs } = raw;
	if (raw.format === 'local') return { format: raw.format, model: modelPlace(raw.model, dir), pool, timeoutMs };
	const { format, model, price_usd_per_thousand: usd } = raw;
	const costMicros = usd === null ? null : Math.ceil((usdToMicros(usd) ?? 0) / 1_000);
	const place = { baseUrl: raw.base_url.replace(/\/+$/, ''), apiKey: raw.api_key ?? null };
	return { format, model, pool, timeoutMs, costMicros, ...place };
}
