import type { ShownImage } from '../policy/images.ts';
import type { ChatMessage, CompletionChunk, Thought, Usage } from '../spec/model.ts';
import type { Passage } from '../spec/retrieval.ts';

/** A call as it comes from a client, of whatever surface, already of the right types. */
export interface ChatRequest {
	/** A feature's name, or an upstream's. */
	readonly model: string;
	readonly messages: readonly ChatMessage[];
	/** Input of a typed invocation; empty for a chat. */
	readonly variables: Readonly<Record<string, unknown>>;
	/** What it shows to the model, wherever in its messages; left out: nothing. */
	readonly images?: readonly ShownImage[];
	/** Every further member of the body, as sent. */
	readonly parameters: Readonly<Record<string, unknown>>;
	/** Where the answer goes while it is made; null: the whole answer at the end. */
	readonly sink: AnswerSink | null;
	/** Who asks, as the client names them; only ever stored as a keyed hash. */
	readonly user: string | null;
	/** Left out: the client speaks OpenAI's chat completions itself. */
	readonly translation?: Translation;
}

/** What became of a request that its client wrote in another format than OpenAI's chat completions. */
export interface Translation {
	/** By OpenAI's name of a parameter the one that the client used, where they differ. */
	readonly names: Readonly<Record<string, string>>;
	/** For each message the field of the client's body that it came from. */
	readonly origins: readonly string[];
	/** Hints that were not passed on. */
	readonly ignored: readonly string[];
}

export interface AnswerSink {
	/** Awaited before the next chunk is asked for, so that a slow client slows its upstream. */
	chunk(chunk: CompletionChunk): void | Promise<void>;
}

export interface Citation {
	/** The `n` of `[n]` in the answer. */
	readonly number: number;
	readonly passage: Passage;
}

/** A complete answer that passed its guards, or the one a failure policy gave. */
export interface Answer {
	readonly text: string;
	readonly finishReason: string;
	readonly toolCalls: readonly unknown[] | null;
	/** What the model thought, where that is passed on and has not been streamed. */
	readonly thoughts: readonly Thought[];
	readonly usage: Usage;
	readonly citations: readonly Citation[];
	readonly confidence: number | null;
	/** The upstream that produced it; null when a failure policy's fixed text did. */
	readonly upstream: string | null;
	/** The provider's name of the model. */
	readonly model: string | null;
	/** The provider's JSON as received, for a bare upstream's plain answer. */
	readonly raw: string | null;
	readonly feature: string | null;
	readonly release: string | null;
	/** Which failure policy answered, e.g. `upstream_timeout: fail_over`; null when none did. */
	readonly degraded: string | null;
}
