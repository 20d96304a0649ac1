import {
	Vector as ArrowVector,
	type DataType,
	Field,
	FixedSizeList,
	Float32,
	Int32,
	makeData,
	Schema,
	Table,
	Utf8,
	type Vector,
	vectorFromArray,
} from 'apache-arrow';
import { z } from 'zod';
import type { Passage } from '../spec/retrieval.ts';

/** A chunk as it is written. */
export interface IndexRow extends Passage {
	/** Of the whole document: equal hashes need no work. */
	readonly contentHash: string;
	readonly vector: Float32Array | null;
}

const TEXT = ['chunk_id', 'source', 'document_id', 'content_hash', 'title', 'heading_path', 'body'] as const;
const NUMBERS = ['text_at', 'start', 'end', 'ordinal', 'tokens'] as const;

/** The columns that make a passage; `body` is the chunk's title and headings, then its text from `text_at` on. */
export const PASSAGE_COLUMNS = ['chunk_id', 'source', 'document_id', 'title', 'heading_path', 'body', ...NUMBERS];

/** @param dimensions null for a table without vectors. */
export function indexSchema(dimensions: number | null): Schema {
	const fields: Field<DataType>[] = [
		...TEXT.map((name) => new Field(name, new Utf8(), false)),
		...NUMBERS.map((name) => new Field(name, new Int32(), false)),
	];
	if (dimensions !== null) fields.push(new Field('vector', vectorType(dimensions), false));
	return new Schema(fields);
}

/**
 * What is searched and embedded for a chunk: its title and headings tell what its text is about. Those that the text
 * holds itself are not repeated, because BM25 would count them twice; an id that stands in for a title says nothing.
 */
export function searchableBody(chunk: Pick<Passage, 'documentId' | 'title' | 'headingPath' | 'text'>): {
	body: string;
	textAt: number;
} {
	const names = new Set([chunk.title, ...chunk.headingPath]);
	const above = [...names].filter((name) => name && name !== chunk.documentId && !chunk.text.includes(name)).join('\n');
	return above ? { body: `${above}\n\n${chunk.text}`, textAt: above.length + 2 } : { body: chunk.text, textAt: 0 };
}

/** Rows as one Arrow table, vectors copied once. */
export function toArrow(rows: readonly IndexRow[], dimensions: number | null): Table {
	const bodies = rows.map(searchableBody);
	const text = (pick: (row: IndexRow, index: number) => string) =>
		vectorFromArray(
			rows.map((row, index) => pick(row, index).toWellFormed()),
			new Utf8(),
		);
	const numbers = (pick: (row: IndexRow, index: number) => number) => vectorFromArray(rows.map(pick), new Int32());
	const columns: Record<string, Vector> = {
		chunk_id: text((row) => row.chunkId),
		source: text((row) => row.source),
		document_id: text((row) => row.documentId),
		content_hash: text((row) => row.contentHash),
		title: text((row) => row.title),
		heading_path: text((row) => JSON.stringify(row.headingPath)),
		body: text((_, index) => bodies[index]?.body ?? ''),
		text_at: numbers((_, index) => bodies[index]?.textAt ?? 0),
		start: numbers((row) => row.start),
		end: numbers((row) => row.end),
		ordinal: numbers((row) => row.ordinal),
		tokens: numbers((row) => row.tokens),
	};
	if (dimensions !== null) columns.vector = vectorColumn(rows, dimensions);
	return new Table(indexSchema(dimensions), columns);
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

const passageSchema = z.object({
	chunk_id: z.string(),
	source: z.string(),
	document_id: z.string(),
	title: z.string(),
	heading_path: z.string(),
	body: z.string(),
	text_at: z.number(),
	start: z.number(),
	end: z.number(),
	ordinal: z.number(),
	tokens: z.number(),
});

const pathSchema = z.array(z.string());

/** A stored row as a passage. Throws when the table holds something else. */
export function toPassage(stored: unknown): Passage {
	const row = passageSchema.parse(stored);
	return {
		chunkId: row.chunk_id,
		documentId: row.document_id,
		source: row.source,
		title: row.title,
		headingPath: pathSchema.parse(JSON.parse(row.heading_path)),
		text: row.body.slice(row.text_at),
		start: row.start,
		end: row.end,
		ordinal: row.ordinal,
		tokens: row.tokens,
	};
}
