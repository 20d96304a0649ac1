import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { parseArgs } from 'node:util';
import { type Clock, sleep, systemClock } from '../../src/base/clock.ts';
import { embeddingsBody } from './upstream-embeddings.ts';
import { type Plan, type Prepared, prepare } from './upstream-plan.ts';

export interface DoubleOptions {
	readonly port?: number;
	readonly clock?: Clock;
	/** For every request that no planned answer waits for; `index` counts from 0. */
	readonly plan?: Plan | ((index: number) => Plan);
	/** Keep the bodies of requests, the last thousand. */
	readonly record?: boolean;
}

const HEALTHY: Plan = Object.freeze({});
const RECORDED_MAX = 1000;

/** A real HTTP server with OpenAI's chat completions and embeddings, healthy or as badly behaved as planned. */
export class UpstreamDouble {
	/** Requests that arrived, each with its whole body. */
	requests = 0;
	inFlight = 0;
	inFlightMax = 0;
	/** Connections that the client closed before its answer was complete. */
	abortedCount = 0;
	/** Connections that were opened. */
	connections = 0;
	readonly bodies: string[] = [];
	readonly #clock: Clock;
	readonly #options: DoubleOptions;
	readonly #server: Server;
	readonly #planned: Plan[] = [];
	readonly #waiters = new Set<() => void>();
	readonly #prepared = new Map<Plan, Prepared>();

	constructor(options: DoubleOptions = {}) {
		this.#options = options;
		this.#clock = options.clock ?? systemClock;
		this.#server = createServer({ keepAliveTimeout: 60_000, requestTimeout: 0 }, (request, response) =>
			this.#receive(request, response),
		);
		this.#server.on('connection', () => this.connections++);
	}

	async listen(): Promise<this> {
		this.#server.listen(this.#options.port ?? 0, '127.0.0.1');
		await once(this.#server, 'listening');
		return this;
	}

	get port(): number {
		return (this.#server.address() as AddressInfo).port;
	}

	/** Ends in `/v1`, as base URLs do. */
	get url(): string {
		return `http://127.0.0.1:${this.port}/v1`;
	}

	/** The next requests are answered by these, in order. */
	next(...plans: Plan[]): void {
		this.#planned.push(...plans);
	}

	/** Resolves when `count` requests have arrived since the start. */
	arrived(count: number): Promise<void> {
		return this.#until(() => this.requests >= count);
	}

	/** Resolves when the client has closed `count` connections before their answers were complete. */
	aborted(count = 1): Promise<void> {
		return this.#until(() => this.abortedCount >= count);
	}

	/** Resolves when no request is under way. */
	idle(): Promise<void> {
		return this.#until(() => this.inFlight === 0);
	}

	async close(): Promise<void> {
		this.#server.close();
		this.#server.closeAllConnections();
		if (this.#server.listening) await once(this.#server, 'close');
	}

	#until(reached: () => boolean): Promise<void> {
		if (reached()) return Promise.resolve();
		return new Promise((resolve) => {
			const check = () => {
				if (!reached()) return;
				this.#waiters.delete(check);
				resolve();
			};
			this.#waiters.add(check);
		});
	}

	#changed(): void {
		for (const check of this.#waiters) check();
	}

	#receive(request: IncomingMessage, response: ServerResponse): void {
		let body = '';
		request.setEncoding('utf8');
		request.on('data', (chunk: string) => {
			body += chunk;
		});
		request.on('end', () => {
			const index = this.requests++;
			this.inFlight++;
			if (this.inFlight > this.inFlightMax) this.inFlightMax = this.inFlight;
			if (this.#options.record) {
				this.bodies.push(body);
				if (this.bodies.length > RECORDED_MAX) this.bodies.shift();
			}
			const left = new AbortController();
			response.on('close', () => {
				this.inFlight--;
				if (!response.writableFinished && !destroyedByUs.has(response)) this.abortedCount++;
				left.abort();
				this.#changed();
			});
			this.#changed();
			const { plan } = this.#options;
			const chosen = this.#planned.shift() ?? (typeof plan === 'function' ? plan(index) : (plan ?? HEALTHY));
			this.#answer({ request, response, body, plan: chosen, left: left.signal });
		});
	}

	#answer(exchange: Exchange): void {
		const { request, response, body, plan, left } = exchange;
		if (!plan.latencyMs && !plan.fault && plan.status === undefined && request.url?.endsWith('/chat/completions')) {
			// The path of the benchmarks: everything was serialised before.
			const ready = this.#prepare(plan);
			if (!body.includes('"stream":true')) {
				response.writeHead(200, ready.headers);
				response.end(ready.plain);
				return;
			}
		}
		serve(exchange, this.#clock, this.#prepare(plan)).catch((error: unknown) => {
			if (!left.aborted) {
				response.destroy();
				throw error;
			}
		});
	}

	#prepare(plan: Plan): Prepared {
		let prepared = this.#prepared.get(plan);
		if (!prepared) {
			prepared = prepare(plan);
			// Plans made for one request each must not pile up.
			if (this.#prepared.size < 100) this.#prepared.set(plan, prepared);
		}
		return prepared;
	}
}

