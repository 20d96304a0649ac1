import type { FastifyReply, FastifyRequest } from 'fastify';
import type { z } from 'zod';
import type { Clock } from '../base/clock.ts';
import type { Sessions } from '../identity/sessions.ts';
import type { Idempotency } from '../runtime/idempotency.ts';
import type { RequestContext } from '../runtime/request-context.ts';
import type { Runtime } from '../runtime/runtime.ts';
import { PlimsollError } from '../spec/errors.ts';
import type { Authenticator, Caller } from '../spec/identity.ts';
import type { Scope } from '../spec/records.ts';
import type { Operator } from './operator.ts';
import type { Outlet } from './outlet.ts';

/** What handlers work with. */
export interface GatewayParts {
	readonly clock: Clock;
	readonly runtime: Runtime;
	readonly operator: Operator;
	readonly authenticator: Authenticator;
	readonly idempotency: Idempotency;
	readonly sessions: Sessions;
	readonly version: string;
	/** Whether metrics are read without a key, as configured at this moment. */
	readonly metricsAreOpen: boolean;
}

export interface Exchange {
	readonly request: FastifyRequest;
	readonly reply: FastifyReply;
	readonly parts: GatewayParts;
	/** Null on open routes. */
	readonly caller: Caller | null;
	/** Told about a failure after the head of the response was sent, which no error handler sees any more. */
	readonly failed: (error: PlimsollError) => void;
}

/**
 * What a handler of the pipeline works with. It has no reply: its answer goes through the outlet or is returned, so that
 * a request with an idempotency key can have several clients, or none.
 */
export interface TracedExchange extends Pick<Exchange, 'request' | 'parts' | 'failed'> {
	readonly context: RequestContext;
	readonly outlet: Outlet;
}

interface RouteRow {
	readonly method: 'GET' | 'POST' | 'PUT' | 'DELETE';
	/** In OpenAPI's form: `/v1/features/{feature}/invoke`. */
	readonly path: string;
	readonly summary: string;
	readonly body: z.ZodType | null;
	/** Whose API it is, where that is not OpenAI's: its errors have that API's shape. */
	readonly dialect?: 'anthropic';
	/** Default: server.body_bytes_max. */
	readonly bodyBytesMax?: number;
	/** Whether JSON lines are taken as well (`application/x-ndjson`). */
	readonly takesLines?: true;
	/** Query parameters with their meaning. */
	readonly query?: Readonly<Record<string, string>>;
	/** Headers with their meaning. */
	readonly headers?: Readonly<Record<string, string>>;
}

/** A request in the sense of the pipeline: admitted, bounded by a deadline, traced; a POST takes idempotency keys. */
export interface TracedRoute extends RouteRow {
	readonly traced: true;
	readonly scope: Scope;
	/** Returns a body, JSON as text or a value; what it returns after it has written to the outlet is ignored. */
	readonly handle: (exchange: TracedExchange) => unknown;
}

/** Whatever does not pass the pipeline. */
export interface PlainRoute extends RouteRow {
	readonly traced: false;
	/** Null: open to everyone, said on purpose for each such route. */
	readonly scope: Scope | null;
	/** Whether the operator has opened it to whoever shows nothing; what is shown is looked at all the same. */
	readonly isOpened?: (parts: GatewayParts) => boolean;
	readonly handle: (exchange: Exchange) => unknown;
}

/** One row of the route table: it makes the Fastify route and the OpenAPI operation. */
export type Route = TracedRoute | PlainRoute;

/** Whoever calls a route that is not open. */
export function callerOf({ caller }: Exchange): Caller {
	if (caller === null) throw new Error('a route that asks who calls must name a scope');
	return caller;
}

/** Aborts with `client_closed` when the client leaves before it has the whole answer. */
export function untilLeft({ raw }: FastifyReply): AbortSignal {
	const left = new AbortController();
	const leave = () => left.abort(new PlimsollError('client_closed', 'The client closed the connection.'));
	raw.once('close', () => raw.writableFinished || leave());
	return left.signal;
}

/** An instant as clients see it. */
export function iso<T extends number | null>(ms: T): T extends null ? null | string : string;
export function iso(ms: number | null): string | null {
	return ms === null ? null : new Date(ms).toISOString();
}

export function pathParameter(request: FastifyRequest, name: string): string {
	const { params } = request;
	const value = typeof params === 'object' && params !== null ? (params as Record<string, unknown>)[name] : undefined;
	return typeof value === 'string' ? value : '';
}

export function queryParameter(request: FastifyRequest, name: string): string | null {
	const { query } = request;
	const value = typeof query === 'object' && query !== null ? (query as Record<string, unknown>)[name] : undefined;
	return typeof value === 'string' ? value : null;
}
