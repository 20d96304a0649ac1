import type {
	LanguageModelV4Content,
	LanguageModelV4FinishReason,
	LanguageModelV4GenerateResult,
	LanguageModelV4StreamPart,
	LanguageModelV4Usage,
	SharedV4ProviderMetadata,
	SharedV4Warning,
} from '@ai-sdk/provider';
import type { Completion, ServedBy, ThoughtPiece, Usage } from '../../spec/model.ts';
import type { Json } from '../exchange/json.ts';
import { detailsOf } from '../exchange/served-details.ts';
import { extraOf } from './call-extra.ts';

/** A tool call, or a piece of one, as a chunk of OpenAI's has it. */
export interface ToolCallDelta {
	readonly index: number;
	readonly id?: string;
	readonly type?: 'function';
	readonly function: { readonly name?: string; readonly arguments: string };
	/** What the provider wants back with the call in the next turn, such as Gemini's signature of a thought. */
	readonly extra_content?: SharedV4ProviderMetadata;
}

/** A provider package's whole answer in OpenAI's shape; `served` and what failed are the caller's to add. */
export function completionOf(
	result: LanguageModelV4GenerateResult,
): Pick<Completion, 'text' | 'toolCalls' | 'thoughts' | 'usage' | 'confidence' | 'raw'> {
	const text = result.content.map((part) => (part.type === 'text' ? part.text : '')).join('');
	const toolCalls = result.content.flatMap(toolCallOf);
	const thoughts = result.content.flatMap((part) =>
		part.type === 'reasoning' ? [{ text: part.text, proof: part.providerMetadata ?? null }] : [],
	);
	return {
		text: result.structuredOutputText ?? text,
		toolCalls: toolCalls.length > 0 ? toolCalls : null,
		...(thoughts.length > 0 && { thoughts }),
		usage: usageOf(result.usage),
		confidence: null,
		raw: null,
	};
}

/** Calls that the provider made itself are over, and none of the client's business. */
function toolCallOf(part: LanguageModelV4Content) {
	if (part.type !== 'tool-call' || part.providerExecuted === true) return [];
	const { toolCallId: id, toolName: name, input, providerMetadata } = part;
	return [
		{ id, type: 'function', function: { name, arguments: argumentsOf(input) }, ...extraContent(providerMetadata) },
	];
}

/** Packages quote what the model wrote where it is no object, as broken JSON is: it goes on as it was written. */
function argumentsOf(input: string): string {
	return input.startsWith('"') ? String(JSON.parse(input)) : input;
}

function extraContent(metadata: SharedV4ProviderMetadata | undefined): { extra_content?: SharedV4ProviderMetadata } {
	return metadata === undefined ? {} : { extra_content: extraOf(metadata) };
}

interface OpenCall {
	readonly index: number;
	/** Pieces of the arguments were given out, so that the whole must not follow. */
	hasArguments: boolean;
}

/** Turns the tool parts of one stream into OpenAI's deltas: calls numbered in order of appearance, each named once. */
export class ToolCallDeltas {
	readonly #calls = new Map<string, OpenCall>();

	/** Null for a part that says nothing about a client's tool. */
	of(part: LanguageModelV4StreamPart): ToolCallDelta | null {
		switch (part.type) {
			case 'tool-input-start':
				if (part.providerExecuted === true) return null;
				return this.#opened(part.id, part.toolName, '', part.providerMetadata);
			case 'tool-input-delta':
				return part.delta === '' ? null : this.#grown(part.id, part.delta);
			case 'tool-call':
				return part.providerExecuted === true ? null : this.#whole(part);
			default:
				return null;
		}
	}

	#opened(id: string, name: string, text: string, metadata?: SharedV4ProviderMetadata): ToolCallDelta {
		const call = { index: this.#calls.size, hasArguments: text !== '' };
		this.#calls.set(id, call);
		return {
			index: call.index,
			id,
			type: 'function',
			function: { name, arguments: text },
			...extraContent(metadata),
		};
	}

