import { PlimsollError } from '../../spec/errors.ts';
import type {
	ChunkSummary,
	DocumentRef,
	IndexedDocument,
	IndexRow,
	IndexWriter,
	TableChanges,
	TableShape,
} from '../../spec/index-store.ts';
import { ChangedDocuments } from '../changed-documents.ts';
import { storageFailure } from '../storage-failure.ts';
import type { Database, Query, Row } from './database.ts';
import { allPages, documentsStatement, summariesStatement } from './documents.ts';
import { documentKey, insertStatement, toDocument, toStored, toSummary } from './rows.ts';
import { alive, findOrMake, type StoredTable } from './tables.ts';
import { B, K1, TEXT_CONFIG } from './text.ts';
import { diagnose } from './trouble.ts';

/** Rows of one statement: a few megabytes. */
const ROWS_MAX = 500;
const DOCUMENTS_MAX = 5_000;
/** From here on a scan of all vectors costs more than the loss of an index that looks at a part of them. */
const VECTOR_INDEX_ROWS_MIN = 5_000;
const PAGE_TIMEOUT_MS = 60_000;
const VACUUM_TIMEOUT_MS = 3_600_000;

/**
 * The newest version of a table. Rows are never changed: each is created at one version and deleted at another, so that
 * readers of older versions go on, and the graph over the vectors grows by what is new alone.
 */
export class PostgresWriter implements IndexWriter {
	readonly table: string;
	readonly #database: Database;
	readonly #stored: StoredTable;
	readonly #changed: ChangedDocuments;
	#version: number;

	private constructor(database: Database, name: string, stored: StoredTable) {
		this.#database = database;
		this.table = name;
		this.#stored = stored;
		this.#version = stored.version;
		this.#changed = new ChangedDocuments(stored.version);
	}

	static open(database: Database, shape: TableShape): Promise<PostgresWriter> {
		return storageFailure(`The index table ${shape.table}`, diagnose, async () => {
			const stored = await database.transaction((query) => findOrMake(query, database.schema, shape));
			return new PostgresWriter(database, shape.table, stored);
		});
	}

	get changes(): TableChanges {
		return this.#changed.changes;
	}

