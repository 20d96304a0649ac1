import type { CollectionConfig } from '../contracts/collection.ts';
import type { Candidate, RowRef } from '../spec/index-store.ts';

export interface Fused {
	readonly chunkId: string;
	readonly row: RowRef;
	readonly score: number;
	readonly lexicalScore: number | null;
	readonly vectorScore: number | null;
}

export interface Legs {
	readonly lexical: readonly Candidate[] | null;
	readonly vector: readonly Candidate[] | null;
}

/**
 * One ranking out of the legs that ran, by score, equal scores by chunk id. A single leg keeps its raw scores. Two are fused:
 *
 * `convex` (Bruch et al., "An analysis of fusion functions for hybrid retrieval", 2023): each leg's scores are min-max
 * normalised over its candidates (all equal, or a single one: 1; not a candidate of that leg: 0) and then mixed by weight.
 *
 * `rrf` (Cormack et al., "Reciprocal rank fusion outperforms Condorcet", 2009): Σ 1 / (rrfK + rank).
 */
export function fuse(
	legs: Legs,
	search: Pick<CollectionConfig['search'], 'fusion' | 'vectorWeight' | 'rrfK'>,
): Fused[] {
	const lexical = inOrder(legs.lexical ?? []);
	const vector = inOrder(legs.vector ?? []);
	const partOf = search.fusion === 'rrf' ? reciprocalRanks(search.rrfK) : normalised;
	const weight =
		search.fusion === 'rrf'
			? { lexical: 1, vector: 1 }
			: { lexical: 1 - search.vectorWeight, vector: search.vectorWeight };
	const single = !legs.lexical || !legs.vector;
	const lexicalPart = single ? raw(lexical) : partOf(lexical);
	const vectorPart = single ? raw(vector) : partOf(vector);
	const fused = new Map<string, { -readonly [K in keyof Fused]: Fused[K] }>();
	const entry = ({ chunkId, row }: Candidate) => {
		const known = fused.get(chunkId) ?? { chunkId, row, score: 0, lexicalScore: null, vectorScore: null };
		fused.set(chunkId, known);
		return known;
	};
	lexical.forEach((candidate, index) => {
		const found = entry(candidate);
		found.lexicalScore = candidate.score;
		found.score += (single ? 1 : weight.lexical) * (lexicalPart[index] ?? 0);
	});
	vector.forEach((candidate, index) => {
		const found = entry(candidate);
		found.vectorScore = candidate.score;
		found.score += (single ? 1 : weight.vector) * (vectorPart[index] ?? 0);
	});
	return [...fused.values()].sort(byScore);
}

function byScore(a: { score: number; chunkId: string }, b: { score: number; chunkId: string }): number {
	return b.score - a.score || (a.chunkId < b.chunkId ? -1 : a.chunkId > b.chunkId ? 1 : 0);
}

/** Best first, equal scores by chunk id. */
export function inOrder(candidates: readonly Candidate[]): Candidate[] {
	return [...candidates].sort(byScore);
}

function raw(candidates: readonly Candidate[]): number[] {
	return candidates.map(({ score }) => score);
}

function normalised(ranked: readonly Candidate[]): number[] {
	const max = ranked[0]?.score ?? 0;
	const spread = max - (ranked.at(-1)?.score ?? 0);
	return ranked.map(({ score }) => (spread > 0 ? 1 - (max - score) / spread : 1));
}

function reciprocalRanks(k: number): (ranked: readonly Candidate[]) => number[] {
	return (ranked) => ranked.map((_, index) => 1 / (k + index + 1));
}
