import type {
	LanguageModelV4FilePart,
	LanguageModelV4Message,
	LanguageModelV4Prompt,
	LanguageModelV4ReasoningPart,
	LanguageModelV4TextPart,
	LanguageModelV4ToolCallPart,
	LanguageModelV4ToolResultPart,
	SharedV4ProviderOptions,
} from '@ai-sdk/provider';
import { thoughtsIn } from '../../base/thought.ts';
import { type ChatMessage, THOUGHTS, type Thought } from '../../spec/model.ts';
import { isObject, type Json } from '../exchange/json.ts';
import { UnsupportedError } from '../exchange/unsupported.ts';
import { optionsOfExtra } from './call-extra.ts';

type InputPart = LanguageModelV4TextPart | LanguageModelV4FilePart;

/** Whether the provider fetches such an address itself. Nothing is fetched here: the address comes from a client. */
export type TakesUrl = (mediaType: string, url: string) => boolean;

/** The provider that is asked. */
export interface Receiver {
	readonly takesUrl: TakesUrl;
	/** Under which names its package keeps what only it knows. */
	readonly namespaces: readonly string[];
}

/**
 * OpenAI's messages as a provider package takes them. Every text, image, file, tool call and tool result arrives in the
 * same order; what has no place there throws UnsupportedError. `provider_options` of a message, a part or a tool call
 * goes along, and so does the `extra_content` that a tool call came with.
 */
export function promptOf(messages: readonly ChatMessage[], { takesUrl, namespaces }: Receiver): LanguageModelV4Prompt {
	const toolNames = new Map<string, string>();
	return messages.map((message, index): LanguageModelV4Message => {
		const at = `messages[${index}]`;
		if (isSaid(message.name) && message.role !== 'tool') {
			throw new UnsupportedError(`${at}.name`, 'is not known to this provider');
		}
		const options = optionsOf(message, at);
		switch (message.role) {
			case 'system':
			case 'developer':
				return { role: 'system', content: textOf(message.content, `${at}.content`), ...options };
			case 'user':
				return { role: 'user', content: inputParts(message.content, `${at}.content`, takesUrl), ...options };
			case 'assistant':
				return {
					role: 'assistant',
					content: [...thoughtParts(message, namespaces), ...assistantParts(message, at, toolNames)],
					...options,
				};
			case 'tool':
				return { role: 'tool', content: [toolResult(message, at, toolNames)], ...options };
			default:
				throw new UnsupportedError(`${at}.role`, `"${message.role}" is not known to this provider`);
		}
	});
}

function inputParts(content: unknown, at: string, takesUrl: TakesUrl): InputPart[] {
	if (typeof content === 'string') return [{ type: 'text', text: content }];
	return partsOf(content, at).map((part, index): InputPart => {
		const where = `${at}[${index}]`;
		const options = optionsOf(part, where);
		switch (part.type) {
			case 'text':
				return { type: 'text', text: stringAt(part, 'text', where), ...options };
			case 'image_url':
				return { ...imagePart(part.image_url, `${where}.image_url`, takesUrl), ...options };
			case 'input_audio':
				return { ...audioPart(part.input_audio, `${where}.input_audio`), ...options };
			case 'file':
				return { ...filePart(part.file, `${where}.file`), ...options };
			default:
				throw new UnsupportedError(`${where}.type`, `"${String(part.type)}" is not known to this provider`);
		}
	});
}

/** Thoughts go back to the provider that can tell that they are its own; others would take them for what was said. */
function thoughtParts(message: ChatMessage, namespaces: readonly string[]): LanguageModelV4ReasoningPart[] {
	const thoughts: readonly Thought[] = message[THOUGHTS] ?? thoughtsIn(message.reasoning_details);
	return thoughts.flatMap(({ text, proof }) => {
		const isOwn = proof !== null && namespaces.some((name) => Object.hasOwn(proof, name));
		return isOwn ? [{ type: 'reasoning', text, providerOptions: proof as SharedV4ProviderOptions }] : [];
	});
}

function assistantParts(message: ChatMessage, at: string, toolNames: Map<string, string>) {
	if (isSaid(message.function_call)) throw new UnsupportedError(`${at}.function_call`, 'is superseded by tool_calls');
	const said = message.content ?? message.refusal;
	const texts: LanguageModelV4TextPart[] =
		typeof said === 'string' ? (said === '' ? [] : [{ type: 'text', text: said }]) : spokenParts(said, `${at}.content`);
	const calls = message.tool_calls ?? [];
	if (!Array.isArray(calls)) throw new UnsupportedError(`${at}.tool_calls`, 'is not a list');
	const toolCalls = calls.map((call: unknown, index): LanguageModelV4ToolCallPart => {
		const part = toolCall(call, `${at}.tool_calls[${index}]`);
		toolNames.set(part.toolCallId, part.toolName);
		return part;
	});
	return [...texts, ...toolCalls];
}

function spokenParts(content: unknown, at: string): LanguageModelV4TextPart[] {
	if (content === undefined || content === null) return [];
	return partsOf(content, at).map((part, index) => {
		const where = `${at}[${index}]`;
		if (part.type !== 'text' && part.type !== 'refusal') {
			throw new UnsupportedError(`${where}.type`, `"${String(part.type)}" is not known to this provider`);
		}
		return { type: 'text', text: stringAt(part, part.type, where), ...optionsOf(part, where) };
	});
}

