import type { Columns } from './columns.ts';
import type { Row } from './database.ts';

const PAGE = 5_000;

/** Every row of what `page` reads, in pages: up to `limit` rows above `after`, in their order. */
export async function* allPages(
	page: (after: string, limit: number) => Promise<Row[]>,
	limit = PAGE,
): AsyncGenerator<Row[]> {
	for (let after = '0'; ; ) {
		const rows = await page(after, limit);
		if (rows.length > 0) yield rows;
		const last = rows.at(-1);
		if (rows.length < limit || last === undefined) return;
		after = String(last.row);
	}
}

/** A page of first chunks, one for each document; `living` says of which version. */
export function documentsStatement(rows: string, living: string): string {
	return `SELECT row, source, document_id, content_hash FROM ${rows}
		WHERE ordinal = 0 AND row > $1 AND ${living} ORDER BY row LIMIT $2`;
}

/** A page of all chunks, without their text; what is said of a document comes with its first chunk alone. */
export function summariesStatement(rows: string, columns: Columns, living: string): string {
	const ofFirst = ['document_id', 'content_hash', ...columns.list.map(({ column }) => column)];
	const picked = ofFirst.map((column) => `CASE WHEN ordinal = 0 THEN ${column} END AS ${column}`);
	return `SELECT row, source, ordinal, tokens, ${picked.join(', ')} FROM ${rows}
		WHERE row > $1 AND ${living} ORDER BY row LIMIT $2`;
}
