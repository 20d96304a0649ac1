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

const TEXT = ['source', 'document_id', 'content_hash', 'passage', 'body'] as const;
const NUMBERS = ['ordinal', 'tokens'] as const;

/** The columns that make a passage: all but its text in one, since each column that is read for some rows is a read of its own. */
export const PASSAGE_COLUMNS = ['passage', 'body'];

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

/** The field of such a column. */
export function fieldOf(column: string): string {
	return column.slice(fieldColumn('').length);
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
	// What is Plimsoll's own is not shown.
	const shown = [...shape.fields.keys()].filter((name) => !name.startsWith('_'));
	const numbers = (pick: (row: IndexRow) => number) => vectorFromArray(rows.map(pick), new Int32());
	const columns: Record<string, Vector> = {
		source: text((row) => row.source),
		document_id: text((row) => row.documentId),
		content_hash: text((row) => row.contentHash),
		passage: text((row) => stored(row, shown)),
		body: text((row) => row.body),
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

const textSchema = z.string();
const passageSchema = z.object({
	chunkId: z.string(),
	documentId: z.string(),
	source: z.string(),
	title: z.string(),
	headingPath: z.array(z.string()),
	/** Where in the body its text begins. */
	textAt: z.number(),
	start: z.number(),
	end: z.number(),
	ordinal: z.number(),
	tokens: z.number(),
	fields: z.record(z.string(), z.union([z.string(), z.number(), z.boolean(), z.array(z.string()), z.null()])),
});

/** A passage without its text, as JSON. */
function stored(row: IndexRow, shown: readonly string[]): string {
	const passage: z.infer<typeof passageSchema> = {
		...{ chunkId: row.chunkId, documentId: row.documentId, source: row.source, title: row.title },
		...{ headingPath: [...row.headingPath], textAt: row.textAt, start: row.start, end: row.end },
		...{ ordinal: row.ordinal, tokens: row.tokens },
		fields: Object.fromEntries(shown.map((name) => [name, storedValue(row.fields[name])])),
	};
	return JSON.stringify(passage, (_, value: unknown) => (typeof value === 'string' ? value.toWellFormed() : value));
}

function storedValue(value: FieldValue | undefined): z.infer<typeof passageSchema>['fields'][string] {
	return value === undefined || typeof value !== 'object' || value === null ? (value ?? null) : [...value];
}

/** A stored row as a passage. Throws when the table holds something else. */
export function toPassage(passage: unknown, body: unknown): Passage {
	const text = textSchema.parse(body);
	const { textAt, ...rest } = passageSchema.parse(JSON.parse(textSchema.parse(passage)));
	return { ...rest, text: text.slice(textAt) };
}

const labelsSchema = z.array(z.string());

/** A stored value of a field. Throws when the table holds something else. */
export function fieldValue(stored: unknown, isFlag: boolean): FieldValue {
	if (stored === null || typeof stored === 'string') return stored;
	if (typeof stored === 'number') return isFlag ? stored === 1 : stored;
	return labelsSchema.parse(Array.from(Object(stored)));
}
