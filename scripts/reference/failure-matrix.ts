import type { Fault, Plan } from '../../src/mock-upstream/plan.ts';

/** An attempt: at the first upstream of the route or at the second, and how it ended. */
type Attempt = `${'first' | 'second'}: ${string}`;

/** What a client gets. */
type Result = 'the answer' | 'the answer, less an event' | 'an empty answer' | `error: ${string}`;

interface Expected {
	readonly attempts: readonly Attempt[];
	readonly result: Result;
}

export interface MatrixRow {
	readonly what: string;
	readonly fault: Plan & { readonly fault: Fault };
	/** How often the first upstream has it; left out: always. */
	readonly times?: number;
	/** The least wait before the second attempt, milliseconds. */
	readonly waitMs?: number;
	readonly plain: Expected;
	readonly stream: Expected;
}

const ANSWERED: Expected = { attempts: ['first: ok'], result: 'the answer' };

/** The first attempt fails, and the same upstream answers the second. */
const again = (kind: string): Expected => ({ attempts: [`first: ${kind}`, 'first: ok'], result: 'the answer' });
/** It fails once more, and the other one answers. */
const twice = (kind: string): Expected => ({
	attempts: [`first: ${kind}`, `first: ${kind}`, 'second: ok'],
	result: 'the answer',
});
/** The other one is asked at once. */
const over = (kind: string): Expected => ({ attempts: [`first: ${kind}`, 'second: ok'], result: 'the answer' });
const fails = (kind: string, code: string): Expected => ({ attempts: [`first: ${kind}`], result: `error: ${code}` });

type Row = Omit<MatrixRow, 'plain' | 'stream'>;
const both = (row: Row, expected: Expected): MatrixRow => ({ ...row, plain: expected, stream: expected });

/** Far enough into the stream for a client to have seen a part of the answer. */
const MIDDLE = { afterChunks: 9 } as const;

/**
 * What a contract that says nothing about failures makes of each of them, on every family: the attempts in their order and
 * what the client gets. The second upstream of the route continues turns, has a larger context, and is another vendor's.
 */
