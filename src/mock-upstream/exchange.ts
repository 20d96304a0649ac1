import { sleep } from '../base/clock.ts';
import { answerTo } from './answer.ts';
import type { AskError, Asked, Json } from './asked.ts';
import { type Delivery, drop, sendPlain, sendStream } from './delivery.ts';
import type { Fault, Plan, RefusalKind } from './plan.ts';
import { pathOf, type Route } from './routes.ts';
import { type Frames, type LimitLeft, type Refusal, sse } from './wire-format.ts';

/** A request as far as it was understood. */
export interface Understood {
	/** Null where no vendor has such a route. */
	readonly route: Route | null;
	/** Null where the body is not in the vendor's format. */
	readonly asked: Asked | null;
	readonly problem: AskError | null;
}

/** One request and how it is answered. */
interface Exchange extends Understood {
	readonly url: string;
	readonly body: string;
	readonly limits: readonly LimitLeft[];
	readonly delivery: Delivery;
	/** The answer, made now or before. */
	readonly rendered: (route: Route, asked: Asked) => Rendered;
}

/** An answer as it goes over the wire: whole, or as a stream. */
export type Rendered = Buffer | Frames;

export const NO_SUCH_ROUTE = { error: { message: 'no such route', type: 'invalid_request_error', code: null } };

const REFUSALS: ReadonlySet<Fault> = new Set<Fault>([
	'rate_limited',
	'quota',
	'server_error',
	'overloaded',
	'context_too_long',
	'content_filter',
	'bad_request',
	'authentication',
	'permission',
	'model_not_found',
] satisfies RefusalKind[]);

/** What a model would answer, in its vendor's words. */
export function render(route: Route, asked: Asked, plan: Plan): Rendered {
	const answer = answerTo(asked, plan);
	if (asked.stream) {
		const frames = route.format.stream(answer);
		return plan.body === undefined ? frames : { ...frames, list: [plan.body], end: null };
	}
	return Buffer.from(plan.body ?? JSON.stringify(route.format.plain(answer)));
}

/** Answers one request as its plan says. Rejects when the client leaves while it waits. */
export async function answer(exchange: Exchange): Promise<void> {
	const { route, asked, problem, delivery } = exchange;
	const { response, plan, clock, left } = delivery;
	if (plan.fault === 'silent') return;
	if (plan.latencyMs) await sleep(clock, plan.latencyMs, left);
	if (plan.fault === 'reset') return drop(response);
	if (plan.status !== undefined) return sendStatus(delivery);
	if (plan.fault === 'html' || plan.fault === 'redirect') return sendPage(delivery);
	if (route === null) return sendJson(delivery, 404, NO_SUCH_ROUTE);
	if (problem !== null || asked === null) return refuse(exchange, route, 'bad_request');
	if (plan.fault !== undefined && isRefusal(plan.fault)) return refuse(exchange, route, plan.fault);
	const headers = headersOf(exchange, route);
	const reply = route.reply?.(bodyOf(exchange.body), pathOf(exchange.url));
	const rendered = reply ? Buffer.from(plan.body ?? JSON.stringify(reply)) : exchange.rendered(route, asked);
	if (Buffer.isBuffer(rendered)) return sendPlain(delivery, rendered, plainHeaders(rendered, headers));
	const error = () => route.format.streamError(refusalOf(exchange, 'overloaded'));
	return sendStream(delivery, rendered, { headers, error });
}

export function plainHeaders(plain: Buffer, more: Readonly<Record<string, string>>): Record<string, string | number> {
	return { 'content-type': 'application/json', 'content-length': plain.length, ...more };
}

function isRefusal(fault: Fault): fault is RefusalKind {
	return REFUSALS.has(fault);
}

/** Bodies were parsed before; those of GET requests are empty. */
function bodyOf(body: string): Json {
	return body === '' ? {} : JSON.parse(body);
}

function headersOf({ limits, delivery }: Exchange, { format }: Route): Record<string, string> {
	return { ...format.limitHeaders(limits, delivery.clock.now()), ...delivery.plan.headers };
}

function refusalOf({ asked, problem, delivery }: Exchange, kind: RefusalKind): Refusal {
	const { plan, clock } = delivery;
	const refusal = { kind, plan, model: asked?.model ?? 'unknown', stream: asked?.stream ?? false, nowMs: clock.now() };
	return problem === null ? refusal : { ...refusal, message: problem.message };
}

function refuse(exchange: Exchange, route: Route, kind: RefusalKind): void {
	const { delivery, asked } = exchange;
	const { status, body, headers } = route.format.refuse(refusalOf(exchange, kind));
	const all = { ...headersOf(exchange, route), ...headers };
	if (status === 200 && asked?.stream) {
		// What is an answer, if an empty one, streams like one.
		delivery.response.writeHead(status, { 'content-type': 'text/event-stream', ...all });
		delivery.response.end(sse(body));
	} else sendJson(delivery, status, body, all);
}

export function sendJson(
	{ response }: Pick<Delivery, 'response'>,
	status: number,
	body: unknown,
	headers: Readonly<Record<string, string>> = {},
): void {
	response.writeHead(status, { 'content-type': 'application/json', ...headers });
	response.end(JSON.stringify(body));
}

/** The status that a plan names, with OpenAI's error around what it says. */
function sendStatus({ response, plan }: Delivery): void {
	const { status = 500, error, headers } = plan;
	const isText = typeof error === 'string';
	response.writeHead(status, { 'content-type': isText ? 'text/html' : 'application/json', ...headers });
	response.end(
		isText ? error : JSON.stringify({ error: error ?? { message: 'planned', type: 'server_error', code: null } }),
	);
}

/** What stands in the way of an upstream: a network's sign-in page, or a proxy that sends elsewhere. */
function sendPage({ response, plan }: Delivery): void {
	const isRedirect = plan.fault === 'redirect';
	response.writeHead(isRedirect ? 307 : 200, {
		'content-type': 'text/html',
		...(isRedirect && { location: '/elsewhere' }),
	});
	response.end('<!doctype html><title>Sign in</title><p>Please sign in to the network.</p>');
}
