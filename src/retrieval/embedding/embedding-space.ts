import type { EmbeddingIdentity } from '../../spec/retrieval.ts';
import { type Fingerprint, probeVectors } from './fingerprint.ts';
import { isQueryProbe, LONG_PROBE } from './probes.ts';

/** Below this cosine on any probe two embedders make vectors in two spaces. */
const SAME_SPACE_COSINE_MIN = 0.999;

/** What is known of the vectors that an embedder makes, or that an index holds. */
export interface EmbeddingSpace {
	/** What it is said to be. */
	readonly identity: EmbeddingIdentity;
	/** What was measured; null: nothing was. */
	readonly fingerprint: Fingerprint | null;
}

/** In what two spaces differ. */
export type SpaceDifference =
	| 'dimensions'
	| 'normalisation'
	| 'prefix'
	| 'input_type'
	| 'truncation'
	| 'model'
	| 'weights';

export type SpaceVerdict =
	| {
			readonly same: true;
			/** False: no fingerprints could be compared, and the names are the same. */
			readonly measured: boolean;
			readonly cosineMin: number | null;
			/** The names differ, and the vectors do not. */
			readonly alias: boolean;
	  }
	| {
			readonly same: false;
			readonly difference: SpaceDifference;
			/** For people, without a stop at its end. */
			readonly message: string;
			readonly cosineMin: number | null;
	  };

/**
 * Whether vectors of `a` and `b` may be compared with each other. Declared differences that change vectors or their use
 * (dimensions, scaling, prefixes, input types, truncation) always count. The names of provider, model and revision count
 * only where nothing was measured.
 */
export function sameSpace(a: EmbeddingSpace, b: EmbeddingSpace): SpaceVerdict {
	const declared = declaredDifference(a.identity, b.identity);
	if (declared !== null) return { same: false, ...declared, cosineMin: null };
	const alias = nameOf(a.identity) !== nameOf(b.identity);
	if (a.fingerprint === null || b.fingerprint === null || !areComparable(a.fingerprint, b.fingerprint)) {
		if (!alias) return { same: true, measured: false, cosineMin: null, alias };
		const message = `${nameOf(a.identity)} is not ${nameOf(b.identity)}, and there are no fingerprints to compare`;
		return { same: false, difference: 'model', message, cosineMin: null };
	}
	const { cosineMin, difference, message } = measuredDifference(a.fingerprint, b.fingerprint);
	if (difference === null) return { same: true, measured: true, cosineMin, alias };
	return { same: false, difference, message, cosineMin };
}

function declaredDifference(
	a: EmbeddingIdentity,
	b: EmbeddingIdentity,
): { difference: SpaceDifference; message: string } | null {
	const differs = (difference: SpaceDifference, what: string, left: unknown, right: unknown) =>
		left === right ? null : { difference, message: `${what}: ${JSON.stringify(left)} is not ${JSON.stringify(right)}` };
	return (
		differs('dimensions', 'dimensions', a.dimensions, b.dimensions) ??
		differs('normalisation', 'scaled to unit length', a.normalised, b.normalised) ??
		differs('prefix', 'prefix of queries', a.queryPrefix, b.queryPrefix) ??
		differs('prefix', 'prefix of documents', a.documentPrefix, b.documentPrefix) ??
		differs('input_type', 'input type of queries', a.queryType ?? '', b.queryType ?? '') ??
		differs('input_type', 'input type of documents', a.documentType ?? '', b.documentType ?? '') ??
		differs('truncation', 'tokens that are read of a text', a.tokensMax, b.tokensMax)
	);
}

function areComparable(a: Fingerprint, b: Fingerprint): boolean {
	return a.probes === b.probes && a.longChars === b.longChars;
}

interface Measured {
	readonly difference: SpaceDifference | null;
	readonly message: string;
	readonly cosineMin: number | null;
}

function measuredDifference(a: Fingerprint, b: Fingerprint): Measured {
	if (a.dimensions !== b.dimensions) {
		const message = `dimensions: ${a.dimensions} is not ${b.dimensions}`;
		return { difference: 'dimensions', message, cosineMin: null };
	}
	const [left, right] = [probeVectors(a), probeVectors(b)];
	const cosines = left.map((vector, at) => cosine(vector, right[at] ?? null));
	const known = cosines.filter((value) => value !== null);
	const cosineMin = known.length === 0 ? null : Math.min(...known);
	// A text that one of them refuses says nothing of its vector, but of what becomes of long texts it does.
	const apart = cosines.flatMap((value, at) => (value === null || value < SAME_SPACE_COSINE_MIN ? [at] : []));
	if (apart.length === 0) return { difference: null, message: '', cosineMin };
	const difference = differenceOf(apart);
	const worst =
		cosineMin === null ? 'none of the probes has two vectors' : `the lowest cosine is ${cosineMin.toFixed(4)}`;
	const message = `${apart.length} of ${cosines.length} probes have other vectors (${worst}): ${MEANINGS[difference]}`;
	return { difference, message, cosineMin };
}

const MEANINGS = {
	weights: 'another model, or other weights under the same name',
	truncation: 'long texts are cut elsewhere, or refused',
	prefix: 'queries are marked in another way',
} as const;

function differenceOf(apart: readonly number[]): keyof typeof MEANINGS {
	if (apart.every((at) => at === LONG_PROBE)) return 'truncation';
	return apart.every(isQueryProbe) ? 'prefix' : 'weights';
}

/** Null where only one of two texts has a vector. Two texts without direction, or refused by both, are the same. */
function cosine(a: Float32Array | null, b: Float32Array | null): number | null {
	if (a === null || b === null) return a === b ? 1 : null;
	let dot = 0;
	let squareA = 0;
	let squareB = 0;
	for (let at = 0; at < a.length; at++) {
		const x = a[at] ?? 0;
		const y = b[at] ?? 0;
		dot += x * y;
		squareA += x * x;
		squareB += y * y;
	}
	if (squareA === 0 || squareB === 0) return squareA === squareB ? 1 : 0;
	return dot / Math.sqrt(squareA * squareB);
}

/** How people know an embedder. */
function nameOf({ provider, model, revision }: EmbeddingIdentity): string {
	return [provider, model, revision].filter((part) => part !== '').join(' ');
}
