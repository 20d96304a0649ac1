import type { CollectionConfig } from '../contracts/collection.ts';
import type { Candidate, RowRef } from '../spec/index-store.ts';

export interface Fused extends Candidate {
	readonly lexicalScore: number | null;
	readonly vectorScore: number | null;
}

export interface Legs {
	readonly lexical: readonly Candidate[] | null;
	readonly vector: readonly Candidate[] | null;
}

/**
 * One ranking out of the legs that ran, by score, equal scores by row. A single leg keeps its raw scores. Two are fused:
 *
 * `convex` (Bruch et al., "An analysis of fusion functions for hybrid retrieval", 2023): each leg's scores are min-max
 * normalised over its candidates (all equal, or a single one: 1; not a candidate of that leg: 0) and then mixed by weight.
 *
 * `rrf` (Cormack et al., "Reciprocal rank fusion outperforms Condorcet", 2009): Σ 1 / (rrfK + rank).
 * Equal scores of a leg have one rank, that of their first.
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
	const fused = new Map<RowRef, { -readonly [K in keyof Fused]: Fused[K] }>();
	const entry = ({ row }: Candidate) => {
		const known = fused.get(row) ?? { row, score: 0, lexicalScore: null, vectorScore: null };
		fused.set(row, known);
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
	return inOrder([...fused.values()]);
}

/** Best first, equal scores by row. */
export function inOrder<C extends Candidate>(candidates: readonly C[]): C[] {
	return candidates.toSorted((a, b) => b.score - a.score || (a.row < b.row ? -1 : a.row > b.row ? 1 : 0));
}

/** The first so many of a ranking, one or more, and what scores as the last of them does: which of equal ones came first is an engine's own affair. */
export function firstWithTies<C extends Candidate>(ranked: readonly C[], count: number): readonly C[] {
	const last = ranked[count - 1]?.score;
	const end = last === undefined ? -1 : ranked.findIndex(({ score }, at) => at >= count && score !== last);
	return end === -1 ? ranked : ranked.slice(0, end);
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
	return (ranked) => {
		let rank = 0;
		return ranked.map(({ score }, index) => {
			if (score !== ranked[index - 1]?.score) rank = index + 1;
			return 1 / (k + rank);
		});
	};
}
