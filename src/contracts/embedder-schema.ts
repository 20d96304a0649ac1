import * as z from 'zod';
import { EMBEDDER_PRESET_NAMES } from './embedder-presets.ts';
import { integer, localModel, MILLISECONDS, SECRET_EXPECTED, TOKENS, text } from './fields.ts';
import { usdToMicros } from './money.ts';
import { breaker } from './storm-schema.ts';
import { apiKey, baseUrl, cloudSecret, providerOptions, region, sdkPackage } from './upstream-schema.ts';

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
			'What the provider charges. Null: `prices.unknown` decides, and an estimate is $0.50 per million tokens.',
	})
	.nullable()
	.default(null);

const dimensions = integer(8, 8_192, { description: 'Length of a vector.', examples: [384] });
const prefixes = {
	query_prefix: text(0, 1_000, { description: 'Put before every query, where the model asks for it.' }).default(''),
	document_prefix: text(0, 1_000, { description: 'Put before every document.' }).default(''),
};

const perMinute = (what: string, example: number) =>
	integer(1, 1_000_000_000, {
		description: `${what} that this process sends the provider in a minute; null: as many as there are.`,
		'x-unit': what.toLowerCase(),
		examples: [example],
	})
		.nullable()
		.default(null);

/** How calls to an endpoint are paced, repeated and given up. */
const calls = {
	batch_max: integer(1, 2_048, {
		description: 'Texts in one call, at most what the provider takes.',
	}).default(64),
	batch_tokens_max: integer(1, 10_000_000, {
		description: 'Tokens in one call, by our count. A longer text has a call of its own.',
		'x-unit': TOKENS,
	}).default(100_000),
	timeout_ms: integer(1, 600_000, { description: 'One call.', 'x-unit': MILLISECONDS }).default(30_000),
	concurrency_max: integer(1, 256, { description: 'Calls at once. Queries go before documents.' }).default(4),
	requests_per_minute: perMinute('Requests', 3_000),
	tokens_per_minute: perMinute('Tokens', 1_000_000),
	retries_max: integer(0, 20, {
		description: 'How often an ingestion repeats a call that may be repeated. A query is repeated once at most.',
	}).default(6),
	retry_wait_ms_max: integer(0, 3_600_000, {
		description: 'How long an ingestion waits for one call to succeed, all waits together.',
		'x-unit': MILLISECONDS,
	}).default(300_000),
	breaker,
};

/** What every embedder behind an endpoint has. */
const hosted = (settings: { model: string; batch?: number }) => ({
	model: text(1, 200, { description: 'The provider’s own name of the model.', examples: [settings.model] }),
	dimensions,
	request_dimensions: z
		.boolean()
		.meta({ description: 'Asks the provider for vectors of `dimensions`, where the model can make shorter ones.' })
		.default(false),
	...prefixes,
	tokens_max: integer(16, 1_000_000, {
		description: 'The longest text that the model reads; longer ones it cuts or refuses.',
		'x-unit': TOKENS,
	}).default(8_192),
	...calls,
	check_interval_ms: integer(60_000, 604_800_000, {
		description:
			'How often the fingerprint is measured again and compared with that of the live indexes; null: only at start, and when the provider says that it serves something else.',
		'x-unit': MILLISECONDS,
	})
		.nullable()
		.default(3_600_000),
	provider_options: providerOptions.meta({
		description: 'What only this provider knows, sent with every call as it stands here. It is a part of the identity.',
	}),
	aliases: aliases.meta({ examples: [[settings.model]] }),
	price,
});

/** What the provider is told that a text is. */
const types = (query: string | null, document: string | null, what: string) => {
	const one = (kind: string, value: string | null) =>
		text(1, 100, { description: `What ${what} is told of a ${kind}; null: nothing.` })
			.nullable()
			.default(value);
	return { query_type: one('query', query), document_type: one('document', document) };
};

const secret = (variable: string) =>
	z.string().meta({
		description: 'The provider’s key. Never written here itself.',
		'x-expected': SECRET_EXPECTED,
		examples: [{ env: variable }],
	});

const address = (base: string) => baseUrl.meta({ examples: [base] }).default(base);

const openAiCompatible = z.strictObject({
	family: z.literal('openai-compatible').meta({
		description: 'Any `/v1/embeddings` endpoint. A `preset` knows the address and the quirks of one.',
		'x-preset': true,
	}),
	preset: z
		.enum(EMBEDDER_PRESET_NAMES)
		.meta({
			description:
				'Fills in what is known of a vendor: `base_url`, the variable of `api_key` and how it is told what a text is. What the file says itself goes before it.',
			examples: ['openai'],
		})
		.nullable()
		.default(null),
	base_url: baseUrl.meta({ 'x-preset': true }),
	api_key: apiKey,
	query_type: text(1, 100, {
		description: 'What the endpoint is told of a query, where the preset knows a parameter for it; null: nothing.',
	})
		.meta({ 'x-default': 'as the preset has it' })
		.nullable()
		.optional(),
	document_type: text(1, 100, { description: 'The same of a document.' })
		.meta({ 'x-default': 'as the preset has it' })
		.nullable()
		.optional(),
	...hosted({ model: 'text-embedding-3-small' }),
});

