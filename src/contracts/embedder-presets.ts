import type { EmbeddingWire } from './embedder.ts';

/** What is known of one vendor that speaks OpenAI's embeddings, so that a file need not say it. */
interface EmbedderPreset {
	readonly title: string;
	/** Null: everyone has an address of their own. */
	readonly baseUrl: string | null;
	/** The environment variable that holds the key by custom; null: no key is needed. */
	readonly keyVariable: string | null;
	readonly wire: EmbeddingWire;
	readonly queryType: string | null;
	readonly documentType: string | null;
	/** The most texts that it takes in one call. */
	readonly textsMax: number;
}

const PLAIN: Omit<EmbedderPreset, 'title' | 'baseUrl' | 'keyVariable'> = {
	wire: { keyHeader: 'authorization', encodingFormat: true, dimensionsField: 'dimensions', typeField: null },
	queryType: null,
	documentType: null,
	textsMax: 2_048,
};

const EMBEDDER_PRESETS = {
	openai: { ...PLAIN, title: 'OpenAI', baseUrl: 'https://api.openai.com/v1', keyVariable: 'OPENAI_API_KEY' },
	azure: {
		...PLAIN,
		title: 'Azure OpenAI',
		baseUrl: null,
		keyVariable: 'AZURE_OPENAI_API_KEY',
		wire: { ...PLAIN.wire, keyHeader: 'api-key' },
	},
	mistral: {
		...PLAIN,
		title: 'Mistral',
		baseUrl: 'https://api.mistral.ai/v1',
		keyVariable: 'MISTRAL_API_KEY',
		wire: { ...PLAIN.wire, dimensionsField: 'output_dimension' },
	},
	voyage: {
		...PLAIN,
		title: 'Voyage AI',
		baseUrl: 'https://api.voyageai.com/v1',
		keyVariable: 'VOYAGE_API_KEY',
		// It knows no other format than its own and base64.
		wire: { ...PLAIN.wire, encodingFormat: false, dimensionsField: 'output_dimension', typeField: 'input_type' },
		queryType: 'query',
		documentType: 'document',
		textsMax: 1_000,
	},
	jina: {
		...PLAIN,
		title: 'Jina AI',
		baseUrl: 'https://api.jina.ai/v1',
		keyVariable: 'JINA_API_KEY',
		wire: { ...PLAIN.wire, encodingFormat: false, typeField: 'task' },
		queryType: 'retrieval.query',
		documentType: 'retrieval.passage',
		textsMax: 512,
	},
	together: {
		...PLAIN,
		title: 'Together AI',
		baseUrl: 'https://api.together.xyz/v1',
		keyVariable: 'TOGETHER_API_KEY',
	},
	fireworks: {
		...PLAIN,
		title: 'Fireworks',
		baseUrl: 'https://api.fireworks.ai/inference/v1',
		keyVariable: 'FIREWORKS_API_KEY',
	},
	vllm: { ...PLAIN, title: 'vLLM', baseUrl: 'http://127.0.0.1:8000/v1', keyVariable: null },
	ollama: { ...PLAIN, title: 'Ollama', baseUrl: 'http://127.0.0.1:11434/v1', keyVariable: null },
	'llama.cpp': { ...PLAIN, title: 'llama.cpp', baseUrl: 'http://127.0.0.1:8080/v1', keyVariable: null },
	tei: {
		...PLAIN,
		title: 'Text Embeddings Inference',
		baseUrl: 'http://127.0.0.1:8080/v1',
		keyVariable: null,
		textsMax: 32,
	},
} as const satisfies Record<string, EmbedderPreset>;

export type EmbedderPresetName = keyof typeof EMBEDDER_PRESETS;
export const EMBEDDER_PRESET_NAMES = Object.keys(EMBEDDER_PRESETS) as [EmbedderPresetName, ...EmbedderPresetName[]];

/** What an endpoint of no preset is taken for, and what one of a preset is. */
export function embedderPreset(name: EmbedderPresetName | null): Pick<EmbedderPreset, keyof typeof PLAIN> {
	return name === null ? PLAIN : EMBEDDER_PRESETS[name];
}

/** What a preset says of the fields of a file. An unknown one says only the family, so that the schema names the nearest. */
export function embedderPresetFields(name: string): Readonly<Record<string, unknown>> {
	if (!Object.hasOwn(EMBEDDER_PRESETS, name)) {
		return { family: 'openai-compatible', base_url: 'https://unknown.invalid', model: 'unknown', dimensions: 8 };
	}
	const { baseUrl, keyVariable }: EmbedderPreset = EMBEDDER_PRESETS[name as EmbedderPresetName];
	return {
		family: 'openai-compatible',
		...(baseUrl === null ? {} : { base_url: baseUrl }),
		...(keyVariable === null ? {} : { api_key: { env: keyVariable } }),
	};
}
