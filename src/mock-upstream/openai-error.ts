import type { LimitLeft, Refusal, RefusalReply } from './wire-format.ts';
import { retryHeaders } from './wire-format.ts';

type Row = readonly [status: number, type: string, code: string | null, message: string];

/** As OpenAI documents its error codes; the content filter's is Azure's, which alone refuses a request for it. */
const ROWS: Readonly<Record<Exclude<Refusal['kind'], 'server_error'>, Row>> = {
	rate_limited: [429, 'requests', 'rate_limit_exceeded', 'Rate limit reached for requests. Please slow down.'],
	quota: [
		429,
		'insufficient_quota',
		'insufficient_quota',
		'You exceeded your current quota, please check your plan and billing details.',
	],
	overloaded: [503, 'server_error', null, 'The engine is currently overloaded, please try again later.'],
	context_too_long: [
		400,
		'invalid_request_error',
		'context_length_exceeded',
		"This model's maximum context length is 128000 tokens. However, your messages resulted in 250000 tokens.",
	],
	content_filter: [
		400,
		'invalid_request_error',
		'content_filter',
		'The response was filtered due to the prompt triggering the content management policy.',
	],
	bad_request: [400, 'invalid_request_error', null, "Invalid value for 'temperature': expected a number up to 2."],
	authentication: [401, 'invalid_request_error', 'invalid_api_key', 'Incorrect API key provided.'],
	permission: [403, 'invalid_request_error', 'model_not_allowed', 'Your project has no access to this model.'],
	model_not_found: [404, 'invalid_request_error', 'model_not_found', 'The model does not exist.'],
};

/** OpenAI's error object, for all of its routes. */
export function openAiRefusal({ kind, message, plan, nowMs }: Refusal): RefusalReply {
	if (kind === 'server_error') {
		const said = message ?? 'The server had an error while processing your request. Sorry about that!';
		const body = { error: { message: said, type: 'server_error', param: null, code: null } };
		return { status: plan.errorStatus ?? 500, body, headers: retryHeaders(plan, nowMs) };
	}
	const [status, type, code, usual] = ROWS[kind];
	const param = kind === 'context_too_long' ? 'messages' : null;
	const inner = kind === 'content_filter' ? { innererror: { code: 'ResponsibleAIPolicyViolation' }, status } : {};
	const body = { error: { message: message ?? usual, type, param, code, ...inner } };
	return { status, body, headers: retryHeaders(plan, nowMs) };
}

/** `x-ratelimit-…`, with times as Go writes them. */
export function openAiLimitHeaders(limits: readonly LimitLeft[]): Record<string, string> {
	return Object.fromEntries(
		limits.flatMap(({ limit, max, left, resetMs }) => [
			[`x-ratelimit-limit-${limit}`, String(max)],
			[`x-ratelimit-remaining-${limit}`, String(left)],
			[`x-ratelimit-reset-${limit}`, goDuration(resetMs)],
		]),
	);
}

/** `6m0s`, `1.5s`, `20ms`. */
function goDuration(ms: number): string {
	if (ms < 1_000) return `${Math.ceil(ms)}ms`;
	const minutes = Math.floor(ms / 60_000);
	return `${minutes > 0 ? `${minutes}m` : ''}${Number(((ms % 60_000) / 1_000).toFixed(3))}s`;
}
