/** What both legs promise, computed the slow way. */

interface Text {
	readonly id: string;
	readonly words: readonly string[];
}

/** BM25 by the formula of LexicalDescription, for each text that has any of the words. */
export function bm25(texts: readonly Text[], query: readonly string[], { k1, b }: { k1: number; b: number }) {
	const lengthMean = texts.reduce((sum, { words }) => sum + words.length, 0) / texts.length;
	const scores = new Map<string, number>();
	for (const term of new Set(query)) {
		const holding = texts.filter(({ words }) => words.includes(term)).length;
		const rarity = Math.log(1 + (texts.length - holding + 0.5) / (holding + 0.5));
		for (const { id, words } of texts) {
			const times = words.filter((word) => word === term).length;
			if (times === 0) continue;
			const score = (rarity * times * (k1 + 1)) / (times + k1 * (1 - b + (b * words.length) / lengthMean));
			scores.set(id, (scores.get(id) ?? 0) + score);
		}
	}
	return scores;
}

export function cosine(one: Float32Array, other: Float32Array): number {
	return one.reduce((sum, value, at) => sum + value * (other[at] ?? 0), 0);
}
