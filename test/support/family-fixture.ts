import { onTestFinished } from 'vitest';
import { type Clock, systemClock } from '../../src/base/clock.ts';
import type { UpstreamConfig } from '../../src/contracts/project.ts';
import { createModel } from '../../src/models/create-model.ts';
import type { CompletionChunk, Model, ModelRequest } from '../../src/spec/model.ts';
import { VendorDouble } from './vendor-double.ts';
import { FORMATS, type VendorFormat } from './vendor-formats.ts';

export const KEY = 'key-secret-0123456789';
/** The first call of a family waits for its package to load, which takes seconds on a busy machine. */
const TIMEOUTS = { connectMs: 30_000, firstTokenMs: 10_000, idleMs: 5000, totalMs: 60_000 };

const COMMON = {
	name: 'double/default',
	provider: 'double',
	model: 'double-1',
	available: true,
	switchedOnBy: [],
	contextTokensMax: 8000,
	tokensOutMax: 500,
	tokensOutParameter: 'max_tokens',
	tokenizer: 'o200k_base',
	timeouts: TIMEOUTS,
	sideEffects: false,
	continuesTurn: false,
	breaker: null,
	schemaDialect: null,
	price: null,
	priceFrom: null,
	apiKey: KEY,
	connectionsMax: 8,
	providerOptions: {},
} as const;

export interface TestedFamily {
	readonly format: VendorFormat;
	readonly config: (url: string) => UpstreamConfig;
}

/** Every family behind a provider package, with the vendor's format that its double speaks. */
export const FAMILIES: Readonly<Record<string, TestedFamily>> = {
	anthropic: {
		format: FORMATS.anthropic,
		config: (url) => ({ ...COMMON, family: 'anthropic', baseUrl: `${url}/v1` }),
	},
	google: {
		format: FORMATS.gemini,
		config: (url) => ({ ...COMMON, family: 'google', model: 'gemini-2.5-flash', baseUrl: `${url}/v1beta` }),
	},
	vertex: {
		format: FORMATS.gemini,
		config: (url) => ({
			...{ ...COMMON, family: 'vertex', baseUrl: `${url}/v1/publishers/google` },
			...{ project: null, region: 'global', credentials: null },
		}),
	},
	bedrock: {
		format: FORMATS.bedrock,
		config: (url) => ({ ...COMMON, family: 'bedrock', baseUrl: url, region: 'eu-central-1', signing: null }),
	},
	cohere: {
		format: FORMATS.cohere,
		config: (url) => ({ ...COMMON, family: 'cohere', baseUrl: `${url}/v2` }),
	},
	'ai-sdk': {
		format: FORMATS.cohere,
		config: (url) => ({
			...{ ...COMMON, family: 'ai-sdk', baseUrl: `${url}/v2` },
			...{ package: '@ai-sdk/cohere', factory: 'createCohere', optionsName: 'cohere', settings: {} },
		}),
	},
};

export async function startFamily(
	{ format, config }: TestedFamily,
	options: { readonly clock?: Clock; readonly more?: Partial<UpstreamConfig> } = {},
): Promise<{ double: VendorDouble; model: Model }> {
	const double = await new VendorDouble(format).listen();
	const model = createModel({ ...config(double.url), ...options.more } as UpstreamConfig, {
		clock: options.clock ?? systemClock,
	});
	onTestFinished(async () => {
		await model.close();
		await double.close();
	});
	return { double, model };
}

export function modelRequest(more: Partial<ModelRequest> = {}): ModelRequest {
	return {
		messages: [{ role: 'user', content: 'What does a load line show?' }],
		parameters: {},
		grounding: null,
		signal: new AbortController().signal,
		timeouts: TIMEOUTS,
		...more,
	};
}

export async function collect(chunks: AsyncIterable<CompletionChunk>): Promise<CompletionChunk[]> {
	const list: CompletionChunk[] = [];
	for await (const chunk of chunks) list.push(chunk);
	return list;
}
