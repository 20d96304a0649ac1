import type { PostgresPlace } from '../../contracts/index-store.ts';
import { PlimsollError } from '../../spec/errors.ts';
import type { IndexPlace, IndexStore, TableShape } from '../../spec/index-store.ts';
import { speaksOfDamage, storageFailure } from '../storage-failure.ts';
import { Database, type Query } from './database.ts';
import { PostgresReader } from './reader.ts';
import { prepareSchema, type StoredTable, storedTable } from './tables.ts';
import { LEXICAL } from './text.ts';
import { diagnose } from './trouble.ts';
import { PostgresWriter } from './writer.ts';

const EXTENSIONS = ['vector', 'pg_textsearch'] as const;
const LIST_TIMEOUT_MS = 30_000;

/** Indexes in a schema of a PostgreSQL database, with pgvector and pg_textsearch. */
export class PostgresStore implements IndexStore {
	readonly lexical = LEXICAL;
	readonly revision = 'postgres-1';
	readonly #database: Database;

	constructor(place: PostgresPlace) {
		this.#database = new Database(place);
	}

	async open(): Promise<void> {
		await storageFailure('The index in PostgreSQL', diagnose, async () => {
			for (const extension of EXTENSIONS) await this.#require(extension);
			await this.#database.transaction((query) => prepareSchema(query, this.#database.schema));
		});
		this.#database.ready();
	}

	writer(shape: TableShape): Promise<PostgresWriter> {
		return PostgresWriter.open(this.#database, shape);
	}

	reader(place: IndexPlace): Promise<PostgresReader> {
		return PostgresReader.open(this.#database, place);
	}

	/** The database answers from what is stored; nothing of it is cached here. */
	freshReader(place: IndexPlace): Promise<PostgresReader> {
		return this.reader(place);
	}

	isDamage(cause: unknown): boolean {
		return speaksOfDamage(cause, diagnose);
	}

	async forgetCaches(): Promise<void> {}

	async tables(prefix: string): Promise<string[]> {
		const found = await this.#database.query(
			`SELECT name FROM ${this.#database.schema}.tables WHERE starts_with(name, $1) AND NOT aside ORDER BY name`,
			[prefix],
			LIST_TIMEOUT_MS,
		);
		return found.map(({ name }) => String(name));
	}

	drop(table: string): Promise<void> {
		return this.#changed(table, async (query, stored) => {
			const { schema } = this.#database;
			const versions = await query(`SELECT version FROM ${schema}.versions WHERE table_id = $1`, [stored.id]);
			for (const { version } of versions) await query(`DROP TABLE IF EXISTS ${stored.text(Number(version))}`);
			await query(`DROP TABLE IF EXISTS ${stored.rows}`);
			await query(`DELETE FROM ${schema}.tables WHERE id = $1`, [stored.id]);
		});
	}

	/** Gives it another name; its rows stay where they are. */
	async setAside(table: string, at: number): Promise<string | null> {
		let aside: string | null = null;
		await this.#changed(table, async (query, { id }) => {
			aside = `${table}.unusable-${new Date(at).toISOString().replaceAll(/[-:]|\.\d+/g, '')}-${id}`;
			await query(`UPDATE ${this.#database.schema}.tables SET name = $1, aside = true WHERE id = $2`, [aside, id]);
		});
		return aside;
	}

	close(): void {
		// Connections end when their statements have; nobody waits for it.
		this.#database.close().catch(() => {});
	}

	#changed(table: string, run: (query: Query, stored: StoredTable) => Promise<void>): Promise<void> {
		const { schema } = this.#database;
		return storageFailure(`The index table ${table}`, diagnose, () =>
			this.#database.transaction(async (query) => {
				const sql = `SELECT id, version, dimensions, fields FROM ${schema}.tables WHERE name = $1 FOR UPDATE`;
				const [found] = await query(sql, [table]);
				if (found !== undefined) await run(query, storedTable(schema, found));
			}),
		);
	}

	async #require(extension: (typeof EXTENSIONS)[number]): Promise<void> {
		const sql = 'SELECT 1 FROM pg_extension WHERE extname = $1';
		const present = await this.#database.query(sql, [extension], LIST_TIMEOUT_MS);
		if (present.length > 0) return;
		try {
			await this.#database.query(`CREATE EXTENSION IF NOT EXISTS ${extension}`, [], LIST_TIMEOUT_MS);
		} catch (cause) {
			if (diagnose(cause).kind !== 'unreachable') throw cause;
			throw new PlimsollError(
				'storage_failed',
				`The database of index_store.url has no extension ${extension}, and it cannot be made: install it on the server, then run CREATE EXTENSION ${extension} as an administrator.`,
				{ internal: String(cause), cause },
			);
		}
	}
}
