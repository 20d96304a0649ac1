import type { JsonPath } from '../base/partial-json.ts';
import type { Passage } from './retrieval.ts';
import type { GuardVerdict } from './trace.ts';

export interface GuardContext {
	readonly question: string;
	/** The passages that the prompt held, in rank order. */
	readonly passages: readonly Passage[];
	readonly finishReason: string;
}

/** An answer made of another one that failed a guard, and how. */
export interface RepairedAnswer {
	readonly text: string;
	readonly how: NonNullable<GuardVerdict['repaired']>;
}

/** Why a value of an unfinished JSON answer cannot be a part of any that passes; null when it can. */
export type PartCheck = (path: JsonPath, value: unknown) => string | null;

/** A check of a complete answer. Pure: the same answer and context give the same verdict. Never throws. */
export interface Guard {
	readonly name: string;
	check(answer: string, context: GuardContext): GuardVerdict;
	/** What this guard would let pass in the place of an answer that it did not; null: nothing. Pure, and never throws. */
	readonly repair?: (answer: string) => RepairedAnswer | null;
	/** What is wrong with every answer that begins so; null: nothing yet. Left out: only the whole can be judged. */
	readonly checkBeginning?: (beginning: string, context: Pick<GuardContext, 'passages'>) => GuardVerdict | null;
}
