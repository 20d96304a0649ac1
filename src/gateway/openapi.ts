import { z } from 'zod';
import { ERRORS } from '../spec/errors.ts';
import { DEADLINE_HEADER, DEADLINE_MS_MAX } from './client-patience.ts';
import type { Route } from './route.ts';

/** The OpenAPI 3.1 document of a route table. */
export function openApiDocument(routes: readonly Route[], version: string) {
	return {
		openapi: '3.1.0',
		info: {
			title: 'Plimsoll',
			version,
			description: 'A gateway that holds each LLM feature to its contract, and can say afterwards what happened.',
			license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
		},
		security: [{ key: [] }, { header: [] }],
		paths: pathsOf(routes),
		components: {
			securitySchemes: {
				session: {
					type: 'apiKey',
					in: 'cookie',
					name: 'plimsoll_session',
					description: 'Of the admin surface only; changes need x-csrf-token',
				},
				key: { type: 'http', scheme: 'bearer', description: 'A key, plim_…, or a JWT of a configured issuer' },
				header: {
					type: 'apiKey',
					in: 'header',
					name: 'x-api-key',
					description: 'The same, as Anthropic’s clients send it; authorization goes before it',
				},
			},
			schemas: { Error: ERROR_SCHEMA, AnthropicError: ANTHROPIC_ERROR_SCHEMA },
		},
	};
}

const ERROR_SCHEMA = {
	type: 'object',
	required: ['error'],
	properties: {
		error: {
			type: 'object',
			required: ['message', 'type', 'code'],
			properties: {
				message: { type: 'string' },
				type: { type: 'string' },
				param: { type: ['string', 'null'] },
				code: { type: 'string', enum: Object.keys(ERRORS) },
				request_id: { type: ['string', 'null'] },
			},
		},
	},
};

const ANTHROPIC_ERROR_SCHEMA = {
	type: 'object',
	required: ['type', 'error'],
	properties: {
		type: { const: 'error' },
		error: {
			type: 'object',
			required: ['type', 'message', 'code'],
			properties: {
				type: { type: 'string' },
				message: { type: 'string' },
				code: { type: 'string', enum: Object.keys(ERRORS) },
				param: { type: ['string', 'null'] },
				details: { type: 'object', properties: { error_code: { type: 'string' } } },
			},
		},
		request_id: { type: ['string', 'null'] },
	},
};

function pathsOf(routes: readonly Route[]): Record<string, Record<string, unknown>> {
	const paths: Record<string, Record<string, unknown>> = {};
	for (const route of routes) {
		paths[route.path] = { ...paths[route.path], [route.method.toLowerCase()]: operation(route) };
	}
	return paths;
}

function operation(route: Route): Record<string, unknown> {
	const body = route.body && {
		requestBody: {
			required: true,
			content: {
				'application/json': { schema: z.toJSONSchema(route.body, { io: 'input' }) },
				...(route.takesLines ? { 'application/x-ndjson': { schema: { type: 'string' } } } : {}),
			},
		},
	};
	return {
		summary: route.summary,
		...securityOf(route),
		parameters: [
			...pathParameters(route),
			...namedParameters('query', route.query),
			...namedParameters('header', route.headers),
			...keyParameter(route),
			...deadlineParameter(route),
		],
		...body,
		responses: {
			'200': { description: 'Success' },
			...(takesKey(route) ? keyRefusals(route) : {}),
			default: errorResponse(route, 'An error'),
		},
	};
}

function errorResponse({ dialect }: Route, description: string) {
	const name = dialect === 'anthropic' ? 'AnthropicError' : 'Error';
	return { description, content: { 'application/json': { schema: { $ref: `#/components/schemas/${name}` } } } };
}

function keyRefusals(route: Route) {
	const isOver = 'The Idempotency-Key was executed before, and what came of it is unknown or not kept';
	const isOther = 'The Idempotency-Key was used before with another body or route; or the request cannot be met';
	return { '409': errorResponse(route, isOver), '422': errorResponse(route, isOther) };
}

/** Every POST that passes the pipeline takes an idempotency key. */
function takesKey({ method, traced }: Route): boolean {
	return method === 'POST' && traced;
}

function keyParameter(route: Route): unknown[] {
	if (!takesKey(route)) return [];
	return [
		{
			name: 'Idempotency-Key',
			in: 'header',
			description:
				'The same key with the same body is executed once: later requests get the response of the first one, with idempotency-replayed: true.',
			schema: { type: 'string', minLength: 1, maxLength: 255, pattern: '^[\\x20-\\x7e]+$' },
		},
	];
}

function securityOf(route: Route) {
	const { scope, path } = route;
	if (scope === null) return { security: [] };
	return {
		// OpenAPI's way to say that it may also be called with nothing.
		...('isOpened' in route ? { security: [{}, { key: [] }, { header: [] }] } : {}),
		...(path.startsWith('/admin/') ? { security: [{ key: [] }, { header: [] }, { session: [] }] } : {}),
		'x-scope': scope,
	};
}

function deadlineParameter({ traced }: Route): unknown[] {
	if (!traced) return [];
	return [
		{
			name: DEADLINE_HEADER,
			in: 'header',
			description:
				'How long the client waits, milliseconds since the request entered: shortens its deadline, never lengthens it.',
			schema: { type: 'integer', minimum: 1, maximum: DEADLINE_MS_MAX },
		},
	];
}

function pathParameters({ path }: Route): unknown[] {
	return [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => ({
		name,
		in: 'path',
		required: true,
		schema: { type: 'string' },
	}));
}

function namedParameters(place: 'query' | 'header', all: Readonly<Record<string, string>> = {}): unknown[] {
	return Object.entries(all).map(([name, description]) => ({
		name,
		in: place,
		description,
		schema: { type: 'string' },
	}));
}
