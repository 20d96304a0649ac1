import { once } from 'node:events';
import { createServer, type IncomingHttpHeaders, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { ErrorName, Said, VendorFormat } from './vendor-formats.ts';

/** How the double treats its next request; left out: it answers it well. */
export interface Turn extends Said {
	readonly error?: ErrorName;
	/** `silent`: not even headers. `slow`: headers and nothing else. `cut`, `stall`, `error_event` strike after `frames` frames. */
	readonly fault?:
		| 'silent'
		| 'slow'
		| 'cut'
		| 'stall'
		| 'error_event'
		| 'garbage'
		| 'reset'
		| 'page'
		| 'no_end'
		| 'bytes';
	readonly frames?: number;
	/** Where `cut` strikes, in bytes of the stream. */
	readonly atByte?: number;
	/** The exact body. */
	readonly raw?: unknown;
	readonly headers?: Record<string, string>;
}

interface Received {
	readonly path: string;
	readonly headers: IncomingHttpHeaders;
	readonly body: Record<string, unknown>;
}

/** A real HTTP server that speaks one vendor's format. */
export class VendorDouble {
	readonly received: Received[] = [];
	/** Answers whose connection the client closed before they were complete. */
	aborted = 0;
	readonly #format: VendorFormat;
	readonly #turns: Turn[] = [];
	readonly #server = createServer({ keepAliveTimeout: 60_000, requestTimeout: 0 }, async (request, response) => {
		let text = '';
		for await (const chunk of request.setEncoding('utf8')) text += chunk;
		response.on('close', () => {
			if (!response.writableFinished && response.errored === null) this.aborted++;
		});
		const body = JSON.parse(text) as Record<string, unknown>;
		this.received.push({ path: request.url ?? '', headers: request.headers, body });
		this.#answer(request.url ?? '', body, response);
	});

	constructor(format: VendorFormat) {
		this.#format = format;
	}

	async listen(): Promise<this> {
		this.#server.listen(0, '127.0.0.1');
		await once(this.#server, 'listening');
		return this;
	}

	/** Without a path. */
	get url(): string {
		return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
	}

	/** The next requests are treated like this, in order. */
	next(...turns: Turn[]): void {
		this.#turns.push(...turns);
	}

	async close(): Promise<void> {
		this.#server.close();
		this.#server.closeAllConnections();
		if (this.#server.listening) await once(this.#server, 'close');
	}

	#answer(path: string, body: Record<string, unknown>, response: ServerResponse): void {
		const turn = this.#turns.shift() ?? {};
		if (turn.fault === 'silent') return;
		if (turn.fault === 'reset') {
			response.destroy(new Error('planned'));
			return;
		}
		if (turn.error !== undefined) {
			const { status, body: error, headers } = this.#format.error(turn.error);
			response.writeHead(status, { 'content-type': 'application/json', ...headers });
			response.end(JSON.stringify(error));
			return;
		}
		if (turn.fault === 'page') {
			response.writeHead(200, { 'content-type': 'text/html' });
			response.end('<!doctype html><title>Sign in</title>');
			return;
		}
		if (this.#format.isStream(path, body) && turn.raw === undefined) this.#stream(turn, response);
		else this.#plain(turn, response);
	}

	#plain(turn: Turn, response: ServerResponse): void {
		const text = JSON.stringify(turn.raw ?? this.#format.plain(turn));
		response.writeHead(200, { 'content-type': 'application/json', ...turn.headers });
		if (turn.fault === 'slow') response.flushHeaders();
		else if (turn.fault === 'garbage') response.end('{"candid');
		else if (turn.fault === 'cut') {
			response.write(text.slice(0, text.length >> 1), () => response.destroy(new Error('planned')));
		} else response.end(text);
	}

	#stream(turn: Turn, response: ServerResponse): void {
		response.writeHead(200, { 'content-type': this.#format.streamType, ...turn.headers });
		response.flushHeaders();
		if (turn.fault === 'slow') return;
		const all = this.#format.frames(turn);
		const frames = all.slice(0, turn.frames ?? all.length);
		if (turn.fault === 'garbage') frames.push(Buffer.from('data: {"type":\n\n'));
		if (turn.fault === 'error_event' && this.#format.errorFrame) frames.push(this.#format.errorFrame);
		const bytes = Buffer.concat(frames);
		if (turn.fault === 'cut') {
			response.write(bytes.subarray(0, turn.atByte), () => response.destroy(new Error('planned')));
		} else if (turn.fault === 'stall' || turn.fault === 'no_end') response.write(bytes);
		else if (turn.fault === 'bytes') byteByByte(bytes, response);
		else response.end(bytes);
	}
}

/** Each byte leaves the process before the next is written. */
function byteByByte(bytes: Buffer, response: ServerResponse): void {
	const [first] = bytes;
	if (first === undefined) response.end();
	else response.write(Buffer.of(first), () => setImmediate(() => byteByByte(bytes.subarray(1), response)));
}
