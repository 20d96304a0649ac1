import type { CollectionConfig } from '../contracts/collection.ts';
import type { Hit } from '../spec/retrieval.ts';

/** Words of a shingle: fewer make every two texts of a language alike. */
const SHINGLE_WORDS = 3;

/**
 * The first k of a ranking without what says the same again.
 *
 * `deduplicate` leaves out a passage that is more similar to a better one than `similarityMax`.
 *
 * `mmr` takes, one by one, the passage with the most of λ · relevance − (1 − λ) · the greatest similarity to one that is taken
 * (Carbonell and Goldstein, "The use of MMR, diversity-based reranking", 1998). Relevance is 1 for the first of the ranking and falls by
 * its place, so that it does not depend on a leg's scale; equal ones go by their place.
 *
 * Similarity is Jaccard's of the shingles of three words (Broder, "On the resemblance and containment of documents", 1997), in [0, 1].
 */
export function diversified(
	ranked: readonly Hit[],
	k: number,
	{ kind, similarityMax, lambda }: CollectionConfig['search']['diversity'],
): readonly Hit[] {
	if (kind === 'none') return ranked.slice(0, k);
	const shingles = ranked.map(({ text }) => shinglesOf(text));
	const similarity = (a: number, b: number) => jaccard(shingles[a] ?? new Set(), shingles[b] ?? new Set());
	const taken = kind === 'deduplicate' ? distinct() : marginal();
	return taken.map((index) => ranked[index] as Hit);

	function distinct(): number[] {
		const kept: number[] = [];
		for (let index = 0; index < ranked.length && kept.length < k; index++) {
			if (kept.every((other) => similarity(index, other) <= similarityMax)) kept.push(index);
		}
		return kept;
	}

	function marginal(): number[] {
		const left = new Set(ranked.keys());
		const kept: number[] = [];
		/** The greatest similarity to one that is taken. */
		const nearest = ranked.map(() => 0);
		while (kept.length < k && left.size > 0) {
			let best = -1;
			let bestGain = Number.NEGATIVE_INFINITY;
			for (const index of left) {
				const gain = lambda * (1 - index / ranked.length) - (1 - lambda) * (nearest[index] ?? 0);
				if (gain > bestGain) [best, bestGain] = [index, gain];
			}
			left.delete(best);
			kept.push(best);
			for (const index of left) nearest[index] = Math.max(nearest[index] ?? 0, similarity(index, best));
		}
		return kept;
	}
}

function shinglesOf(text: string): Set<string> {
	const words = text.toLowerCase().match(/[\p{L}\p{N}]+/gu) ?? [];
	if (words.length < SHINGLE_WORDS) return new Set([words.join(' ')]);
	const count = words.length - SHINGLE_WORDS + 1;
	return new Set(Array.from({ length: count }, (_, at) => words.slice(at, at + SHINGLE_WORDS).join(' ')));
}

function jaccard(a: ReadonlySet<string>, b: ReadonlySet<string>): number {
	const [small, large] = a.size < b.size ? [a, b] : [b, a];
	let both = 0;
	for (const one of small) if (large.has(one)) both++;
	return both / (a.size + b.size - both);
}
