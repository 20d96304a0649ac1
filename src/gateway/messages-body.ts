import { z } from 'zod';
import { hiddenThought, proofOf } from '../base/thought.ts';
import type { ChatRequest } from '../runtime/request.ts';
import { PlimsollError } from '../spec/errors.ts';
import { THOUGHTS, type Thought } from '../spec/model.ts';
import { Members, unsupported } from './members.ts';
import { contentOf, TranslatedChat } from './translated-chat.ts';

const content = z.union([z.string(), z.array(z.looseObject({}))], 'expected a text or a list of blocks');
const number = z.number('expected a number').nullish();
const loose = z.looseObject({}, 'expected an object').nullish();

/** `POST /v1/messages`: Anthropic's Messages API. What it holds is read or refused by name. */
export const MessagesBody = z.strictObject({
	model: z.string('expected the name of a feature or an upstream').min(1).max(200),
	max_tokens: z.int('expected a whole number of at least 1').min(1),
	messages: z
		.array(z.strictObject({ role: z.enum(['user', 'assistant'], 'expected user or assistant'), content }))
		.min(1, 'is empty, expected at least the user’s question')
		.max(2000, 'holds more than 2,000 messages'),
	system: content.nullish(),
	stream: z.boolean('expected true or false').nullish(),
	temperature: number,
	top_p: number,
	top_k: number,
	stop_sequences: z.array(z.string(), 'expected a list of texts').nullish(),
	tools: z.array(z.looseObject({}), 'expected a list of tools').nullish(),
	tool_choice: loose,
	output_config: loose,
	thinking: loose,
	metadata: loose,
	service_tier: z.string('expected a word').nullish(),
	cache_control: loose,
});

/** `POST /v1/messages/count_tokens`: the same, but for what only an answer needs. */
export const CountTokensBody = MessagesBody.omit({
	max_tokens: true,
	stream: true,
	metadata: true,
	service_tier: true,
});

type Body = Partial<z.output<typeof MessagesBody>> & z.output<typeof CountTokensBody>;
type Block = Readonly<Record<string, unknown>>;

/** Where a feature's refusal would name a parameter that the client has under another name. */
const NAMES = {
	stop: 'stop_sequences',
	response_format: 'output_config.format',
	reasoning_effort: 'output_config.effort',
	provider_options: 'thinking',
};

/** A body of Anthropic's as the runtime takes it. Throws what the client must change, by the name that it has there. */
export function readMessagesBody(body: Body): Omit<ChatRequest, 'sink'> {
	const chat = new TranslatedChat(body.model);
	chat.hint('cache_control', body.cache_control ?? null);
	if (body.service_tier && body.service_tier !== 'auto') throw unsupported('service_tier', 'can only be auto');
	if (body.system) {
		const parts = texts(chat, body.system, 'system');
		if (parts.length > 0) chat.add({ role: 'system', content: contentOf(parts) }, 'system');
	}
	for (const [index, message] of body.messages.entries()) {
		const origin = `messages[${index}]`;
		if (message.role === 'user') addUser(chat, message.content, origin);
		else addAssistant(chat, message.content, origin);
	}
	const metadata = body.metadata ? new Members(body.metadata, 'metadata') : null;
	const user = metadata?.optionalText('user_id') ?? null;
	metadata?.end();
	const parameters = {
		max_tokens: body.max_tokens,
		temperature: body.temperature,
		top_p: body.top_p,
		top_k: body.top_k,
		stop: body.stop_sequences?.length ? body.stop_sequences : null,
		tools: body.tools?.length ? body.tools.map((tool, index) => toolOf(chat, tool, `tools[${index}]`)) : null,
		...(body.tool_choice ? toolChoiceOf(body.tool_choice) : {}),
		...(body.output_config ? outputOf(body.output_config) : {}),
		...(body.thinking ? thinkingOf(body.thinking) : {}),
	};
	return chat.request({ model: body.model, parameters, user, names: NAMES });
}