function toolCall(call: unknown, at: string): LanguageModelV4ToolCallPart {
	if (!isObject(call) || !isObject(call.function)) throw new UnsupportedError(at, 'is not a call of a function');
	const toolCallId = stringAt(call, 'id', at);
	const toolName = stringAt(call.function, 'name', `${at}.function`);
	const input = argumentsOf(call.function.arguments, `${at}.function.arguments`);
	const extra = isObject(call.extra_content) ? { providerOptions: optionsOfExtra(call.extra_content) } : {};
	return { type: 'tool-call', toolCallId, toolName, input, ...extra, ...optionsOf(call, at) };
}

/** A model's arguments may be broken JSON; a provider that takes objects cannot be told of them. */
function argumentsOf(text: unknown, at: string): unknown {
	if (text === undefined || text === null || text === '') return {};
	try {
		if (typeof text === 'string') return JSON.parse(text);
	} catch {
		// Said below, with its name.
	}
	throw new UnsupportedError(at, 'is not JSON');
}

function toolResult(message: ChatMessage, at: string, toolNames: Map<string, string>): LanguageModelV4ToolResultPart {
	const toolCallId = stringAt(message, 'tool_call_id', at);
	const toolName = toolNames.get(toolCallId) ?? (typeof message.name === 'string' ? message.name : null);
	if (toolName === null) {
		throw new UnsupportedError(`${at}.tool_call_id`, `"${toolCallId}" answers no tool call of an earlier message`);
	}
	const value = textOf(message.content, `${at}.content`);
	return { type: 'tool-result', toolCallId, toolName, output: { type: 'text', value } };
}

function imagePart(image: unknown, at: string, takesUrl: TakesUrl): LanguageModelV4FilePart {
	const url = typeof image === 'string' ? image : isObject(image) ? stringAt(image, 'url', at) : null;
	if (url === null) throw new UnsupportedError(at, 'is not an image');
	const inline = dataUrl(url);
	if (inline !== null) return { type: 'file', mediaType: inline.mediaType, data: { type: 'data', data: inline.data } };
	const address = URL.parse(url);
	const mediaType = imageType(address?.pathname ?? '');
	if (address === null || !takesUrl(mediaType, url)) {
		throw new UnsupportedError(
			at,
			'must hold the image itself, as data:image/png;base64,…: this provider fetches none',
		);
	}
	return { type: 'file', mediaType, data: { type: 'url', url: address } };
}

function audioPart(audio: unknown, at: string): LanguageModelV4FilePart {
	if (!isObject(audio)) throw new UnsupportedError(at, 'is not audio');
	const format = stringAt(audio, 'format', at);
	const mediaType = format === 'mp3' ? 'audio/mpeg' : `audio/${format}`;
	return { type: 'file', mediaType, data: { type: 'data', data: stringAt(audio, 'data', at) } };
}

function filePart(file: unknown, at: string): LanguageModelV4FilePart {
	const inline = isObject(file) && typeof file.file_data === 'string' ? dataUrl(file.file_data) : null;
	if (!isObject(file) || inline === null) {
		throw new UnsupportedError(at, 'must hold the file itself, as file_data: data:application/pdf;base64,…');
	}
	const filename = typeof file.filename === 'string' ? { filename: file.filename } : {};
	return { type: 'file', mediaType: inline.mediaType, data: { type: 'data', data: inline.data }, ...filename };
}

/** `data:<media type>;base64,<data>`; null for anything else. */
function dataUrl(url: string): { mediaType: string; data: string } | null {
	if (!url.startsWith('data:')) return null;
	const comma = url.indexOf(',');
	const head = url.slice('data:'.length, comma);
	if (comma === -1 || !head.endsWith(';base64')) return null;
	return { mediaType: head.slice(0, head.indexOf(';')) || 'application/octet-stream', data: url.slice(comma + 1) };
}

const IMAGE_TYPES: Readonly<Record<string, string>> = {
	png: 'png',
	jpg: 'jpeg',
	jpeg: 'jpeg',
	gif: 'gif',
	webp: 'webp',
};

function imageType(path: string): string {
	return `image/${IMAGE_TYPES[path.slice(path.lastIndexOf('.') + 1).toLowerCase()] ?? '*'}`;
}

/** Text alone: a string, or the texts of a list of text parts. */
function textOf(content: unknown, at: string): string {
	if (content === undefined || content === null) return '';
	if (typeof content === 'string') return content;
	return partsOf(content, at)
		.map((part, index) => {
			if (part.type !== 'text') throw new UnsupportedError(`${at}[${index}]`, 'must be text for this provider');
			return stringAt(part, 'text', `${at}[${index}]`);
		})
		.join('');
}

function partsOf(content: unknown, at: string): Json[] {
	if (!Array.isArray(content)) throw new UnsupportedError(at, 'must be text or a list of parts');
	return content.map((part: unknown, index) => {
		if (!isObject(part)) throw new UnsupportedError(`${at}[${index}]`, 'is not a part of a message');
		return part;
	});
}

function stringAt(value: Json | ChatMessage, member: string, at: string): string {
	const text = value[member];
	if (typeof text !== 'string') throw new UnsupportedError(`${at}.${member}`, 'must be text');
	return text;
}

function optionsOf(value: Json | ChatMessage, at: string): { providerOptions?: SharedV4ProviderOptions } {
	const options = value.provider_options;
	if (options === undefined || options === null) return {};
	if (!isObject(options)) throw new UnsupportedError(`${at}.provider_options`, 'must be a mapping of providers');
	return { providerOptions: options as SharedV4ProviderOptions };
}

function isSaid(value: unknown): boolean {
	return value !== undefined && value !== null;
}
