/** What providers that constrain an answer's decoding understand of JSON Schema. */
export const SCHEMA_DIALECTS = ['openai', 'anthropic', 'google', 'grammar'] as const;
export type SchemaDialectName = (typeof SCHEMA_DIALECTS)[number];

export interface SchemaDialect {
	/** Keywords that are sent on; every other one is left out, and held against the answer when it is there. */
	readonly keywords: ReadonlySet<string>;
	/** Every object must say `additionalProperties: false`, so that an object with open members cannot be asked for. */
	readonly isClosed: boolean;
	/** Every property must be required. */
	readonly allRequired: boolean;
	/** The whole must be an object, and not a choice. */
	readonly objectRoot: boolean;
	/** Every part must say its type, or be a choice or a reference. */
	readonly typed: boolean;
	/** A schema may refer to itself. */
	readonly recursive: boolean;
	readonly depthMax: number;
	readonly propertiesMax: number;
}

const STRUCTURE = ['type', 'properties', 'required', 'additionalProperties', 'items', 'enum', 'anyOf', '$ref', '$defs'];
const WORDS = ['title', 'description'];
const RANGES = ['minimum', 'maximum', 'exclusiveMinimum', 'exclusiveMaximum', 'minItems', 'maxItems'];

/**
 * From the providers' manuals, taking the narrowest where their models or deployments differ: what is left out is checked
 * anyway, and what is sent and not understood would fail the request.
 */
export const DIALECT_RULES: Readonly<Record<SchemaDialectName, SchemaDialect>> = {
	// Structured outputs with `strict: true`, of OpenAI and Azure OpenAI.
	openai: {
		keywords: new Set([...STRUCTURE, ...WORDS, 'const']),
		isClosed: true,
		allRequired: true,
		objectRoot: true,
		typed: true,
		recursive: true,
		depthMax: 5,
		propertiesMax: 100,
	},
	// `output_config.format`, or a tool's input with models that are older.
	anthropic: {
		keywords: new Set([...STRUCTURE, ...WORDS, 'const', 'format']),
		isClosed: true,
		allRequired: false,
		objectRoot: true,
		typed: true,
		recursive: false,
		depthMax: 32,
		propertiesMax: 1_000,
	},
	// `responseJsonSchema`.
	google: {
		keywords: new Set([...STRUCTURE, ...WORDS, 'prefixItems', 'minimum', 'maximum', 'minItems', 'maxItems']),
		isClosed: false,
		allRequired: false,
		objectRoot: false,
		typed: false,
		recursive: false,
		depthMax: 32,
		propertiesMax: 1_000,
	},
	// Grammars compiled by the server: vLLM, llama.cpp, Ollama, Fireworks.
	grammar: {
		keywords: new Set([...STRUCTURE, ...WORDS, 'const', 'prefixItems', 'minLength', 'maxLength', ...RANGES]),
		isClosed: false,
		allRequired: false,
		objectRoot: false,
		typed: false,
		recursive: true,
		depthMax: 64,
		propertiesMax: 5_000,
	},
};
