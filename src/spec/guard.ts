import type { Passage } from './retrieval.ts';
import type { GuardVerdict } from './trace.ts';

export interface GuardContext {
	readonly question: string;
	/** The passages that the prompt held, in rank order. */
	readonly passages: readonly Passage[];
	readonly finishReason: string;
}

/** A check of a complete answer. Pure: the same answer and context give the same verdict. Never throws. */
export interface Guard {
	readonly name: string;
	check(answer: string, context: GuardContext): GuardVerdict;
}
