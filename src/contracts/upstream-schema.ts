import * as z from 'zod';
import { integer, MILLISECONDS, SECRET_EXPECTED, TOKENS, text } from './fields.ts';
import { PRESET_NAMES } from './presets.ts';
import { price } from './price-schema.ts';
import { breaker } from './storm-schema.ts';

/** Shared with the check that compares two fields, one of which may be left out. */
export const CONTEXT_TOKENS_DEFAULT = 128_000;

const limits = {
	context_tokens_max: integer(256, 10_000_000, {
		description: 'The model’s context window: input and output together.',
		'x-unit': TOKENS,
	}).default(CONTEXT_TOKENS_DEFAULT),
	tokens_out_max: integer(1, 1_000_000, {
		description: 'The longest answer that the model can give.',
		'x-unit': TOKENS,
	}).default(4_096),
	tokenizer: z
		.enum(['o200k_base', 'cl100k_base'])
		.meta({ description: 'Counts prompts before they are sent. For models of other makers the count is an estimate.' })
		.default('o200k_base'),
	side_effects: z
		.boolean()
		.meta({
			description:
				'True for an endpoint that acts on the world, such as an agent with tools of its own. Once a request was sent to it, neither it nor another upstream is asked again, and before it is sent for a request with an idempotency key, the ledger of effects says so.',
		})
		.default(false),
	timeouts: z
		.strictObject({
			connect_ms: integer(1, 600_000, { description: 'Opening the connection.', 'x-unit': MILLISECONDS }).default(
				3_000,
			),
			first_token_ms: integer(1, 600_000, {
				description: 'From sending the request to the first token of a stream, or to the whole of a plain answer.',
				'x-unit': MILLISECONDS,
			}).default(20_000),
			idle_ms: integer(1, 600_000, {
				description: 'Silence between two pieces of a stream.',
				'x-unit': MILLISECONDS,
			}).default(10_000),
			total_ms: integer(1, 600_000, { description: 'One attempt as a whole.', 'x-unit': MILLISECONDS }).default(60_000),
		})
		.prefault({})
		.meta({ description: 'Time-outs of one attempt.' }),
	breaker,
};

export const baseUrl = text(1, 2_000, {
	description: 'Where the API lives, up to and with its version.',
	'x-expected': 'an http or https address such as https://api.openai.com/v1',
	examples: ['https://api.openai.com/v1'],
});

export const apiKey = z
	.string()
	.meta({
		description: 'Sent as a bearer token. Never written here itself; null when the provider needs none.',
		'x-expected': SECRET_EXPECTED,
		examples: [{ env: 'OPENAI_API_KEY' }],
	})
	.nullable()
	.default(null);

const optional = z
	.boolean()
	.meta({
		description:
			'True leaves the upstream out of every route unless an environment variable that its key or `base_url` names is set.',
	})
	.default(false);

const connections = integer(1, 10_000, { description: 'Pooled connections to the provider.' }).default(256);

const modelName = (example: string) =>
	text(1, 200, { description: 'The provider’s own name of the model.', examples: [example] });

export const providerOptions = z
	.record(z.string().min(1).max(100), z.unknown())
	.meta({
		description:
			'What only this provider knows, sent with every call as it stands here. Those of a contract or a client stand under the provider’s name in `provider_options` and go before these.',
		'x-expected': 'a mapping of the provider’s own options',
	})
	.default({});

const continuesTurn = z
	.boolean()
	.meta({
		description:
			'Whether the model goes on with an answer whose beginning is the last message of its request, so that a stream that broke elsewhere can be continued here. Many do, OpenAI’s and Anthropic’s newest do not.',
	})
	.default(false);

const privateAddresses = z
	.enum(['refuse', 'allow'])
	.meta({
		description:
			'Whether `base_url` may be of this machine or of a private network, as a proxy’s is. Link-local addresses, where clouds keep a machine’s secrets, are always refused.',
		'x-default': '`allow` for presets of servers of one’s own and for what has no preset, else `refuse`',
		examples: ['allow'],
	})
	.optional();

/** What every family behind a provider's package has. */
const behind = {
	private_addresses: privateAddresses,
	continues_assistant_turn: continuesTurn,
	connections_max: connections,
	provider_options: providerOptions,
	...limits,
	price,
};

