import { detailOf, type Thought } from '../base/thought.ts';
import type { Answer, Citation } from '../runtime/request.ts';
import type { Usage } from '../spec/model.ts';

/** What every answer of ours has in common, under the id that its trace has. */
export interface Envelope {
	readonly requestId: string;
	/** Seconds since the epoch, as OpenAI has it. */
	readonly created: number;
	/** The name that the client called. */
	readonly model: string;
}

/** A feature's whole answer as an OpenAI chat completion; what only Plimsoll knows stands under `plimsoll`. */
export function chatCompletion(envelope: Envelope, answer: Answer) {
	return {
		id: envelope.requestId,
		object: 'chat.completion',
		created: envelope.created,
		model: answer.model ?? envelope.model,
		choices: [
			{
				index: 0,
				message: messageOf(answer),
				logprobs: null,
				finish_reason: answer.finishReason,
			},
		],
		usage: openAiUsage(answer.usage),
		plimsoll: extras(envelope, answer),
	};
}

/** A model that calls tools says nothing, which OpenAI writes as null. */
function messageOf({ text, toolCalls, thoughts }: Answer) {
	const message = { role: 'assistant', content: text, refusal: null, ...thinkingOf(thoughts) };
	return toolCalls === null ? message : { ...message, content: text || null, tool_calls: toolCalls };
}

/** The members in which chat completions tell of thoughts: the text that most read, and what goes back in the next turn. */
export function thinkingOf(thoughts: readonly Thought[], firstIndex = 0): Record<string, unknown> {
	if (thoughts.length === 0) return {};
	const text = thoughts.map((thought) => thought.text).join('');
	const details = thoughts.map((thought, at) => detailOf(thought, firstIndex + at));
	return { ...(text !== '' && { reasoning_content: text }), reasoning_details: details };
}

/** The delta that holds all tool calls of an answer, numbered as in a stream, whatever numbers they came with. */
export function toolCallDelta(toolCalls: readonly unknown[]): Record<string, unknown> {
	return { tool_calls: toolCalls.map((call, index) => (typeof call === 'object' ? { ...call, index } : call)) };
}

/** One `chat.completion.chunk`; `delta` and `finishReason` as OpenAI has them. */
export function chatChunk(envelope: Envelope, delta: Record<string, unknown>, finishReason: string | null) {
	return {
		id: envelope.requestId,
		object: 'chat.completion.chunk',
		created: envelope.created,
		model: envelope.model,
		choices: [{ index: 0, delta, logprobs: null, finish_reason: finishReason }],
	};
}

/** The typed answer of `invoke`: JSON where the contract has an output schema, else text. */
export function invokeResponse(envelope: Envelope, answer: Answer, isJson: boolean) {
	return {
		...extras(envelope, answer),
		output: isJson && answer.upstream !== null ? (JSON.parse(answer.text) as unknown) : answer.text,
		finish_reason: answer.finishReason,
		usage: openAiUsage(answer.usage),
	};
}

export function extras(envelope: Envelope, answer: Answer) {
	return {
		request_id: envelope.requestId,
		feature: answer.feature,
		release: answer.release,
		upstream: answer.upstream,
		degraded: answer.degraded,
		confidence: answer.confidence,
		citations: answer.citations.map(citation),
	};
}

export function openAiUsage(usage: Usage) {
	return {
		prompt_tokens: usage.tokensIn,
		completion_tokens: usage.tokensOut,
		total_tokens: usage.tokensIn + usage.tokensOut,
		prompt_tokens_details: { cached_tokens: usage.tokensCached },
		completion_tokens_details: { reasoning_tokens: usage.tokensReasoning },
	};
}

function citation({ number, passage }: Citation) {
	return {
		number,
		document: passage.documentId,
		title: passage.title,
		heading: passage.headingPath.join(' › '),
		chunk: passage.chunkId,
		start: passage.start,
		end: passage.end,
	};
}
