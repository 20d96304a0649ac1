import type { Thought } from '../base/thought.ts';
import type { TokenizerName } from '../base/tokens.ts';
import type { Passage } from './retrieval.ts';

export type { Thought, TokenizerName };

/** A piece of a thought in a stream: it begins another one, or goes on with the last. */
export interface ThoughtPiece extends Thought {
	readonly begins: boolean;
}

/** Where a message holds the thoughts that its turn began with: no member that would be sent to who does not know it. */
export const THOUGHTS: unique symbol = Symbol('thoughts');

/** A message in OpenAI's chat shape. Unknown members are kept: a bare upstream gets what the client sent. */
export interface ChatMessage {
	readonly role: string;
	readonly content?: unknown;
	readonly [THOUGHTS]?: readonly Thought[];
	readonly [member: string]: unknown;
}

/** Integer micro-dollars per million tokens, so that price × tokens / 1e6 is integer arithmetic until one final rounding. */
export interface Rates {
	readonly inputMicrosPerMillion: number;
	/** Of input tokens that were read from the provider's cache: a part of the input. */
	readonly cachedInputMicrosPerMillion: number;
	/** Of input tokens that were written to it: another part. */
	readonly cacheWriteMicrosPerMillion: number;
	readonly outputMicrosPerMillion: number;
	/** Of what the model thought: a part of the output. */
	readonly reasoningMicrosPerMillion: number;
}

/** What a provider charges for a model. */
export interface Price extends Rates {
	readonly version: string;
	/** The day on which it was the provider's price, as YYYY-MM-DD; null: nobody says. */
	readonly asOf: string | null;
	/** Rates of the whole call where its input is longer; the shortest first. */
	readonly tiers: readonly PriceTier[];
	/** Rates of calls that the provider serves when it has time; null: as the others. */
	readonly batch: Rates | null;
}

export interface PriceTier extends Rates {
	readonly tokensInAbove: number;
}

/** Milliseconds each; an attempt that passes one ends with its own outcome. */
export interface AttemptTimeouts {
	readonly connectMs: number;
	/** From sending the request to the first token of a stream (or to the whole of a plain answer). */
	readonly firstTokenMs: number;
	/** Silence between two chunks of a stream. */
	readonly idleMs: number;
	readonly totalMs: number;
}

/** What a provider takes of images; null: that is not known. */
export interface ImageLimits {
	readonly countMax: number | null;
	/** Of one image, before it is written as base64. */
	readonly bytesMax: number | null;
	readonly sidePxMax: number | null;
	readonly mediaTypes: readonly string[] | null;
	/** Whether it fetches an image of which it is given the address. */
	readonly addresses: boolean | null;
}

/** What a project lets clients show to models. */
export interface ImageRules {
	readonly countMax: number;
	readonly bytesMax: number;
	readonly sidePxMax: number;
	readonly mediaTypes: readonly string[];
	/** Who gets images of which there is the address alone: nobody, upstreams on the internet, or all. */
	readonly addresses: 'refuse' | 'vendors' | 'all';
}

export interface Upstream {
	/** `provider/model-ish`, e.g. `openai/default`, `local/extractive`. */
	readonly name: string;
	readonly provider: string;
	/** The provider's own name of the model. */
	readonly model: string;
	readonly contextTokensMax: number;
	readonly tokensOutMax: number;
	/** The parameter in which this provider takes the output cap: OpenAI's newer models know only the second. */
	readonly tokensOutParameter: 'max_tokens' | 'max_completion_tokens';
	readonly tokenizer: TokenizerName;
	readonly timeouts: AttemptTimeouts;
	/** It acts on the world, so that asking it twice is not like asking it once. */
	readonly sideEffects: boolean;
	/** It goes on with an answer whose beginning is the last message of its request. */
	readonly continuesTurn: boolean;
	/** Null: unknown; the cost is then estimated by the configured rule and marked so. */
	readonly price: Price | null;
	/** Left out: nothing is known. */
	readonly images?: ImageLimits;
	/** It is on this machine or in a private network, so that what it fetches, it fetches from inside. */
	readonly isOwnServer?: boolean;
}

export interface Usage {
	/** Includes those that the provider read from its cache or wrote to it. */
	readonly tokensIn: number;
	/** Includes what the model thought and did not say. */
	readonly tokensOut: number;
	/** Input tokens that the provider read from its cache: a part of `tokensIn`. */
	readonly tokensCached: number;
	/** Input tokens that the provider wrote to its cache: another part of `tokensIn`. */
	readonly tokensCacheWritten: number;
	/** Output tokens that the model thought and did not say: a part of `tokensOut`. */
	readonly tokensReasoning: number;
	/** Served when the provider had time, at its batch rates: OpenAI's tier `flex`. */
	readonly batch?: boolean;
	/** `reported` by the provider, or `estimated` by our own count because it reported none. */
	readonly source: 'reported' | 'estimated';
}