/** Of families whose provider has one address, and no use without a key. */
const vendor = (settings: { base: string; key: string; model: string }) => ({
	optional,
	base_url: baseUrl.meta({ examples: [settings.base] }).default(settings.base),
	model: modelName(settings.model),
	api_key: z.string().meta({
		description: 'The provider’s key. Never written here itself.',
		'x-expected': SECRET_EXPECTED,
		examples: [{ env: settings.key }],
	}),
	...behind,
});

export const region = (about: { description: string; examples?: readonly string[] }) =>
	z
		.string()
		.regex(/^[a-z][a-z0-9-]{0,62}$/)
		.meta({ ...about, 'x-expected': 'the name of a region, such as eu-central-1 or europe-west4' });

export const cloudSecret = (description: string) =>
	z
		.string()
		.meta({ description: `${description} Never written here itself.`, 'x-expected': SECRET_EXPECTED })
		.nullable()
		.default(null);

const tokensOutParameter = z
	.enum(['max_tokens', 'max_completion_tokens'])
	.meta({
		description:
			'The parameter in which the provider takes the longest answer. Most endpoints know `max_tokens`; OpenAI’s reasoning models know only `max_completion_tokens`.',
	})
	.default('max_tokens');

const openAiCompatible = z.strictObject({
	family: z.literal('openai-compatible').meta({
		description: 'Any endpoint that speaks OpenAI’s wire format. A `preset` knows the address and the quirks of one.',
		'x-preset': true,
	}),
	preset: z
		.enum(PRESET_NAMES)
		.meta({
			description:
				'Fills in what is known of a vendor: `base_url`, the variable of `api_key`, `tokens_out_parameter` and the other quirks. What the file says itself goes before it.',
			examples: ['openai'],
		})
		.nullable()
		.default(null),
	optional,
	base_url: baseUrl.meta({ 'x-preset': true }),
	model: modelName('gpt-4.1-mini'),
	api_key: apiKey,
	api_key_header: z
		.enum(['authorization', 'api-key'])
		.meta({ description: 'How the key is sent: as a bearer token, or as it is in Azure’s header.' })
		.default('authorization'),
	api_version: text(1, 40, {
		description:
			'Azure’s `api-version`, for the address by deployment that takes one. Null uses the address of version 1, which takes none. Only with the preset `azure`.',
	})
		.nullable()
		.default(null),
	stream_usage: z
		.boolean()
		.meta({ description: 'Whether the endpoint takes `stream_options`; false asks for no usage report of a stream.' })
		.default(true),
	continues_assistant_turn: continuesTurn,
	json_schema: z
		.boolean()
		.meta({ description: 'Whether the endpoint takes `response_format` with a JSON schema; false refuses it by name.' })
		.default(true),
	connections_max: connections,
	private_addresses: privateAddresses,
	provider_options: providerOptions,
	...limits,
	tokens_out_parameter: tokensOutParameter,
	price,
});

const extractive = z.strictObject({
	family: z
		.literal('extractive')
		.meta({ description: 'Answers in process by quoting passages. Not a language model.' }),
	model: text(1, 200, { description: 'The name that the trace shows.' }).default('extractive'),
	...limits,
	tokens_out_parameter: tokensOutParameter,
	price: price.default({ version: 'in-process', free: true }),
});

const anthropic = z.strictObject({
	family: z.literal('anthropic').meta({ description: 'Anthropic’s Messages API.' }),
	...vendor({ base: 'https://api.anthropic.com/v1', key: 'ANTHROPIC_API_KEY', model: 'claude-sonnet-4-5' }),
});

const google = z.strictObject({
	family: z.literal('google').meta({ description: 'Google’s Gemini API.' }),
	...vendor({
		base: 'https://generativelanguage.googleapis.com/v1beta',
		key: 'GEMINI_API_KEY',
		model: 'gemini-2.5-flash',
	}),
});

const cohere = z.strictObject({
	family: z.literal('cohere').meta({ description: 'Cohere’s Chat API. Its package is installed on demand.' }),
	...vendor({ base: 'https://api.cohere.com/v2', key: 'COHERE_API_KEY', model: 'command-a-03-2025' }),
});

