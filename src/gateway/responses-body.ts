import { z } from 'zod';
import type { ChatRequest } from '../runtime/request.ts';
import { PlimsollError } from '../spec/errors.ts';
import { Members, unsupported } from './members.ts';
import { addItem } from './responses-input.ts';
import { TranslatedChat } from './translated-chat.ts';

const number = z.number('expected a number').nullish();
const loose = z.looseObject({}, 'expected an object').nullish();

/** `POST /v1/responses`: OpenAI's Responses API. What else a body holds is read or refused by name. */
export const ResponsesBody = z.looseObject({
	model: z.string('expected the name of a feature or an upstream').min(1).max(200),
	input: z.union(
		[z.string().min(1), z.array(z.looseObject({})).min(1).max(2000)],
		'expected a text, or a list of 1 to 2,000 items',
	),
	instructions: z.string('expected a text').nullish(),
	stream: z.boolean('expected true or false').nullish(),
	max_output_tokens: z.int('expected a whole number of at least 1').min(1).nullish(),
	temperature: number,
	top_p: number,
	tools: z.array(z.looseObject({}), 'expected a list of tools').nullish(),
	tool_choice: z.union([z.string(), z.looseObject({})], 'expected a word or a function').nullish(),
	parallel_tool_calls: z.boolean('expected true or false').nullish(),
	text: loose,
	reasoning: loose,
	metadata: loose,
	user: z.string('expected a string of at most 512 characters').max(512).nullish(),
	safety_identifier: z.string('expected a string of at most 512 characters').max(512).nullish(),
});

type Body = z.output<typeof ResponsesBody>;
type Json = Readonly<Record<string, unknown>>;

/** Where a feature's refusal would name a parameter that the client has under another name. */
const NAMES = {
	max_tokens: 'max_output_tokens',
	response_format: 'text.format',
	verbosity: 'text.verbosity',
	reasoning_effort: 'reasoning.effort',
};

const NOTHING_STORED = 'is not possible: no response is stored here. Send the whole input, with store: false';

/** What a response repeats of its request. */
export type Echo = Json;

/** A body of the Responses API as the runtime takes it. Throws what the client must change, by the name that it has there. */
export function readResponsesBody(body: Body): { ask: Omit<ChatRequest, 'sink'>; echo: Echo } {
	const chat = new TranslatedChat(body.model);
	const members = new Members(body, '');
	for (const name of Object.keys(ResponsesBody.shape)) members.any(name);
	for (const name of ['store', 'previous_response_id', 'conversation', 'background']) {
		members.refuse(name, NOTHING_STORED);
	}
	if ((members.optionalText('truncation') ?? 'disabled') !== 'disabled') {
		throw unsupported('truncation', 'can only be disabled');
	}
	const streaming = members.optionalMembers('stream_options');
	streaming?.refuse('include_obfuscation', 'is not possible here');
	streaming?.end();
	includes(members.any('include'));
	const passed = {
		prompt_cache_key: members.any('prompt_cache_key'),
		service_tier: members.any('service_tier'),
	};
	members.end();
	if (body.instructions) chat.add({ role: 'system', content: body.instructions }, 'instructions');
	if (typeof body.input === 'string') chat.add({ role: 'user', content: body.input }, 'input');
	else for (const [index, item] of body.input.entries()) addItem(chat, item, `input[${index}]`);
	const parameters = {
		...passed,
		max_tokens: body.max_output_tokens,
		temperature: body.temperature,
		top_p: body.top_p,
		parallel_tool_calls: body.parallel_tool_calls,
		tools: body.tools?.length ? body.tools.map((tool, index) => toolOf(tool, `tools[${index}]`)) : null,
		tool_choice: body.tool_choice ? toolChoiceOf(body.tool_choice) : null,
		reasoning_effort: body.reasoning ? effortOf(body.reasoning) : null,
		...(body.text ? textOf(body.text) : {}),
	};
	const user = body.user ?? body.safety_identifier ?? null;
	return { ask: chat.request({ model: body.model, parameters, user, names: NAMES }), echo: echoOf(body) };
}

/** What a provider wants back with a thought comes with it anyway. */
function includes(include: unknown): void {
	for (const [index, one] of (Array.isArray(include) ? include : []).entries()) {
		if (one !== 'reasoning.encrypted_content') throw unsupported(`include[${index}]`, 'is not possible here');
	}
}

function toolOf(raw: unknown, at: string): Json {
	const tool = new Members(raw, at);
	const type = tool.text('type');
	if (type !== 'function') throw unsupported(at, `is a tool of OpenAI’s own (${type.slice(0, 50)})`);
	const [name, description] = [tool.text('name'), tool.optionalText('description')];
	const [parameters, strict] = [tool.any('parameters'), tool.optionalBoolean('strict')];
	tool.end();
	const given = { name, description, parameters, strict };
	return {
		type: 'function',
		function: Object.fromEntries(Object.entries(given).filter(([, value]) => value !== null)),
	};
}

function toolChoiceOf(raw: unknown): unknown {
	if (typeof raw === 'string') {
		if (['auto', 'none', 'required'].includes(raw)) return raw;
		const message = 'tool_choice: expected auto, none, required or a function.';
		throw new PlimsollError('request_invalid', message, { param: 'tool_choice' });
	}
	const choice = new Members(raw, 'tool_choice');
	choice.word('type', ['function']);
	const name = choice.text('name');
	choice.end();
	return { type: 'function', function: { name } };
}

function effortOf(raw: unknown): string | null {
	const reasoning = new Members(raw, 'reasoning');
	const effort = reasoning.optionalText('effort');
	// What its provider lets see is told, however short or long.
	for (const name of ['summary', 'generate_summary']) reasoning.optionalText(name);
	reasoning.end();
	return effort;
}

function textOf(raw: unknown): Json {
	const text = new Members(raw, 'text');
	const [verbosity, format] = [text.optionalText('verbosity'), text.optionalMembers('format')];
	text.end();
	const type = format?.word('type', ['text', 'json_object', 'json_schema']) ?? 'text';
	if (format === null || type === 'text') {
		format?.end();
		return { verbosity };
	}
	if (type === 'json_object') {
		format.end();
		return { verbosity, response_format: { type } };
	}
	const given = {
		name: format.text('name'),
		schema: format.object('schema'),
		description: format.optionalText('description'),
		strict: format.optionalBoolean('strict'),
	};
	format.end();
	const schema = Object.fromEntries(Object.entries(given).filter(([, value]) => value !== null));
	return { verbosity, response_format: { type, json_schema: schema } };
}

function echoOf(body: Body): Echo {
	return {
		instructions: body.instructions ?? null,
		max_output_tokens: body.max_output_tokens ?? null,
		parallel_tool_calls: body.parallel_tool_calls ?? true,
		reasoning: { effort: body.reasoning?.effort ?? null, summary: null },
		temperature: body.temperature ?? null,
		text: body.text ?? { format: { type: 'text' } },
		tool_choice: body.tool_choice ?? 'auto',
		tools: body.tools ?? [],
		top_p: body.top_p ?? null,
		metadata: body.metadata ?? {},
		user: null,
	};
}
