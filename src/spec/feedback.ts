/** What a score from 0 to 1 comes to: above the middle, below it, or on it. */
export const RATINGS = ['up', 'down', 'neutral'] as const;
export type Rating = (typeof RATINGS)[number];

/** What one rater thinks of one request. A later rating of the same rater replaces it. */
export interface Feedback {
	readonly tenantId: string;
	readonly requestId: string;
	/** The keyed hash of a user; where none is known `key:<id>`, or `process`. */
	readonly rater: string;
	/** Milliseconds since the epoch. */
	readonly at: number;
	/** From 0, worst, to 1, best. */
	readonly score: number;
	/** A word of the application's own, such as `wrong_document`. */
	readonly label: string | null;
	/** Ids of chunks or documents that answer the question, as the rater says. */
	readonly passages: readonly string[];
	/** Free texts: stored only for as long as the project says. */
	readonly comment: string | null;
	readonly question: string | null;
	readonly correctedAnswer: string | null;
	/** What follows is of the request's trace, so that it outlives it. */
	readonly feature: string | null;
	readonly collection: string | null;
	readonly generation: string | null;
	/** Ids of the chunks in the prompt, those that the answer cites first. */
	readonly chunks: readonly string[];
}

export interface FeedbackQuery {
	/** Null: of all, as in each of the others. */
	readonly tenantId: string | null;
	readonly requestId: string | null;
	readonly feature: string | null;
	readonly rating: Rating | null;
	readonly limit: number;
}

/** Durable ratings. Throws PlimsollError `storage_failed`. */
export interface FeedbackStore {
	/** Adds or replaces, all or none, in this order. */
	put(all: readonly Feedback[]): Promise<void>;
	/** Newest first. */
	list(query: FeedbackQuery): Promise<readonly Feedback[]>;
	/** Those of requests that retrieved from a collection and whose question is kept, newest first. */
	questions(ask: {
		readonly tenantId: string;
		readonly collection: string;
		readonly limit: number;
	}): Promise<readonly Feedback[]>;
	/** How many there were. @param which.requestId null: of all; so is a null rater. */
	remove(which: {
		readonly tenantId: string;
		readonly requestId: string | null;
		readonly rater: string | null;
	}): Promise<number>;
	/** Removes what is older, texts before the rest, and of each tenant the oldest beyond so many. How many are gone whole. */
	prune(bounds: {
		readonly before: number;
		readonly textsBefore: number;
		readonly rowsPerTenantMax: number;
	}): Promise<number>;
}

/** What the runtime needs of ratings. */
export interface FeedbackDesk {
	/** What can be rated: null when unknown, of another tenant, or no request that answered anything. */
	find(requestId: string, tenantId: string): Promise<RatedRequest | null>;
	/** Resolves when it is on disk, with what was kept. Throws `storage_failed`, `overloaded`. */
	put(feedback: Feedback): Promise<Feedback>;
}

/** A request as its rating refers to it. */
export interface RatedRequest extends Pick<Feedback, 'feature' | 'collection' | 'generation' | 'chunks'> {
	/** Of a request that named no feature. */
	readonly upstream: string | null;
	readonly userHash: string | null;
}
