/** Orders passages anew by reading each with the query. Makes one attempt; throws RerankError that says why it gave no order. */
export interface Reranker {
	/** @returns one score for each text, in their order; more is better, whatever the scale. */
	score(
		query: string,
		texts: readonly string[],
		ask: { timeoutMs: number; signal: AbortSignal | null },
	): Promise<number[]>;
	readonly model: string;
	/** Of the model's bytes, where they are here; null: another machine has them, or it is not loaded yet. */
	readonly revision: string | null;
	/** What one search costs; null: nothing is billed. */
	readonly costMicros: number | null;
	/** Makes it ready, where there is something to make ready. Never rejects. */
	load(): Promise<void>;
	close(): Promise<void>;
}

export class RerankError extends Error {
	/** Whether it was asked, so that it may have been billed. */
	readonly isBilled: boolean;

	constructor(message: string, { isBilled = false, cause }: { isBilled?: boolean; cause?: unknown } = {}) {
		super(message, { cause });
		this.isBilled = isBilled;
	}
}

/** A call that is about to be made. */
export interface RerankCall {
	readonly model: string;
	readonly revision: string | null;
	/** The most that it may cost. */
	readonly costMicros: number;
}

/** What asking a re-ranker came to. */
export interface RerankReport extends RerankCall {
	readonly ms: number;
	/** Why the fused order stands; null: it gave an order. */
	readonly failure: string | null;
	/** What it cost; all of it where it may have been billed. */
	readonly costMicros: number;
}

/** Who pays for what a search buys. */
export interface Payer {
	/**
	 * Sets the cost aside before the call is made. Throws where that is more than may be spent. The result puts what it did cost in
	 * its place, and is called once, whatever became of the search.
	 */
	begin(call: RerankCall): Promise<(report: RerankReport) => Promise<void>>;
}