/** Starts a double; close it when done. */
export function startUpstreamDouble(options: DoubleOptions = {}): Promise<UpstreamDouble> {
	return new UpstreamDouble(options).listen();
}

interface Exchange {
	readonly request: IncomingMessage;
	readonly response: ServerResponse;
	readonly body: string;
	readonly plan: Plan;
	/** Aborts when the connection is over. */
	readonly left: AbortSignal;
}

const destroyedByUs = new WeakSet<ServerResponse>();

async function serve(exchange: Exchange, clock: Clock, prepared: Prepared): Promise<void> {
	const { request, response, body, plan, left } = exchange;
	if (plan.fault === 'silent') return;
	if (plan.latencyMs) await sleep(clock, plan.latencyMs, left);
	if (plan.fault === 'reset') return drop(response);
	if (plan.status !== undefined) return sendError(response, plan);
	if (plan.fault === 'html') {
		response.writeHead(200, { 'content-type': 'text/html' });
		response.end('<!doctype html><title>Sign in</title><p>Please sign in to the network.</p>');
		return;
	}
	if (request.url?.endsWith('/embeddings')) {
		response.writeHead(200, { 'content-type': 'application/json' });
		response.end(embeddingsBody(body));
		return;
	}
	if (!request.url?.endsWith('/chat/completions'))
		return sendError(response, { status: 404, error: { message: 'no such route' } });
	if (body.includes('"stream":true')) return sendStream(exchange, clock, prepared.events);
	await sendPlain(exchange, clock, prepared);
}

function drop(response: ServerResponse): void {
	destroyedByUs.add(response);
	response.socket?.resetAndDestroy();
}

function sendError(response: ServerResponse, { status, error, headers }: Plan): void {
	const isText = typeof error === 'string';
	response.writeHead(status ?? 500, { 'content-type': isText ? 'text/html' : 'application/json', ...headers });
	response.end(
		isText ? error : JSON.stringify({ error: error ?? { message: 'planned', type: 'server_error', code: null } }),
	);
}

async function sendPlain(
	{ response, plan, left }: Exchange,
	clock: Clock,
	{ headers, plain }: Prepared,
): Promise<void> {
	const at = Math.min(plan.atByte ?? plain.length >> 1, plain.length);
	if (plan.fault === 'huge_body') return sendHuge(response, plan, 'application/json');
	response.writeHead(200, headers);
	if (plan.fault === 'cut') return cutAfter(response, plain.subarray(0, at));
	if (plan.fault === 'slow_bytes') {
		for (const byte of plain) {
			response.write(Buffer.of(byte));
			await pause(clock, plan, left);
		}
	} else response.write(plan.fault === 'malformed_chunk' ? broken(plain, plan.atByte ?? 0) : plain);
	response.end();
}

