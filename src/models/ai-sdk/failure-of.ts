import { UpstreamError } from '../../spec/model.ts';
import type { Failures } from '../exchange/failure.ts';
import { isObject, type Json } from '../exchange/json.ts';
import { UnsupportedError } from '../exchange/unsupported.ts';
import type { FetchAttempt } from './fetch-attempt.ts';

/** Whatever a provider package threw, or put into its stream, as the failure that it stands for. */
export function failureOf(thrown: unknown, attempt: FetchAttempt, failures: Failures): UpstreamError {
	// What happened on the wire is the cause of whatever the package made of it.
	if (attempt.error !== null) return attempt.error;
	if (thrown instanceof UpstreamError) return thrown;
	const message = thrown instanceof Error ? thrown.message : String(thrown);
	if (thrown instanceof UnsupportedError || !attempt.wasSent) {
		return failures.of('bad_request', `cannot be asked this: ${message}`, { cause: thrown, sent: false });
	}
	// Packages bring their own copies of their error classes: only the members can be relied on.
	const { statusCode, responseBody, data } = isObject(thrown) ? thrown : ({} as Json);
	// Some packages find an error in the first event of a 200 and throw it as if it were the answer to the request.
	if (typeof responseBody === 'string' && typeof statusCode === 'number' && statusCode >= 400) {
		return failures.fromStatus(statusCode, {}, responseBody);
	}
	if (isObject(data)) return failures.fromErrorObject(data);
	return failures.of('nonsense', `sent what is not its wire format: ${message}`, { cause: thrown });
}
