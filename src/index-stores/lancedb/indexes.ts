import { Index, type Table } from '@lancedb/lancedb';
import type { TableShape } from '../../spec/index-store.ts';
import type { FieldType } from '../../spec/retrieval.ts';
import { fieldColumn } from './rows.ts';
import { TOKENIZER } from './text.ts';

/** From how many chunks on a table has which indexes. */
export const INDEXED_FROM = {
	/** Twice as many compared one by one cost four times what the index takes. */
	vectors: 5_000,
	/** Reading a whole column for each filter costs more than its index. */
	fields: 10_000,
} as const;
export type IndexedFrom = Readonly<Record<keyof typeof INDEXED_FROM, number>>;

/** A bitmap for each value is the fastest while there are few; a sample tells. */
const BITMAP_VALUES_MAX = 1_000;
const SAMPLE = 10_000;

/** Vectors of a partition in the mean. Of much smaller ones `optimize` makes few large ones, so that a search looks at nearly everything. */
const PARTITION_VECTORS = 4_096;
/** A part of the index for what came later is searched by itself: beyond so many one index is made of all. */
const PARTS_MAX = 8;
/** Of each dimension: a fifth of the memory of the vectors, and an error of a cosine of about 0.0015. */
const VECTOR_BITS = 6;

/** How many partitions a table of this size gets. */
export function partitionsOf(chunks: number): number {
	return Math.ceil(chunks / PARTITION_VECTORS);
}

/** Makes the indexes that a table of this size should have and does not. Those that it has are kept up to date by `optimize`. */
export async function buildIndexes(
	table: Table,
	{ chunks, shape, from }: { chunks: number; shape: TableShape; from: IndexedFrom },
): Promise<void> {
	const present = new Set((await table.listIndices()).map(({ name }) => name));
	if (!present.has('body_idx')) await table.createIndex('body', { config: Index.fts(TOKENIZER) });
	if (shape.dimensions !== null && chunks >= from.vectors && !(present.has('vector_idx') && (await isWhole(table)))) {
		await table.createIndex('vector', { config: vectorIndex(shape.dimensions, chunks), replace: true });
	}
	if (chunks < from.fields) return;
	for (const [field, type] of shape.fields) {
		const column = fieldColumn(field);
		// What is Plimsoll's own is not filtered by.
		if (field.startsWith('_') || present.has(`${column}_idx`)) continue;
		const config = type === 'text' ? await textIndex(table, column) : FIELD_INDEXES[type]();
		await table.createIndex(column, { config });
	}
}

async function isWhole(table: Table): Promise<boolean> {
	const { numIndices } = (await table.indexStats('vector_idx')) ?? {};
	return (numIndices ?? 1) <= PARTS_MAX;
}

/** RaBitQ (Gao et al., "Practical and asymptotically optimal quantization of high-dimensional vectors", 2024) takes dimensions by the eight. */
function vectorIndex(dimensions: number, chunks: number): Index {
	const options = { distanceType: 'dot', numPartitions: partitionsOf(chunks) } as const;
	return dimensions % 8 === 0 ? Index.ivfRq({ ...options, numBits: VECTOR_BITS }) : Index.ivfFlat(options);
}

const FIELD_INDEXES: Readonly<Record<Exclude<FieldType, 'text'>, () => Index>> = {
	number: () => Index.btree(),
	time: () => Index.btree(),
	boolean: () => Index.bitmap(),
	labels: () => Index.labelList(),
};

/** A field such as a product has few values, one such as an address has as many as documents. */
async function textIndex(table: Table, column: string): Promise<Index> {
	const values = new Set<unknown>();
	for await (const batch of table.query().select([column]).limit(SAMPLE)) {
		for (const value of batch.getChild(column) ?? []) values.add(value);
	}
	return values.size > BITMAP_VALUES_MAX ? Index.btree() : Index.bitmap();
}
