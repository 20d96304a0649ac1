import { embedderPresetFields } from './embedder-presets.ts';
import { isMapping } from './schema-node.ts';

/** How an endpoint is told to continue the last message: by its place, by its `prefix: true`, or by vLLM’s parameter. */
export type Continuation = 'place' | 'prefix' | 'final_message';

/** What is known of one vendor that speaks OpenAI's chat completions, so that a file need not say it. */
export interface Preset {
	readonly title: string;
	/** Null: everyone has an address of their own. */
	readonly baseUrl: string | null;
	/** The environment variable that holds the key by custom; null: no key is needed. */
	readonly keyVariable: string | null;
	readonly keyHeader: 'authorization' | 'api-key';
	readonly tokensOutParameter: 'max_tokens' | 'max_completion_tokens';
	/** Whether it takes `stream_options: {include_usage: true}`. Those that do not report usage by themselves, or refuse it. */
	readonly streamUsage: boolean;
	/** Whether `response_format: {type: json_schema}` constrains the answer. */
	readonly jsonSchema: boolean;
	/** What of JSON Schema it then knows. */
	readonly schemaDialect: 'openai' | 'grammar';
	/** How it is asked to go on with the last message, an answer's beginning; null: it begins a new turn, or is not known to. */
	readonly continuation: Continuation | null;
	/** Parameters of OpenAI's that it answers with an error, or ignores. */
	readonly refused: readonly string[];
	/** Parameters that it knows under another name. */
	readonly renamed: Readonly<Record<string, string>>;
}

const HOSTED: Omit<Preset, 'title' | 'baseUrl' | 'keyVariable'> = {
	keyHeader: 'authorization',
	tokensOutParameter: 'max_tokens',
	streamUsage: true,
	jsonSchema: true,
	schemaDialect: 'openai',
	continuation: null,
	refused: [],
	renamed: {},
};

/** A server on one's own machine: no key, and the port that it listens on by default. */
const LOCAL = { ...HOSTED, keyVariable: null, schemaDialect: 'grammar' } as const;

const LOGPROBS = ['logprobs', 'top_logprobs', 'logit_bias'];

export const PRESETS = {
	openai: {
		...HOSTED,
		title: 'OpenAI',
		baseUrl: 'https://api.openai.com/v1',
		keyVariable: 'OPENAI_API_KEY',
		tokensOutParameter: 'max_completion_tokens',
	},
	azure: {
		...HOSTED,
		title: 'Azure OpenAI',
		baseUrl: null,
		keyVariable: 'AZURE_OPENAI_API_KEY',
		keyHeader: 'api-key',
		tokensOutParameter: 'max_completion_tokens',
	},
	groq: {
		...HOSTED,
		title: 'Groq',
		baseUrl: 'https://api.groq.com/openai/v1',
		keyVariable: 'GROQ_API_KEY',
		continuation: 'place',
		tokensOutParameter: 'max_completion_tokens',
		refused: LOGPROBS,
	},
	together: {
		...HOSTED,
		title: 'Together AI',
		baseUrl: 'https://api.together.xyz/v1',
		keyVariable: 'TOGETHER_API_KEY',
		schemaDialect: 'grammar',
	},
	mistral: {
		...HOSTED,
		title: 'Mistral',
		baseUrl: 'https://api.mistral.ai/v1',
		keyVariable: 'MISTRAL_API_KEY',
		continuation: 'prefix',
		streamUsage: false,
		refused: [...LOGPROBS, 'user', 'store', 'service_tier'],
		renamed: { seed: 'random_seed', max_completion_tokens: 'max_tokens' },
	},
	deepseek: {
		...HOSTED,
		title: 'DeepSeek',
		baseUrl: 'https://api.deepseek.com/v1',
		keyVariable: 'DEEPSEEK_API_KEY',
		jsonSchema: false,
		refused: ['seed', 'logit_bias'],
		renamed: { max_completion_tokens: 'max_tokens' },
	},
	xai: {
		...HOSTED,
		title: 'xAI',
		baseUrl: 'https://api.x.ai/v1',
		keyVariable: 'XAI_API_KEY',
		tokensOutParameter: 'max_completion_tokens',
		refused: ['logit_bias'],
	},
	fireworks: {
		...HOSTED,
		title: 'Fireworks',
		baseUrl: 'https://api.fireworks.ai/inference/v1',
		keyVariable: 'FIREWORKS_API_KEY',
		schemaDialect: 'grammar',
	},
	openrouter: {
		...HOSTED,
		title: 'OpenRouter',
		baseUrl: 'https://openrouter.ai/api/v1',
		keyVariable: 'OPENROUTER_API_KEY',
	},
	vllm: { ...LOCAL, title: 'vLLM', baseUrl: 'http://127.0.0.1:8000/v1', continuation: 'final_message' },
	ollama: {
		...LOCAL,
		title: 'Ollama',
		baseUrl: 'http://127.0.0.1:11434/v1',
		refused: [...LOGPROBS, 'tool_choice', 'user'],
	},
	'llama.cpp': { ...LOCAL, title: 'llama.cpp', baseUrl: 'http://127.0.0.1:8080/v1', continuation: 'place' },
	tgi: { ...LOCAL, title: 'Text Generation Inference', baseUrl: 'http://127.0.0.1:3000/v1', jsonSchema: false },
} as const satisfies Record<string, Preset>;

