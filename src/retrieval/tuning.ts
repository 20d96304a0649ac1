import { bootstrapMean, type Estimate } from '../base/bootstrap.ts';
import type { Random } from '../base/random.ts';
import type { RowRef } from '../spec/index-store.ts';
import { type Fused, fuse, type Legs } from './fusion.ts';

/** A query whose right documents are known, with what each leg found. */
export interface LabelledLegs {
	readonly lexical: NonNullable<Legs['lexical']>;
	readonly vector: NonNullable<Legs['vector']>;
	/** Above zero, by document. */
	readonly grades: ReadonlyMap<string, number>;
}

/** How two legs become one ranking. */
export type Fusion =
	| { readonly kind: 'lexical' }
	| { readonly kind: 'vector' }
	| { readonly kind: 'convex'; readonly vectorWeight: number }
	| { readonly kind: 'rrf'; readonly rrfK: number };

/** What one way of searching is worth on queries that it was not chosen by. */
interface Measured {
	readonly name: 'lexical' | 'vector' | 'convex' | 'rrf';
	readonly ndcg: Estimate;
	/** Against BM25 alone, over the same queries. */
	readonly gain: Estimate;
}

export interface Tuning {
	readonly queries: number;
	readonly folds: number;
	readonly k: number;
	readonly measured: readonly Measured[];
	readonly recommended: Fusion;
	/** Of the recommended fusion against the better single leg; null: a single leg is recommended. */
	readonly gain: Estimate | null;
	/** What the best fusion would gain against the better single leg, where it is not recommended. */
	readonly notWorth: Estimate | null;
}

const WEIGHTS = Array.from({ length: 19 }, (_, at) => (at + 1) / 20);
const RRF_CONSTANTS = [5, 10, 20, 60, 120];
const FOLDS = 5;

/**
 * Chooses a fusion by cross-validation: in each of five folds the weight, and the better single leg, are chosen on the other four and
 * measured on it, so that no query judges what was chosen by it. A fusion is recommended where its paired bootstrap interval
 * against the better single leg lies above zero; the vector leg, where it is better than BM25 in the same sense. Else the
 * cheaper stays. Measured by nDCG@k of documents (Järvelin and Kekäläinen, "Cumulated gain-based evaluation of IR techniques", 2002).
 */
export function tune(
	labelled: readonly LabelledLegs[],
	{ k, documentOf, random }: { k: number; documentOf: (row: RowRef) => string; random: Random },
): Tuning {
	const order = shuffled(labelled.length, random);
	const foldOf = new Map(order.map((query, at) => [query, at % FOLDS]));
	const scoresOf = (fusion: Fusion) => labelled.map((one) => ndcg(ranked(one, fusion, documentOf), one.grades, k));
	const lexical = scoresOf({ kind: 'lexical' });
	const vector = scoresOf({ kind: 'vector' });
	const convex = WEIGHTS.map((vectorWeight) => scoresOf({ kind: 'convex', vectorWeight }));
	const rrf = RRF_CONSTANTS.map((rrfK) => scoresOf({ kind: 'rrf', rrfK }));

	/** For each query the score of what the other folds would have chosen. */
	const heldOut = (candidates: readonly (readonly number[])[]) => {
		const chosen = Array.from({ length: FOLDS }, (_, fold) =>
			bestOf(candidates, (query) => foldOf.get(query) !== fold),
		);
		return labelled.map((_, query) => candidates[chosen[foldOf.get(query) ?? 0] ?? 0]?.[query] ?? 0);
	};
	const held = { lexical, vector, convex: heldOut(convex), rrf: heldOut(rrf) };
	const estimate = (sample: readonly number[]) => bootstrapMean(sample, random);
	const against = (a: readonly number[], b: readonly number[]) => estimate(a.map((one, at) => one - (b[at] ?? 0)));

	const measured = (['lexical', 'vector', 'convex', 'rrf'] as const).map((name) => ({
		name,
		ndcg: estimate(held[name]),
		gain: against(held[name], lexical),
	}));
	const vectorGain = measured[1]?.gain;
	const single = vectorGain && vectorGain.low > 0 ? ({ kind: 'vector' } as const) : ({ kind: 'lexical' } as const);
	const better = heldOut([lexical, vector]);
	const fused = mean(held.rrf) > mean(held.convex) ? 'rrf' : 'convex';
	const gain = against(held[fused], better);
	const whole = () => true;
	const fusion: Fusion =
		fused === 'rrf'
			? { kind: 'rrf', rrfK: RRF_CONSTANTS[bestOf(rrf, whole)] ?? 60 }
			: { kind: 'convex', vectorWeight: WEIGHTS[bestOf(convex, whole)] ?? 0.5 };
	const isWorth = gain.low > 0;
	return {
		queries: labelled.length,
		folds: FOLDS,
		k,
		measured,
		recommended: isWorth ? fusion : single,
		gain: isWorth ? gain : null,
		notWorth: isWorth ? null : gain,
	};
}

/** Document ids, best first, each once at its best chunk. */
export function ranked(legs: LabelledLegs, fusion: Fusion, documentOf: (row: RowRef) => string): string[] {
	const documents = new Set<string>();
	for (const { row } of fusedBy(legs, fusion)) documents.add(documentOf(row));
	return [...documents];
}

function fusedBy({ lexical, vector }: LabelledLegs, fusion: Fusion): readonly Fused[] {
	const settings = { fusion: 'convex', vectorWeight: 0.5, rrfK: 60 } as const;
	switch (fusion.kind) {
		case 'lexical':
			return fuse({ lexical, vector: null }, settings);
		case 'vector':
			return fuse({ lexical: null, vector }, settings);
		case 'convex':
			return fuse({ lexical, vector }, { ...settings, vectorWeight: fusion.vectorWeight });
		case 'rrf':
			return fuse({ lexical, vector }, { ...settings, fusion: 'rrf', rrfK: fusion.rrfK });
	}
}

/** Normalised discounted cumulated gain of the first k, in [0, 1]: gain 2^grade − 1, discount log2(rank + 1). */
export function ndcg(documents: readonly string[], grades: ReadonlyMap<string, number>, k: number): number {
	const gained = (list: readonly number[]) =>
		list.slice(0, k).reduce((sum, grade, at) => sum + (2 ** grade - 1) / Math.log2(at + 2), 0);
	const ideal = gained([...grades.values()].sort((a, b) => b - a));
	return ideal === 0 ? 0 : gained(documents.map((document) => grades.get(document) ?? 0)) / ideal;
}

/** The place of the candidate with the greatest mean over some queries; of equal ones the first. */
function bestOf(candidates: readonly (readonly number[])[], counts: (query: number) => boolean): number {
	const means = candidates.map((scores) => mean(scores.filter((_, query) => counts(query))));
	return means.reduce((best, one, at) => (one > (means[best] ?? 0) ? at : best), 0);
}

function mean(scores: readonly number[]): number {
	return scores.reduce((sum, score) => sum + score, 0) / Math.max(1, scores.length);
}

function shuffled(length: number, random: Random): number[] {
	const order = Array.from({ length }, (_, at) => at);
	for (let at = length - 1; at > 0; at--) {
		const other = Math.floor(random.next() * (at + 1));
		[order[at], order[other]] = [order[other] as number, order[at] as number];
	}
	return order;
}
