/**
 * Scales to length 1, so that the dot product is the cosine; a zero vector stays zero. Throws RangeError on a number that
 * is not finite.
 */
export function unitVector(values: ArrayLike<number>): Float32Array {
	const vector = Float32Array.from(values);
	const length = lengthOf(vector);
	if (!Number.isFinite(length)) throw new RangeError('an embedding holds a number that is not finite');
	return length > 0 ? vector.map((value) => value / length) : vector;
}

function lengthOf(vector: ArrayLike<number>): number {
	let square = 0;
	for (let at = 0; at < vector.length; at++) square += (vector[at] ?? 0) ** 2;
	return Math.sqrt(square);
}

/** Vectors of a model, scaled, with the range of the lengths that they had. Throws what `unitVector` throws. */
export function scaled(raw: readonly ArrayLike<number>[]): {
	vectors: Float32Array[];
	lengthMin: number;
	lengthMax: number;
} {
	const lengths = raw.map(lengthOf);
	const [lengthMin, lengthMax] = lengths.length === 0 ? [1, 1] : [Math.min(...lengths), Math.max(...lengths)];
	return { vectors: raw.map(unitVector), lengthMin, lengthMax };
}
