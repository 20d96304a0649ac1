/** A stretch of a list of texts that goes in one call. */
export interface Batch {
	readonly start: number;
	readonly end: number;
	readonly tokens: number;
}

/** Cuts a list into calls of at most so many texts and tokens; a text that is longer alone has a call of its own. */
export function batchesOf(
	counts: readonly number[],
	{ textsMax, tokensMax }: { textsMax: number; tokensMax: number },
): readonly Batch[] {
	const batches: Batch[] = [];
	let start = 0;
	let tokens = 0;
	for (const [at, count] of counts.entries()) {
		if (at > start && (at - start >= textsMax || tokens + count > tokensMax)) {
			batches.push({ start, end: at, tokens });
			start = at;
			tokens = 0;
		}
		tokens += count;
	}
	if (start < counts.length) batches.push({ start, end: counts.length, tokens });
	return batches;
}
