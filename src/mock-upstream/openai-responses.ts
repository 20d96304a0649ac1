import type { Answer } from './answer.ts';
import {
	type Asked,
	callable,
	count,
	type Json,
	mapping,
	mappings,
	modelOf,
	type OfferedTool,
	required,
	text,
} from './asked.ts';
import { openAiLimitHeaders, openAiRefusal } from './openai-error.ts';
import { type Frames, sse, type WireFormat } from './wire-format.ts';

/** `POST /v1/responses` (https://platform.openai.com/docs/api-reference/responses). */
export const openAiResponses: WireFormat = {
	read(body): Asked {
		const choice = body.tool_choice;
		const input = required(body.input, 'input');
		const format = mapping(mapping(body.text).format);
		const isAnswered = mappings(input).at(-1)?.type === 'function_call_output';
		const effort = mapping(body.reasoning).effort;
		return {
			model: modelOf(body),
			stream: body.stream === true,
			input: [body.instructions ?? '', input],
			tools: callable(toolsOf(body.tools), {
				none: choice === 'none' || isAnswered,
				name: text(mapping(choice).name),
			}),
			parallel: body.parallel_tool_calls !== false,
			schema: format.type === 'json_schema' ? (format.schema ?? {}) : format.type === 'json_object' ? {} : null,
			thinks: typeof effort === 'string' && effort !== 'none',
			tokensOutMax: count(body.max_output_tokens),
			usageInStream: true,
		};
	},
	plain: (answer) => response(answer, items(answer)),
	stream: (answer) => new ResponseStream(answer).frames(),
	refuse: openAiRefusal,
	streamError(refusal) {
		const { message, code } = mapping(openAiRefusal(refusal).body.error);
		return sse({ type: 'error', code: code ?? 'server_error', message, param: null, sequence_number: 0 }, 'error');
	},
	limitHeaders: openAiLimitHeaders,
};

/** The items of an answer in order: what it thought, what it says, what it calls. */
function items({ id, thinking, text: said, calls, finish }: Answer): Json[] {
	const status = finish === 'length' ? 'incomplete' : 'completed';
	const thought = { id: `rs_${id}`, type: 'reasoning', summary: [{ type: 'summary_text', text: thinking }] };
	const message = { id: `msg_${id}`, type: 'message', status, role: 'assistant', content: [outputText(said)] };
	return [
		...(thinking === null ? [] : [thought]),
		...(calls.length > 0 && said === '' ? [] : [message]),
		...calls.map((call) => ({
			id: `fc_${call.id}`,
			type: 'function_call',
			status: 'completed',
			call_id: `call_${call.id}`,
			name: call.name,
			arguments: call.arguments,
		})),
	];
}

function outputText(said: string): Json {
	return { type: 'output_text', text: said, annotations: [], logprobs: [] };
}

function response(answer: Answer, output: readonly Json[], status: string = statusOf(answer)): Json {
	const { id, created, model, counts, finish } = answer;
	const reason = finish === 'length' ? 'max_output_tokens' : 'content_filter';
	return {
		id: `resp_${id}`,
		object: 'response',
		created_at: created,
		status,
		background: false,
		error: null,
		incomplete_details: status === 'incomplete' ? { reason } : null,
		instructions: null,
		max_output_tokens: null,
		model,
		output,
		parallel_tool_calls: true,
		previous_response_id: null,
		reasoning: { effort: null, summary: null },
		store: false,
		temperature: 1,
		text: { format: { type: 'text' } },
		tool_choice: 'auto',
		tools: [],
		top_p: 1,
		truncation: 'disabled',
		usage: status === 'in_progress' || counts === null ? null : usageOf(answer),
		user: null,
		metadata: {},
	};
}

function statusOf({ finish }: Answer): string {
	return finish === 'length' || finish === 'content_filter' ? 'incomplete' : 'completed';
}