export interface Grounding {
	readonly question: string;
	/** In rank order; the n-th is cited as `[n]`. */
	readonly passages: readonly Passage[];
	/** What to say when the passages do not answer; null: the model's own words. */
	readonly abstention: string | null;
}

export interface ModelRequest {
	readonly messages: readonly ChatMessage[];
	/** Every other member of an OpenAI chat completion body except `model`, `messages`, `stream` and `stream_options`. */
	readonly parameters: Readonly<Record<string, unknown>>;
	/** What the answer must rest on, for models that read passages directly. Language models see them in the prompt. */
	readonly grounding: Grounding | null;
	/** The last message is the beginning of the answer, to be gone on with. */
	readonly continues?: boolean;
	/** Aborts when the deadline is reached or the client left; the call to the provider is then cancelled. */
	readonly signal: AbortSignal;
	readonly timeouts: AttemptTimeouts;
}

/** What a provider told about itself, for the trace. */
export interface ServedBy {
	readonly model: string | null;
	readonly responseId: string | null;
	readonly fingerprint: string | null;
	/** What else is worth a line in the trace: its region, its rate-limit headers, what it says that it ignored. */
	readonly details?: Readonly<Record<string, string>>;
}

/** A whole answer. */
export interface Completion {
	readonly text: string;
	/** OpenAI's: `stop`, `length`, `tool_calls`, `content_filter`. */
	readonly finishReason: string;
	/** OpenAI's `tool_calls` array, untouched; null when there are none. */
	readonly toolCalls: readonly unknown[] | null;
	/** Left out when the model does not tell any. */
	readonly thoughts?: readonly Thought[];
	readonly usage: Usage | null;
	readonly served: ServedBy;
	/** In [0, 1]; null when the model does not say. */
	readonly confidence: number | null;
	/** The provider's JSON text as received, for byte-faithful pass-through; null where that is not OpenAI's wire format. */
	readonly raw: string | null;
}

/** One piece of a streamed answer. */
export interface CompletionChunk {
	readonly text: string;
	/** OpenAI's `delta.tool_calls`; left out when there are none. */
	readonly toolCalls?: readonly unknown[];
	readonly thought?: ThoughtPiece;
	/** Set on the last chunk with content, and only there. A stream that ends without one was cut. */
	readonly finishReason: string | null;
	readonly usage: Usage | null;
	readonly served: ServedBy | null;
	readonly confidence: number | null;
	/** The JSON text of this event as received, without `data: `; null where that is not OpenAI's wire format. */
	readonly raw: string | null;
}

/** One upstream that can be called. Never retries, never waits past its time-outs, throws only UpstreamError. */
export interface Model {
	readonly upstream: Upstream;
	complete(request: ModelRequest): Promise<Completion>;
	/**
	 * Resolves once the provider accepted the request (headers, or at once in process). Ending the iteration early
	 * cancels the call upstream. Throws UpstreamError `cut` when the stream ends without a finish reason.
	 */
	stream(request: ModelRequest): Promise<AsyncIterable<CompletionChunk>>;
	close(): Promise<void>;
}

export type UpstreamFailure =
	| 'connect'
	| 'timeout_connect'
	| 'timeout_first_token'
	| 'timeout_idle'
	| 'timeout_total'
	| 'rate_limited'
	| 'quota'
	| 'server_error'
	| 'bad_request'
	| 'context_length'
	| 'authentication'
	| 'content_filter'
	| 'cut'
	| 'nonsense'
	| 'broken_call'
	| 'cancelled';

/** Why one attempt at an upstream failed. The kind decides what the runtime may do next. */
export class UpstreamError extends Error {
	override readonly name = 'UpstreamError';
	readonly kind: UpstreamFailure;
	readonly upstream: string;
	/** HTTP status where one arrived. */
	readonly status: number | null;
	/** From `retry-after-ms` or `Retry-After`. */
	readonly retryAfterMs: number | null;
	/** False only when it is certain that nothing of the request reached the upstream. */
	readonly sent: boolean;
	/** What of the request the upstream has no counterpart for, such as `seed`; null: it was not that. */
	readonly param: string | null;

	constructor(
		kind: UpstreamFailure,
		upstream: string,
		message: string,
		details: {
			status?: number;
			retryAfterMs?: number | null;
			sent?: boolean;
			param?: string | null;
			cause?: unknown;
		} = {},
	) {
		super(message, details.cause === undefined ? undefined : { cause: details.cause });
		this.kind = kind;
		this.upstream = upstream;
		this.status = details.status ?? null;
		this.retryAfterMs = details.retryAfterMs ?? null;
		this.sent = details.sent ?? true;
		this.param = details.param ?? null;
	}
}
