import Fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify';
import { requireActive, requireScope } from '../policy/access.ts';
import type { HeldBytes } from '../runtime/buffered-bytes.ts';
import type { RequestContext } from '../runtime/request-context.ts';
import { asPlimsollError, PlimsollError } from '../spec/errors.ts';
import type { Caller } from '../spec/identity.ts';
import { ADMIN_ROUTES } from './admin-routes.ts';
import { queueHeaders, readPriority } from './admission-headers.ts';
import { countBody } from './body-bytes.ts';
import { clientRetries, patienceOf } from './client-patience.ts';
import { authorizationOf } from './credential.ts';
import { DATA_ROUTES } from './data-routes.ts';
import { DocumentBodies } from './document-bodies.ts';
import {
	errorBody,
	errorBodyFor,
	fromFastify,
	jsonExpected,
	NAME_CHARS_MAX,
	refuseMalformed,
	sendError,
} from './error-response.ts';
import { answerOnce, requestIdHeaders, standingHeaders } from './idempotency.ts';
import { parseJsonBody, refuseEncoded } from './json-body.ts';
import { openApiDocument } from './openapi.ts';
import { type GatewayParts, type Route, untilLeft } from './route.ts';
import { sessionCookie } from './session-cookie.ts';
import { SESSION_ROUTES } from './session-routes.ts';
import { SETTINGS_ROUTES } from './settings-routes.ts';

const LINES = ['application/x-ndjson', 'application/jsonl', 'application/jsonlines'];

export interface GatewayOptions {
	readonly bodyBytesMax: number;
	readonly headerBytesMax: number;
	/** Until the whole request must have arrived; default 30 seconds. */
	readonly receiveMsMax?: number;
	/** Told about faults of our own, with their internals. */
	readonly onFault: (error: PlimsollError, requestId: string | null) => void;
}

/** The whole route table; the OpenAPI document is made from it. */
export const ROUTES: readonly Route[] = [
	...DATA_ROUTES,
	...ADMIN_ROUTES,
	...SETTINGS_ROUTES,
	...SESSION_ROUTES,
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
	const { receiveMsMax = RECEIVE_MS_MAX } = options;
	const app = Fastify({
		bodyLimit: options.bodyBytesMax,
		requestTimeout: receiveMsMax,
		connectionTimeout: SILENT_MS_MAX,
		logger: false,
		routerOptions: { maxParamLength: NAME_CHARS_MAX },
		http: {
			maxHeaderSize: options.headerBytesMax,
			// Node ignores a requestTimeout below its headersTimeout, which is a minute unless it is set here,
			headersTimeout: receiveMsMax,
			// and looks for late requests only every 30 seconds by itself.
			connectionsCheckingInterval: Math.ceil(receiveMsMax / 15),
		},
		// A client that leaves must not wait for the drain, and a keep-alive socket is not a request.
		forceCloseConnections: 'idle',
		clientErrorHandler: refuseMalformed,
		// Paths that never come as far as a route.
		frameworkErrors: (thrown, _request, reply) => {
			const error = fromFastify(thrown) ?? asPlimsollError(thrown);
			sendError(reply, error, errorBody(error, null));
		},
	});
	app.removeAllContentTypeParsers();
	app.addContentTypeParser('application/json', { parseAs: 'string' }, (request, body, done) => {
		try {
			refuseEncoded(request.headers['content-encoding']);
			// Some clients name the type of a body that they do not send; a route that needs one misses it.
			done(null, body === '' ? undefined : parseJsonBody(body as string));
		} catch (thrown) {
			done(thrown as Error);
		}
	});
	app.addContentTypeParser(LINES, { parseAs: 'string' }, (_request, _body, done) => done(jsonExpected()));
	app.setNotFoundHandler((request, reply) => {
		const asked = `${request.method} ${request.url.slice(0, 200)}`;
		const error = new PlimsollError('route_not_found', `${asked} is not a route.`);
		sendError(reply, error, errorBody(error, null));
	});
	const documents = new DocumentBodies(parts.clock);
	app.addHook('onClose', () => documents.close());
	for (const route of ROUTES) if (!route.takesLines) register(app, route, { parts, options });
	app.register(async (within) => {
		readDocuments(within, documents);
		for (const route of ROUTES) if (route.takesLines) register(within, route, { parts, options });
	});
	return app;
}

/** Bodies of documents are large, and are not read on the thread that serves. */
function readDocuments(within: FastifyInstance, documents: DocumentBodies): void {
	const left = new WeakMap<FastifyRequest, AbortSignal>();
	within.addHook('onRequest', async (request, reply) => {
		left.set(request, untilLeft(reply));
	});
	within.removeAllContentTypeParsers();
	for (const type of ['application/json', LINES]) {
		within.addContentTypeParser(type, { parseAs: 'buffer' }, async (request: FastifyRequest, body: Buffer) => {
			refuseEncoded(request.headers['content-encoding']);
			return body.byteLength === 0 ? undefined : documents.read(body, type === LINES, left.get(request));
		});
	}
}

