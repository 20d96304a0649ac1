import { existsSync } from 'node:fs';
import { isDeepStrictEqual } from 'node:util';
import { z } from 'zod';
import type {
	Purge,
	PushedDocument,
	PushedEntry,
	PushedQuery,
	PushedStore,
	PushedTotal,
	PushedVersion,
	PushLimits,
	PushMark,
	PushPlace,
	Stored,
} from '../spec/pushed.ts';
import { json } from './json-column.ts';
import { PUSHED_SCHEMA } from './pushed-schema.ts';
import { SqliteStatements } from './sqlite-statements.ts';

const COLUMNS = 'collection, source, id, sequence, hash, format, title, meta, tenant, bytes, pushed_at AS pushedAt';

const stated = z.union([z.string(), z.number(), z.boolean(), z.array(z.union([z.string(), z.number(), z.boolean()]))]);
const meta = z.object({
	fields: z.record(z.string(), stated),
	language: z.string().nullable(),
	updatedAt: z.number().nullable(),
	contentType: z.string().nullable(),
	url: z.string().nullable(),
	marks: z.array(z.enum(['fields_cut'])),
});
const entryRow: z.ZodType<PushedEntry> = z.object({
	collection: z.string(),
	source: z.string(),
	id: z.string(),
	sequence: z.int(),
	hash: z.string(),
	format: z.string(),
	title: z.string().nullable(),
	meta: json(meta),
	tenant: z.string().nullable(),
	bytes: z.int(),
	pushedAt: z.int(),
});
const versionRow: z.ZodType<PushedVersion> = z.object({ id: z.string(), hash: z.string() });
const knownRow = z.object({ hash: z.string(), tenant: z.string().nullable(), bytes: z.int() });
const total = { documents: z.int(), bytes: z.int() };
const totalRow = z.object(total);
const placeRow = z.object({ collection: z.string(), source: z.string(), ...total });
const markRow = z.object({ sequence: z.int(), ingested: z.int(), purging: z.int() });
const sequenceRow = z.object({ sequence: z.int() });
const purgeRow = z.object({ source: z.string(), id: z.string().nullable() });
const bodyRow = z.object({ body: z.instanceof(Uint8Array) });

type Total = z.output<typeof totalRow>;

/** Pushed documents in a SQLite file of their own, which is made when the first call comes. */
export class SqlitePushed implements PushedStore {
	readonly #file: string;
	#opened: SqliteStatements | null = null;

	constructor(file: string) {
		this.#file = file;
	}

