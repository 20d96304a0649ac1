import type { UpstreamConfig } from '../../contracts/project.ts';
import { isObject, type Json } from '../exchange/json.ts';
import type { ParameterRules } from './call-options.ts';

export type SdkUpstream = Exclude<UpstreamConfig, { family: 'openai-compatible' | 'extractive' }>;

/** What is particular about one family behind a provider's package. */
export interface SdkFamily {
	/** The package, with the version that the family was tested with; null: the configuration names it. */
	readonly package: { readonly name: string; readonly version: string } | null;
	readonly rules: ParameterRules;
	/** What the manual's table says beside the rules, and the conformance suite holds. */
	readonly facts: {
		/** How a JSON schema constrains the answer. */
		readonly jsonSchema: string;
		/** The provider fetches a client's image by its address. */
		readonly imageUrls: boolean;
		readonly cachedTokens: boolean;
		readonly reasoningTokens: boolean;
		/** Where a refusal says how long to wait. */
		readonly waits: string;
		/** The package comes with Plimsoll. */
		readonly isIncluded: boolean;
	};
	/** Whether an event of the provider's stream is its last word. */
	readonly isLast: (event: Json) => boolean;
}

const GOOGLE_PACKAGE = { name: '@ai-sdk/google', version: '4.0.121' };
const GEMINI: Omit<SdkFamily, 'package'> = {
	rules: { namespaces: ['google'], refused: [], jsonObject: true, oneToolCallAtATime: null },
	facts: {
		jsonSchema: 'native',
		imageUrls: true,
		cachedTokens: true,
		reasoningTokens: true,
		waits: '`RetryInfo`',
		isIncluded: true,
	},
	isLast: ({ candidates }) => {
		const first: unknown = Array.isArray(candidates) ? candidates[0] : null;
		return isObject(first) && typeof first.finishReason === 'string';
	},
};

/** The two that no provider but OpenAI's like has everywhere. */
const PENALTIES = ['presence_penalty', 'frequency_penalty'];

export const SDK_FAMILIES: Readonly<Record<SdkUpstream['family'], SdkFamily>> = {
	anthropic: {
		package: { name: '@ai-sdk/anthropic', version: '4.0.105' },
		rules: {
			namespaces: ['anthropic'],
			refused: [...PENALTIES, 'seed'],
			jsonObject: false,
			oneToolCallAtATime: { disableParallelToolUse: true },
		},
		facts: {
			jsonSchema: 'native, or as a tool for older models',
			imageUrls: true,
			cachedTokens: true,
			reasoningTokens: true,
			waits: '`Retry-After`',
			isIncluded: true,
		},
		isLast: (event) => event.type === 'message_stop',
	},
	google: { package: GOOGLE_PACKAGE, ...GEMINI },
	vertex: {
		package: GOOGLE_PACKAGE,
		...GEMINI,
		rules: { ...GEMINI.rules, namespaces: ['googleVertex', 'vertex'] },
	},
	bedrock: {
		package: { name: '@ai-sdk/amazon-bedrock', version: '5.0.101' },
		rules: {
			namespaces: ['amazonBedrock', 'bedrock'],
			refused: [...PENALTIES, 'seed'],
			jsonObject: false,
			oneToolCallAtATime: null,
		},
		facts: {
			jsonSchema: 'as a tool',
			imageUrls: false,
			cachedTokens: true,
			reasoningTokens: false,
			waits: '`Retry-After`',
			isIncluded: false,
		},
		isLast: (event) => event.metadata !== undefined,
	},
	cohere: {
		package: { name: '@ai-sdk/cohere', version: '4.0.52' },
		rules: { namespaces: ['cohere'], refused: [], jsonObject: true, oneToolCallAtATime: null },
		facts: {
			jsonSchema: 'native',
			imageUrls: true,
			cachedTokens: false,
			reasoningTokens: false,
			waits: '`Retry-After`',
			isIncluded: false,
		},
		isLast: (event) => event.type === 'message-end',
	},
	'ai-sdk': {
		package: null,
		rules: { namespaces: ['ai-sdk'], refused: [], jsonObject: true, oneToolCallAtATime: null },
		facts: {
			jsonSchema: 'as the package',
			imageUrls: true,
			cachedTokens: false,
			reasoningTokens: false,
			waits: '`Retry-After`',
			isIncluded: false,
		},
		isLast: () => false,
	},
};
