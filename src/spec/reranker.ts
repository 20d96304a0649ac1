/** Orders passages anew by reading each with the query. Makes one attempt; throws an Error that says why it gave no order. */
export interface Reranker {
	/** @returns one score for each text, in their order; more is better, whatever the scale. */
	score(
		query: string,
		texts: readonly string[],
		ask: { timeoutMs: number; signal: AbortSignal | null },
	): Promise<number[]>;
	readonly model: string;
	/** What one search costs; null: nothing is billed. */
	readonly costMicros: number | null;
}