	async put(place: PushPlace, documents: readonly PushedDocument[], limits: PushLimits): Promise<readonly Stored[]> {
		return this.#change(place, (total) =>
			documents.map((document) => {
				const known = this.#known(place, document.id);
				if (known && limits.tenant !== null && known.tenant !== limits.tenant) return 'taken';
				if (known?.hash === document.hash) return 'unchanged';
				const documentsAfter = total.documents + (known ? 0 : 1);
				const bytesAfter = total.bytes + document.body.byteLength - (known?.bytes ?? 0);
				if (documentsAfter > limits.documentsMax || bytesAfter > limits.bytesMax) return 'full';
				this.#write(place, document);
				total.documents = documentsAfter;
				total.bytes = bytesAfter;
				return known ? 'changed' : 'new';
			}),
		);
	}

	async remove(place: PushPlace, ids: readonly string[], tenant: string | null): Promise<readonly boolean[]> {
		return this.#change(place, (total) => {
			const removed = ids.map((id) => {
				const known = this.#known(place, id);
				if (!known || (tenant !== null && known.tenant !== tenant)) return false;
				this.#drop(place, id, total, known.bytes);
				return true;
			});
			if (removed.includes(true)) this.#next(place.collection);
			return removed;
		});
	}

	async purge(place: PushPlace, ids: readonly string[] | null): Promise<number> {
		const { collection, source } = place;
		const removed = this.#change(place, (total) => {
			const at = this.#next(collection);
			const note = 'INSERT INTO purges (collection, sequence, source, id) VALUES (?, ?, ?, ?)';
			if (ids === null) {
				this.#sql.run(note, collection, at, source, null);
				total.documents = 0;
				total.bytes = 0;
				return this.#sql.run('DELETE FROM documents WHERE collection = ? AND source = ?', collection, source);
			}
			let count = 0;
			for (const id of new Set(ids)) {
				this.#sql.run(note, collection, at, source, id);
				const known = this.#known(place, id);
				if (!known) continue;
				this.#drop(place, id, total, known.bytes);
				count++;
			}
			return count;
		});
		this.#sql.truncateLog();
		return removed;
	}

	async list(query: PushedQuery): Promise<readonly PushedEntry[]> {
		return this.#page(entryRow, COLUMNS, query);
	}

	async versions(query: PushedQuery): Promise<readonly PushedVersion[]> {
		return this.#page(versionRow, 'id, hash', query);
	}

	async find({ collection, source }: PushPlace, ids: readonly string[]): Promise<readonly PushedEntry[]> {
		return this.#sql.all(
			entryRow,
			`SELECT ${COLUMNS} FROM documents WHERE collection = ? AND source = ?
			AND id IN (SELECT value FROM json_each(?))`,
			collection,
			source,
			JSON.stringify(ids),
		);
	}

	async body({ collection, source, id, hash }: PushedEntry): Promise<Uint8Array | null> {
		const sql = 'SELECT body FROM documents WHERE collection = ? AND source = ? AND id = ? AND hash = ?';
		return this.#sql.all(bodyRow, sql, collection, source, id, hash)[0]?.body ?? null;
	}

	async total(place: PushPlace): Promise<{ documents: number; bytes: number }> {
		return this.#total(place);
	}

	async places(): Promise<readonly (PushPlace & PushedTotal)[]> {
		if (this.#isUnused) return [];
		return this.#sql.all(
			placeRow,
			`SELECT collection, source, documents, bytes FROM totals WHERE documents > 0 UNION ALL
			SELECT DISTINCT collection, source, 0, 0 FROM purges WHERE (collection, source) NOT IN
			(SELECT collection, source FROM totals WHERE documents > 0) ORDER BY collection, source`,
		);
	}

	async mark(collection: string): Promise<PushMark> {
		if (this.#isUnused) return { sequence: 0, ingested: 0, purging: false };
		const sql = `SELECT sequence, ingested, EXISTS (SELECT 1 FROM purges WHERE collection = ?1) AS purging
			FROM marks WHERE collection = ?1`;
		const [mark = { sequence: 0, ingested: 0, purging: 0 }] = this.#sql.all(markRow, sql, collection);
		return { ...mark, purging: mark.purging === 1 };
	}

	async purges(collection: string, sequence: number): Promise<readonly Purge[]> {
		const sql = 'SELECT source, id FROM purges WHERE collection = ? AND sequence <= ?';
		return this.#sql.all(purgeRow, sql, collection, sequence);
	}

	async settle(collection: string, { sequence, cleared }: { sequence: number; cleared: boolean }): Promise<void> {
		if (sequence === 0) return;
		this.#sql.together(() => {
			this.#sql.run('UPDATE marks SET ingested = max(ingested, ?) WHERE collection = ?', sequence, collection);
			if (cleared) this.#sql.run('DELETE FROM purges WHERE collection = ? AND sequence <= ?', collection, sequence);
		});
		if (cleared) this.#sql.truncateLog();
	}

	close(): void {
		this.#opened?.close();
	}

	/** Every run asks, and most projects push nothing. */
	get #isUnused(): boolean {
		return !this.#opened && this.#file !== ':memory:' && !existsSync(this.#file);
	}

	get #sql(): SqliteStatements {
		this.#opened ??= new SqliteStatements(this.#file, PUSHED_SCHEMA);
		return this.#opened;
	}

	#page<T>(row: z.ZodType<T>, columns: string, { collection, source, after, limit, tenant }: PushedQuery): T[] {
		return this.#sql.all(
			row,
			`SELECT ${columns} FROM documents WHERE collection = ?1 AND source = ?2 AND id > ?3
			AND (?4 IS NULL OR tenant = ?4) ORDER BY id LIMIT ?5`,
			collection,
			source,
			after ?? '',
			tenant,
			Math.max(0, Math.trunc(limit)),
		);
	}

	#known({ collection, source }: PushPlace, id: string) {
		const sql = 'SELECT hash, tenant, bytes FROM documents WHERE collection = ? AND source = ? AND id = ?';
		return this.#sql.all(knownRow, sql, collection, source, id)[0];
	}

	/** Writes as one, and counts once what the source holds afterwards. */
	#change<T>(place: PushPlace, write: (total: Total) => T): T {
		return this.#sql.together(() => {
			const total = this.#total(place);
			const before = { ...total };
			const result = write(total);
			if (!isDeepStrictEqual(total, before)) this.#count(place, total);
			return result;
		});
	}

	#total({ collection, source }: PushPlace): Total {
		const sql = 'SELECT documents, bytes FROM totals WHERE collection = ? AND source = ?';
		return this.#sql.all(totalRow, sql, collection, source)[0] ?? { documents: 0, bytes: 0 };
	}

	#count({ collection, source }: PushPlace, { documents, bytes }: Total): void {
		this.#sql.run(
			`INSERT INTO totals (collection, source, documents, bytes) VALUES (?, ?, ?, ?)
			ON CONFLICT (collection, source) DO UPDATE SET documents = excluded.documents, bytes = excluded.bytes`,
			collection,
			source,
			documents,
			bytes,
		);
	}

	/** The number of a change. */
	#next(collection: string): number {
		const sql = `INSERT INTO marks (collection, sequence, ingested) VALUES (?, 1, 0)
			ON CONFLICT (collection) DO UPDATE SET sequence = sequence + 1 RETURNING sequence`;
		return this.#sql.all(sequenceRow, sql, collection)[0]?.sequence ?? 0;
	}

	#drop({ collection, source }: PushPlace, id: string, total: Total, bytes: number): void {
		this.#sql.run('DELETE FROM documents WHERE collection = ? AND source = ? AND id = ?', collection, source, id);
		total.documents--;
		total.bytes -= bytes;
	}

	#write({ collection, source }: PushPlace, document: PushedDocument): void {
		const { id, hash, format, title, meta: about, tenant, pushedAt, body } = document;
		this.#sql.run(
			`INSERT INTO documents (collection, source, id, sequence, hash, format, title, meta, tenant, bytes, pushed_at, body)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
			ON CONFLICT (collection, source, id) DO UPDATE SET sequence = excluded.sequence, hash = excluded.hash,
			format = excluded.format, title = excluded.title, meta = excluded.meta, tenant = excluded.tenant,
			bytes = excluded.bytes, pushed_at = excluded.pushed_at, body = excluded.body`,
			collection,
			source,
			id,
			this.#next(collection),
			hash,
			format,
			title,
			JSON.stringify(about),
			tenant,
			body.byteLength,
			pushedAt,
			body,
		);
	}
}
