import type { Columns } from './columns.ts';
import type { Row } from './database.ts';

const PAGE = 5_000;

/** Every row of what `page` reads: up to `limit` rows above `after`, in their order. */
export async function* allRows(page: (after: string, limit: number) => Promise<Row[]>): AsyncGenerator<Row> {
	for (let after = '0'; ; ) {
		const rows = await page(after, PAGE);
		yield* rows;
		const last = rows.at(-1);
		if (rows.length < PAGE || last === undefined) return;
		after = String(last.row);
	}
}

/** A page of first chunks, one for each document; `living` says of which version. */
export function documentsStatement(rows: string, living: string): string {
	return `SELECT row, source, document_id, content_hash FROM ${rows}
		WHERE ordinal = 0 AND row > $1 AND ${living} ORDER BY row LIMIT $2`;
}

/** A page of all chunks, without their text. */
export function summariesStatement(rows: string, columns: Columns, living: string): string {
	return `SELECT row, source, document_id, content_hash, ordinal, tokens${columns.names} FROM ${rows}
		WHERE row > $1 AND ${living} ORDER BY row LIMIT $2`;
}
