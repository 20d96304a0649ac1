import type { FastifyReply } from 'fastify';
import { PlimsollError } from '../spec/errors.ts';
import { STATUS } from './status.ts';

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

export function statusOf(error: PlimsollError): number {
	return STATUS[error.category].status;
}

/**
 * Tells clients whether to come back. The official OpenAI and Anthropic SDKs obey `x-should-retry` and
 * `retry-after-ms`; without them they retry on their own judgement and add to a storm.
 */
export function retryHeaders(error: PlimsollError): Record<string, string> {
	if (error.retryAfterMs === null) return error.retryable ? {} : { 'x-should-retry': 'false' };
	return {
		'retry-after': String(Math.ceil(error.retryAfterMs / 1000)),
		'retry-after-ms': String(Math.ceil(error.retryAfterMs)),
		'x-should-retry': 'false',
	};
}

export function sendError(reply: FastifyReply, error: PlimsollError, requestId: string | null): FastifyReply {
	return reply.code(statusOf(error)).headers(retryHeaders(error)).send(errorBody(error, requestId));
}

/** Fastify's own refusals, in our words. Null: not one of them. */
export function fromFastify(thrown: unknown): PlimsollError | null {
	const code = typeof thrown === 'object' && thrown !== null && 'code' in thrown ? thrown.code : null;
	switch (code) {
		case 'FST_ERR_CTP_BODY_TOO_LARGE':
			return new PlimsollError('body_too_large', 'The body is larger than server.body_bytes_max.');
		case 'FST_ERR_CTP_INVALID_MEDIA_TYPE':
			return new PlimsollError('request_invalid', 'The content type must be application/json.');
		case 'FST_ERR_CTP_INVALID_CONTENT_LENGTH':
			return new PlimsollError('request_invalid', 'The body is not as long as its content-length says.');
		case 'FST_ERR_CTP_EMPTY_JSON_BODY':
			return new PlimsollError('request_invalid', 'The body is empty; a JSON object was expected.');
		case 'ECONNRESET':
			return new PlimsollError('client_closed', 'The client left before its body had arrived.');
		case 'FST_ERR_BAD_URL':
			return new PlimsollError('request_invalid', 'The path is not a valid URL path.');
		default:
			return null;
	}
}
