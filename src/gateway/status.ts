import type { ErrorCategory } from '../spec/errors.ts';

interface HttpError {
	readonly status: number;
	/** OpenAI's. */
	readonly type: string;
	/** Anthropic's, which its clients tell errors in a stream apart by. */
	readonly anthropic: string;
}

/** The one place where Plimsoll's errors become HTTP statuses, with the `type` that each has in a vendor's shape. */
export const STATUS: Readonly<Record<ErrorCategory, HttpError>> = {
	invalid_request: { status: 400, type: 'invalid_request_error', anthropic: 'invalid_request_error' },
	unauthenticated: { status: 401, type: 'authentication_error', anthropic: 'authentication_error' },
	forbidden: { status: 403, type: 'permission_error', anthropic: 'permission_error' },
	not_found: { status: 404, type: 'not_found_error', anthropic: 'not_found_error' },
	precondition_failed: { status: 412, type: 'precondition_failed_error', anthropic: 'invalid_request_error' },
	conflict: { status: 409, type: 'conflict_error', anthropic: 'invalid_request_error' },
	too_large: { status: 413, type: 'invalid_request_error', anthropic: 'request_too_large' },
	unprocessable: { status: 422, type: 'unprocessable_error', anthropic: 'invalid_request_error' },
	overloaded: { status: 429, type: 'rate_limit_error', anthropic: 'rate_limit_error' },
	cancelled: { status: 499, type: 'cancelled_error', anthropic: 'api_error' },
	internal: { status: 500, type: 'api_error', anthropic: 'api_error' },
	configuration: { status: 500, type: 'api_error', anthropic: 'api_error' },
	upstream_failed: { status: 502, type: 'upstream_error', anthropic: 'api_error' },
	unavailable: { status: 503, type: 'unavailable_error', anthropic: 'overloaded_error' },
	deadline_exceeded: { status: 504, type: 'timeout_error', anthropic: 'timeout_error' },
};
