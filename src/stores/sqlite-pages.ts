import { z } from 'zod';
import type { PageRecord, PageStore } from '../spec/pages.ts';
import type { SqliteStatements } from './sqlite-statements.ts';

const pageRow: z.ZodType<PageRecord> = z.object({
	url: z.string(),
	finalUrl: z.string(),
	etag: z.string().nullable(),
	modified: z.string().nullable(),
	lastmod: z.string().nullable(),
	version: z.string(),
	format: z.string(),
});

/** Pages that were read, in the file of the records. */
export class SqlitePages implements PageStore {
	readonly #sql: SqliteStatements;

	constructor(sql: SqliteStatements) {
		this.#sql = sql;
	}

	async find({ collection, source }: { collection: string; source: string }, url: string): Promise<PageRecord | null> {
		const sql = `SELECT url, final_url AS finalUrl, etag, modified, lastmod, version, format FROM pages
			WHERE collection = ? AND source = ? AND url = ?`;
		return this.#sql.all(pageRow, sql, collection, source, url)[0] ?? null;
	}

	async put(
		{ collection, source }: { collection: string; source: string },
		pages: readonly PageRecord[],
		at: number,
	): Promise<void> {
		this.#sql.together(() => {
			for (const { url, finalUrl, etag, modified, lastmod, version, format } of pages) {
				this.#sql.run(
					`INSERT INTO pages (collection, source, url, final_url, etag, modified, lastmod, version, format, seen_at)
					VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
					ON CONFLICT (collection, source, url) DO UPDATE SET final_url = excluded.final_url, etag = excluded.etag,
					modified = excluded.modified, lastmod = excluded.lastmod, version = excluded.version,
					format = excluded.format, seen_at = excluded.seen_at`,
					collection,
					source,
					url,
					finalUrl,
					etag,
					modified,
					lastmod,
					version,
					format,
					at,
				);
			}
		});
	}

	async forget({ collection, source }: { collection: string; source: string }, before: number): Promise<void> {
		const sql = 'DELETE FROM pages WHERE collection = ? AND source = ? AND seen_at < ?';
		this.#sql.run(sql, collection, source, before);
	}
}