function usageOf({ counts }: Answer): Json | null {
	if (counts === null) return null;
	return {
		input_tokens: counts.tokensIn,
		input_tokens_details: { cached_tokens: counts.tokensCached, cache_write_tokens: counts.tokensCacheWritten },
		output_tokens: counts.tokensOut,
		output_tokens_details: { reasoning_tokens: counts.tokensReasoning },
		total_tokens: counts.tokensIn + counts.tokensOut,
	};
}

function toolsOf(tools: unknown): OfferedTool[] {
	return mappings(tools).flatMap(({ type, name, parameters }) =>
		type === 'function' && typeof name === 'string' ? [{ name, schema: parameters ?? {} }] : [],
	);
}

/** The events of a response, numbered as they come. */
class ResponseStream {
	readonly #answer: Answer;
	readonly #list: string[] = [];

	constructor(answer: Answer) {
		this.#answer = answer;
	}

	frames(): Frames {
		const answer = this.#answer;
		const output = items(answer);
		this.#event('response.created', { response: response(answer, [], 'in_progress') });
		this.#event('response.in_progress', { response: response(answer, [], 'in_progress') });
		const calls = output.filter(({ type }) => type === 'function_call');
		for (const [index, item] of output.entries()) {
			if (item.type === 'reasoning') this.#reasoning(item, index);
			if (item.type === 'message') this.#message(item, index);
		}
		this.#calls(calls, output.length - calls.length);
		const status = statusOf(answer);
		if (answer.finish !== null) this.#event(`response.${status}`, { response: response(answer, output, status) });
		return { list: this.#list, end: null, type: 'text/event-stream' };
	}

	#event(type: string, members: Json): void {
		this.#list.push(sse({ type, sequence_number: this.#list.length, ...members }, type));
	}

	#reasoning(item: Json, index: number): void {
		const at = { item_id: item.id, output_index: index, summary_index: 0 };
		const said = this.#answer.thinking ?? '';
		this.#event('response.output_item.added', { output_index: index, item: { ...item, summary: [] } });
		this.#event('response.reasoning_summary_part.added', { ...at, part: { type: 'summary_text', text: '' } });
		this.#event('response.reasoning_summary_text.delta', { ...at, delta: said });
		this.#event('response.reasoning_summary_text.done', { ...at, text: said });
		this.#event('response.reasoning_summary_part.done', { ...at, part: { type: 'summary_text', text: said } });
		this.#event('response.output_item.done', { output_index: index, item });
	}

	#message(item: Json, index: number): void {
		const at = { item_id: item.id, output_index: index, content_index: 0 };
		const begun = { ...item, status: 'in_progress', content: [] };
		this.#event('response.output_item.added', { output_index: index, item: begun });
		this.#event('response.content_part.added', { ...at, part: outputText('') });
		for (const delta of this.#answer.pieces) {
			this.#event('response.output_text.delta', { ...at, delta, logprobs: [] });
		}
		const said = this.#answer.pieces.join('');
		this.#event('response.output_text.done', { ...at, text: said, logprobs: [] });
		this.#event('response.content_part.done', { ...at, part: outputText(said) });
		this.#event('response.output_item.done', { output_index: index, item });
	}

	#calls(calls: readonly Json[], from: number): void {
		for (const { call, fragment, first, last } of this.#answer.callPieces) {
			const item = calls.find(({ call_id: id }) => id === `call_${call.id}`) ?? {};
			const at = { item_id: item.id, output_index: from + call.index };
			const begun = { ...item, status: 'in_progress', arguments: '' };
			if (first) this.#event('response.output_item.added', { output_index: from + call.index, item: begun });
			else this.#event('response.function_call_arguments.delta', { ...at, delta: fragment });
			if (!last) continue;
			this.#event('response.function_call_arguments.done', { ...at, name: call.name, arguments: call.arguments });
			this.#event('response.output_item.done', { output_index: from + call.index, item });
		}
	}
}
