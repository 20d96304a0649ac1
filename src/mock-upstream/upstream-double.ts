import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type Clock, systemClock } from '../base/clock.ts';
import { answerTo } from './answer.ts';
import { AskError, type Asked, parseBody } from './asked.ts';
import { wasBrokenOff } from './delivery.ts';
import { answer, NO_SUCH_ROUTE, plainHeaders, type Rendered, render, sendJson, type Understood } from './exchange.ts';
import { headerPlan } from './fault-header.ts';
import { openAiChat } from './openai-chat.ts';
import type { Plan } from './plan.ts';
import { type LoggedRequest, RequestLog } from './request-log.ts';
import { pathOf, type Route, routeOf } from './routes.ts';
import type { LimitLeft } from './wire-format.ts';

/** Chooses how each request is answered. */
export interface Planner {
	plan(request: PlannedRequest): Planned;
	/** Begins anew, as if nothing had been asked. */
	reset(): void;
	/** What the lists of models name. */
	readonly models: readonly string[];
}

/** What a planner may decide by. */
export interface PlannedRequest {
	readonly route: Route;
	/** Null where the body is not in the vendor's format. */
	readonly asked: Asked | null;
	/** The key of the caller, in whichever header the vendor takes it. */
	readonly key: string | null;
}

export interface Planned {
	readonly plan: Plan;
	readonly limits: readonly LimitLeft[];
}

export interface DoubleOptions {
	readonly host?: string;
	readonly port?: number;
	readonly clock?: Clock;
	/** For every request that no planned answer waits for; `index` counts from 0. */
	readonly plan?: Plan | ((index: number) => Plan);
	/** In the place of `plan`. */
	readonly planner?: Planner;
	/** Keep the bodies of requests, the last thousand. */
	readonly record?: boolean;
	/** Hears of every request that is over. */
	readonly onEnded?: (request: LoggedRequest) => void;
}

