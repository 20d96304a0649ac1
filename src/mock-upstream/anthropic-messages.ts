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
	required,
	text,
} from './asked.ts';
import type { TokenCounts } from './plan.ts';
import {
	type Frames,
	type LimitLeft,
	type Refusal,
	type RefusalReply,
	retryHeaders,
	sse,
	type WireFormat,
} from './wire-format.ts';

/** `POST /v1/messages` (https://docs.claude.com/en/api/messages and …/messages-streaming). */
export const anthropicMessages: WireFormat = {
	read(body): Asked {
		const messages = mappings(listOf(body.messages, 'messages'));
		required(body.max_tokens, 'max_tokens');
		const choice = mapping(body.tool_choice);
		const last = mappings(messages.at(-1)?.content);
		const format = mapping(mapping(body.output_config).format ?? body.output_format);
		const thinking = mapping(body.thinking).type;
		return {
			model: modelOf(body),
			stream: body.stream === true,
			input: [body.system ?? '', messages],
			tools: callable(toolsOf(body.tools), {
				none: choice.type === 'none' || last.some(({ type }) => type === 'tool_result'),
				name: choice.type === 'tool' ? text(choice.name) : null,
			}),
			parallel: choice.disable_parallel_tool_use !== true,
			schema: format.type === 'json_schema' ? (format.schema ?? {}) : null,
			thinks: thinking === 'enabled' || thinking === 'adaptive',
			tokensOutMax: count(body.max_tokens),
			usageInStream: true,
		};
	},
	plain: (answer) => ({
		...message(answer),
		content: blocks(answer),
		stop_reason: stopReason(answer),
		usage: answer.counts && usageOf(answer.counts),
	}),
	stream,
	refuse: refusal,
	streamError: (why) => sse(refusal(why).body, 'error'),
	limitHeaders,
};

function message({ id, model }: Answer): Json {
	return {
		id: `msg_${id}`,
		type: 'message',
		role: 'assistant',
		model,
		content: [],
		stop_reason: null,
		stop_sequence: null,
	};
}

function blocks({ thinking, text: said, calls }: Answer): Json[] {
	return [
		...(thinking === null ? [] : [{ type: 'thinking', thinking, signature: SIGNATURE }]),
		...(said === '' && calls.length > 0 ? [] : [{ type: 'text', text: said, citations: null }]),
		...calls.map((call) => ({
			type: 'tool_use',
			id: `toolu_${call.id}`,
			name: call.name,
			input: parsed(call.arguments),
		})),
	];
}

const SIGNATURE = Buffer.from('a double thinks in the open').toString('base64');

/** What a plain answer gives as `input`: broken arguments stay the text that they are. */
function parsed(json: string): unknown {
	try {
		return JSON.parse(json);
	} catch {
		return json;
	}
}

function stopReason({ finish }: Answer): string | null {
	switch (finish) {
		case 'stop':
			return 'end_turn';
		case 'length':
			return 'max_tokens';
		case 'tool_calls':
			return 'tool_use';
		case 'content_filter':
			return 'refusal';
		default:
			return finish;
	}
}

/** Anthropic counts what was cached beside the other input. */
function usageOf(counts: TokenCounts): Json {
	return {
		input_tokens: counts.tokensIn - counts.tokensCached - counts.tokensCacheWritten,
		cache_creation_input_tokens: counts.tokensCacheWritten,
		cache_read_input_tokens: counts.tokensCached,
		cache_creation: { ephemeral_5m_input_tokens: counts.tokensCacheWritten, ephemeral_1h_input_tokens: 0 },
		output_tokens: counts.tokensOut,
		output_tokens_details: { thinking_tokens: counts.tokensReasoning },
		service_tier: 'standard',
	};
}

