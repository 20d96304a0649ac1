import { once } from 'node:events';
import type { ServerResponse } from 'node:http';
import type { Answer, AnswerSink } from '../runtime/request.ts';
import type { PlimsollError } from '../spec/errors.ts';
import type { CompletionChunk } from '../spec/model.ts';
import { chatChunk, type Envelope, extras, openAiUsage, toolCallDelta } from './chat-response.ts';
import { errorBody } from './error-response.ts';

const DONE = 'data: [DONE]\n\n';

/**
 * Writes an answer as server-sent events in OpenAI's form. The head is sent with the first event, so that whatever
 * fails before it is still an ordinary HTTP error.
 */
export class ChatStream implements AnswerSink {
	readonly #response: ServerResponse;
	readonly #envelope: Envelope;
	readonly #includeUsage: boolean;
	readonly #relays: boolean;
	readonly #signal: AbortSignal;
	readonly #headers: () => Readonly<Record<string, string>>;
	#finishReason: string | null = null;
	#relayed = false;

	/**
	 * @param options.relays a bare upstream answers: its events go through as they came.
	 * @param options.headers further headers, true at the moment when the head is sent.
	 */
	constructor(
		response: ServerResponse,
		envelope: Envelope,
		options: {
			includeUsage: boolean;
			relays: boolean;
			signal: AbortSignal;
			headers: () => Readonly<Record<string, string>>;
		},
	) {
		this.#response = response;
		this.#signal = options.signal;
		this.#headers = options.headers;
		this.#envelope = envelope;
		this.#includeUsage = options.includeUsage;
		this.#relays = options.relays;
	}

	get started(): boolean {
		return this.#response.headersSent;
	}

	/** Resolves when the client has room for more. */
	chunk(chunk: CompletionChunk): void | Promise<void> {
		if (this.#relays && chunk.raw !== null) return this.#relay(chunk, chunk.raw);
		this.#finishReason = chunk.finishReason ?? this.#finishReason;
		if (chunk.text === '') return;
		return this.#write(chatChunk(this.#envelope, { ...this.#role(), content: chunk.text }, null));
	}

	/** The first delta says who speaks. */
	#role(): Record<string, unknown> {
		return this.started ? {} : { role: 'assistant' };
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
		this.#response.end(DONE);
	}

	/** Ends a stream that broke: a typed error and no `[DONE]`, so that no client takes the part for the whole. */
	fail(error: PlimsollError): void {
		// A client that does not read would hold its socket for ever over an error that it never sees.
		if (this.#response.writableNeedDrain) {
			this.#response.destroy();
			return;
		}
		this.#write(errorBody(error, this.#envelope.requestId));
		this.#response.end();
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
		const response = this.#response;
		if (!response.headersSent) {
			response.writeHead(200, {
				...this.#headers(),
				'content-type': 'text/event-stream; charset=utf-8',
				'cache-control': 'no-cache, no-transform',
				'x-accel-buffering': 'no',
			});
		}
		if (response.write(`data: ${data}\n\n`) || response.destroyed) return;
		return drained(response, this.#signal);
	}
}

/** Waits for room, until the request is over: its signal aborts at the deadline and when the client leaves. */
async function drained(response: ServerResponse, signal: AbortSignal): Promise<void> {
	try {
		await once(response, 'drain', { signal });
	} catch (thrown) {
		if (!signal.aborted) throw thrown;
	}
}
