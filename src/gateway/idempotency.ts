import type { FastifyReply, FastifyRequest } from 'fastify';
import { canonicalJson } from '../base/canonical-json.ts';
import type { Clock } from '../base/clock.ts';
import { sha256Of } from '../base/hash.ts';
import type { Recording } from '../runtime/recording.ts';
import type { RequestContext } from '../runtime/request-context.ts';
import { asPlimsollError, PlimsollError } from '../spec/errors.ts';
import type { KeyedAsk } from '../spec/idempotency.ts';
import type { Caller } from '../spec/identity.ts';
import { queueHeaders } from './admission-headers.ts';
import { ClientFollower } from './client-follower.ts';
import { errorBodyFor, retryHeaders, statusOf } from './error-response.ts';
import { limitHeaders } from './limit-headers.ts';
import { DirectOutlet, RecordedOutlet } from './outlet.ts';
import type { GatewayParts, TracedRoute } from './route.ts';

/** 1 to 255 characters of printable ASCII. */
const KEY = /^[\x20-\x7e]{1,255}$/;

interface TracedExchange {
	readonly request: FastifyRequest;
	readonly reply: FastifyReply;
	readonly parts: GatewayParts;
	readonly context: RequestContext;
	readonly failed: (error: PlimsollError) => void;
}

/**
 * Answers a request that passes the pipeline: by executing it, or, when its Idempotency-Key was used before, with the
 * response that it got then. Every route of the data surface is answered through here.
 */
export async function answerOnce(route: TracedRoute, exchange: TracedExchange): Promise<unknown> {
	const { request, reply, parts, context } = exchange;
	const ask = route.method === 'POST' ? keyedAsk(request, context.caller) : null;
	if (ask === null) return answerDirectly(route, exchange);
	const entry = await parts.idempotency.enter(context, ask);
	if (entry.kind === 'unprotected') {
		reply.header('idempotency-unprotected', 'true');
		return answerDirectly(route, exchange);
	}
	const original = entry.kind === 'stored' ? entry.requestId : entry.execution.context.id;
	const headers = () => ({
		...ownHeaders(route, context, parts.clock),
		...(entry.kind === 'first' ? {} : { 'idempotency-replayed': 'true', 'idempotency-replay-of': original }),
	});
	const client = new ClientFollower(reply, { headers, held: context.held });
	if (entry.kind !== 'first') await parts.idempotency.repeat(context, entry, client);
	else {
		reply.raw.once('close', () => entry.execution.recording.leave(client));
		await parts.idempotency.execute(entry, client, (recording) => record(route, exchange, recording));
	}
	return reply.hijack();
}

function answerDirectly(route: TracedRoute, { request, reply, parts, context, failed }: TracedExchange): unknown {
	const headers = () => ({
		...(reply.hasHeader('idempotency-unprotected') ? { 'idempotency-unprotected': 'true' } : {}),
		...ownHeaders(route, context, parts.clock),
	});
	const outlet = new DirectOutlet(reply, { signal: context.signal, headers, held: context.held });
	return route.handle({ request, parts, context, outlet, failed });
}

/** What a response says of this request alone, and no recording holds. */
function ownHeaders(route: TracedRoute, context: RequestContext, clock: Clock): Record<string, string> {
	return {
		...requestIdHeaders(route, context.id),
		...standingHeaders(route, context, clock),
		...queueHeaders(context),
	};
}

/** How the limits over a request stand, as its client reads it. */
export function standingHeaders(
	{ dialect }: Pick<TracedRoute, 'dialect'>,
	context: RequestContext,
	clock: Clock,
): Record<string, string> {
	return limitHeaders(context.limits?.standings ?? [], { dialect, nowMs: clock.now() });
}

/** The trace's id, also under the name under which a vendor's clients look for it. */
export function requestIdHeaders({ dialect }: Pick<TracedRoute, 'dialect'>, id: string): Record<string, string> {
	return dialect === 'anthropic' ? { 'x-request-id': id, 'request-id': id } : { 'x-request-id': id };
}

/** Runs the handler, and puts whatever becomes of it into the recording. */
async function record(
	route: TracedRoute,
	{ request, parts, context, failed }: TracedExchange,
	recording: Recording,
): Promise<PlimsollError | null> {
	const outlet = new RecordedOutlet(recording, context);
	let error: PlimsollError | null = null;
	const onFailed = (broken: PlimsollError) => {
		error = broken;
		failed(broken);
	};
	try {
		const body = await route.handle({ request, parts, context, outlet, failed: onFailed });
		if (!outlet.started) outlet.whole(200, {}, body);
	} catch (thrown) {
		error = asPlimsollError(thrown);
		context.end(error);
		failed(error);
		outlet.whole(statusOf(error), retryHeaders(error), errorBodyFor(route, error, context.id));
	}
	return error;
}

/** What the request's key stands for; null without one. Throws `idempotency_key_invalid`. */
function keyedAsk(request: FastifyRequest, caller: Caller): KeyedAsk | null {
	const header = request.headers['idempotency-key'];
	if (header === undefined) return null;
	const sent = request.raw.headersDistinct['idempotency-key'] ?? [];
	const key = unquoted(String(header));
	if (sent.length > 1 || !KEY.test(key)) {
		throw new PlimsollError(
			'idempotency_key_invalid',
			'The Idempotency-Key must be one header with 1 to 255 characters of printable ASCII.',
		);
	}
	return {
		tenantId: caller.tenantId,
		// Whoever may see other features, or is another user, could not have got the answer that is on record.
		keyHash: sha256Of([key, canonicalJson(caller.features && [...caller.features].sort()), caller.user ?? '']),
		fingerprint: fingerprintOf(request),
	};
}

/** What makes two requests the same. Throws `request_invalid` for a body of which that cannot be said. */
function fingerprintOf({ method, url, body }: FastifyRequest): string {
	const path = url.split('?', 1)[0] ?? '';
	try {
		// A body that was left out is refused by the route, in its own words.
		return sha256Of([method, path, canonicalJson(body ?? null)]);
	} catch (thrown) {
		// 1e999 is JSON, and no number that anything can hold.
		throw new PlimsollError('request_invalid', 'The body has a number that is too large.', { cause: thrown });
	}
}

/** The IETF draft writes a key as a quoted string; most clients send it bare. Both mean the same key. */
function unquoted(header: string): string {
	return /^"[^"\\]*"$/.test(header) ? header.slice(1, -1) : header;
}
