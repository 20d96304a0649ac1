/** Scales to length 1, so that the dot product is the cosine; a zero vector stays zero. Throws on a number that is not finite. */
export function unitVector(values: ArrayLike<number>): Float32Array {
	const vector = Float32Array.from(values);
	let square = 0;
	for (const value of vector) square += value * value;
	if (!Number.isFinite(square)) throw new RangeError('an embedding holds a number that is not finite');
	const length = Math.sqrt(square);
	return length > 0 ? vector.map((value) => value / length) : vector;
}
