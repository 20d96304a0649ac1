import type { Answer, ToolCall } from './answer.ts';
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
	text,
} from './asked.ts';
import { openAiLimitHeaders, openAiRefusal } from './openai-error.ts';
import type { TokenCounts } from './plan.ts';
import { type Frames, sse, type WireFormat } from './wire-format.ts';

/** `POST /v1/chat/completions` (https://platform.openai.com/docs/api-reference/chat). */
export const openAiChat: WireFormat = {
	read(body): Asked {
		const model = modelOf(body);
		const messages = mappings(listOf(body.messages, 'messages'));
		const choice = body.tool_choice;
		const isAnswered = messages.at(-1)?.role === 'tool';
		return {
			model,
			stream: body.stream === true,
			input: messages,
			tools: callable(toolsOf(body.tools), {
				none: choice === 'none' || isAnswered,
				name: text(mapping(mapping(choice).function).name),
			}),
			parallel: body.parallel_tool_calls !== false,
			schema: schemaOf(mapping(body.response_format)),
			thinks: typeof body.reasoning_effort === 'string' && body.reasoning_effort !== 'none',
			tokensOutMax: count(body.max_completion_tokens) ?? count(body.max_tokens),
			usageInStream: mapping(body.stream_options).include_usage === true,
		};
	},
	plain(answer): Json {
		const called = answer.calls.length > 0;
		const message = {
			role: 'assistant',
			content: called ? answer.text || null : answer.text,
			refusal: null,
			// Not OpenAI's own: DeepSeek's, which most compatible servers took over.
			...(answer.thinking !== null && { reasoning_content: answer.thinking }),
			...(called && { tool_calls: answer.calls.map(toolCall) }),
		};
		const usage = usageOf(answer);
		return {
			...common(answer),
			object: 'chat.completion',
			choices: [{ index: 0, message, logprobs: null, finish_reason: answer.finish }],
			...(usage && { usage }),
		};
	},
	stream(answer): Frames {
		const event = (choices: unknown[], more: Json = {}) =>
			sse({ ...common(answer), object: 'chat.completion.chunk', choices, ...more });
		const choice = (delta: Json, finish: string | null = null) =>
			event([{ index: 0, delta, logprobs: null, finish_reason: finish }]);
		const list = [choice({ role: 'assistant', content: answer.calls.length > 0 ? null : '', refusal: null })];
		if (answer.thinking !== null) list.push(choice({ reasoning_content: answer.thinking }));
		for (const content of answer.pieces) list.push(choice({ content }));
		for (const { call, fragment, first } of answer.callPieces) {
			const named = first ? { id: `call_${call.id}`, type: 'function' } : {};
			const inner = first ? { name: call.name, arguments: fragment } : { arguments: fragment };
			list.push(choice({ tool_calls: [{ index: call.index, ...named, function: inner }] }));
		}
		if (answer.finish !== null) list.push(choice({}, answer.finish));
		const usage = usageOf(answer);
		if (usage && answer.usageInStream) list.push(event([], { usage }));
		return { list, end: 'data: [DONE]\n\n', type: 'text/event-stream' };
	},
	refuse: openAiRefusal,
	streamError: (refusal) => sse(openAiRefusal(refusal).body),
	limitHeaders: openAiLimitHeaders,
};

function common({ id, created, model }: Answer): Json {
	return { id: `chatcmpl-${id}`, created, model, system_fingerprint: 'fp_double' };
}

function toolCall(call: ToolCall): Json {
	return { id: `call_${call.id}`, type: 'function', function: { name: call.name, arguments: call.arguments } };
}

function toolsOf(tools: unknown): OfferedTool[] {
	return mappings(tools).flatMap((tool) => {
		const { name, parameters } = mapping(tool.function);
		return typeof name === 'string' ? [{ name, schema: parameters ?? {} }] : [];
	});
}

function schemaOf(format: Json): unknown {
	if (format.type === 'json_schema') return mapping(format.json_schema).schema ?? {};
	return format.type === 'json_object' ? {} : null;
}

function usageOf({ counts, chatUsage }: Answer): Json | null {
	if (chatUsage !== null) return chatUsage;
	return counts && chatCounts(counts);
}

function chatCounts(counts: TokenCounts): Json {
	return {
		prompt_tokens: counts.tokensIn,
		completion_tokens: counts.tokensOut,
		total_tokens: counts.tokensIn + counts.tokensOut,
		prompt_tokens_details: {
			cached_tokens: counts.tokensCached,
			...(counts.tokensCacheWritten > 0 && { cache_write_tokens: counts.tokensCacheWritten }),
			audio_tokens: 0,
		},
		completion_tokens_details: {
			reasoning_tokens: counts.tokensReasoning,
			audio_tokens: 0,
			accepted_prediction_tokens: 0,
			rejected_prediction_tokens: 0,
		},
	};
}
