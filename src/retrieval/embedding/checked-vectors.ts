import { scaled } from './unit-vector.ts';

/** An embedding that cannot be used. */
export class BadEmbedding extends Error {
	override readonly name = 'BadEmbedding';
	/** Which text of the call it belongs to, from 0. */
	readonly position: number;
	/** Numbers of a vector that is too long or too short; null: that is not what is wrong. */
	readonly dimensions: number | null;

	constructor(position: number, message: string, dimensions: number | null = null) {
		super(message);
		this.position = position;
		this.dimensions = dimensions;
	}
}

/**
 * The vectors of an answer, each of them looked at and scaled to unit length. Throws BadEmbedding for the first that is no
 * list of `dimensions` finite numbers, or that has no direction.
 */
export function checkedVectors(rows: readonly unknown[], dimensions: number) {
	const lists = rows.map((row, position) => checkedList(row, position, dimensions));
	return scaled(lists);
}

function checkedList(row: unknown, position: number, dimensions: number): Float32Array {
	if (!Array.isArray(row)) throw new BadEmbedding(position, `is ${shown(row)} instead of a list of numbers`);
	if (row.length !== dimensions) {
		const message = `has ${row.length} dimensions, the configuration says ${dimensions}`;
		throw new BadEmbedding(position, message, row.length);
	}
	const vector = new Float32Array(dimensions);
	let square = 0;
	for (let at = 0; at < dimensions; at++) {
		const value: unknown = row[at];
		if (typeof value !== 'number') throw new BadEmbedding(position, `has ${shown(value)} instead of number ${at + 1}`);
		vector[at] = value;
		square += (vector[at] ?? 0) ** 2;
	}
	if (!Number.isFinite(square)) throw new BadEmbedding(position, 'holds a number that is not finite');
	if (square === 0) throw new BadEmbedding(position, 'is zero, which is no direction');
	return vector;
}

function shown(value: unknown): string {
	return value === null || typeof value !== 'object' ? String(value).slice(0, 20) : `${typeof value}`;
}
