import { hiddenData, signatureOf, type Thought } from '../base/thought.ts';
import type { Answer } from '../runtime/request.ts';
import type { Usage } from '../spec/model.ts';
import { type Envelope, extras } from './chat-response.ts';
import { functionCall } from './function-call.ts';

/** A whole answer as a message of Anthropic's; what only Plimsoll knows stands under `plimsoll`. */
export function messageOf(envelope: Envelope, answer: Answer) {
	return {
		...messageHead(envelope, answer.model ?? envelope.model),
		content: [
			...answer.thoughts.map(thinkingBlock),
			...(answer.text === '' ? [] : [{ type: 'text', text: answer.text }]),
			...(answer.toolCalls ?? []).map(toolUse),
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

function toolUse(call: unknown) {
	const { id, name, args } = functionCall(call);
	return { type: 'tool_use', id, name, input: inputOf(args) };
}

/** A tool's input is an object; what is none goes on under the name that Anthropic's documents give it. */
function inputOf(text: string): unknown {
	if (text === '') return {};
	try {
		const value: unknown = JSON.parse(text);
		if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value;
	} catch {
		// A model may write broken JSON. Whoever runs the tool must see it.
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
