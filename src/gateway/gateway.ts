import Fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify';
import type { RequestContext } from '../runtime/request-context.ts';
import { asPlimsollError, PlimsollError } from '../spec/errors.ts';
import { ADMIN_ROUTES } from './admin-routes.ts';
import { DATA_ROUTES } from './data-routes.ts';
import { fromFastify, sendError } from './error-response.ts';
import { parseJsonBody } from './json-body.ts';
import { limitHeaders } from './limit-headers.ts';
import { openApiDocument } from './openapi.ts';
import type { GatewayParts, Route } from './route.ts';

export interface GatewayOptions {
	readonly bodyBytesMax: number;
	readonly headerBytesMax: number;
	/** Told about faults of our own, with their internals. */
	readonly onFault: (error: PlimsollError, requestId: string | null) => void;
}

/** The whole route table; the OpenAPI document is made from it. */
export const ROUTES: readonly Route[] = [
	...DATA_ROUTES,
	...ADMIN_ROUTES,
	{
		method: 'GET',
		path: '/openapi.json',
		scope: null,
		traced: false,
		summary: 'This document.',
		body: null,
		handle: ({ parts }) => openApiDocument(ROUTES, parts.version),
	},
];

/** A body must have arrived within this time, milliseconds: a slow sender may not hold a place for ever. */
const RECEIVE_MS_MAX = 30_000;

/** A socket on which nothing moves for so long is nobody's, milliseconds: above the longest deadline a contract may set. */
const SILENT_MS_MAX = 660_000;

/** The HTTP surface over a runtime. Listens nowhere until told. */
export function createGateway(parts: GatewayParts, options: GatewayOptions): FastifyInstance {
	const app = Fastify({
		bodyLimit: options.bodyBytesMax,
		requestTimeout: RECEIVE_MS_MAX,
		connectionTimeout: SILENT_MS_MAX,
		logger: false,
		routerOptions: { maxParamLength: 300 },
		http: { maxHeaderSize: options.headerBytesMax },
		// A client that leaves must not wait for the drain, and a keep-alive socket is not a request.
		forceCloseConnections: 'idle',
	});
	app.removeAllContentTypeParsers();
	app.addContentTypeParser('application/json', { parseAs: 'string' }, (_request, body, done) => {
		try {
			done(null, parseJsonBody(body as string));
		} catch (thrown) {
			done(thrown as Error);
		}
	});
	app.setNotFoundHandler((request, reply) => {
		sendError(
			reply,
			new PlimsollError('route_not_found', `${request.method} ${request.url.slice(0, 200)} is not a route.`),
			null,
		);
	});
	for (const route of ROUTES) register(app, route, { parts, options });
	return app;
}

function register(
	app: FastifyInstance,
	route: Route,
	{ parts, options }: { parts: GatewayParts; options: GatewayOptions },
): void {
	const contexts = new WeakMap<FastifyRequest, RequestContext>();
	/** Requests whose body has arrived: from then on the pipeline ends them, and before that a closed socket does. */
	const handled = new WeakSet<FastifyRequest>();
	app.route({
		method: route.method,
		url: route.path.replaceAll(/\{(\w+)\}/g, ':$1'),
		onRequest: async (request, reply) => {
			if (!route.traced) return;
			const context = parts.runtime.open();
			contexts.set(request, context);
			reply.header('x-request-id', context.id);
			reply.raw.once('close', () => {
				if (reply.raw.writableFinished) return;
				context.clientLeft();
				if (!handled.has(request)) context.end(asPlimsollError(context.signal.reason));
			});
			const header = request.headers.authorization;
			await parts.runtime.admit(context, { kind: 'authorization', header, scope: route.scope ?? 'invoke' });
		},
		onSend: async (request, reply) => {
			const standings = contexts.get(request)?.limits?.standings;
			if (standings) reply.headers(limitHeaders(standings));
		},
		handler: (request, reply) => {
			handled.add(request);
			const identified = !route.traced && route.scope !== null;
			const key = identified ? parts.identify(request.headers.authorization, route.scope) : null;
			return route.handle({ request, reply, parts, context: contexts.get(request) ?? null, key });
		},
		errorHandler: (thrown, request, reply) =>
			answerError(thrown, { reply, context: contexts.get(request) ?? null, options }),
	});
}

function answerError(
	thrown: unknown,
	{ reply, context, options }: { reply: FastifyReply; context: RequestContext | null; options: GatewayOptions },
): void {
	const error = fromFastify(thrown) ?? asPlimsollError(thrown);
	context?.end(error);
	if (error.category === 'internal') options.onFault(error, context?.id ?? null);
	if (error.category === 'cancelled') reply.raw.destroy();
	else sendError(reply, error, context?.id ?? null);
}
