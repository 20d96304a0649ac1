import { z } from 'zod';
import { sha256Of } from '../../base/hash.ts';
import type { ChunkSummary, DocumentRef, IndexedDocument, IndexRow } from '../../spec/index-store.ts';
import type { FieldValue, Passage } from '../../spec/retrieval.ts';
import type { Columns } from './columns.ts';
import type { Row } from './database.ts';
import { storable } from './storable.ts';

/** A document's key: its own id may be longer than an index of PostgreSQL takes. */
export function documentKey({ source, documentId }: DocumentRef): string {
	return sha256Of([storable(source), storable(documentId)]);
}

const WRITTEN = [
	...['document_key', 'chunk_id', 'source', 'document_id', 'content_hash', 'title', 'heading_path', 'body'].map(
		(name) => `${name} text`,
	),
	...['text_at', 'start_at', 'end_at', 'ordinal', 'tokens'].map((name) => `${name} integer`),
];

/** Inserts the rows of one JSON array ($1), created at a version ($2). */
export function insertStatement(rows: string, columns: Columns, dimensions: number | null): string {
	const typed = [
		...WRITTEN,
		...columns.list.map(({ column, type }) => `${column} ${type}`),
		...(dimensions === null ? [] : ['vector text']),
	];
	const names = typed.map((column) => column.slice(0, column.indexOf(' ')));
	const picked = names.map((name) => (name === 'vector' ? 'vector::vector' : name));
	return `INSERT INTO ${rows} (created, ${names.join(', ')})
		SELECT $2, ${picked.join(', ')} FROM json_to_recordset($1) AS given (${typed.join(', ')})`;
}

export function toStored(row: IndexRow, columns: Columns, dimensions: number | null): Record<string, unknown> {
	const stored = {
		document_key: documentKey(row),
		chunk_id: storable(row.chunkId),
		source: storable(row.source),
		document_id: storable(row.documentId),
		content_hash: storable(row.contentHash),
		title: storable(row.title),
		heading_path: storable(JSON.stringify(row.headingPath)),
		body: storable(row.body),
		text_at: row.textAt,
		start_at: row.start,
		end_at: row.end,
		ordinal: row.ordinal,
		tokens: row.tokens,
		...columns.toStored(row.fields),
	};
	return dimensions === null ? stored : { ...stored, vector: vectorText(row, dimensions) };
}

function vectorText({ chunkId, vector }: IndexRow, dimensions: number): string {
	if (vector?.length !== dimensions) throw new RangeError(`chunk ${chunkId} has no vector of ${dimensions} dimensions`);
	return asVector(vector);
}

/** As pgvector reads it. */
export function asVector(vector: Float32Array): string {
	return `[${vector.join(',')}]`;
}

const documentSchema = z.object({ source: z.string(), document_id: z.string(), content_hash: z.string() });

export function toDocument(stored: Row): IndexedDocument {
	const { source, document_id: documentId, content_hash: contentHash } = documentSchema.parse(stored);
	return { source, documentId, contentHash };
}

/** The columns that make a passage, besides those of its fields. */
export const PASSAGE_COLUMNS =
	'chunk_id, source, document_id, title, heading_path, body, text_at, start_at, end_at, ordinal, tokens';

const passageSchema = z.looseObject({
	...{ chunk_id: z.string(), source: z.string(), document_id: z.string(), title: z.string() },
	/** JSON: a list of texts. */
	heading_path: z.string(),
	...{ body: z.string(), text_at: z.number(), start_at: z.number(), end_at: z.number() },
	...{ ordinal: z.number(), tokens: z.number() },
});
const pathSchema = z.array(z.string());
const valueSchema = z.union([z.string(), z.number(), z.boolean(), z.array(z.string()), z.null()]);

/** A stored row as a passage. Throws when the table holds something else. */
export function toPassage(stored: Row, columns: Columns): Passage {
	const row = passageSchema.parse(stored);
	// What is Plimsoll's own is not shown.
	const shown = columns.list.filter(({ field }) => !field.startsWith('_'));
	return {
		chunkId: row.chunk_id,
		documentId: row.document_id,
		source: row.source,
		title: row.title,
		headingPath: pathSchema.parse(JSON.parse(row.heading_path)),
		text: row.body.slice(row.text_at),
		...{ start: row.start_at, end: row.end_at, ordinal: row.ordinal, tokens: row.tokens },
		fields: fieldsOf(row, shown),
	};
}

const summarySchema = z.looseObject({ source: z.string(), ordinal: z.number(), tokens: z.number() });

/** A stored row as a summary. Throws when the table holds something else. */
export function toSummary(stored: Row, columns: Columns): ChunkSummary {
	const row = summarySchema.parse(stored);
	const { source, ordinal, tokens } = row;
	if (ordinal > 0) return { source, ordinal, tokens, document: null };
	const fields = fieldsOf(row, columns.list);
	const field = (name: string) => fields[name] ?? null;
	const names = Object.keys(fields);
	return {
		source,
		ordinal,
		tokens,
		document: { ...toDocument(row), names, field, has: (name) => field(name) !== null },
	};
}

function fieldsOf(row: Readonly<Record<string, unknown>>, columns: Columns['list']): Record<string, FieldValue> {
	return Object.fromEntries(columns.map(({ field, column }) => [field, valueSchema.parse(row[column])]));
}
