import { proofOf } from '../base/thought.ts';
import { PlimsollError } from '../spec/errors.ts';
import type { ChatMessage, Thought } from '../spec/model.ts';
import { isImageData } from './chat-body.ts';
import { Members, unsupported } from './members.ts';
import { contentOf, type TranslatedChat } from './translated-chat.ts';

type Json = Readonly<Record<string, unknown>>;

/** Adds an item of the Responses API's input to a conversation. Calls that follow each other are one turn. */
export function addItem(chat: TranslatedChat, raw: unknown, at: string): void {
	const item = new Members(raw, at);
	const type = item.optionalText('type') ?? 'message';
	// What a response says of an item of its own, and means nothing in a request.
	for (const name of ['id', 'status', 'phase']) item.any(name);
	switch (type) {
		case 'message':
			chat.add(messageOf(chat, item), at);
			break;
		case 'function_call':
			addCall(chat, item);
			break;
		case 'reasoning':
			addThought(chat, item);
			break;
		case 'function_call_output':
			chat.add({ role: 'tool', tool_call_id: item.text('call_id'), content: outputOf(item) }, at);
			break;
		case 'item_reference':
			throw unsupported(at, 'refers to an item of a stored response, and none is stored here: set store to false, or');
		default:
			throw unsupported(`${at}.type`, `"${type.slice(0, 50)}" is not known here`);
	}
	item.end();
}

/** A thought that was given out here, to go on from, or what came with a call. */
function addThought(chat: TranslatedChat, item: Members): void {
	const sealed = item.optionalText('encrypted_content');
	const thought = thoughtOf(item, sealed);
	if (sealed === null || !chat.prove(sealed)) chat.think(thought);
}

function thoughtOf(item: Members, sealed: string | null): Thought {
	item.any('content');
	const parts = partsOf(item.any('summary') ?? [], `${item.at}.summary`, (part) => {
		part.word('type', ['summary_text']);
		return { text: part.text('text') };
	});
	return { text: parts.map(({ text }) => text).join(''), proof: sealed === null ? null : proofOf(sealed) };
}

function messageOf(chat: TranslatedChat, item: Members): ChatMessage {
	const role = item.word('role', ['user', 'assistant', 'system', 'developer']);
	const content = item.any('content');
	if (typeof content === 'string') return { role, content };
	const read = role === 'assistant' ? spokenPart : (part: Members) => inputPart(chat, part);
	return { role, content: contentOf(partsOf(content, `${item.at}.content`, read)) ?? '' };
}

function addCall(chat: TranslatedChat, item: Members): void {
	const [id, name, args] = [item.text('call_id'), item.text('name'), item.text('arguments')];
	const [call] = chat.proven([{ id, type: 'function', function: { name, arguments: args } }]);
	const { last } = chat;
	if (last?.role !== 'assistant') {
		chat.add({ role: 'assistant', content: null, tool_calls: [call] }, item.at);
		return;
	}
	const before = Array.isArray(last.tool_calls) ? last.tool_calls : [];
	chat.replaceLast({ ...last, tool_calls: [...before, call] });
}

/** OpenAI's chat completions take text alone from a tool. */
function outputOf(item: Members): string {
	const output = item.any('output');
	if (typeof output === 'string') return output;
	const parts = partsOf(output, `${item.at}.output`, (part) => {
		if (part.text('type') !== 'input_text') throw unsupported(part.at, 'is not text, and cannot be passed on here');
		return { text: part.text('text') };
	});
	return parts.map(({ text }) => text).join('');
}

function inputPart(chat: TranslatedChat, part: Members): Json {
	const type = part.text('type');
	switch (type) {
		case 'input_text':
			return { type: 'text', text: part.text('text') };
		case 'input_image': {
			const detail = part.optionalText('detail');
			part.refuse('file_id', 'names a stored file, and none is stored here');
			const url = part.text('image_url');
			chat.show(`${part.at}.image_url`, url);
			return { type: 'image_url', image_url: { url, ...(detail === null ? {} : { detail }) } };
		}
		case 'input_file': {
			for (const name of ['file_id', 'file_url'])
				part.refuse(name, 'is not possible: send the file itself, as file_data');
			const [filename, data] = [part.text('filename'), part.text('file_data')];
			if (isImageData(data)) chat.show(`${part.at}.file_data`, data);
			return { type: 'file', file: { filename, file_data: data } };
		}
		case 'input_audio':
			return { type: 'input_audio', input_audio: part.object('input_audio') };
		default:
			throw unsupported(`${part.at}.type`, `"${type.slice(0, 50)}" is not known here`);
	}
}

function spokenPart(part: Members): Json {
	const type = part.word('type', ['output_text', 'refusal']);
	if (type === 'refusal') return { type, refusal: part.text('refusal') };
	for (const name of ['annotations', 'logprobs']) part.any(name);
	return { type: 'text', text: part.text('text') };
}

function partsOf(value: unknown, at: string, read: (part: Members) => Json): Json[] {
	if (!Array.isArray(value)) {
		throw new PlimsollError('request_invalid', `${at}: expected a text or a list of parts.`, { param: at });
	}
	return value.map((raw: unknown, index) => {
		const members = new Members(raw, `${at}[${index}]`);
		const part = read(members);
		members.end();
		return part;
	});
}
