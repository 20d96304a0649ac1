import { functionCall } from '../base/function-call.ts';
import { type CallProof, sealedCall, sealedOf, type Thought } from '../base/thought.ts';
import type { Answer } from '../runtime/request.ts';
import type { PlimsollError } from '../spec/errors.ts';
import type { Usage } from '../spec/model.ts';
import { type Envelope, extras } from './chat-response.ts';
import type { Echo } from './responses-body.ts';

/** A call as the Responses API shows it; `id` is that of the item, `call_id` the provider's. */
export interface CallItem {
	readonly id: string;
	readonly call_id: string;
	readonly name: string;
	readonly arguments: string;
}

type Status = 'in_progress' | 'completed' | 'incomplete';

/** A whole answer as a response of OpenAI's; what only Plimsoll knows stands under `plimsoll`. */
export function wholeResponse(envelope: Envelope, echo: Echo, answer: Answer) {
	const { requestId } = envelope;
	const { status } = ending(answer.finishReason);
	const calls = (answer.toolCalls ?? []).flatMap((call, index) => {
		const { id, name, args, extra } = functionCall(call);
		const item = callItem({ id: callItemId(requestId, index), call_id: id, name, arguments: args }, status);
		return extra === null ? [item] : [callProofItem(requestId, { id, extra, by: envelope.model }), item];
	});
	// A model that calls tools and says nothing has no message.
	const isSilent = answer.text === '' && calls.length > 0;
	const thoughts = answer.thoughts.map((thought, index) => thoughtItem(thoughtItemId(requestId, index), thought));
	const output = [...thoughts, ...(isSilent ? [] : [messageItem(requestId, answer.text, status)]), ...calls];
	return endedResponse(envelope, echo, { answer, output });
}

/** The response that a stream ends with. */
export function endedResponse(
	envelope: Envelope,
	echo: Echo,
	{ answer, output }: { answer: Answer; output: readonly object[] },
) {
	return {
		...responseHead(envelope, echo, answer.model ?? envelope.model),
		...ending(answer.finishReason),
		output,
		usage: responseUsage(answer.usage),
		plimsoll: extras(envelope, answer),
	};
}

/** As it stands while the answer is made. */
export function begunResponse(envelope: Envelope, echo: Echo) {
	const head = responseHead(envelope, echo, envelope.model);
	return { ...head, status: 'in_progress', incomplete_details: null, output: [], usage: null };
}

export function failedResponse(envelope: Envelope, echo: Echo, { code, message }: PlimsollError) {
	return { ...begunResponse(envelope, echo), status: 'failed', error: { code, message } };
}

function responseHead({ requestId, created }: Envelope, echo: Echo, model: string) {
	return {
		id: requestId,
		object: 'response',
		created_at: created,
		model,
		error: null,
		background: false,
		previous_response_id: null,
		store: false,
		truncation: 'disabled',
		...echo,
	};
}

/** An answer that ended for another reason than that it was over is never complete. */
export function ending(finishReason: string): {
	status: 'completed' | 'incomplete';
	incomplete_details: { reason: string } | null;
} {
	if (finishReason === 'stop' || finishReason === 'tool_calls' || finishReason === 'function_call') {
		return { status: 'completed', incomplete_details: null };
	}
	const reason = finishReason === 'length' ? 'max_output_tokens' : finishReason;
	return { status: 'incomplete', incomplete_details: { reason } };
}

export function messageItem(requestId: string, text: string, status: Status) {
	return {
		id: `msg_${requestId}`,
		type: 'message',
		status,
		role: 'assistant',
		content: status === 'in_progress' ? [] : [outputText(text)],
	};
}

export function outputText(text: string) {
	return { type: 'output_text', text, annotations: [], logprobs: [] };
}

/** What a model thought, with what it needs to know it again; a hidden one has no text. */
export function thoughtItem(id: string, { text, proof }: Thought) {
	const summary = text === '' ? [] : [{ type: 'summary_text', text }];
	return { id, type: 'reasoning', summary, encrypted_content: sealedOf(proof) };
}

/** What a call's provider wants back with it: clients send items of reasoning back as they are. */
export function callProofItem(requestId: string, proof: CallProof) {
	return {
		id: `rs_${requestId}_${proof.id}`.slice(0, 64),
		type: 'reasoning',
		summary: [],
		encrypted_content: sealedCall(proof),
	};
}

export function thoughtItemId(requestId: string, index: number): string {
	return `rs_${requestId}_${index}`;
}

export function callItem(call: CallItem, status: Status) {
	return { ...call, type: 'function_call', status };
}

export function callItemId(requestId: string, index: number): string {
	return `fc_${requestId}_${index}`;
}

function responseUsage({ tokensIn, tokensOut, tokensCached, tokensCacheWritten, tokensReasoning }: Usage) {
	return {
		input_tokens: tokensIn,
		input_tokens_details: { cached_tokens: tokensCached, cache_write_tokens: tokensCacheWritten },
		output_tokens: tokensOut,
		output_tokens_details: { reasoning_tokens: tokensReasoning },
		total_tokens: tokensIn + tokensOut,
	};
}
