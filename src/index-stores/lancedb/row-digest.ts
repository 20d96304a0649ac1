import { hash } from 'node:crypto';
import { type Data, DataType, type RecordBatch, Type } from 'apache-arrow';
import { nextTurn } from '../../base/clock.ts';
import { SumHash } from '../../base/sum-hash.ts';

/** Rows between two breaths of the event loop. */
const ROWS_PER_TURN = 256;
/** Stands where the length of a value would. */
const NULL = 0xffff_ffff;

/** A digest over rows that depends neither on their order nor on how they come in batches. */
export class RowDigest {
	readonly #sum = new SumHash();
	readonly #row = new RowBytes();
	rows = 0;

	async add(batch: RecordBatch): Promise<void> {
		const names = batch.schema.fields.map(({ name }) => Buffer.from(name));
		for (let at = 0; at < batch.numRows; at++) {
			if (++this.rows % ROWS_PER_TURN === 0) await nextTurn();
			this.#row.clear();
			batch.data.children.forEach((column, index) => {
				this.#row.add(names[index] ?? Buffer.of());
				addValue(column, at, this.#row);
			});
			this.#sum.add(hash('sha256', this.#row.bytes, 'buffer'));
		}
	}

	get value(): string {
		return this.#sum.hex;
	}
}

/** The bytes of one row, each part after its length, so that nothing moves from one to the next unseen. */
class RowBytes {
	#buffer = Buffer.alloc(8_192);
	#length = 0;

	get bytes(): Uint8Array {
		return this.#buffer.subarray(0, this.#length);
	}

	clear(): void {
		this.#length = 0;
	}

	mark(number: number): void {
		this.#reserve(4);
		this.#length = this.#buffer.writeUInt32LE(number, this.#length);
	}

	add(part: Uint8Array): void {
		this.mark(part.length);
		this.#reserve(part.length);
		this.#buffer.set(part, this.#length);
		this.#length += part.length;
	}

	#reserve(more: number): void {
		const needed = this.#length + more;
		if (needed <= this.#buffer.length) return;
		const larger = Buffer.alloc(2 * needed);
		larger.set(this.bytes);
		this.#buffer = larger;
	}
}

/** From the column's memory: to make a text or a vector of each value is most of what a digest would cost. */
function addValue(column: Data, at: number, row: RowBytes): void {
	const { type, typeId, values, valueOffsets, children } = column;
	const [items] = children;
	if (!column.getValid(at)) row.mark(NULL);
	else if (typeId === Type.Utf8) row.add(values.subarray(valueOffsets[at], valueOffsets[at + 1]));
	else if (typeId === Type.Int || typeId === Type.Float) row.add(numbers(column, at, at + 1));
	else if (DataType.isFixedSizeList(type) && items)
		row.add(numbers(items, at * type.listSize, (at + 1) * type.listSize));
	else if (typeId === Type.List && items) {
		const [from = 0, to = 0]: number[] = valueOffsets.subarray(at, at + 2);
		row.mark(to - from);
		for (let item = from; item < to; item++) addValue(items, item, row);
	} else throw new TypeError(`a column of ${type} cannot be digested`);
}

function numbers({ values, stride }: Data, from: number, to: number): Uint8Array {
	const some = values.subarray(from * stride, to * stride);
	return new Uint8Array(some.buffer, some.byteOffset, some.byteLength);
}
