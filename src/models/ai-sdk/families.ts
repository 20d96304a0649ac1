import type { LanguageModelV4 } from '@ai-sdk/provider';
import type { UpstreamConfig } from '../../contracts/project.ts';
import { isObject, type Json } from '../exchange/json.ts';
import type { ParameterRules } from './call-options.ts';
import type { Fetch } from './transport.ts';

export type SdkFamilyName = Exclude<UpstreamConfig['family'], 'openai-compatible' | 'extractive'>;

/** How one family is opened, and what is particular about it. */
export interface SdkFamily {
	/** The package, with the version that the family was tested with. */
	readonly package: { readonly name: string; readonly version: string };
	readonly rules: ParameterRules;
	/** What the manual's table says, and the conformance suite holds. */
	readonly facts: {
		/** How a JSON schema constrains the answer. */
		readonly jsonSchema: string;
		/** The provider fetches a client's image by its address. */
		readonly imageUrls: boolean;
		readonly reasoningTokens: boolean;
		/** Where a refusal says how long to wait. */
		readonly waits: string;
		/** The package comes with Plimsoll. */
		readonly isIncluded: boolean;
	};
	/** Whether an event of the provider's stream is its last word. */
	readonly isLast: (event: Json) => boolean;
	/** Gives the package the one way out. Settings are complete, so that the package never looks into the environment for the rest. */
	readonly open: (upstream: UpstreamConfig, door: Fetch) => Promise<LanguageModelV4>;
}

const NO_PENALTIES = ['presence_penalty', 'frequency_penalty'];

export const SDK_FAMILIES: Readonly<Record<SdkFamilyName, SdkFamily>> = {
	anthropic: {
		package: { name: '@ai-sdk/anthropic', version: '4.0.105' },
		rules: {
			namespaces: ['anthropic'],
			refused: [...NO_PENALTIES, 'seed'],
			jsonObject: false,
			oneToolCallAtATime: { disableParallelToolUse: true },
		},
		facts: {
			jsonSchema: 'native, or as a tool for older models',
			imageUrls: true,
			reasoningTokens: true,
			waits: '`Retry-After`',
			isIncluded: true,
		},
		isLast: (event) => event.type === 'message_stop',
		open: async ({ model, baseUrl, apiKey }, door) => {
			const { createAnthropic } = await import('@ai-sdk/anthropic');
			return createAnthropic({ baseURL: baseUrl ?? '', apiKey: apiKey ?? '', fetch: door })(model);
		},
	},
	google: {
		package: { name: '@ai-sdk/google', version: '4.0.121' },
		rules: { namespaces: ['google'], refused: [], jsonObject: true, oneToolCallAtATime: null },
		facts: { jsonSchema: 'native', imageUrls: true, reasoningTokens: true, waits: '`RetryInfo`', isIncluded: true },
		isLast: geminiIsLast,
		open: async ({ model, baseUrl, apiKey }, door) => {
			const { createGoogle } = await import('@ai-sdk/google');
			return createGoogle({ baseURL: baseUrl ?? '', apiKey: apiKey ?? '', fetch: door })(model);
		},
	},
};

function geminiIsLast({ candidates }: Json): boolean {
	const first: unknown = Array.isArray(candidates) ? candidates[0] : null;
	return isObject(first) && typeof first.finishReason === 'string';
}