	#grown(id: string, text: string): ToolCallDelta | null {
		const call = this.#calls.get(id);
		if (call === undefined) return null;
		call.hasArguments = true;
		return { index: call.index, function: { arguments: text } };
	}

	/** The end of a call: all of it where it came at once, else only what its pieces did not say. */
	#whole(part: Extract<LanguageModelV4StreamPart, { type: 'tool-call' }>): ToolCallDelta | null {
		const call = this.#calls.get(part.toolCallId);
		if (call === undefined) return this.#opened(part.toolCallId, part.toolName, part.input, part.providerMetadata);
		if (call.hasArguments && part.providerMetadata === undefined) return null;
		const rest = call.hasArguments ? '' : part.input;
		call.hasArguments = true;
		return { index: call.index, function: { arguments: rest }, ...extraContent(part.providerMetadata) };
	}
}

/** What a part of a stream says of a thought; null for one that says nothing. A proof may come with any of its parts. */
export function thoughtOf(part: LanguageModelV4StreamPart): ThoughtPiece | null {
	switch (part.type) {
		case 'reasoning-start':
			return { begins: true, text: '', proof: part.providerMetadata ?? null };
		case 'reasoning-delta':
			return { begins: false, text: part.delta, proof: part.providerMetadata ?? null };
		case 'reasoning-end':
			return part.providerMetadata === undefined ? null : { begins: false, text: '', proof: part.providerMetadata };
		default:
			return null;
	}
}

/** Whether a part is something that the model generated; the frame of an answer, and a ping, are not. */
export function isGenerated(part: LanguageModelV4StreamPart): boolean {
	switch (part.type) {
		case 'text-delta':
		case 'reasoning-delta':
			return part.delta !== '';
		case 'tool-input-start':
		case 'tool-input-delta':
		case 'tool-call':
		case 'file':
			return true;
		default:
			return false;
	}
}

const FINISH_REASONS: Readonly<Record<string, string>> = {
	stop: 'stop',
	length: 'length',
	'tool-calls': 'tool_calls',
	'content-filter': 'content_filter',
};

/** OpenAI's finish reason; null when the answer did not end as one that is whole. */
export function finishReasonOf({ unified }: LanguageModelV4FinishReason): string | null {
	return FINISH_REASONS[unified] ?? null;
}

/** Null when it is absent or contradicts itself: the caller then estimates, because a wrong count would become a wrong bill. */
export function usageOf({ inputTokens, outputTokens }: LanguageModelV4Usage): Usage | null {
	const tokensIn = count(inputTokens.total);
	const tokensOut = count(outputTokens.total);
	const tokensCached = count(inputTokens.cacheRead ?? 0);
	const tokensCacheWritten = count(inputTokens.cacheWrite ?? 0);
	const tokensReasoning = count(outputTokens.reasoning ?? 0);
	if (tokensIn === null || tokensOut === null) return null;
	if (tokensCached === null || tokensCacheWritten === null || tokensReasoning === null) return null;
	if (tokensCached + tokensCacheWritten > tokensIn || tokensReasoning > tokensOut) return null;
	return { tokensIn, tokensOut, tokensCached, tokensCacheWritten, tokensReasoning, source: 'reported' };
}

function count(value: number | undefined): number | null {
	return value !== undefined && Number.isSafeInteger(value) && value >= 0 ? value : null;
}

/** Who served an answer, from all that the package and the provider's own JSON say of it. */
export function servedBy(said: {
	readonly id: string | undefined;
	readonly modelId: string | undefined;
	/** The provider's answer, or an event of its stream, as it came. */
	readonly raw: Json | null;
	readonly headers: Readonly<Record<string, string | string[] | undefined>>;
	readonly region: string | null;
	readonly warnings: readonly SharedV4Warning[];
}): ServedBy {
	const { raw, headers, region } = said;
	const details = { ...detailsOf(headers) };
	if (region !== null) details.region = region;
	const ignored = said.warnings.map(nameOfWarning).filter((name) => name !== null);
	if (ignored.length > 0) details.ignored = ignored.join('; ');
	return {
		model: said.modelId ?? text(raw?.modelVersion) ?? text(raw?.model) ?? null,
		responseId: said.id ?? text(raw?.responseId) ?? header(headers, 'x-amzn-requestid'),
		fingerprint: text(raw?.system_fingerprint),
		details,
	};
}

/** What the package says that the model does not heed. */
function nameOfWarning(warning: SharedV4Warning): string | null {
	if (warning.type === 'unsupported') return warning.details ?? warning.feature;
	return warning.type === 'other' ? warning.message : null;
}

function header(headers: Readonly<Record<string, string | string[] | undefined>>, name: string): string | null {
	return text(headers[name]);
}

function text(value: unknown): string | null {
	return typeof value === 'string' && value !== '' ? value : null;
}