function stream(answer: Answer): Frames {
	const list: string[] = [];
	const event = (type: string, members: Json = {}) => list.push(sse({ type, ...members }, type));
	const { counts, thinking, text: said, calls } = answer;
	const begun = counts && { ...usageOf(counts), output_tokens: 1, output_tokens_details: null };
	event('message_start', { message: { ...message(answer), ...(begun && { usage: begun }) } });
	event('ping');
	let index = 0;
	const block = (content_block: Json, deltas: readonly Json[]) => {
		event('content_block_start', { index, content_block });
		for (const delta of deltas) event('content_block_delta', { index, delta });
		event('content_block_stop', { index });
		index++;
	};
	if (thinking !== null) {
		block({ type: 'thinking', thinking: '', signature: '' }, [
			{ type: 'thinking_delta', thinking },
			{ type: 'signature_delta', signature: SIGNATURE },
		]);
	}
	if (said !== '' || calls.length === 0) {
		const deltas = answer.pieces.map((piece) => ({ type: 'text_delta', text: piece }));
		block({ type: 'text', text: '', citations: null }, deltas);
	}
	for (const { call, fragment, first, last } of answer.callPieces) {
		const at = index + call.index;
		const content_block = { type: 'tool_use', id: `toolu_${call.id}`, name: call.name, input: {} };
		if (first) event('content_block_start', { index: at, content_block });
		event('content_block_delta', { index: at, delta: { type: 'input_json_delta', partial_json: fragment } });
		if (last) event('content_block_stop', { index: at });
	}
	if (answer.finish !== null) {
		const delta = { stop_reason: stopReason(answer), stop_sequence: null };
		event('message_delta', { delta, ...(counts && { usage: usageOf(counts) }) });
	}
	return { list, end: sse({ type: 'message_stop' }, 'message_stop'), type: 'text/event-stream' };
}

type Row = readonly [status: number, type: string, message: string];

/** As https://docs.claude.com/en/api/errors lists them. */
const ROWS: Readonly<Record<Refusal['kind'], Row>> = {
	rate_limited: [429, 'rate_limit_error', 'This request would exceed the rate limit of your organization.'],
	quota: [402, 'billing_error', 'Your credit balance is too low to access the Anthropic API.'],
	server_error: [500, 'api_error', 'Internal server error'],
	overloaded: [529, 'overloaded_error', 'Overloaded'],
	context_too_long: [400, 'invalid_request_error', 'prompt is too long: 250000 tokens > 200000 maximum'],
	content_filter: [400, 'invalid_request_error', 'Output blocked by content filtering policy'],
	bad_request: [400, 'invalid_request_error', 'temperature: range: 0..1'],
	authentication: [401, 'authentication_error', 'invalid x-api-key'],
	permission: [403, 'permission_error', 'Your API key has no permission to use this model.'],
	model_not_found: [404, 'not_found_error', 'model: not found'],
};

function refusal({ kind, message: said, plan, nowMs }: Refusal): RefusalReply {
	const [usual, type, words] = ROWS[kind];
	const status = kind === 'server_error' ? (plan.errorStatus ?? usual) : usual;
	const error = { type: status === ROWS.overloaded[0] ? 'overloaded_error' : type, message: said ?? words };
	const body = { type: 'error', error, request_id: `req_${plan.id ?? 'double'}` };
	return { status, body, headers: retryHeaders(plan, nowMs) };
}

/** `anthropic-ratelimit-…`, with resets as times. */
function limitHeaders(limits: readonly LimitLeft[], nowMs: number): Record<string, string> {
	return Object.fromEntries(
		limits.flatMap(({ limit, max, left, resetMs }) => [
			[`anthropic-ratelimit-${limit}-limit`, String(max)],
			[`anthropic-ratelimit-${limit}-remaining`, String(left)],
			[`anthropic-ratelimit-${limit}-reset`, new Date(nowMs + resetMs).toISOString()],
		]),
	);
}

function toolsOf(tools: unknown): OfferedTool[] {
	return mappings(tools).flatMap(({ name, input_schema: schema }) =>
		typeof name === 'string' && schema !== undefined ? [{ name, schema }] : [],
	);
}
