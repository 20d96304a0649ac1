import type { Table } from '@lancedb/lancedb';
import { z } from 'zod';
import type { IndexedDocument } from '../../spec/index-store.ts';

const documentSchema = z.object({ source: z.string(), document_id: z.string(), content_hash: z.string() });

/** Every document of a table once: each has one first chunk. */
export async function* documentsOf(table: Table): AsyncGenerator<IndexedDocument> {
	const query = table.query().where('ordinal = 0').select(['source', 'document_id', 'content_hash']);
	for await (const batch of query) {
		for (const row of batch) {
			const { source, document_id, content_hash } = documentSchema.parse(row.toJSON());
			yield { source, documentId: document_id, contentHash: content_hash };
		}
	}
}