const cohere = z.strictObject({
	family: z.literal('cohere').meta({ description: 'Cohere’s Embed API. Its package is installed on demand.' }),
	base_url: address('https://api.cohere.com/v2'),
	api_key: secret('COHERE_API_KEY'),
	...types('search_query', 'search_document', '`input_type`'),
	...hosted({ model: 'embed-v4.0' }),
});

const google = z.strictObject({
	family: z.literal('google').meta({ description: 'Google’s Gemini API.' }),
	base_url: address('https://generativelanguage.googleapis.com/v1beta'),
	api_key: secret('GEMINI_API_KEY'),
	...types('RETRIEVAL_QUERY', 'RETRIEVAL_DOCUMENT', '`taskType`'),
	...hosted({ model: 'gemini-embedding-001' }),
});

const vertex = z.strictObject({
	family: z.literal('vertex').meta({
		description:
			'Embedding models on Google’s Vertex AI. Enters with a service account (`credentials`), or without as the account of the Google machine that it runs on.',
	}),
	project: text(1, 100, { description: 'The Google Cloud project.', examples: ['my-project'] }),
	region: region({ description: 'The location of the model, or `global`.' }).default('us-central1'),
	base_url: baseUrl.meta({ 'x-default': 'the address of the region', examples: [] }).optional(),
	credentials: cloudSecret('The JSON of a service account’s key.').meta({ examples: [{ env: 'GOOGLE_CREDENTIALS' }] }),
	...types('RETRIEVAL_QUERY', 'RETRIEVAL_DOCUMENT', '`task_type`'),
	...hosted({ model: 'text-embedding-005' }),
});

const bedrock = z.strictObject({
	family: z.literal('bedrock').meta({
		description:
			'Embedding models on Amazon Bedrock: Titan, Nova, Cohere. Enters with a key of Bedrock’s (`api_key`), or with an access key. Its package is installed on demand.',
	}),
	region: region({ description: 'The AWS region.', examples: ['eu-central-1'] }),
	base_url: baseUrl.meta({ 'x-default': 'the address of the region', examples: [] }).optional(),
	api_key: cloudSecret('A key of Bedrock’s, sent as a bearer token.').meta({ examples: [{ env: 'BEDROCK_KEY' }] }),
	access_key_id: text(1, 200, { description: 'With `secret_access_key`: signs each request.' })
		.nullable()
		.default(null),
	secret_access_key: cloudSecret('With `access_key_id`.'),
	session_token: cloudSecret('With an access key that is temporary.'),
	query_type: text(1, 100, {
		description: 'What Cohere’s `input_type`, or Nova’s `embeddingPurpose`, is told of a query; null: nothing.',
	})
		.meta({ 'x-default': '`search_query` for Cohere’s models, `GENERIC_RETRIEVAL` for Nova’s' })
		.nullable()
		.optional(),
	document_type: text(1, 100, { description: 'The same of a document.' })
		.meta({ 'x-default': '`search_document` for Cohere’s models, `GENERIC_INDEX` for Nova’s' })
		.nullable()
		.optional(),
	...hosted({ model: 'amazon.titan-embed-text-v2:0' }),
});

const aiSdk = z.strictObject({
	family: z.literal('ai-sdk').meta({
		description: 'Any other provider through its AI SDK package (embedding model specification v4), which you install.',
	}),
	...sdkPackage,
	base_url: baseUrl.meta({ 'x-default': 'as the package has it', examples: [] }).optional(),
	api_key: cloudSecret('The provider’s key.').meta({ examples: [{ env: 'MISTRAL_API_KEY' }] }),
	...hosted({ model: 'mistral-embed' }),
});

export const embedder = z
	.discriminatedUnion('family', [
		z.strictObject({
			family: z.literal('builtin').meta({ description: 'Deterministic, in process, no download.' }),
			dimensions: dimensions.default(256),
			aliases,
		}),
		openAiCompatible,
		cohere,
		google,
		vertex,
		bedrock,
		aiSdk,
		z.strictObject({
			family: z.literal('local').meta({ description: 'An ONNX sentence transformer, in process.' }),
			model: localModel('Xenova/all-MiniLM-L6-v2'),
			dimensions,
			...prefixes,
			aliases,
		}),
	])
	.meta({ description: 'Turns text into vectors.' });

export type RawEmbedder = z.output<typeof embedder>;
