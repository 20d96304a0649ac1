import { hash } from 'node:crypto';
import type { RecordBatch } from 'apache-arrow';
import { nextTurn } from '../../base/clock.ts';

/** Rows between two breaths of the event loop. */
const ROWS_PER_TURN = 256;
/** Of 32 bits each. */
const WORDS = 4;

/** A digest over rows that depends neither on their order nor on how they come in batches: the sum of the rows' own. */
export class RowDigest {
	readonly #sum = new Uint32Array(WORDS);
	rows = 0;

	async add(batch: RecordBatch): Promise<void> {
		const columns = batch.schema.fields.map(({ name }) => [name, batch.getChild(name)] as const);
		for (let at = 0; at < batch.numRows; at++) {
			if (++this.rows % ROWS_PER_TURN === 0) await nextTurn();
			const row = columns.map(([name, column]) => `${name} ${text(column?.get(at))}`);
			const own = hash('sha256', row.join('\0'), 'buffer');
			for (let word = 0; word < WORDS; word++) {
				this.#sum[word] = (this.#sum[word] ?? 0) + own.readUInt32LE(word * WORDS);
			}
		}
	}

	get value(): string {
		return Buffer.from(this.#sum.buffer).toString('hex');
	}
}

function text(value: unknown): string {
	if (typeof value !== 'object' || value === null) return String(value);
	if (!('toArray' in value) || typeof value.toArray !== 'function') return JSON.stringify(value);
	const items: unknown = value.toArray();
	if (!(items instanceof Float32Array)) return JSON.stringify(items);
	return Buffer.from(items.buffer, items.byteOffset, items.byteLength).toString('latin1');
}
