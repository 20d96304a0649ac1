import type { Socket } from 'node:net';
import type { FastifyReply } from 'fastify';
import { PlimsollError } from '../spec/errors.ts';
import type { Route } from './route.ts';
import { STATUS } from './status.ts';

/** Of a name in a path, percent-encoding undone. */
export const NAME_CHARS_MAX = 300;

/** OpenAI's error shape, with our stable `code`. Holds nothing that is not meant for the client. */
export function errorBody(error: PlimsollError, requestId: string | null) {
	return {
		error: {
			message: error.message,
			type: STATUS[error.category].type,
			param: error.param,
			code: error.code,
			request_id: requestId,
		},
	};
}

/** Anthropic's error shape; its official client shows `details.error_code` as the error's code. */
export function anthropicErrorBody(error: PlimsollError, requestId: string | null) {
	const { code, message, param, category } = error;
	return {
		type: 'error',
		error: { type: STATUS[category].anthropic, message, code, param, details: { error_code: code } },
		request_id: requestId,
	};
}

/** An error's body in the shape that a route's clients know. */
export function errorBodyFor({ dialect }: Pick<Route, 'dialect'>, error: PlimsollError, requestId: string | null) {
	return dialect === 'anthropic' ? anthropicErrorBody(error, requestId) : errorBody(error, requestId);
}

export function statusOf(error: PlimsollError): number {
	return STATUS[error.category].status;
}

/**
 * Tells clients whether to come back. The official OpenAI and Anthropic SDKs obey `x-should-retry` and
 * `retry-after-ms`; without them they retry on their own judgement and add to a storm.
 */
export function retryHeaders(error: PlimsollError): Record<string, string> {
	if (error.retryAfterMs === null) return mayRepeat(error) ? {} : { 'x-should-retry': 'false' };
	return {
		'retry-after': String(Math.ceil(error.retryAfterMs / 1000)),
		'retry-after-ms': String(Math.ceil(error.retryAfterMs)),
		'x-should-retry': 'false',
	};
}

/** Whoever waited until the deadline gets no better answer from a second wait, and the first may be on the bill already. */
function mayRepeat({ retryable, category }: PlimsollError): boolean {
	return retryable && category !== 'deadline_exceeded';
}

export function sendError(reply: FastifyReply, error: PlimsollError, body: object): FastifyReply {
	// RFC 9110 wants to know from whoever refuses a stranger how to introduce oneself.
	if (error.category === 'unauthenticated') reply.header('www-authenticate', 'Bearer');
	return reply.code(statusOf(error)).headers(retryHeaders(error)).send(body);
}

/** Fastify's own refusals, in our words. Null: not one of them. */
export function fromFastify(thrown: unknown): PlimsollError | null {
	const code = typeof thrown === 'object' && thrown !== null && 'code' in thrown ? thrown.code : null;
	switch (code) {
		case 'FST_ERR_CTP_BODY_TOO_LARGE':
			return new PlimsollError(
				'body_too_large',
				'The body is larger than the route takes, which is server.body_bytes_max unless it has a cap of its own.',
			);
		case 'FST_ERR_CTP_INVALID_MEDIA_TYPE':
			return jsonExpected();
		case 'FST_ERR_CTP_INVALID_CONTENT_LENGTH':
			return new PlimsollError('request_invalid', 'The body is not as long as its content-length says.');
		case 'FST_ERR_CTP_EMPTY_JSON_BODY':
			return new PlimsollError('request_invalid', 'The body is empty; a JSON object was expected.');
		case 'ECONNRESET':
			return new PlimsollError('client_closed', 'The client left before its body had arrived.');
		case 'FST_ERR_BAD_URL':
			return new PlimsollError('request_invalid', 'The path is not a valid URL path.');
		case 'FST_ERR_MAX_PARAM_LENGTH':
			return new PlimsollError('request_invalid', `A name in the path is longer than ${NAME_CHARS_MAX} characters.`);
		default:
			return null;
	}
}

/** For a body of another type. */
export function jsonExpected(): PlimsollError {
	return new PlimsollError('request_invalid', 'The content type must be application/json.');
}

/** Answers what is not an HTTP request at all, so that no route ever sees it: in our shape, and the socket closes. */
export function refuseMalformed(fault: Error & { readonly code?: string }, socket: Socket): void {
	if (fault.code === 'ECONNRESET' || !socket.writable) {
		socket.destroy();
		return;
	}
	const error = malformed(fault.code);
	const body = JSON.stringify(errorBody(error, null));
	// A reason phrase may be empty (RFC 9112, section 4), and nobody should rely on one.
	socket.end(
		`HTTP/1.1 ${statusOf(error)} \r\nconnection: close\r\ncontent-type: application/json; charset=utf-8\r\n` +
			`content-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
	);
}

function malformed(code: string | undefined): PlimsollError {
	switch (code) {
		case 'HPE_HEADER_OVERFLOW':
			return new PlimsollError('headers_too_large', 'The headers are larger than server.header_bytes_max.');
		case 'ERR_HTTP_REQUEST_TIMEOUT':
			return new PlimsollError('request_invalid', 'The request did not arrive in time.');
		default:
			return new PlimsollError('request_invalid', 'This is not a valid HTTP request.');
	}
}
