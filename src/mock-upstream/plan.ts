import { seededRandom } from '../base/random.ts';

/** What vendors refuse with an error of their own instead of an answer. */
export type RefusalKind =
	| 'rate_limited'
	| 'quota'
	| 'server_error'
	| 'overloaded'
	| 'context_too_long'
	| 'content_filter'
	| 'bad_request'
	| 'authentication'
	| 'permission'
	| 'model_not_found';

/** What goes wrong on the way of an answer. */
type DeliveryFault =
	| 'reset'
	| 'silent'
	| 'cut'
	| 'stall'
	| 'malformed_chunk'
	| 'no_done'
	| 'no_finish_reason'
	| 'html'
	| 'redirect'
	| 'huge_body'
	| 'slow_bytes'
	| 'slow_first_token'
	| 'error_in_stream'
	/** After the last event the connection stays open, without an end mark. */
	| 'hang_at_end';

/** What an answer itself has wrong. */
type AnswerFault =
	| 'empty_chunks'
	| 'wrong_usage'
	| 'no_usage'
	| 'truncated'
	| 'filtered'
	| 'interleaved_tool_calls'
	| 'duplicate_tool_calls'
	| 'broken_tool_arguments';

export type Fault = RefusalKind | DeliveryFault | AnswerFault;

/** Tokens as all vendors mean them: cached and written ones are parts of the input, reasoning a part of the output. */
export interface TokenCounts {
	readonly tokensIn: number;
	readonly tokensOut: number;
	readonly tokensCached: number;
	readonly tokensCacheWritten: number;
	readonly tokensReasoning: number;
}

/** How the double answers one request. Everything left out has the default of a healthy upstream. */
export interface Plan {
	/** Before the headers. */
	readonly latencyMs?: number;
	/** Between the headers and the first token of a stream. */
	readonly firstTokenMs?: number;
	/** Between two chunks of a stream. */
	readonly gapMs?: number;
	/** Into how many chunks the text of a stream is cut; by default one a word. */
	readonly chunks?: number;
	readonly text?: string;
	/** What the model thinks before it speaks; left out, it thinks only where the request asks for it. */
	readonly thinking?: string;
	/** How many of the offered tools a model calls; by default one, where it may. */
	readonly toolCalls?: number;
	/** In OpenAI's words: `stop`, `length`, `tool_calls`, `content_filter`. */
	readonly finishReason?: string;
	/** What the answer counts; what is left out is counted from the texts. Null: the fixed counts of tests. */
	readonly counts?: Partial<TokenCounts> | null;
	/** The usage of chat completions word for word. Null: the answer has none. */
	readonly usage?: Record<string, unknown> | null;
	/** An HTTP error, with `error` as its body (an object is wrapped as OpenAI does; a string is sent as HTML). */
	readonly status?: number;
	readonly error?: Record<string, unknown> | string;
	readonly headers?: Readonly<Record<string, string>>;
	/** The exact body, or for a stream the exact bytes, instead of what the double would make. */
	readonly body?: string;
	readonly fault?: Fault;
	/** Where `cut`, `stall` and `malformed_chunk` strike, in bytes of the body. Default: the middle. */
	readonly atByte?: number;
	/** The same, after so many events of a stream. */
	readonly afterChunks?: number;
	/** How long `stall` and `slow_first_token` stay silent; left out, until the client leaves. */
	readonly stallMs?: number;
	/** How many bytes `huge_body` sends, or `slow_bytes` at once. */
	readonly bytes?: number;
	/** What a rate limit says about when to come back. */
	readonly retryAfter?: RetryAfter;
	/** Of a `server_error`. */
	readonly errorStatus?: number;
	/** Makes ids of answers: the same for the same seed and request. */
	readonly id?: string;
	/** The rule of a script that chose this plan. */
	readonly rule?: string;
}

export interface RetryAfter {
	readonly form: 'seconds' | 'date' | 'milliseconds' | 'none';
	readonly ms: number;
}

/** A number in [0, 1) that depends on its seed and its place alone, whatever was drawn before. */
export function drawAt(seed: number, ...place: readonly number[]): number {
	return seededRandom(place.reduce((mixed, part) => Math.imul(mixed, 1_000_003) + part, seed)).next();
}