/** The results of tools stand before what the user says, and are messages of their own. */
function addUser(chat: TranslatedChat, content: Body['messages'][number]['content'], origin: string): void {
	if (typeof content === 'string') {
		chat.add({ role: 'user', content }, origin);
		return;
	}
	const parts: Block[] = [];
	for (const [index, raw] of content.entries()) {
		const block = new Members(raw, `${origin}.content[${index}]`);
		chat.hint('cache_control', block.any('cache_control'));
		if (block.text('type') !== 'tool_result') parts.push(inputPart(chat, block));
		else if (parts.length === 0) chat.add(toolResult(chat, block), origin);
		else {
			const message = `${block.at}: the results of tools stand before everything else in a message.`;
			throw new PlimsollError('request_invalid', message, { param: block.at });
		}
		block.end();
	}
	if (parts.length > 0 || content.length === 0) chat.add({ role: 'user', content: contentOf(parts) ?? '' }, origin);
}

function inputPart(chat: TranslatedChat, block: Members): Block {
	const type = block.text('type');
	switch (type) {
		case 'text':
			block.refuse('citations', 'is not passed on');
			return { type: 'text', text: block.text('text') };
		case 'image':
			return { type: 'image_url', image_url: { url: imageUrl(chat, block.members('source')) } };
		case 'document':
			return documentPart(block);
		default:
			throw unsupported(`${block.at}.type`, `"${type}" is not known here`);
	}
}

function imageUrl(chat: TranslatedChat, source: Members): string {
	const type = source.word('type', ['base64', 'url']);
	const url = type === 'url' ? source.text('url') : `data:${source.text('media_type')};base64,${source.text('data')}`;
	source.end();
	chat.show(source.at, url);
	return url;
}

function documentPart(block: Members): Block {
	block.refuse('context', 'is not passed on');
	const citations = block.optionalMembers('citations');
	citations?.refuse('enabled', 'is not possible here');
	citations?.end();
	const filename = block.optionalText('title') ?? 'document.pdf';
	const source = block.members('source');
	source.word('type', ['base64']);
	const media = source.word('media_type', ['application/pdf']);
	const data = source.text('data');
	source.end();
	return { type: 'file', file: { filename, file_data: `data:${media};base64,${data}` } };
}

/** OpenAI's format has no place for a failure but the text itself. */
function toolResult(chat: TranslatedChat, block: Members) {
	const id = block.text('tool_use_id');
	const said = block.any('content') ?? '';
	const failed = block.optionalBoolean('is_error') ?? false;
	const text = texts(chat, said, `${block.at}.content`)
		.map((part) => part.text)
		.join('');
	return { role: 'tool', tool_call_id: id, content: failed ? `Error: ${text}` : text };
}

function addAssistant(chat: TranslatedChat, content: Body['messages'][number]['content'], origin: string): void {
	if (typeof content === 'string') {
		chat.add({ role: 'assistant', content }, origin);
		return;
	}
	const parts: Block[] = [];
	const calls: Block[] = [];
	const thoughts: Thought[] = [];
	for (const [index, raw] of content.entries()) {
		const block = new Members(raw, `${origin}.content[${index}]`);
		chat.hint('cache_control', block.any('cache_control'));
		const type = block.text('type');
		if (type === 'text') parts.push(inputPart(chat, block));
		else if (type === 'tool_use') calls.push(toolCall(block));
		else if (type === 'thinking')
			thoughts.push({ text: block.text('thinking'), proof: proofOf(block.text('signature')) });
		else if (type === 'redacted_thinking') {
			const data = block.text('data');
			if (!chat.prove(data)) thoughts.push(hiddenThought(data));
		} else throw unsupported(`${block.at}.type`, `"${type}" is not known here`);
		block.end();
	}
	const said = contentOf(parts);
	const own = thoughts.length > 0 ? { [THOUGHTS]: thoughts } : {};
	const message = { role: 'assistant', content: said ?? (calls.length > 0 ? null : ''), ...own };
	chat.add(calls.length > 0 ? { ...message, tool_calls: chat.proven(calls) } : message, origin);
}

function toolCall(block: Members): Block {
	const { input, ...names } = { id: block.text('id'), name: block.text('name'), input: block.object('input') };
	return { id: names.id, type: 'function', function: { name: names.name, arguments: JSON.stringify(input) } };
}

