import type { Table } from '@lancedb/lancedb';
import { z } from 'zod';
import type { ChunkSummary, IndexedDocument } from '../../spec/index-store.ts';
import { fieldColumns, fieldsOf, flagColumns } from './rows.ts';

const DOCUMENT_COLUMNS = ['source', 'document_id', 'content_hash'];
const documentSchema = z.looseObject({ source: z.string(), document_id: z.string(), content_hash: z.string() });
const summarySchema = documentSchema.extend({ ordinal: z.int(), tokens: z.int() });

/** Every document of a table once: each has one first chunk. */
export async function* documentsOf(table: Table): AsyncGenerator<IndexedDocument> {
	const query = table.query().where('ordinal = 0').select(DOCUMENT_COLUMNS);
	for await (const batch of query) {
		for (const row of batch) yield documentOf(documentSchema.parse(row.toJSON()));
	}
}

/** Every chunk of a table once. */
export async function* summariesOf(table: Table): AsyncGenerator<ChunkSummary> {
	const schema = await table.schema();
	const flags = flagColumns(schema);
	const query = table.query().select([...DOCUMENT_COLUMNS, 'ordinal', 'tokens', ...fieldColumns(schema)]);
	for await (const batch of query) {
		for (const row of batch) {
			const read = summarySchema.parse(row.toJSON());
			const { ordinal, tokens } = read;
			yield { ...documentOf(read), ordinal, tokens, fields: fieldsOf(read, flags) };
		}
	}
}

function documentOf({ source, document_id, content_hash }: z.infer<typeof documentSchema>): IndexedDocument {
	return { source, documentId: document_id, contentHash: content_hash };
}