const vertex = z.strictObject({
	family: z.literal('vertex').meta({
		description:
			'Gemini on Google’s Vertex AI. Enters with a service account (`credentials`), a key of express mode (`api_key`), or without either as the account of the Google machine that it runs on.',
	}),
	optional,
	project: text(1, 100, { description: 'The Google Cloud project. Not with `api_key`.', examples: ['my-project'] })
		.nullable()
		.default(null),
	region: region({ description: 'The location of the model, or `global`.' }).default('global'),
	base_url: baseUrl.meta({ 'x-default': 'the address of the region', examples: [] }).optional(),
	model: modelName('gemini-2.5-flash'),
	api_key: cloudSecret('A key of express mode.'),
	credentials: cloudSecret('The JSON of a service account’s key.').meta({ examples: [{ env: 'GOOGLE_CREDENTIALS' }] }),
	...behind,
});

const bedrock = z.strictObject({
	family: z.literal('bedrock').meta({
		description:
			'Amazon Bedrock’s Converse API. Enters with a key of Bedrock’s (`api_key`), or with an access key. Its package is installed on demand.',
	}),
	optional,
	region: region({ description: 'The AWS region.', examples: ['eu-central-1'] }),
	base_url: baseUrl.meta({ 'x-default': 'the address of the region', examples: [] }).optional(),
	model: modelName('anthropic.claude-sonnet-4-5-20250929-v1:0'),
	api_key: cloudSecret('A key of Bedrock’s, sent as a bearer token.').meta({ examples: [{ env: 'BEDROCK_KEY' }] }),
	access_key_id: text(1, 200, { description: 'With `secret_access_key`: signs each request.' })
		.nullable()
		.default(null),
	secret_access_key: cloudSecret('With `access_key_id`.'),
	session_token: cloudSecret('With an access key that is temporary.'),
	...behind,
});

const PACKAGE = /^(?:@[a-z0-9][a-z0-9._-]*\/)?[a-z0-9][a-z0-9._-]*(?:\/[a-z0-9][a-z0-9._-]*)*$/;

/** Which AI SDK package makes a provider, of models or of embeddings. */
export const sdkPackage = {
	package: z
		.string()
		.max(200)
		.regex(PACKAGE)
		.meta({
			description: 'The package.',
			'x-expected': 'the name of a package, such as @ai-sdk/mistral',
			examples: ['@ai-sdk/mistral'],
		}),
	factory: text(1, 100, { description: 'The export that makes the provider, such as `createMistral`.' })
		.meta({ 'x-default': 'the only export whose name begins with `create`' })
		.nullable()
		.default(null),
	options_name: text(1, 100, { description: 'Under which name the package reads `provider_options`.' })
		.meta({ 'x-default': 'the last part of the package’s name' })
		.nullable()
		.default(null),
	settings: z
		.record(z.string().min(1).max(100), z.unknown())
		.meta({
			description: 'More settings for the factory, as its documentation names them. No secrets.',
			'x-expected': 'a mapping of settings',
		})
		.default({}),
};

const aiSdk = z.strictObject({
	family: z.literal('ai-sdk').meta({
		description: 'Any other provider through its AI SDK package (language model specification v4), which you install.',
	}),
	optional,
	...sdkPackage,
	base_url: baseUrl.meta({ 'x-default': 'as the package has it', examples: [] }).optional(),
	model: modelName('mistral-large-latest'),
	api_key: cloudSecret('The provider’s key.').meta({ examples: [{ env: 'MISTRAL_API_KEY' }] }),
	...behind,
});

export const upstream = z
	.discriminatedUnion('family', [openAiCompatible, extractive, anthropic, google, cohere, vertex, bedrock, aiSdk])
	.meta({ description: 'A provider’s model behind one endpoint, named provider/model.' });

/** The names under which the manual's example shows each family, in their order. */
export const UPSTREAM_EXAMPLES = [
	'openai/default',
	'local/extractive',
	'anthropic/default',
	'google/default',
	'cohere/default',
	'vertex/default',
	'bedrock/default',
	'mistral/default',
];

export type RawUpstream = z.output<typeof upstream>;