async function sendStream({ response, plan, left }: Exchange, clock: Clock, list: readonly string[]): Promise<void> {
	const headers = { 'content-type': 'text/event-stream', ...plan.headers };
	if (plan.fault === 'huge_body') return sendHuge(response, plan, 'text/event-stream');
	response.writeHead(200, headers);
	if (plan.fault === 'cut' || plan.fault === 'malformed_chunk') {
		const bytes = Buffer.from(list.join(''));
		const at = Math.min(plan.atByte ?? bytes.length >> 1, bytes.length);
		if (plan.fault === 'cut') return cutAfter(response, bytes.subarray(0, at));
		const line = bytes.indexOf('data: ', at);
		bytes.fill('{', line + 6, line + 8);
		response.end(bytes);
		return;
	}
	if (plan.fault === 'slow_bytes') {
		for (const byte of Buffer.from(list.join(''))) {
			response.write(Buffer.of(byte));
			await pause(clock, plan, left);
		}
		response.end();
		return;
	}
	response.flushHeaders();
	if (plan.firstTokenMs) await sleep(clock, plan.firstTokenMs, left);
	if (plan.gapMs) {
		for (const event of list) {
			response.write(event);
			await sleep(clock, plan.gapMs, left);
		}
	} else for (const event of list) response.write(event);
	if (plan.fault !== 'hang_at_end') response.end();
}

function broken(plain: Buffer, at: number): Buffer {
	const copy = Buffer.from(plain);
	copy.fill('}', at, at + 1);
	return copy;
}

/** Between two bytes: at least until the one before has left the process. */
async function pause(clock: Clock, { gapMs = 0 }: Plan, left: AbortSignal): Promise<void> {
	if (gapMs > 0) await sleep(clock, gapMs, left);
	else await new Promise((resolve) => setImmediate(resolve));
}

/** Sends the bytes, lets them leave, and closes the connection without ending the body. */
function cutAfter(response: ServerResponse, bytes: Buffer): void {
	destroyedByUs.add(response);
	response.flushHeaders();
	if (bytes.length === 0) response.socket?.destroySoon();
	else response.write(bytes, () => response.socket?.destroySoon());
}

/** One JSON string, or one event, that does not end before `bytes`. Heeds back pressure, so that only a reader is hurt. */
function sendHuge(response: ServerResponse, plan: Plan, type: string): void {
	const block = Buffer.alloc(64 * 1024, 'x');
	let left = plan.bytes ?? 50 * 1024 * 1024;
	response.writeHead(200, { 'content-type': type });
	response.write('data: {"choices":[{"message":{"content":"'.slice(type === 'application/json' ? 6 : 0));
	const pump = () => {
		while (left > 0) {
			left -= block.length;
			if (!response.write(block)) return;
		}
		response.end();
	};
	response.on('drain', pump);
	pump();
}

/** As its own process: prints one JSON line with its port, serves until it is killed. */
async function main(): Promise<void> {
	const number = { type: 'string' } as const;
	const { values } = parseArgs({
		options: { port: number, 'latency-ms': number, 'first-token-ms': number, 'gap-ms': number, chunks: number },
	});
	const read = (text: string | undefined, otherwise: number) => (text === undefined ? otherwise : Number(text));
	const plan: Plan = {
		latencyMs: read(values['latency-ms'], 0),
		firstTokenMs: read(values['first-token-ms'], 0),
		gapMs: read(values['gap-ms'], 0),
		chunks: read(values.chunks, 50),
	};
	const double = await startUpstreamDouble({ port: read(values.port, 0), plan });
	process.stdout.write(`${JSON.stringify({ port: double.port, url: double.url })}\n`);
}

if (import.meta.main) await main();
