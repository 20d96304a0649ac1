import type { Clock } from '../../base/clock.ts';
import { UpstreamError, type UpstreamFailure } from '../../spec/model.ts';
import { isObject, type Json } from './json.ts';
import { UnsupportedError } from './unsupported.ts';

/** A vendor's message is quoted up to this many characters. */
const MESSAGE_CHARS_MAX = 300;

export type ResponseHeaders = Readonly<Record<string, string | string[] | undefined>>;

/** Turns what an upstream said, or how it failed to, into UpstreamErrors. Knows secrets only to keep them out of messages. */
export interface Failures {
	/** From an HTTP status and the body that came with it. */
	fromStatus(status: number, headers: ResponseHeaders, body: string): UpstreamError;
	/** From an error object inside a 200: a body or an event of a stream. */
	fromErrorObject(error: unknown): UpstreamError;
	/**
	 * @param details.cause of an UnsupportedError its field is told.
	 * @param details.sent false when nothing can have reached the upstream; true unless it is said.
	 */
	of(kind: UpstreamFailure, message: string, details?: { cause?: unknown; sent?: boolean }): UpstreamError;
}

export function createFailures(options: {
	upstream: string;
	/** Kept out of messages. */
	secrets: readonly (string | null)[];
	clock: Clock;
}): Failures {
	const { upstream, clock } = options;
	const secrets = options.secrets.filter((secret) => secret !== null && secret !== '');
	const tidy = (message: string) => {
		const clean = secrets.reduce<string>((text, secret) => text.replaceAll(secret ?? '', '[key]'), message);
		return clean.length <= MESSAGE_CHARS_MAX ? clean : `${clean.slice(0, MESSAGE_CHARS_MAX)}…`;
	};
	return {
		fromStatus(status, headers, body) {
			const error = errorOf(body, headers);
			const said = error ? tidy(messageOf(error)) : bodyHint(body, tidy);
			const why = redirectHint(status, headers) ?? said;
			const message = `${upstream} answered ${status}${why && `: ${why}`}`;
			const wait = retryAfterMs(headers, clock.now()) ?? (error && retryInfoMs(error));
			return new UpstreamError(kindOf(status, error), upstream, message, { status, retryAfterMs: wait });
		},
		fromErrorObject(error) {
			const object = isObject(error) ? error : { message: String(error) };
			const code = Number(object.status ?? object.code);
			const status = Number.isInteger(code) && code >= 400 && code < 600 ? code : null;
			const wait = { retryAfterMs: retryInfoMs(object) };
			const message = `${upstream} sent an error instead of an answer: ${tidy(messageOf(object))}`;
			return new UpstreamError(kindOf(status, object), upstream, message, status === null ? wait : { status, ...wait });
		},
		of(kind, message, details) {
			const param = details?.cause instanceof UnsupportedError ? details.cause.field : null;
			return new UpstreamError(kind, upstream, `${upstream} ${tidy(message)}`, { ...details, param });
		},
	};
}

/** A redirect is not followed: the key is for the configured address alone. */
function redirectHint(status: number, { location }: ResponseHeaders): string | null {
	if (status < 300 || status > 399 || typeof location !== 'string') return null;
	return `a redirect to ${location.slice(0, MESSAGE_CHARS_MAX)}, which is not followed: base_url must be where the API is`;
}

/** The error that an event of a stream is: `{error: {…}}`, or Bedrock's `{throttlingException: {…}}`; null for any other event. */
export function errorEvent(event: Json): Json | null {
	if (isObject(event.error)) return event.error;
	const [name, value] = Object.entries(event)[0] ?? [];
	return name?.endsWith('Exception') && isObject(value) ? { ...value, type: name } : null;
}

const QUOTA =
	/insufficient_quota|billing_hard_limit|billing_not_active|billing_error|insufficient_balance|insufficient balance|credit balance is too low|exceeded your current quota|ServiceQuotaExceeded|PerDay/i;
const CONTENT = /content_filter|content_policy_violation|responsibleaipolicyviolation/i;
/** Anthropic has no mark for it, only these words. */
const CONTENT_SAID = /blocked by content filtering/i;
const CONTEXT =
	/context_length_exceeded|exceed_context_size|maximum context length|context window|context size|prompt is too long|input is too long|input token count|too many tokens/i;
const RATE = /rate_?limit|too_?many_?requests|throttling|resource_exhausted/i;
const AUTHENTICATION =
	/invalid_api_key|api_key_invalid|authentication_error|permission_error|permission_denied|unauthenticated|invalid_authentication|access_?denied|UnrecognizedClient|ExpiredToken|InvalidSignature/i;
const INVALID = /invalid_request|invalid_argument|not_found|validation/i;
/** Bedrock’s name for a model that failed, which comes with a client error’s status. */
const BROKEN = /ModelError|ModelStreamError|ModelNotReady/i;

