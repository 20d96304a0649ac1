import type { ErrorCategory } from '../spec/errors.ts';

/** The one place where Plimsoll's errors become HTTP statuses, with OpenAI's `type` for each. */
export const STATUS: Readonly<Record<ErrorCategory, { readonly status: number; readonly type: string }>> = {
	invalid_request: { status: 400, type: 'invalid_request_error' },
	unauthenticated: { status: 401, type: 'authentication_error' },
	forbidden: { status: 403, type: 'permission_error' },
	not_found: { status: 404, type: 'not_found_error' },
	precondition_failed: { status: 412, type: 'precondition_failed_error' },
	conflict: { status: 409, type: 'conflict_error' },
	too_large: { status: 413, type: 'invalid_request_error' },
	unprocessable: { status: 422, type: 'unprocessable_error' },
	overloaded: { status: 429, type: 'rate_limit_error' },
	cancelled: { status: 499, type: 'cancelled_error' },
	internal: { status: 500, type: 'api_error' },
	configuration: { status: 500, type: 'api_error' },
	upstream_failed: { status: 502, type: 'upstream_error' },
	unavailable: { status: 503, type: 'unavailable_error' },
	deadline_exceeded: { status: 504, type: 'timeout_error' },
};
