import { once } from 'node:events';
import type { FastifyReply } from 'fastify';
import type { HeldBytes } from '../runtime/buffered-bytes.ts';
import type { Recording } from '../runtime/recording.ts';

/**
 * Where the response of a request goes that passes the pipeline: to its client's socket, or, for a request with an
 * idempotency key, into a recording that every client of the key gets. Handlers know no other way to answer.
 */
export interface Outlet {
	header(name: string, value: string): void;
	/** Whether a piece was sent: from then on nothing can be answered otherwise. */
	readonly started: boolean;
	/** Sends a piece of a stream, with the head before the first one. Resolves when there is room for more. */
	write(text: string): void | Promise<void>;
	/** The last piece. */
	end(text: string): void;
	/** Ends a stream that broke: the last piece says why. */
	fail(text: string): void;
}

const STREAM_HEADERS = {
	'content-type': 'text/event-stream; charset=utf-8',
	'cache-control': 'no-cache, no-transform',
	'x-accel-buffering': 'no',
};

/** Straight to the client, at the client's pace. */
export class DirectOutlet implements Outlet {
	readonly #set: Record<string, string> = {};
	readonly #reply: FastifyReply;
	readonly #signal: AbortSignal;
	readonly #headers: () => Readonly<Record<string, string>>;
	readonly #held: HeldBytes | null;

	/**
	 * @param options.headers further headers of a stream, true at the moment when the head is sent.
	 * @param options.held where what the client does not take is counted.
	 */
	constructor(
		reply: FastifyReply,
		options: { signal: AbortSignal; headers: () => Readonly<Record<string, string>>; held: HeldBytes | null },
	) {
		this.#reply = reply;
		this.#signal = options.signal;
		this.#headers = options.headers;
		this.#held = options.held;
	}

	get started(): boolean {
		return this.#reply.raw.headersSent;
	}

	header(name: string, value: string): void {
		this.#set[name] = value;
		this.#reply.header(name, value);
	}

	write(text: string): void | Promise<void> {
		const response = this.#reply.raw;
		if (!response.headersSent) {
			this.#reply.hijack();
			response.writeHead(200, { ...this.#headers(), ...this.#set, ...STREAM_HEADERS });
		}
		if (response.write(text) || response.destroyed) return;
		return this.#roomIn(response);
	}

	async #roomIn(response: FastifyReply['raw']): Promise<void> {
		const unsentBytes = response.writableLength;
		this.#held?.add(unsentBytes);
		await roomIn(response, this.#signal);
		this.#held?.add(-unsentBytes);
	}

	end(text: string): void {
		this.#reply.raw.end(text);
	}

	fail(text: string): void {
		// A client that does not read would hold its socket for ever over an error that it never sees.
		if (this.#reply.raw.writableNeedDrain) this.#reply.raw.destroy();
		else this.#reply.raw.end(text);
	}
}

/** Into a recording, which hands it on. */
export class RecordedOutlet implements Outlet {
	readonly #recording: Recording;
	readonly #signal: AbortSignal;
	readonly #held: HeldBytes | null;
	readonly #headers: Record<string, string> = {};

	/** @param options.held where what is kept for those who may join is counted. */
	constructor(recording: Recording, options: { signal: AbortSignal; held: HeldBytes | null }) {
		this.#recording = recording;
		this.#signal = options.signal;
		this.#held = options.held;
	}

	get started(): boolean {
		return this.#recording.hasStarted;
	}

	header(name: string, value: string): void {
		this.#headers[name] = value;
	}

	write(text: string): void | Promise<void> {
		if (!this.started) this.#recording.start({ status: 200, headers: { ...this.#headers, ...STREAM_HEADERS } });
		const waits = this.#recording.write(text, this.#signal);
		if (!this.#recording.isOversized) this.#held?.add(Buffer.byteLength(text));
		return waits;
	}

	end(text: string): void {
		this.#held?.add(Buffer.byteLength(text));
		this.#recording.finish(text);
	}

	fail(text: string): void {
		this.end(text);
	}

	/** A response that is complete at once. */
	whole(status: number, headers: Readonly<Record<string, string>>, body: unknown): void {
		const type = { 'content-type': 'application/json; charset=utf-8' };
		this.#recording.start({ status, headers: { ...type, ...this.#headers, ...headers } });
		this.end(typeof body === 'string' ? body : JSON.stringify(body));
	}
}

/** Waits for room, until the request is over: its signal aborts at the deadline and when the client leaves. */
export async function roomIn(response: FastifyReply['raw'], signal: AbortSignal): Promise<void> {
	try {
		await once(response, 'drain', { signal });
	} catch (thrown) {
		if (!signal.aborted) throw thrown;
	}
}
