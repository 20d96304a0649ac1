import type { Answer } from './answer.ts';
import { type Asked, callable, count, type Json, listOf, mapping, mappings, type OfferedTool, text } from './asked.ts';
import { eventStreamMessage } from './aws-event-stream.ts';
import type { TokenCounts } from './plan.ts';
import { type Frames, type Refusal, type RefusalReply, retryHeaders, type WireFormat } from './wire-format.ts';

/**
 * `POST /model/{model}/converse` and `/converse-stream`
 * (https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html).
 */
export const bedrockConverse: WireFormat = {
	read(body, path): Asked {
		const messages = mappings(listOf(body.messages, 'messages'));
		const config = mapping(body.toolConfig);
		const last = mappings(messages.at(-1)?.content);
		const thinking = mapping(mapping(body.additionalModelRequestFields).thinking);
		return {
			model: decodeURIComponent(/\/model\/([^/]+)\//.exec(path)?.[1] ?? 'unknown'),
			stream: path.endsWith('/converse-stream'),
			input: [body.system ?? '', messages],
			tools: callable(toolsOf(config.tools), {
				none: last.some((part) => part.toolResult !== undefined),
				name: text(mapping(mapping(config.toolChoice).tool).name),
			}),
			parallel: true,
			schema: null,
			thinks: thinking.type === 'enabled',
			tokensOutMax: count(mapping(body.inferenceConfig).maxTokens),
			usageInStream: true,
		};
	},
	plain: (answer) => ({
		output: { message: { role: 'assistant', content: blocks(answer) } },
		...(answer.finish !== null && { stopReason: stopReason(answer.finish) }),
		...(answer.counts && { usage: usageOf(answer.counts) }),
		metrics: { latencyMs: 12 },
	}),
	stream,
	refuse: refusal,
	streamError: () => eventStreamMessage('serviceUnavailableException', { message: ROWS.overloaded[2] }, 'exception'),
	limitHeaders: () => ({}),
};

const SIGNATURE = Buffer.from('a double thinks in the open').toString('base64');

function blocks({ thinking, text: said, calls }: Answer): Json[] {
	const reasoningText = { text: thinking, signature: SIGNATURE };
	return [
		...(thinking === null ? [] : [{ reasoningContent: { reasoningText } }]),
		...(said === '' && calls.length > 0 ? [] : [{ text: said }]),
		...calls.map((call) => ({ toolUse: { toolUseId: call.id, name: call.name, input: parsed(call.arguments) } })),
	];
}

/** Broken arguments stay the text that they are. */
function parsed(json: string): unknown {
	try {
		return JSON.parse(json);
	} catch {
		return json;
	}
}

/** AWS's binary event stream; a text's block has no start event. */
function stream(answer: Answer): Frames {
	const { thinking, pieces, calls, callPieces, counts, finish } = answer;
	const list: Buffer[] = [eventStreamMessage('messageStart', { role: 'assistant' })];
	const event = (name: string, payload: Json) => list.push(eventStreamMessage(name, payload));
	let contentBlockIndex = 0;
	const block = (deltas: readonly Json[]) => {
		for (const delta of deltas) event('contentBlockDelta', { contentBlockIndex, delta });
		event('contentBlockStop', { contentBlockIndex: contentBlockIndex++ });
	};
	if (thinking !== null) {
		block([{ reasoningContent: { text: thinking } }, { reasoningContent: { signature: SIGNATURE } }]);
	}
	if (pieces.length > 0 || calls.length === 0) block(pieces.map((piece) => ({ text: piece })));
	for (const { call, fragment, first, last } of callPieces) {
		const at = { contentBlockIndex: contentBlockIndex + call.index };
		const toolUse = { toolUseId: call.id, name: call.name };
		if (first) event('contentBlockStart', { ...at, start: { toolUse } });
		event('contentBlockDelta', { ...at, delta: { toolUse: { input: fragment } } });
		if (last) event('contentBlockStop', at);
	}
	if (finish !== null) event('messageStop', { stopReason: stopReason(finish) });
	const usage = counts && { usage: usageOf(counts) };
	const end = eventStreamMessage('metadata', { ...usage, metrics: { latencyMs: 12 } });
	return { list, end, type: 'application/vnd.amazon.eventstream' };
}

function stopReason(finish: string): string {
	if (finish === 'length') return 'max_tokens';
	if (finish === 'content_filter') return 'content_filtered';
	return finish === 'tool_calls' ? 'tool_use' : 'end_turn';
}

/** What was cached is counted beside the other input. */
function usageOf(counts: TokenCounts): Json {
	const { tokensIn, tokensOut, tokensCached, tokensCacheWritten } = counts;
	return {
		inputTokens: tokensIn - tokensCached - tokensCacheWritten,
		outputTokens: tokensOut,
		totalTokens: tokensIn + tokensOut,
		cacheReadInputTokens: tokensCached,
		cacheWriteInputTokens: tokensCacheWritten,
	};
}

function toolsOf(tools: unknown): OfferedTool[] {
	return mappings(tools).flatMap((tool) => {
		const { name, inputSchema } = mapping(tool.toolSpec);
		return typeof name === 'string' ? [{ name, schema: mapping(inputSchema).json ?? {} }] : [];
	});
}

type Row = readonly [status: number, type: string, message: string];

/** As the API's reference lists them. */
const ROWS: Readonly<Record<Refusal['kind'], Row>> = {
	rate_limited: [429, 'ThrottlingException', 'Too many requests, please wait before trying again.'],
	quota: [400, 'ServiceQuotaExceededException', 'Your request exceeds the service quota for your account.'],
	server_error: [500, 'InternalServerException', 'The system encountered an unexpected error during processing.'],
	overloaded: [503, 'ServiceUnavailableException', 'Bedrock is unable to process your request.'],
	context_too_long: [400, 'ValidationException', 'Input is too long for requested model.'],
	content_filter: [400, 'ValidationException', 'Output blocked by content filtering policy'],
	bad_request: [400, 'ValidationException', 'Malformed input request, please reformat your input and try again.'],
	authentication: [403, 'UnrecognizedClientException', 'The security token included in the request is invalid.'],
	permission: [403, 'AccessDeniedException', "You don't have access to the model with the specified model ID."],
	model_not_found: [404, 'ResourceNotFoundException', 'The provided model identifier is invalid.'],
};

function refusal({ kind, message, plan, nowMs }: Refusal): RefusalReply {
	const [usual, type, words] = ROWS[kind];
	const status = kind === 'server_error' ? (plan.errorStatus ?? usual) : usual;
	const headers = { 'x-amzn-errortype': type, ...retryHeaders(plan, nowMs) };
	return { status, body: { message: message ?? words }, headers };
}