const HEALTHY: Plan = Object.freeze({});
const MODELS = ['mock-1', 'mock-embed'];
const RECORDED_MAX = 1_000;
/** Longer requests are refused: nobody's prompt is longer, and all of it is held in memory. */
const REQUEST_CHARS_MAX = 64 * 1024 * 1024;
/** What makes a chat completion more than a plain text. */
const ASKS_MORE = /"(?:tools|response_format|reasoning_effort)"\s*:|"stream"\s*:\s*true/;
const MODEL = /"model":\s*"([^"\\]*)"/;
const MESSAGES = /"messages":\s*\[\s*\{/;
const RENDERED_MAX = 100;

/** A real HTTP server that speaks as OpenAI, Anthropic and Gemini do, healthy or as badly behaved as planned. */
export class UpstreamDouble {
	inFlight = 0;
	/** Connections that were opened. */
	connections = 0;
	readonly bodies: string[] = [];
	readonly #clock: Clock;
	readonly #options: DoubleOptions;
	readonly #server: Server;
	readonly #planned: Plan[] = [];
	readonly #waiters = new Set<() => void>();
	/** Answers of the one plan that always holds: they differ by what was asked alone. */
	readonly #rendered = new Map<string, Rendered>();
	readonly #plain = new Map<string, Buffer>();
	#log = new RequestLog();
	#startedMs: number;

	constructor(options: DoubleOptions = {}) {
		this.#options = options;
		this.#clock = options.clock ?? systemClock;
		this.#startedMs = this.#clock.monotonic();
		this.#server = createServer({ keepAliveTimeout: 60_000, requestTimeout: 0 }, (request, response) =>
			this.#receive(request, response),
		);
		this.#server.on('connection', () => this.connections++);
	}

	/** Rejects when the address is taken. */
	async listen(): Promise<this> {
		this.#server.listen(this.#options.port ?? 0, this.#options.host ?? '127.0.0.1');
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

	/** Requests that arrived, each with its whole body. */
	get requests(): number {
		return this.#log.requests;
	}

	get inFlightMax(): number {
		return this.#log.inFlightMax;
	}

	/** Connections that the client closed before its answer was complete. */
	get abortedCount(): number {
		return this.#log.aborted;
	}

	/** The latest requests, in order of arrival. */
	get log(): readonly LoggedRequest[] {
		return this.#log.entries;
	}

	/** The next requests are answered by these, in order. */
	next(...plans: Plan[]): void {
		this.#planned.push(...plans);
	}

	/** What `next` was told and no request has come for. */
	forget(): void {
		this.#planned.length = 0;
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

	/** Answers no further request; those under way are broken off. */
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
			if (body.length > REQUEST_CHARS_MAX) request.destroy();
		});
		request.on('end', () => {
			if (request.url?.startsWith('/mock/')) return this.#operate(request, response);
			this.#begin(request, response, body);
		});
	}

	/** What tests ask about the double itself. */
	#operate({ method, url = '' }: IncomingMessage, response: ServerResponse): void {
		switch (`${method} ${pathOf(url)}`) {
			case 'GET /mock/stats': {
				const now = { in_flight: this.inFlight, connections: this.connections };
				sendJson({ response }, 200, { uptime_ms: this.#elapsedMs(), ...this.#log.stats(), ...now });
				break;
			}
			case 'GET /mock/requests':
				sendJson({ response }, 200, { requests: this.#log.entries });
				break;
			case 'POST /mock/reset':
				this.#reset();
				sendJson({ response }, 200, { reset: true });
				break;
			default:
				sendJson({ response }, 404, NO_SUCH_ROUTE);
		}
	}

	#reset(): void {
		this.#log = new RequestLog();
		this.#planned.length = 0;
		this.#startedMs = this.#clock.monotonic();
		this.#options.planner?.reset();
	}

	#begin(request: IncomingMessage, response: ServerResponse, body: string): void {
		if (this.#options.record) {
			this.bodies.push(body);
			if (this.bodies.length > RECORDED_MAX) this.bodies.shift();
		}
		const ready = this.#readyChat(request, body);
		if (ready !== null) {
			const { plan, model, plain } = ready;
			this.#enter(response, { plan, model, route: 'chat', stream: false });
			response.writeHead(200, plainHeaders(plain, plan.headers ?? {}));
			response.end(plain);
			return;
		}
		const understood = this.#understand(request, body);
		const { plan, limits } = this.#planFor(understood, request);
		const { route, asked } = understood;
		const left = this.#enter(response, {
			route: route?.name ?? null,
			model: asked?.model ?? '',
			stream: asked?.stream ?? false,
			plan,
		});
		const rendered = (of: Route, by: Asked) =>
			plan === this.#steady && !by.schema && !by.thinks && by.tools.length === 0
				? remembered(this.#rendered, `${of.name} ${by.stream} ${by.usageInStream} ${by.model}`, () =>
						render(of, by, plan),
					)
				: render(of, by, plan);
		const delivery = { response, plan, clock: this.#clock, left };
		const exchange = { ...understood, url: request.url ?? '', body, limits, delivery, rendered };
		answer(exchange).catch((error: unknown) => {
			if (left.aborted) return;
			response.destroy();
			throw error;
		});
	}

	/** Counts a request in, and out when its connection is done with it. The signal aborts then. */
	#enter(
		response: ServerResponse,
		{ plan, ...of }: Pick<LoggedRequest, 'route' | 'model' | 'stream'> & { plan: Plan },
	): AbortSignal {
		const log = this.#log;
		this.inFlight++;
		const entry = log.begin(
			{
				...of,
				number: log.requests + 1,
				at_ms: this.#elapsedMs(),
				fault: plan.fault ?? null,
				rule: plan.rule ?? null,
				status: null,
				ended: null,
			},
			this.inFlight,
		);
		const left = new AbortController();
		response.on('close', () => {
			this.inFlight--;
			const ended = response.writableFinished ? 'whole' : wasBrokenOff(response) ? 'broken_off' : 'client_left';
			log.end(entry, { status: response.headersSent ? response.statusCode : null, ended });
			this.#options.onEnded?.(entry);
			left.abort();
			this.#changed();
		});
		this.#changed();
		return left.signal;
	}

	/** The plan that holds for every request; null where it may be another one each time. */
	get #steady(): Plan | null {
		const { plan, planner } = this.#options;
		if (planner || typeof plan === 'function') return null;
		return plan ?? HEALTHY;
	}

	/**
	 * The path of the benchmarks, where nothing is parsed: the answer to a healthy chat completion that asks for a plain
	 * text. Null where the request is anything else.
	 */
	#readyChat({ url, headers }: IncomingMessage, body: string): { plan: Plan; model: string; plain: Buffer } | null {
		const plan = this.#steady;
		if (plan === null || plan.latencyMs || plan.fault || plan.status !== undefined) return null;
		if (this.#planned.length > 0 || headers['x-mock-fault'] !== undefined) return null;
		if (!url?.endsWith('/chat/completions') || ASKS_MORE.test(body) || !MESSAGES.test(body)) return null;
		const model = MODEL.exec(body)?.[1];
		if (model === undefined) return null;
		return { plan, model, plain: remembered(this.#plain, model, () => plainChat(model, plan)) };
	}

	#understand({ method = '', url = '', headers }: IncomingMessage, body: string): Understood {
		const route = routeOf(method, url, { headers, models: this.#options.planner?.models ?? MODELS });
		if (route === null) return { route, asked: null, problem: null };
		try {
			const asked = route.format.read(method === 'GET' ? {} : parseBody(body), pathOf(url));
			return { route, asked, problem: null };
		} catch (error) {
			if (!(error instanceof AskError)) throw error;
			return { route, asked: null, problem: error };
		}
	}

	#planFor({ route, asked }: Understood, request: IncomingMessage): Planned {
		const next = this.#planned.shift();
		if (next) return { plan: next, limits: [] };
		const { plan: own = HEALTHY, planner } = this.#options;
		const chosen =
			planner && route
				? planner.plan({ route, asked, key: keyOf(request) })
				: { plan: typeof own === 'function' ? own(this.requests) : own, limits: [] };
		const header = request.headers['x-mock-fault'];
		return typeof header === 'string' ? { ...chosen, plan: headerPlan(header, chosen.plan) } : chosen;
	}

	#elapsedMs(): number {
		return Math.round(this.#clock.monotonic() - this.#startedMs);
	}
}

/** Starts a double; close it when done. Rejects when its address is taken. */
export function startUpstreamDouble(options: DoubleOptions = {}): Promise<UpstreamDouble> {
	return new UpstreamDouble(options).listen();
}

function plainChat(model: string, plan: Plan): Buffer {
	const asked = openAiChat.read({ model, messages: [{}] }, '');
	return Buffer.from(plan.body ?? JSON.stringify(openAiChat.plain(answerTo(asked, plan))));
}

/** Makes a thing once for each key, as long as there are few of them. */
function remembered<T>(known: Map<string, T>, key: string, make: () => T): T {
	const found = known.get(key);
	if (found !== undefined) return found;
	const made = make();
	if (known.size < RENDERED_MAX) known.set(key, made);
	return made;
}

/** Each vendor takes the key in a header of its own; Gemini also in the query. */
function keyOf({ headers, url = '' }: IncomingMessage): string | null {
	const bearer = /^Bearer (.+)$/i.exec(headers.authorization ?? '')?.[1];
	const named = headers['x-api-key'] ?? headers['api-key'] ?? headers['x-goog-api-key'];
	const key = bearer ?? (typeof named === 'string' ? named : undefined);
	return key ?? new URL(url, 'http://double').searchParams.get('key');
}