	async *documents(): AsyncGenerator<IndexedDocument[]> {
		const statement = documentsStatement(this.#stored.rows, alive(null));
		for await (const page of this.#all(statement)) yield page.map(toDocument);
	}

	async *summaries(): AsyncGenerator<ChunkSummary[]> {
		const { rows, columns } = this.#stored;
		const statement = summariesStatement(rows, columns, alive(null));
		for await (const page of this.#all(statement)) yield page.map((row) => toSummary(row, columns));
	}

	#all(sql: string): AsyncGenerator<Row[]> {
		return allPages((after, limit) => this.#guarded(() => this.#database.query(sql, [after, limit], PAGE_TIMEOUT_MS)));
	}

	async write(replaced: readonly DocumentRef[], rows: readonly IndexRow[]): Promise<void> {
		if (replaced.length === 0 && rows.length === 0) return;
		this.#changed.add(replaced);
		this.#changed.add(rows);
		await this.#next(async (query, version) => {
			await this.#remove(query, replaced, version);
			const { columns, dimensions, rows: table } = this.#stored;
			const insert = insertStatement(table, columns, dimensions);
			for (let start = 0; start < rows.length; start += ROWS_MAX) {
				const batch = rows.slice(start, start + ROWS_MAX).map((row) => toStored(row, columns, dimensions));
				await query(insert, [JSON.stringify(batch), version]);
			}
		});
	}

	async remove(documents: readonly DocumentRef[]): Promise<void> {
		if (documents.length === 0) return;
		this.#changed.add(documents);
		await this.#next((query, version) => this.#remove(query, documents, version));
	}

	async version(): Promise<number> {
		return this.#version;
	}

	async seal(keep: readonly number[], { erase } = { erase: false }): Promise<{ version: number; chunks: number }> {
		const version = this.#version;
		const chunks = await this.#guarded(() =>
			this.#database.transaction(async (query) => {
				await this.#claim(query, version);
				return this.#index(query, version);
			}),
		);
		const oldest = Math.min(version, ...keep);
		await this.#guarded(() => this.#prune(oldest));
		if (erase) await this.#guarded(() => this.#database.query(`VACUUM ${this.#stored.rows}`, [], VACUUM_TIMEOUT_MS));
		return { version, chunks };
	}

	/** A deleted row is no part of a version; it is taken away when no older version that is kept has it. */
	async rewrite(): Promise<void> {}

	close(): void {
		// It holds nothing: connections belong to the pool.
	}

	/** One commit: what it does belongs to the next version. */
	async #next(run: (query: Query, version: number) => Promise<void>): Promise<void> {
		const version = this.#version + 1;
		await this.#guarded(() =>
			this.#database.transaction(async (query) => {
				await this.#claim(query, version);
				await run(query, version);
			}),
		);
		this.#version = version;
	}

	/** Holds the table until the transaction ends. Throws when another writer moved it on. */
	async #claim(query: Query, version: number): Promise<void> {
		const moved = await query(
			`UPDATE ${this.#database.schema}.tables SET version = $1 WHERE id = $2 AND version = $3 AND NOT aside RETURNING id`,
			[version, this.#stored.id, this.#version],
		);
		if (moved.length === 1) return;
		throw new PlimsollError(
			'index_conflict',
			`The index table ${this.table} was changed by another writer meanwhile; run the ingestion again.`,
		);
	}

	async #remove(query: Query, documents: readonly DocumentRef[], version: number): Promise<void> {
		for (let start = 0; start < documents.length; start += DOCUMENTS_MAX) {
			const keys = documents.slice(start, start + DOCUMENTS_MAX).map(documentKey);
			await query(
				`UPDATE ${this.#stored.rows} SET deleted = $1 WHERE document_key = ANY($2::text[]) AND deleted IS NULL`,
				[version, keys],
			);
		}
	}

	/** The text of this version with its index, and the graph over all vectors once there are many. Returns the chunks. */
	async #index(query: Query, version: number): Promise<number> {
		const { schema } = this.#database;
		const { id, rows, columns, dimensions } = this.#stored;
		const text = this.#stored.text(version);
		const known = await query(`SELECT 1 FROM ${schema}.versions WHERE table_id = $1 AND version = $2`, [id, version]);
		if (known.length === 0) {
			await query(`DROP TABLE IF EXISTS ${text}`);
			await query(`CREATE TABLE ${text} (row bigint NOT NULL, body text NOT NULL${columns.definitions})`);
			await query(
				`INSERT INTO ${text} SELECT row, ${schema}.fold(body)${columns.names} FROM ${rows}
				WHERE ${alive(null)} ORDER BY chunk_id COLLATE "C"`,
			);
			const name = text.slice(schema.length + 1);
			await query(
				`CREATE INDEX ${name}_bm25 ON ${text} USING bm25 (body) WITH (text_config = '${TEXT_CONFIG}', k1 = ${K1}, b = ${B})`,
			);
			await query(`ANALYZE ${text}`);
			await query(`INSERT INTO ${schema}.versions (table_id, version) VALUES ($1, $2)`, [id, version]);
		}
		const [counted] = await query(`SELECT count(*) AS chunks FROM ${text}`);
		const chunks = Number(counted?.chunks);
		if (dimensions !== null && chunks >= VECTOR_INDEX_ROWS_MIN) {
			await query(`CREATE INDEX IF NOT EXISTS rows_${id}_vector ON ${rows} USING hnsw (vector vector_ip_ops)`);
		}
		await query(`ANALYZE ${rows}`);
		return chunks;
	}

	/** Versions below the oldest that is kept go, with the rows that only they had. */
	async #prune(oldest: number): Promise<void> {
		const { schema } = this.#database;
		const { id, rows, text } = this.#stored;
		await this.#database.transaction(async (query) => {
			const gone = await query(
				`DELETE FROM ${schema}.versions WHERE table_id = $1 AND version < $2 RETURNING version`,
				[id, oldest],
			);
			for (const { version } of gone) await query(`DROP TABLE IF EXISTS ${text(Number(version))}`);
			await query(`DELETE FROM ${rows} WHERE deleted <= $1`, [oldest]);
		});
	}

	#guarded<T>(run: () => Promise<T>): Promise<T> {
		return storageFailure(`The index table ${this.table}`, diagnose, run);
	}
}
