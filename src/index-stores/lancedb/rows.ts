import {
	Vector as ArrowVector,
	type DataType,
	Field,
	FixedSizeList,
	Float32,
	Float64,
	Int8,
	Int32,
	List,
	makeData,
	Schema,
	Table,
	Type,
	Utf8,
	type Vector,
	vectorFromArray,
} from 'apache-arrow';
import { z } from 'zod';
import type { IndexRow, TableShape } from '../../spec/index-store.ts';
import type { FieldType, FieldValue, Passage } from '../../spec/retrieval.ts';
import { passageOf, passageRow } from '../passage-row.ts';

const TEXT = ['chunk_id', 'source', 'document_id', 'content_hash', 'title', 'heading_path', 'body'] as const;
const NUMBERS = ['text_at', 'start', 'end', 'ordinal', 'tokens'] as const;

/** The columns that make a passage, besides those of its fields. */
const PASSAGE_COLUMNS = ['chunk_id', 'source', 'document_id', 'title', 'heading_path', 'body', ...NUMBERS];

const FIELD_TYPES: Readonly<Record<FieldType, () => DataType>> = {
	text: () => new Utf8(),
	number: () => new Float64(),
	time: () => new Float64(),
	// 0 and 1: the library cannot write a column of booleans that are all null.
	boolean: () => new Int8(),
	labels: () => new List(new Field('item', new Utf8(), true)),
};

/** The column of a declared field. */
export function fieldColumn(field: string): string {
	return `field_${field}`;
}

/** The columns of a table that make a passage: what is Plimsoll's own is not shown. */
export function passageColumns(schema: Schema): string[] {
	return [...PASSAGE_COLUMNS, ...fieldColumns(schema).filter((name) => !name.startsWith(fieldColumn('_')))];
}

/** The columns of all fields of a table. */
export function fieldColumns(schema: Schema): string[] {
	return schema.fields.map(({ name }) => name).filter((name) => name.startsWith(fieldColumn('')));
}

/** The columns of a table that hold booleans. */
export function flagColumns(schema: Schema): ReadonlySet<string> {
	const flags = schema.fields.filter(({ typeId, type }) => typeId === Type.Int && type.bitWidth === 8);
	return new Set(flags.map(({ name }) => name));
}

export function arrowSchema({ dimensions, fields }: TableShape): Schema {
	const columns: Field<DataType>[] = [
		...TEXT.map((name) => new Field(name, new Utf8(), false)),
		...NUMBERS.map((name) => new Field(name, new Int32(), false)),
		...[...fields].map(([name, type]) => new Field(fieldColumn(name), FIELD_TYPES[type](), true)),
	];
	if (dimensions !== null) columns.push(new Field('vector', vectorType(dimensions), false));
	return new Schema(columns);
}

/** Rows as one Arrow table, vectors copied once. */
export function toArrow(rows: readonly IndexRow[], shape: TableShape): Table {
	const text = (pick: (row: IndexRow) => string) =>
		vectorFromArray(
			rows.map((row) => pick(row).toWellFormed()),
			new Utf8(),
		);
	const numbers = (pick: (row: IndexRow) => number) => vectorFromArray(rows.map(pick), new Int32());
	const columns: Record<string, Vector> = {
		chunk_id: text((row) => row.chunkId),
		source: text((row) => row.source),
		document_id: text((row) => row.documentId),
		content_hash: text((row) => row.contentHash),
		title: text((row) => row.title),
		heading_path: text((row) => JSON.stringify(row.headingPath)),
		body: text((row) => row.body),
		text_at: numbers((row) => row.textAt),
		start: numbers((row) => row.start),
		end: numbers((row) => row.end),
		ordinal: numbers((row) => row.ordinal),
		tokens: numbers((row) => row.tokens),
	};
	for (const [name, type] of shape.fields) {
		const values = rows.map(({ fields }) => fields[name] ?? null);
		columns[fieldColumn(name)] = vectorFromArray(type === 'boolean' ? values.map(flag) : values, FIELD_TYPES[type]());
	}
	if (shape.dimensions !== null) columns.vector = vectorColumn(rows, shape.dimensions);
	return new Table(arrowSchema(shape), columns);
}

function flag(value: FieldValue): FieldValue {
	return typeof value === 'boolean' ? Number(value) : value;
}

function vectorType(dimensions: number): FixedSizeList<Float32> {
	return new FixedSizeList(dimensions, new Field('item', new Float32(), true));
}

function vectorColumn(rows: readonly IndexRow[], dimensions: number): Vector {
	const flat = new Float32Array(rows.length * dimensions);
	rows.forEach(({ chunkId, vector }, index) => {
		if (vector?.length !== dimensions)
			throw new RangeError(`chunk ${chunkId} has no vector of ${dimensions} dimensions`);
		flat.set(vector, index * dimensions);
	});
	const child = makeData({ type: new Float32(), length: flat.length, nullCount: 0, data: flat });
	return new ArrowVector([makeData({ type: vectorType(dimensions), length: rows.length, nullCount: 0, child })]);
}

const passageSchema = passageRow.extend({ start: z.number(), end: z.number() });

function isIterable(value: unknown): value is Iterable<unknown> {
	return typeof value === 'object' && value !== null && Symbol.iterator in value;
}

const valueSchema = z.preprocess(
	(value) => (isIterable(value) ? [...value] : value),
	z.union([z.string(), z.number(), z.array(z.string()), z.null()]),
);

/** A stored row as a passage. Throws when the table holds something else. */
export function toPassage(stored: unknown, flags: ReadonlySet<string>): Passage {
	const row = passageSchema.parse(stored);
	return passageOf(row, { start: row.start, end: row.end, fields: fieldsOf(row, flags) });
}

/** The fields of a stored row. */
export function fieldsOf(
	row: Readonly<Record<string, unknown>>,
	flags: ReadonlySet<string>,
): Record<string, FieldValue> {
	const prefix = fieldColumn('');
	const columns = Object.entries(row).filter(([name]) => name.startsWith(prefix));
	return Object.fromEntries(
		columns.map(([name, stored]) => {
			const value = valueSchema.parse(stored);
			return [name.slice(prefix.length), flags.has(name) && value !== null ? value === 1 : value];
		}),
	);
}