export const MATRIX: readonly MatrixRow[] = [
	...(['seconds', 'date', 'milliseconds'] as const).map((form) =>
		both(
			{
				what: `429, once, to come back in 2 s (${form === 'milliseconds' ? '`retry-after-ms`' : `\`Retry-After\` in ${form === 'date' ? 'a date' : form}`})`,
				fault: { fault: 'rate_limited', retryAfter: { form, ms: 2000 } },
				times: 1,
				waitMs: form === 'date' ? 1000 : 2000,
			},
			again('rate_limited'),
		),
	),
	both(
		{
			what: '429, to come back after the deadline',
			fault: { fault: 'rate_limited', retryAfter: { form: 'seconds', ms: 600_000 } },
		},
		over('rate_limited'),
	),
	both(
		{ what: '429 without a time', fault: { fault: 'rate_limited', retryAfter: { form: 'none', ms: 0 } } },
		twice('rate_limited'),
	),
	both({ what: 'the account is used up', fault: { fault: 'quota' } }, over('quota')),
	both({ what: '500, once', fault: { fault: 'server_error', errorStatus: 500 }, times: 1 }, again('server_error')),
	...[502, 503, 529].map((errorStatus) =>
		both({ what: `${errorStatus}, always`, fault: { fault: 'server_error', errorStatus } }, twice('server_error')),
	),
	both({ what: 'overloaded, once', fault: { fault: 'overloaded' }, times: 1 }, again('server_error')),
	both({ what: 'a reset before the head, once', fault: { fault: 'reset' }, times: 1 }, again('connect')),
	both({ what: 'a reset before the head, always', fault: { fault: 'reset' } }, twice('connect')),
	both({ what: 'accepted, and silent', fault: { fault: 'silent' } }, over('timeout_first_token')),
	both(
		{ what: 'a first token that is late', fault: { fault: 'slow_first_token', stallMs: 3_600_000 } },
		over('timeout_first_token'),
	),
	{
		what: 'cut in the middle',
		fault: { fault: 'cut', ...MIDDLE },
		plain: twice('cut'),
		stream: over('cut'),
	},
	both({ what: 'cut before the first word, once', fault: { fault: 'cut', atByte: 0 }, times: 1 }, again('cut')),
	{
		what: 'silent in the middle',
		fault: { fault: 'stall', ...MIDDLE },
		plain: over('timeout_first_token'),
		stream: over('timeout_idle'),
	},
	{
		what: 'an event, or a plain answer, that is not JSON',
		fault: { fault: 'malformed_chunk' },
		plain: twice('nonsense'),
		stream: { attempts: ['first: ok'], result: 'the answer, less an event' },
	},
	{
		what: 'an error in the middle of the stream',
		fault: { fault: 'error_in_stream', ...MIDDLE },
		plain: ANSWERED,
		stream: over('server_error'),
	},
	both({ what: 'no end mark', fault: { fault: 'no_done' } }, ANSWERED),
	both({ what: 'a connection that stays open at the end', fault: { fault: 'hang_at_end' } }, ANSWERED),
	{ what: 'no finish reason', fault: { fault: 'no_finish_reason' }, plain: twice('nonsense'), stream: over('cut') },
	both({ what: 'the prompt is too long', fault: { fault: 'context_too_long' } }, over('context_length')),
	both(
		{ what: 'the content filter refuses', fault: { fault: 'content_filter' } },
		fails('content_filter', 'upstream_content_filtered'),
	),
	both({ what: 'an invalid request', fault: { fault: 'bad_request' } }, fails('bad_request', 'upstream_rejected')),
	both({ what: 'no such model', fault: { fault: 'model_not_found' } }, fails('bad_request', 'upstream_rejected')),
	both({ what: 'a wrong key', fault: { fault: 'authentication' } }, fails('authentication', 'upstream_rejected')),
	both(
		{ what: 'a key that may not use the model', fault: { fault: 'permission' } },
		fails('authentication', 'upstream_rejected'),
	),
	both({ what: 'a page with status 200', fault: { fault: 'html' } }, twice('nonsense')),
	both({ what: 'a redirect', fault: { fault: 'redirect' } }, twice('nonsense')),
	both({ what: 'an answer of 50 MB', fault: { fault: 'huge_body', bytes: 52_428_800 } }, twice('nonsense')),
	both(
		{ what: 'a model that says nothing, in events without a word', fault: { fault: 'empty_chunks', chunks: 200 } },
		{ attempts: ['first: ok'], result: 'an empty answer' },
	),
	both({ what: 'a usage that contradicts itself', fault: { fault: 'wrong_usage' } }, ANSWERED),
	both({ what: 'no usage', fault: { fault: 'no_usage' } }, ANSWERED),
	both({ what: 'bytes one by one', fault: { fault: 'slow_bytes', bytes: 7 } }, ANSWERED),
	both(
		{ what: 'an answer that ends at the output limit', fault: { fault: 'truncated' } },
		{ attempts: ['first: ok'], result: 'error: guard_rejected' },
	),
	both(
		{ what: 'an answer that the content filter ends', fault: { fault: 'filtered' } },
		{ attempts: ['first: ok'], result: 'error: guard_rejected' },
	),
];

const COHERE: Readonly<Record<string, Partial<Pick<MatrixRow, 'plain' | 'stream'>>>> = {
	// Answers have a usage by their form.
	'no usage': { plain: twice('nonsense'), stream: over('cut') },
	// It has no event for an error: the stream ends.
	'an error in the middle of the stream': { stream: over('cut') },
	// It says of a filtered answer that it failed.
	'an answer that the content filter ends': {
		plain: fails('content_filter', 'upstream_content_filtered'),
		stream: fails('content_filter', 'upstream_content_filtered'),
	},
};

/** What no row can say once for all families, because their vendors' formats or packages differ. */
export const DIFFERENCES: Readonly<
	Record<string, Readonly<Record<string, Partial<Pick<MatrixRow, 'plain' | 'stream'>>>>>
> = {
	anthropic: {
		'no finish reason': { plain: twice('cut') },
		// Its events have a usage by their form.
		'no usage': { plain: twice('nonsense'), stream: twice('nonsense') },
	},
	google: { 'no finish reason': { plain: twice('cut') } },
	vertex: { 'no finish reason': { plain: twice('cut') } },
	bedrock: {
		'no usage': { plain: twice('nonsense') },
		// Each event has a checksum: after a broken one nothing can be read.
		'an event, or a plain answer, that is not JSON': { stream: twice('nonsense') },
	},
	cohere: COHERE,
	// By the package of Cohere, as one that nothing is known of beforehand.
	'ai-sdk': COHERE,
};
