import { functionCall } from '../base/function-call.ts';
import { type CallProof, hiddenData, sealedCall, signatureOf, type Thought } from '../base/thought.ts';
import type { Answer } from '../runtime/request.ts';
import type { Usage } from '../spec/model.ts';
import { type Envelope, extras } from './chat-response.ts';

/** A whole answer as a message of Anthropic's; what only Plimsoll knows stands under `plimsoll`. */
export function messageOf(envelope: Envelope, answer: Answer) {
	return {
		...messageHead(envelope, answer.model ?? envelope.model),
		content: [
			...answer.thoughts.map(thinkingBlock),
			...(answer.text === '' ? [] : [{ type: 'text', text: answer.text }]),
			...(answer.toolCalls ?? []).flatMap((call) => toolUse(envelope, call)),
		],
		stop_reason: stopReason(answer.finishReason),
		stop_sequence: null,
		usage: messageUsage(answer.usage),
		plimsoll: extras(envelope, answer),
	};
}

export function messageHead({ requestId }: Envelope, model: string) {
	return { id: requestId, type: 'message', role: 'assistant', model };
}

/** A thought as Anthropic tells it; clients send it back as it is. */
export function thinkingBlock({ text, proof }: Thought) {
	const data = hiddenData({ proof });
	if (data !== null) return { type: 'redacted_thinking', data };
	return { type: 'thinking', thinking: text, signature: signatureOf(proof) ?? '' };
}

function toolUse({ model }: Envelope, call: unknown) {
	const { id, name, args, extra } = functionCall(call);
	const use = { type: 'tool_use', id, name, input: inputOf(args) };
	return extra === null ? [use] : [callProofBlock({ id, extra, by: model }), use];
}

/** What a call's provider wants back with it: clients send hidden thoughts back as they are. */
export function callProofBlock(proof: CallProof) {
	return { type: 'redacted_thinking', data: sealedCall(proof) };
}

/**
 * A tool's input is an object. Arguments that are none are left in an answer that ended early alone, whose stop reason says so: they go on
 * under the name that Anthropic's documents give them.
 */
function inputOf(text: string): unknown {
	if (text === '') return {};
	try {
		const value: unknown = JSON.parse(text);
		if (value === null) return {};
		if (typeof value === 'object' && !Array.isArray(value)) return value;
	} catch {
		// Broken off.
	}
	return { INVALID_JSON: text };
}

const STOP_REASONS: Readonly<Record<string, string>> = {
	stop: 'end_turn',
	length: 'max_tokens',
	tool_calls: 'tool_use',
	function_call: 'tool_use',
	content_filter: 'refusal',
};

/** A reason that is not known stays as it is: it must not pass for the end of a turn. */
export function stopReason(finishReason: string): string {
	return STOP_REASONS[finishReason] ?? finishReason;
}

/** Anthropic counts what its cache gave and took beside the other input, and OpenAI as a part of it. */
export function messageUsage(usage: Usage) {
	const { tokensIn, tokensOut, tokensCached, tokensCacheWritten, tokensReasoning } = usage;
	return {
		input_tokens: Math.max(0, tokensIn - tokensCached - tokensCacheWritten),
		cache_creation_input_tokens: tokensCacheWritten,
		cache_read_input_tokens: tokensCached,
		output_tokens: tokensOut,
		output_tokens_details: { thinking_tokens: tokensReasoning },
	};
}