/** @param status null for an error inside a 200. */
function kindOf(status: number | null, error: Json | null): UpstreamFailure {
	const marks = error ? marksOf(error) : '';
	const said = error ? `${marks} ${messageOf(error).slice(0, 2000)}` : '';
	// A content refusal comes first: it must never be mistaken for something to route around.
	if (CONTENT.test(marks) || CONTENT_SAID.test(said)) return 'content_filter';
	// Gemini says "quota" of a limit per minute too, and then when it is over.
	if (error && retryInfoMs(error) !== null && !/PerDay/i.test(marks)) return 'rate_limited';
	if (status === 402 || QUOTA.test(said)) return 'quota';
	if (BROKEN.test(marks)) return 'server_error';
	if (status === 429) return 'rate_limited';
	// Cohere has a status of its own for a token that is none.
	if (status === 401 || status === 403 || status === 498) return 'authentication';
	if (CONTEXT.test(said)) return 'context_length';
	if (status === null) return kindOfMarks(marks);
	// The official SDKs also treat these three as passing troubles of the server.
	if (status >= 500 || status === 408 || status === 409 || status === 425) return 'server_error';
	// Google and AWS answer 400 to a wrong key.
	if (status >= 400 && AUTHENTICATION.test(marks)) return 'authentication';
	return status >= 400 ? 'bad_request' : 'nonsense';
}

function kindOfMarks(marks: string): UpstreamFailure {
	if (RATE.test(marks)) return 'rate_limited';
	if (AUTHENTICATION.test(marks)) return 'authentication';
	return INVALID.test(marks) ? 'bad_request' : 'server_error';
}

/** The machine-readable parts of the error objects of OpenAI, Azure, llama.cpp, Anthropic, Google and AWS. */
function marksOf(error: Json): string {
	const inner = isObject(error.innererror) ? error.innererror.code : undefined;
	const details = detailsOf(error).flatMap(({ reason, violations }) => [
		reason,
		...(Array.isArray(violations) ? violations : []).map((one: unknown) => (isObject(one) ? one.quotaId : null)),
	]);
	const marks = [error.code, error.type, error.status, error.__type, inner, ...details];
	return marks.filter((mark) => typeof mark === 'string').join(' ');
}

/** The typed details of Google's errors (google.rpc.Status). */
function detailsOf(error: Json): Json[] {
	return Array.isArray(error.details) ? error.details.filter(isObject) : [];
}

/** Milliseconds of a google.rpc.RetryInfo, whose delay is written `34.5s`; null when there is none. */
function retryInfoMs(error: Json): number | null {
	for (const { retryDelay } of detailsOf(error)) {
		const seconds = typeof retryDelay === 'string' ? /^(\d+(?:\.\d+)?)s$/.exec(retryDelay)?.[1] : undefined;
		if (seconds !== undefined) return Math.ceil(Number(seconds) * 1000);
	}
	return null;
}

function messageOf(error: Json): string {
	return typeof error.message === 'string' ? error.message : JSON.stringify(error);
}

/**
 * OpenAI's, Anthropic's and Google's `{error: {…}}`, some servers' `{error: "…"}`, FastAPI's `{detail: …}`, and AWS's
 * flat object with the error's name in a header; null for anything else.
 */
function errorOf(body: string, headers: ResponseHeaders): Json | null {
	let parsed: unknown;
	try {
		parsed = JSON.parse(body);
	} catch {
		return null; // Not JSON: a proxy's page. The status alone decides, and the body is quoted.
	}
	// Google answers a refused stream with a list of one error.
	if (Array.isArray(parsed)) parsed = parsed[0];
	if (!isObject(parsed)) return null;
	if (isObject(parsed.error)) return parsed.error;
	if (typeof parsed.error === 'string') return { ...parsed, message: parsed.error };
	if (parsed.detail !== undefined) return { message: JSON.stringify(parsed.detail) };
	const name = headers['x-amzn-errortype'];
	return typeof name === 'string' ? { ...parsed, type: name } : parsed;
}

function bodyHint(body: string, tidy: (text: string) => string): string {
	const text = body
		.slice(0, 4000)
		.replace(/<[^<>]*>/g, ' ')
		.replace(/\s+/g, ' ')
		.trim();
	return text === '' ? '' : tidy(text);
}

/** Milliseconds from `retry-after-ms`, or from `Retry-After` in seconds or as an HTTP date (RFC 9110, 10.2.3); null when absent or unreadable. */
function retryAfterMs(headers: ResponseHeaders, nowMs: number): number | null {
	const ms = positive(headers['retry-after-ms']);
	if (ms !== null) return Math.ceil(ms);
	const seconds = positive(headers['retry-after']);
	if (seconds !== null) return Math.ceil(seconds * 1000);
	const date = headers['retry-after'];
	const at = typeof date === 'string' ? Date.parse(date) : Number.NaN;
	return Number.isNaN(at) ? null : Math.max(0, at - nowMs);
}

function positive(header: string | string[] | undefined): number | null {
	if (typeof header !== 'string' || !/^\s*\d+(?:\.\d+)?\s*$/.test(header)) return null;
	const value = Number(header);
	return value <= Number.MAX_SAFE_INTEGER / 1000 ? value : null;
}
