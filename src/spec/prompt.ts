import type { ChatMessage, TokenizerName } from './model.ts';
import type { Passage } from './retrieval.ts';

/** What goes into a prompt: the question, what was said before it, the feature's own input and the passages. */
export interface PromptInput {
	readonly question: string;
	/** Earlier turns, oldest first: `user` and `assistant` with text only. */
	readonly history: readonly { readonly role: 'user' | 'assistant'; readonly content: string }[];
	/** Variables of a typed invocation, as the client sent them. */
	readonly variables: Readonly<Record<string, unknown>>;
	/** In rank order, best first. */
	readonly passages: readonly Passage[];
}

export interface PromptBudget {
	/** The assembled messages must not count more tokens than this. */
	readonly tokensInMax: number;
	readonly tokenizer: TokenizerName;
	/** Stands at the end of the system part, and counts like the rest; null or left out: nothing does. */
	readonly instruction?: string | null;
}

/** A prompt as it will be sent. */
export interface AssembledPrompt {
	readonly messages: readonly ChatMessage[];
	/** Counted with the upstream's tokenizer, message framing included. */
	readonly tokensIn: number;
	/** SHA-256 over the canonical JSON of the messages. */
	readonly hash: string;
	/** The passages that are in the prompt, in rank order; citation `[n]` means the n-th of these. */
	readonly passages: readonly Passage[];
	/** Counted, never silent. */
	readonly trimmedPassages: number;
	readonly trimmedTurns: number;
}

/** One version of one prompt, parsed and compiled. */
export interface Prompt {
	readonly name: string;
	/** Semantic version. */
	readonly version: string;
	readonly owner: string;
	/** JSON Schema of `variables`; null when the prompt takes none beyond the built-in ones. */
	readonly inputSchema: Readonly<Record<string, unknown>> | null;
	/**
	 * Renders and fits the prompt to the budget: drops the lowest-ranked passages first, then the oldest turns, never
	 * the system part or the question. Throws PlimsollError `budget_tokens_in_exceeded` when even that does not fit,
	 * `request_invalid` when a variable is missing or does not fit the schema.
	 */
	assemble(input: PromptInput, budget: PromptBudget): AssembledPrompt;
}