/** Blocks of text alone. */
function texts(chat: TranslatedChat, content: unknown, at: string): Block[] {
	if (typeof content === 'string') return content === '' ? [] : [{ type: 'text', text: content }];
	if (!Array.isArray(content)) throw new PlimsollError('request_invalid', `${at}: expected a text.`, { param: at });
	return content.map((raw: unknown, index) => {
		const block = new Members(raw, `${at}[${index}]`);
		chat.hint('cache_control', block.any('cache_control'));
		if (block.text('type') !== 'text') throw unsupported(block.at, 'is not text, and cannot be passed on here');
		const part = inputPart(chat, block);
		block.end();
		return part;
	});
}

function toolOf(chat: TranslatedChat, raw: unknown, at: string): Block {
	const tool = new Members(raw, at);
	const type = tool.optionalText('type') ?? 'custom';
	if (type !== 'custom') throw unsupported(at, `is a tool of Anthropic’s own (${type.slice(0, 50)})`);
	// The AI SDK always sends the second; providers stream the input of tools as they do.
	for (const hint of ['cache_control', 'eager_input_streaming']) chat.hint(hint, tool.any(hint));
	const [name, description] = [tool.text('name'), tool.optionalText('description')];
	const [parameters, strict] = [tool.object('input_schema'), tool.optionalBoolean('strict')];
	tool.end();
	const more = { ...(description === null ? {} : { description }), ...(strict === null ? {} : { strict }) };
	return { type: 'function', function: { name, parameters, ...more } };
}

const CHOICES = { auto: 'auto', any: 'required', none: 'none' } as const;

function toolChoiceOf(raw: unknown) {
	const choice = new Members(raw, 'tool_choice');
	const type = choice.word('type', ['auto', 'any', 'none', 'tool']);
	const chosen = type === 'tool' ? { type: 'function', function: { name: choice.text('name') } } : CHOICES[type];
	const isSingle = choice.optionalBoolean('disable_parallel_tool_use') ?? false;
	choice.end();
	return { tool_choice: chosen, ...(isSingle ? { parallel_tool_calls: false } : {}) };
}

/** Each provider's own word for how long to think; one that has none thinks as it does anyway. */
function thinkingOf(raw: unknown) {
	const thinking = new Members(raw, 'thinking');
	const type = thinking.word('type', ['enabled', 'adaptive', 'disabled']);
	const budget = thinking.any('budget_tokens') ?? null;
	const display = thinking.any('display') ?? null;
	thinking.end();
	if (budget !== null && !(typeof budget === 'number' && Number.isSafeInteger(budget) && budget > 0)) {
		const message = 'thinking.budget_tokens: expected a whole number of at least 1.';
		throw new PlimsollError('request_invalid', message, { param: 'thinking.budget_tokens' });
	}
	const tokens = (name: string) => (budget === null ? {} : { [name]: budget });
	const shown = display === null ? {} : { display };
	const gemini = type === 'disabled' ? { thinkingBudget: 0 } : { includeThoughts: true, ...tokens('thinkingBudget') };
	return {
		provider_options: {
			anthropic: { thinking: { type, ...tokens('budgetTokens'), ...shown } },
			amazonBedrock: { reasoningConfig: { type, ...tokens('budgetTokens') } },
			google: { thinkingConfig: gemini },
			googleVertex: { thinkingConfig: gemini },
			cohere: { thinking: { type: type === 'disabled' ? type : 'enabled', ...tokens('tokenBudget') } },
		},
	};
}

function outputOf(raw: unknown) {
	const config = new Members(raw, 'output_config');
	const effort = config.optionalText('effort');
	const format = config.optionalMembers('format');
	config.end();
	if (format === null) return { reasoning_effort: effort };
	format.word('type', ['json_schema']);
	const schema = format.object('schema');
	format.end();
	return {
		reasoning_effort: effort,
		response_format: { type: 'json_schema', json_schema: { name: 'answer', strict: true, schema } },
	};
}
