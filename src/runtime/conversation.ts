import { PlimsollError } from '../spec/errors.ts';
import type { ChatMessage } from '../spec/model.ts';

export interface Turn {
	readonly role: 'user' | 'assistant';
	readonly content: string;
}

export interface Conversation {
	readonly question: string;
	/** Oldest first. */
	readonly history: readonly Turn[];
}

/**
 * A chat's messages as a feature takes them: the last one is the question, the ones before it are history. The
 * feature's prompt owns the system part, so that a client's `system`, `developer` and `tool` messages are refused by name.
 * @param origins for each message the field of the client's body; left out: OpenAI's.
 */
export function readConversation(messages: readonly ChatMessage[], origins?: readonly string[]): Conversation {
	const at = (index: number) => origins?.[index] ?? `messages[${index}]`;
	const turns = messages.map((message, index) => readTurn(message, at(index)));
	const last = turns.at(-1);
	if (!last) throw refused('messages', 'messages is empty: it needs at least the user’s question.');
	if (last.role !== 'user') {
		throw refused(`${at(turns.length - 1)}.role`, `The last message must be the user’s; it is "${last.role}".`);
	}
	if (last.content.trim() === '') throw refused(`${at(turns.length - 1)}.content`, 'The question is empty.');
	return { question: last.content, history: turns.slice(0, -1) };
}

/** What the user asked last, for models that read passages; empty when no such text exists. */
export function lastUserText(messages: readonly ChatMessage[]): string {
	const last = messages.findLast((message) => message.role === 'user');
	return last ? (textOf(last.content) ?? '') : '';
}

function readTurn(message: ChatMessage, at: string): Turn {
	const { role } = message;
	if (role !== 'user' && role !== 'assistant') {
		throw refused(
			at.startsWith('messages[') ? `${at}.role` : at,
			`A feature takes messages of the roles user and assistant; ${at} has "${role}". The system part belongs to the feature’s prompt.`,
		);
	}
	const content = textOf(message.content);
	if (content === null) throw notText(message.content, `${at}.content`);
	return { role, content };
}

function textOf(content: unknown): string | null {
	if (typeof content === 'string') return content;
	if (!Array.isArray(content)) return null;
	const texts = content.map((part: unknown) => {
		const isText = typeof part === 'object' && part !== null && 'text' in part && typeof part.text === 'string';
		return isText ? (part.text as string) : null;
	});
	return texts.includes(null) ? null : texts.join('\n');
}

/** Names the part that is at fault, where there is one. */
function notText(content: unknown, at: string): PlimsollError {
	const parts: readonly unknown[] = Array.isArray(content) ? content : [];
	const index = parts.findIndex((part) => textOf([part]) === null);
	if (index === -1) return refused(at, `${at} must be text or a list of text parts.`);
	const part = parts[index];
	const type =
		typeof part === 'object' && part !== null && 'type' in part ? ` (${String(part.type).slice(0, 50)})` : '';
	return refused(
		`${at}[${index}]`,
		`${at}[${index}]${type} is not text. A feature takes text; images go to bare upstreams.`,
	);
}

function refused(param: string, message: string): PlimsollError {
	return new PlimsollError('request_invalid', message, { param });
}
