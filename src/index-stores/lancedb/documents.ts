import type { Table } from '@lancedb/lancedb';
import { z } from 'zod';
import type { ChunkSummary, IndexedDocument } from '../../spec/index-store.ts';
import { fieldColumns, fieldOf, fieldValue, flagColumns } from './rows.ts';

const DOCUMENT_COLUMNS = ['source', 'document_id', 'content_hash'];
const documentSchema = z.object({ source: z.string(), document_id: z.string(), content_hash: z.string() });
const summarySchema = documentSchema.extend({ ordinal: z.int(), tokens: z.int() });

/** Every document of a table once, in batches: each has one first chunk. */
export async function* documentsOf(table: Table): AsyncGenerator<IndexedDocument[]> {
	for await (const batch of table.query().where('ordinal = 0').select(DOCUMENT_COLUMNS)) {
		const [sources, ids, hashes] = DOCUMENT_COLUMNS.map((name) => batch.getChild(name));
		yield Array.from({ length: batch.numRows }, (_, at) =>
			documentOf(
				documentSchema.parse({ source: sources?.get(at), document_id: ids?.get(at), content_hash: hashes?.get(at) }),
			),
		);
	}
}

/** Every chunk of a table once, in batches. Column by column: a row object for each chunk would be most of what a scan costs. */
export async function* summariesOf(table: Table): AsyncGenerator<ChunkSummary[]> {
	const schema = await table.schema();
	const flags = flagColumns(schema);
	const names = fieldColumns(schema);
	for await (const batch of table.query().select([...DOCUMENT_COLUMNS, 'ordinal', 'tokens', ...names])) {
		const [sources, ids, hashes, ordinals, tokens] = [...DOCUMENT_COLUMNS, 'ordinal', 'tokens'].map((name) =>
			batch.getChild(name),
		);
		const columns = names.map((name) => ({
			field: fieldOf(name),
			column: batch.getChild(name),
			isFlag: flags.has(name),
		}));
		yield Array.from({ length: batch.numRows }, (_, at) => {
			const read = summarySchema.parse({
				source: sources?.get(at),
				document_id: ids?.get(at),
				content_hash: hashes?.get(at),
				ordinal: ordinals?.get(at),
				tokens: tokens?.get(at),
			});
			const fields = columns.map(({ field, column, isFlag }) => [field, fieldValue(column?.get(at) ?? null, isFlag)]);
			return { ...documentOf(read), ordinal: read.ordinal, tokens: read.tokens, fields: Object.fromEntries(fields) };
		});
	}
}

function documentOf({ source, document_id, content_hash }: z.infer<typeof documentSchema>): IndexedDocument {
	return { source, documentId: document_id, contentHash: content_hash };
}
