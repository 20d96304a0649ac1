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
		readonly cachedTokens: boolean;
		readonly reasoningTokens: boolean;
		/** Where a refusal says how long to wait. */
		readonly waits: string;
		/** The package comes with Plimsoll. */
		readonly isIncluded: boolean;
	};
	/** How the provider's stream ends. */
	readonly end: StreamEnd;
}

export interface StreamEnd {
	/** Whether an event is the last that the answer needs. */
	readonly isLast: (event: Json) => boolean;
	/** Put after every body: the package waits for it before it says how the answer ended. Null: the end of the body is enough. */
	readonly mark: string | null;
}

const GOOGLE_PACKAGE = { name: '@ai-sdk/google', version: '4.0.121' };
const GEMINI: Omit<SdkFamily, 'package'> = {
	rules: { namespaces: ['google'], refused: [], jsonObject: true, oneToolCallAtATime: null },
	facts: {
		jsonSchema: 'native',
		cachedTokens: true,
		reasoningTokens: true,
		waits: '`RetryInfo`',
		isIncluded: true,
	},
	end: {
		isLast({ candidates }) {
			const first: unknown = Array.isArray(candidates) ? candidates[0] : null;
			return isObject(first) && typeof first.finishReason === 'string';
		},
		mark: null,
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
			cachedTokens: true,
			reasoningTokens: true,
			waits: '`Retry-After`',
			isIncluded: true,
		},
		end: {
			// With the reason and the usage all is said; the end mark adds nothing.
			isLast: ({ type, delta }) =>
				type === 'message_stop' ||
				(type === 'message_delta' && isObject(delta) && typeof delta.stop_reason === 'string'),
			mark: '\n\nevent: message_stop\ndata: {"type":"message_stop"}\n\n',
		},
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
			cachedTokens: true,
			reasoningTokens: false,
			waits: '`Retry-After`',
			isIncluded: false,
		},
		end: { isLast: (event) => event.metadata !== undefined || event.messageStop !== undefined, mark: null },
	},
	cohere: {
		package: { name: '@ai-sdk/cohere', version: '4.0.52' },
		rules: { namespaces: ['cohere'], refused: [], jsonObject: true, oneToolCallAtATime: null },
		facts: {
			jsonSchema: 'native',
			cachedTokens: false,
			reasoningTokens: false,
			waits: '`Retry-After`',
			isIncluded: false,
		},
		end: { isLast: (event) => event.type === 'message-end', mark: null },
	},
	'ai-sdk': {
		package: null,
		rules: { namespaces: ['ai-sdk'], refused: [], jsonObject: true, oneToolCallAtATime: null },
		facts: {
			jsonSchema: 'as the package',
			cachedTokens: false,
			reasoningTokens: false,
			waits: '`Retry-After`',
			isIncluded: false,
		},
		end: { isLast: () => false, mark: null },
	},
};