function register(
	app: FastifyInstance,
	route: Route,
	{ parts, options }: { parts: GatewayParts; options: GatewayOptions },
): void {
	const contexts = new WeakMap<FastifyRequest, RequestContext>();
	const callers = new WeakMap<FastifyRequest, Caller>();
	/** Of routes outside of the pipeline that take large bodies. */
	const bodies = new WeakMap<FastifyRequest, HeldBytes>();
	/** Requests whose body has arrived: from then on the pipeline ends them, and before that a closed socket does. */
	const handled = new WeakSet<FastifyRequest>();
	app.route({
		method: route.method,
		...(route.bodyBytesMax === undefined ? {} : { bodyLimit: route.bodyBytesMax }),
		url: route.path.replaceAll(/\{(\w+)\}/g, ':$1'),
		onRequest: async (request, reply) => {
			if (!route.traced) {
				// Before the body is read: strangers send none.
				const isOpened = route.isOpened?.(parts) === true && authorizationOf(request.headers) === undefined;
				if (route.scope === null || isOpened) return;
				const caller = await identify(parts, request, route);
				callers.set(request, caller);
				if (route.bodyBytesMax === undefined) return;
				const held = parts.runtime.hold(caller.tenantId);
				bodies.set(request, held);
				reply.raw.once('close', () => held.close());
				return;
			}
			const context = parts.runtime.open();
			contexts.set(request, context);
			reply.headers(requestIdHeaders(route, context.id));
			reply.raw.once('close', () => {
				context.held?.close();
				if (reply.raw.writableFinished) return;
				context.clientLeft();
				if (!handled.has(request)) context.end(asPlimsollError(context.signal.reason));
			});
			readPriority(context, request.headers);
			context.trace.client_retries = clientRetries(request.headers);
			context.patience = patienceOf(request.headers);
			const header = authorizationOf(request.headers);
			await parts.runtime.admit(context, { kind: 'authorization', header, scope: route.scope });
			// A response that its client does not take is in memory for as long, although its request has ended.
			context.held?.share();
		},
		preParsing: (request, _reply, payload, done) => {
			const held = contexts.get(request)?.held ?? bodies.get(request);
			const { bodyBytesMax = options.bodyBytesMax } = route;
			try {
				if (held) countBody(held, { headers: request.headers, payload }, bodyBytesMax);
				done(null, payload);
			} catch (thrown) {
				done(asPlimsollError(thrown));
			}
		},
		onSend: async (request, reply) => {
			// A change that other replicas have not heard of is made here all the same: whoever made it is told.
			if (!route.traced && route.method !== 'GET' && parts.operator.isTellingOthers()) {
				reply.header('x-plimsoll-replicas', 'pending');
			}
			const context = contexts.get(request);
			if (!context) return;
			reply.headers({ ...standingHeaders(route, context, parts.clock), ...queueHeaders(context) });
		},
		handler: (request, reply) => {
			handled.add(request);
			const context = contexts.get(request) ?? null;
			const failed = (error: PlimsollError) => reportFault(error, context, options);
			if (!route.traced) return route.handle({ request, reply, parts, caller: callers.get(request) ?? null, failed });
			if (context === null) throw new Error('a request of the pipeline has a context from its first hook on');
			return answerOnce(route, { request, reply, parts, context, failed });
		},
		errorHandler: (thrown, request, reply) =>
			answerError(thrown, { route, reply, context: contexts.get(request) ?? null, options }),
	});
}

async function identify(parts: GatewayParts, request: FastifyRequest, route: Route): Promise<Caller> {
	const caller =
		sessionCaller(parts, request, route) ?? (await parts.authenticator.authenticate(authorizationOf(request.headers)));
	if (route.scope !== null) requireScope(caller, route.scope);
	// Whoever may resume a tenant must get as far as doing so.
	if (!caller.scopes.includes('admin')) requireActive(parts.runtime.snapshot.limits, caller);
	return caller;
}

/** Whom a cookie stands for. Null where none is looked at: on the data surface, and where a key or token is shown. */
function sessionCaller({ sessions }: GatewayParts, request: FastifyRequest, route: Route): Caller | null {
	const value = sessionCookie(request);
	if (value === null || authorizationOf(request.headers) !== undefined || !route.path.startsWith('/admin/'))
		return null;
	const session = sessions.read(value);
	if (route.method !== 'GET') {
		const token = request.headers['x-csrf-token'];
		sessions.requireToken(session, typeof token === 'string' ? token : undefined);
	}
	return session.caller;
}

function answerError(
	thrown: unknown,
	{
		route,
		reply,
		context,
		options,
	}: { route: Route; reply: FastifyReply; context: RequestContext | null; options: GatewayOptions },
): void {
	const error = fromFastify(thrown) ?? asPlimsollError(thrown);
	context?.end(error);
	reportFault(error, context, options);
	if (error.category === 'cancelled') reply.raw.destroy();
	else sendError(reply, error, errorBodyFor(route, error, context?.id ?? null));
}

function reportFault(error: PlimsollError, context: RequestContext | null, options: GatewayOptions): void {
	if (error.category === 'internal') options.onFault(error, context?.id ?? null);
}
