import type { IndexedDocument } from '../../spec/index-store.ts';
import type { Row } from './database.ts';
import { toDocument } from './rows.ts';

const PAGE = 5_000;

/** Every document once: each has one first chunk. @param page reads up to `limit` first chunks whose row is above `after`. */
export async function* documentsOf(
	page: (after: string, limit: number) => Promise<Row[]>,
): AsyncGenerator<IndexedDocument> {
	for (let after = '0'; ; ) {
		const rows = await page(after, PAGE);
		for (const row of rows) yield toDocument(row);
		const last = rows.at(-1);
		if (rows.length < PAGE || last === undefined) return;
		after = String(last.row);
	}
}

/** A page of first chunks; `living` says of which version. */
export function documentsStatement(rows: string, living: string): string {
	return `SELECT row, source, document_id, content_hash FROM ${rows}
		WHERE ordinal = 0 AND row > $1 AND ${living} ORDER BY row LIMIT $2`;
}
