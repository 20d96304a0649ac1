import type { Answer } from '../runtime/request.ts';
import type { PlimsollError } from '../spec/errors.ts';
import type { CompletionChunk, ThoughtPiece } from '../spec/model.ts';
import { chatChunk, type Envelope, extras, openAiUsage, thinkingOf, toolCallDelta } from './chat-response.ts';
import type { AnswerEvents } from './converse.ts';
import { errorBody } from './error-response.ts';
import type { Outlet } from './outlet.ts';

const DONE = 'data: [DONE]\n\n';

/**
 * Writes an answer as server-sent events in OpenAI's form. The head is sent with the first event, so that whatever
 * fails before it is still an ordinary HTTP error.
 */
export class ChatStream implements AnswerEvents {
	readonly #outlet: Outlet;
	readonly #envelope: Envelope;
	readonly #includeUsage: boolean;
	readonly #relays: boolean;
	#finishReason: string | null = null;
	#relayed = false;
	/** Thoughts that have begun. */
	#thoughts = 0;

	/** @param options.relays a bare upstream answers: its events go through as they came. */
	constructor(outlet: Outlet, envelope: Envelope, options: { includeUsage: boolean; relays: boolean }) {
		this.#outlet = outlet;
		this.#envelope = envelope;
		this.#includeUsage = options.includeUsage;
		this.#relays = options.relays;
	}

	/** Resolves when the client has room for more. */
	chunk(chunk: CompletionChunk): void | Promise<void> {
		if (this.#relays && chunk.raw !== null) return this.#relay(chunk, chunk.raw);
		this.#finishReason = chunk.finishReason ?? this.#finishReason;
		const { text, toolCalls, thought } = chunk;
		if (thought) return this.#thought(thought);
		if (text === '' && !toolCalls) return;
		const said = toolCalls ? { tool_calls: toolCalls, ...(text !== '' && { content: text }) } : { content: text };
		return this.#write(chatChunk(this.#envelope, { ...this.#role(), ...said }, null));
	}

	#thought(piece: ThoughtPiece): void | Promise<void> {
		if (piece.begins) this.#thoughts++;
		if (piece.text === '' && piece.proof === null) return;
		const said = thinkingOf([piece], Math.max(0, this.#thoughts - 1));
		return this.#write(chatChunk(this.#envelope, { ...this.#role(), ...said }, null));
	}

	/** The first delta says who speaks. */
	#role(): Record<string, unknown> {
		return this.#outlet.started ? {} : { role: 'assistant' };
	}

	/** Ends the stream: the finish reason, the usage where it was asked for, and `[DONE]`. */
	end(answer: Answer): void {
		if (!this.#relayed) {
			if (answer.toolCalls !== null) {
				this.#write(chatChunk(this.#envelope, { ...this.#role(), ...toolCallDelta(answer.toolCalls) }, null));
			}
			const last = chatChunk(this.#envelope, {}, this.#finishReason ?? answer.finishReason);
			this.#write({ ...last, plimsoll: extras(this.#envelope, answer) });
			if (this.#includeUsage) {
				this.#write({ ...chatChunk(this.#envelope, {}, null), choices: [], usage: openAiUsage(answer.usage) });
			}
		}
		this.#outlet.end(DONE);
	}

	/** Ends a stream that broke: a typed error and no `[DONE]`, so that no client takes the part for the whole. */
	fail(error: PlimsollError): void {
		this.#outlet.fail(eventOf(JSON.stringify(errorBody(error, this.#envelope.requestId))));
	}

	/** A bare upstream's events go through as they came, but for the usage that only we asked for. */
	#relay(chunk: CompletionChunk, raw: string): void | Promise<void> {
		if (chunk.usage !== null && !this.#includeUsage && chunk.text === '' && chunk.finishReason === null) return;
		this.#relayed = true;
		return this.#send(raw);
	}

	#write(event: unknown): void | Promise<void> {
		return this.#send(JSON.stringify(event));
	}

	#send(data: string): void | Promise<void> {
		return this.#outlet.write(eventOf(data));
	}
}

function eventOf(data: string): string {
	return `data: ${data}\n\n`;
}
