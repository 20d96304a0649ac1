import type { FastifyReply, FastifyRequest } from 'fastify';
import type { z } from 'zod';
import type { Clock } from '../base/clock.ts';
import type { RequestContext } from '../runtime/request-context.ts';
import type { Runtime } from '../runtime/runtime.ts';
import type { PlimsollError } from '../spec/errors.ts';
import type { Authenticator, Caller } from '../spec/identity.ts';
import type { Scope } from '../spec/records.ts';
import type { Operator } from './operator.ts';

/** What handlers work with. */
export interface GatewayParts {
	readonly clock: Clock;
	readonly runtime: Runtime;
	readonly operator: Operator;
	readonly authenticator: Authenticator;
	readonly version: string;
}

export interface Exchange {
	readonly request: FastifyRequest;
	readonly reply: FastifyReply;
	readonly parts: GatewayParts;
	/** Set on routes that pass the pipeline. */
	readonly context: RequestContext | null;
	/** Null on open routes. */
	readonly caller: Caller | null;
	/** Told about a failure after the head of the response was sent, which no error handler sees any more. */
	readonly failed: (error: PlimsollError) => void;
}

/** One row of the route table: it makes the Fastify route and the OpenAPI operation. */
export interface Route {
	readonly method: 'GET' | 'POST' | 'PUT' | 'DELETE';
	/** In OpenAPI's form: `/v1/features/{feature}/invoke`. */
	readonly path: string;
	/** Null: open to everyone, said on purpose for each such route. */
	readonly scope: Scope | null;
	/** Whether it is a request in the sense of the pipeline: admitted, bounded by a deadline, traced. */
	readonly traced: boolean;
	readonly summary: string;
	readonly body: z.ZodType | null;
	/** Query parameters with their meaning. */
	readonly query?: Readonly<Record<string, string>>;
	/** Headers with their meaning. */
	readonly headers?: Readonly<Record<string, string>>;
	readonly handle: (exchange: Exchange) => unknown;
}

/** Whoever calls a route that is not open. */
export function callerOf({ caller }: Exchange): Caller {
	if (caller === null) throw new Error('a route that asks who calls must name a scope');
	return caller;
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
