import * as z from 'zod';
import { integer, MILLISECONDS, text } from './fields.ts';
import { usdToMicros } from './money.ts';
import { apiKey, baseUrl } from './upstream-schema.ts';

/** Under the name that a client knows, an embedder stands in for a provider's model. */
const aliases = z
	.array(z.string().min(1).max(200))
	.max(16)
	.meta({
		description: 'Further names under which clients of `POST /v1/embeddings` may ask for it.',
		'x-expected': 'a list of names',
	})
	.default([]);

const price = z
	.strictObject({
		version: text(1, 100, {
			description: 'Names this price, such as its date; every trace carries it.',
			'x-default': '**required**, unless the price is free',
			examples: ['2026-11-01'],
		}).optional(),
		input_usd_per_million: z
			.number()
			.gt(0)
			.max(1_000_000)
			.refine((usd) => usdToMicros(usd) !== null, 'is finer than a millionth of a dollar')
			.meta({
				description: 'Input tokens.',
				'x-unit': 'US dollars per million tokens',
				'x-default': '**required**, unless the price is free',
				examples: [0.02],
			})
			.optional(),
		free: z
			.boolean()
			.meta({
				description: 'True: nothing is charged. The only way to say that; a price of 0 is refused.',
				examples: [false],
			})
			.default(false),
	})
	.refine(
		({ free, version, input_usd_per_million: usd }) =>
			free ? usd === undefined : usd !== undefined && version !== undefined,
		'needs version and input_usd_per_million, or free: true alone',
	)
	.meta({
		description:
			'What the provider charges, for requests to `POST /v1/embeddings`. Null: `prices.unknown` decides, and an estimate is $0.50 per million tokens.',
	})
	.nullable()
	.default(null);

const dimensions = integer(8, 8_192, { description: 'Length of a vector.', examples: [384] });
const prefixes = {
	query_prefix: text(0, 1_000, { description: 'Put before every query, where the model asks for it.' }).default(''),
	document_prefix: text(0, 1_000, { description: 'Put before every document.' }).default(''),
};

export const embedder = z
	.discriminatedUnion('family', [
		z.strictObject({
			family: z.literal('builtin').meta({ description: 'Deterministic, in process, no download.' }),
			dimensions: dimensions.default(256),
			aliases,
		}),
		z.strictObject({
			family: z.literal('openai-compatible').meta({ description: 'Any `/v1/embeddings` endpoint.' }),
			base_url: baseUrl,
			api_key: apiKey,
			model: text(1, 200, {
				description: 'The provider’s own name of the model.',
				examples: ['text-embedding-3-small'],
			}),
			dimensions,
			...prefixes,
			batch_max: integer(1, 2_048, { description: 'Texts in one call.' }).default(64),
			timeout_ms: integer(1, 600_000, { description: 'One call.', 'x-unit': MILLISECONDS }).default(30_000),
			aliases: aliases.meta({ examples: [['text-embedding-3-small']] }),
			price,
		}),
		z.strictObject({
			family: z.literal('local').meta({ description: 'An ONNX sentence transformer, in process.' }),
			model: text(1, 1_000, {
				description: 'A folder (starting with ./ or / or ../) or a hub id.',
				examples: ['Xenova/all-MiniLM-L6-v2'],
			}),
			dimensions,
			...prefixes,
			aliases,
		}),
	])
	.meta({ description: 'Turns text into vectors.' });

export type RawEmbedder = z.output<typeof embedder>;
