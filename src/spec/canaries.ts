import type { Feedback } from './feedback.ts';

/** What made a run of canaries. */
export const CANARY_RUN_KINDS = ['start', 'promotion', 'schedule', 'daily', 'manual'] as const;
export type CanaryRunKind = (typeof CANARY_RUN_KINDS)[number];

/** What one canary came to. */
export interface CanaryOutcome {
	readonly id: string;
	readonly hash: string;
	/** Of the first chunk that answers it, from 1; null: not among the first k. */
	readonly rank: number | null;
	/** Why there was no answer to look at, such as a time-out; null: there was one. */
	readonly unanswered: string | null;
}

/** A share or mean of canaries with its interval at 95 %. */
export interface Estimate {
	readonly value: number;
	readonly low: number;
	readonly high: number;
}

/** Outcomes against those of the baseline, of the canaries that both have. */
export interface CanaryComparison {
	/** Of the generation that the baseline is of. */
	readonly baseline: string;
	readonly common: number;
	/** Found by the baseline and not now, and the other way round. */
	readonly lost: number;
	readonly gained: number;
	/** How likely so many would be lost by chance: McNemar's exact test, one-sided. */
	readonly recallP: number;
	/** How far the reciprocal ranks fell in the mean, and how likely so far by chance: paired permutations, one-sided. */
	readonly mrrDrop: number;
	readonly mrrP: number;
	/** Larger than chance at the collection's alpha, which the two tests share. */
	readonly dropped: boolean;
}

/** `inconclusive`: too much went unanswered to tell. */
export type CanaryVerdict = 'passed' | 'failed' | 'inconclusive';

/** One run of a collection's canaries. */
export interface CanaryRun {
	readonly collection: string;
	readonly kind: CanaryRunKind;
	/** Milliseconds since the epoch. */
	readonly at: number;
	readonly generation: string;
	readonly queries: number;
	readonly unanswered: number;
	/** Answered by one leg where two should have. */
	readonly degraded: number;
	/** Share of the answered queries one of whose answers was among the first k. */
	readonly recall: Estimate;
	/** Mean of 1 / rank, 0 where it was not found. */
	readonly mrr: Estimate;
	readonly verdict: CanaryVerdict;
	/** In a sentence; empty when it passed and there is nothing to say. */
	readonly why: string;
	/** Ids of those that were not found; at most 50. */
	readonly missed: readonly string[];
	/** Null without a baseline, or with fewer than 20 canaries in common. */
	readonly comparison: CanaryComparison | null;
	/** The share of exact search's nearest chunks that approximate search found; null where vectors are not searched. */
	readonly approximateRecall: number | null;
}

/** What later runs are compared with. */
export interface CanaryBaseline {
	readonly collection: string;
	readonly at: number;
	readonly generation: string;
	readonly outcomes: readonly CanaryOutcome[];
}

/** How a collection's live index stands. */
export interface CollectionHealth {
	readonly collection: string;
	/** `pending`: its canaries have not been run to an end yet; `unchecked`: it has none. */
	readonly status: 'no_index' | 'empty' | 'pending' | 'failing' | 'passing' | 'unchecked';
	/** Whether readiness depends on it. */
	readonly required: boolean;
	/** Null while there is nothing to say. */
	readonly why: string | null;
	readonly lastRun: CanaryRun | null;
}

/** Where the query of a suggestion is from: the headings above a chunk, the rare words of a sentence, or a person who asked it. */
export const SUGGESTION_METHODS = ['headings', 'words', 'traffic'] as const;
export type SuggestionMethod = (typeof SUGGESTION_METHODS)[number];

/** Why a document that was looked at came to no suggestion. */
export const UNUSED_REASONS = ['covered', 'no_text', 'trivial', 'repeated', 'not_found', 'ambiguous'] as const;
export type UnusedReason = (typeof UNUSED_REASONS)[number];

/** Why a rated question came to no suggestion: as often down as up, a canary already, or what answered it is not found any more. */
export const TRAFFIC_REASONS = ['disputed', 'repeated', 'not_found'] as const;
export type TrafficReason = (typeof TRAFFIC_REASONS)[number];

/** Rated questions of one tenant about one collection. */
export interface RatedTraffic {
	readonly tenantId: string;
	/** Newest first, each with its question. */
	readonly ratings: readonly Feedback[];
}

export interface TrafficReport {
	readonly tenantId: string;
	/** That were looked at: suggestions and unused together. */
	readonly questions: number;
	readonly unused: Readonly<Record<TrafficReason, number>>;
}

/** A query that a document of the live generation answers, for a person to confirm. */
export interface CanarySuggestion {
	readonly id: string;
	readonly query: string;
	/** Any of them answers it. */
	readonly documents: readonly string[];
	/** Null: they are of several. */
	readonly source: string | null;
	/** In whose name it is asked; null: an operator's. */
	readonly tenant: string | null;
	/** Of the document that is found first. */
	readonly title: string;
	readonly method: SuggestionMethod;
	/** Where its document stands in the search for it. */
	readonly rank: number;
	/** Who asked it, in which request last, and how it was rated; null for what was made of a document. */
	readonly traffic: {
		readonly tenantId: string;
		readonly requestId: string;
		readonly up: number;
		readonly down: number;
	} | null;
}

export interface CanarySuggestions {
	readonly collection: string;
	readonly generation: string;
	readonly seed: number;
	/** Among how many chunks each document was found. */
	readonly k: number;
	/** Null: no traffic was looked at. */
	readonly traffic: TrafficReport | null;
	/** Documents that were looked at: suggestions made of them and unused together. */
	readonly documents: number;
	/** Whether the time was up before there were enough. */
	readonly isCutShort: boolean;
	readonly suggestions: readonly CanarySuggestion[];
	readonly unused: Readonly<Record<UnusedReason, number>>;
}

export interface SuggestionAsk {
	readonly count: number;
	/** The same seed on the same generation with the same canaries suggests the same. */
	readonly seed: number;
	/** Whose rated questions come first; null: nobody's. */
	readonly tenant: string | null;
	readonly signal: AbortSignal;
}