/** Of servers that one runs oneself, whose address is a private one as a rule. */
export const LOCAL_PRESETS: readonly string[] = ['vllm', 'ollama', 'llama.cpp', 'tgi'];

export type PresetName = keyof typeof PRESETS;
export const PRESET_NAMES = Object.keys(PRESETS) as [PresetName, ...PresetName[]];

/** What an endpoint of no preset is taken for. */
export const NO_PRESET: Pick<Preset, 'refused' | 'renamed' | 'continuation'> = {
	refused: [],
	renamed: {},
	continuation: null,
};

/**
 * plimsoll.yaml as parsed, with everything that the presets of its upstreams and embedders say and the file does not. An unknown preset says
 * only the family, so that the schema names the nearest one.
 */
export function withPresets(file: unknown): unknown {
	if (!isMapping(file)) return file;
	const upstreams = filled(file.upstreams, upstreamFields);
	const embedders = filled(file.embedders, embedderPresetFields);
	return Object.assign(Object.create(null), file, upstreams && { upstreams }, embedders && { embedders });
}

function filled(section: unknown, fieldsOf: (preset: string) => Readonly<Record<string, unknown>>) {
	if (!isMapping(section)) return null;
	const entries = Object.create(null) as Record<string, unknown>;
	for (const [name, raw] of Object.entries(section)) {
		const hasPreset = isMapping(raw) && typeof raw.preset === 'string';
		entries[name] = hasPreset ? Object.assign(Object.create(null), fieldsOf(String(raw.preset)), raw) : raw;
	}
	return entries;
}

function upstreamFields(name: string): Readonly<Record<string, unknown>> {
	return Object.hasOwn(PRESETS, name) ? said(PRESETS[name as PresetName]) : UNKNOWN;
}

/** The address keeps the missing one from being a second problem. */
const UNKNOWN = { family: 'openai-compatible', base_url: 'https://unknown.invalid' };

function said({ baseUrl, keyVariable, ...preset }: Preset): Readonly<Record<string, unknown>> {
	return {
		family: 'openai-compatible',
		...(baseUrl === null ? {} : { base_url: baseUrl }),
		...(keyVariable === null ? {} : { api_key: { env: keyVariable } }),
		api_key_header: preset.keyHeader,
		tokens_out_parameter: preset.tokensOutParameter,
		stream_usage: preset.streamUsage,
		json_schema: preset.jsonSchema,
		continues_assistant_turn: preset.continuation !== null,
	};
}
