import type { Answer } from './answer.ts';
import {
	type Asked,
	callable,
	count,
	type Json,
	listOf,
	mapping,
	mappings,
	modelOf,
	type OfferedTool,
} from './asked.ts';
import type { TokenCounts } from './plan.ts';
import { type Frames, type Refusal, type RefusalReply, retryHeaders, sse, type WireFormat } from './wire-format.ts';

/** `POST /v2/chat` (https://docs.cohere.com/reference/chat and …/chat-stream). */
export const cohereChat: WireFormat = {
	read(body): Asked {
		const messages = mappings(listOf(body.messages, 'messages'));
		const format = mapping(body.response_format);
		const thinking = mapping(body.thinking);
		return {
			model: modelOf(body),
			stream: body.stream === true,
			input: messages,
			tools: callable(toolsOf(body.tools), {
				none: body.tool_choice === 'NONE' || messages.at(-1)?.role === 'tool',
				name: null,
			}),
			parallel: true,
			schema: format.type === 'json_object' ? (format.json_schema ?? format.schema ?? {}) : null,
			thinks: thinking.type === 'enabled',
			tokensOutMax: count(body.max_tokens),
			usageInStream: true,
		};
	},
	plain: (answer) => ({
		id: answer.id,
		message: { role: 'assistant', ...contentOf(answer) },
		...(answer.finish !== null && { finish_reason: finishReason(answer.finish) }),
		...(answer.counts && { usage: usageOf(answer.counts) }),
	}),
	stream,
	refuse: refusal,
	// The format has no error within a stream: the connection says it.
	streamError: (why) => sse(refusal(why).body),
	limitHeaders: () => ({}),
};

function contentOf({ thinking, text, calls }: Answer): Json {
	const content = [
		...(thinking === null ? [] : [{ type: 'thinking', thinking }]),
		...(text === '' ? [] : [{ type: 'text', text }]),
	];
	const tool_calls = calls.map((call) => ({
		id: call.id,
		type: 'function',
		function: { name: call.name, arguments: call.arguments },
	}));
	return { ...(content.length > 0 && { content }), ...(tool_calls.length > 0 && { tool_calls }) };
}

function stream(answer: Answer): Frames {
	const { thinking, pieces, calls, callPieces, counts, finish } = answer;
	const list: string[] = [];
	const event = (type: string, members: Json = {}) => list.push(sse({ type, ...members }, type));
	const message = (one: Json) => ({ delta: { message: one } });
	event('message-start', { id: answer.id, ...message({ role: 'assistant' }) });
	let index = 0;
	const block = (type: string, parts: readonly string[]) => {
		event('content-start', { index, ...message({ content: { type, [type]: '' } }) });
		for (const part of parts) event('content-delta', { index, ...message({ content: { [type]: part } }) });
		event('content-end', { index: index++ });
	};
	if (thinking !== null) block('thinking', [thinking]);
	if (pieces.length > 0 || calls.length === 0) block('text', pieces);
	for (const { call, fragment, first, last } of callPieces) {
		const named = { id: call.id, type: 'function', function: { name: call.name, arguments: '' } };
		if (first) event('tool-call-start', { index: call.index, ...message({ tool_calls: named }) });
		const piece = message({ tool_calls: { function: { arguments: fragment } } });
		event('tool-call-delta', { index: call.index, ...piece });
		if (last) event('tool-call-end', { index: call.index });
	}
	const usage = counts && { usage: usageOf(counts) };
	const end = finish === null ? null : { delta: { finish_reason: finishReason(finish), ...usage } };
	const last = end && sse({ type: 'message-end', ...end }, 'message-end');
	// The last event has the reason and the usage, and nothing follows it.
	return { list: last === null ? list : [...list, last], end: null, type: 'text/event-stream' };
}

function finishReason(finish: string): string {
	if (finish === 'length') return 'MAX_TOKENS';
	if (finish === 'content_filter') return 'ERROR_TOXIC';
	return finish === 'tool_calls' ? 'TOOL_CALL' : 'COMPLETE';
}

function usageOf(counts: TokenCounts): Json {
	const { tokensIn, tokensOut, tokensCached } = counts;
	return {
		billed_units: { input_tokens: tokensIn - tokensCached, output_tokens: tokensOut },
		tokens: { input_tokens: tokensIn, output_tokens: tokensOut },
		...(tokensCached > 0 && { cached_tokens: tokensCached }),
	};
}

function toolsOf(tools: unknown): OfferedTool[] {
	return mappings(tools).flatMap((tool) => {
		const { name, parameters } = mapping(tool.function);
		return typeof name === 'string' ? [{ name, schema: parameters ?? {} }] : [];
	});
}

type Row = readonly [status: number, message: string];

/** As https://docs.cohere.com/reference/errors lists them. */
const ROWS: Readonly<Record<Exclude<Refusal['kind'], 'content_filter'>, Row>> = {
	rate_limited: [429, 'You are using a Trial key, which is limited to 40 API calls / minute.'],
	quota: [402, 'please add or update your payment method'],
	server_error: [500, 'internal server error, this has been reported to our developers'],
	overloaded: [503, 'service unavailable'],
	context_too_long: [400, 'too many tokens: total number of tokens in the prompt cannot exceed 128000'],
	bad_request: [400, 'invalid request: temperature must be between 0 and 1.0 inclusive'],
	authentication: [401, 'invalid api token'],
	permission: [403, 'your key may not use this model'],
	model_not_found: [404, "model 'unknown' not found"],
};

const NOTHING_SAID: TokenCounts = {
	tokensIn: 20,
	tokensOut: 0,
	tokensCached: 0,
	tokensCacheWritten: 0,
	tokensReasoning: 0,
};

function refusal({ kind, message, plan, stream: streams, nowMs }: Refusal): RefusalReply {
	if (kind === 'content_filter') {
		// What is filtered is an answer that ends for this reason before it has begun.
		const end = { finish_reason: 'ERROR_TOXIC', usage: usageOf(NOTHING_SAID) };
		const body = streams
			? { type: 'message-end', delta: end }
			: { id: 'double', message: { role: 'assistant' }, ...end };
		return { status: 200, body };
	}
	const [usual, words] = ROWS[kind];
	const status = kind === 'server_error' ? (plan.errorStatus ?? usual) : usual;
	return { status, body: { id: plan.id ?? 'double', message: message ?? words }, headers: retryHeaders(plan, nowMs) };
}
