import type { DatabaseSync, SQLInputValue, StatementSync } from 'node:sqlite';
import { z } from 'zod';
import { PlimsollError } from '../spec/errors.ts';
import { openSqliteFile, type SqliteSchema, storageError } from './sqlite-file.ts';

/** Of a statement whose rows nobody reads. */
export const ANY_ROW = z.unknown();

/** An open file with its prepared statements. Whatever fails is a PlimsollError `storage_failed` that names the file. */
export class SqliteStatements {
	readonly #db: DatabaseSync;
	readonly #file: string;
	readonly #title: string;
	readonly #statements = new Map<string, StatementSync>();

	constructor(file: string, schema: SqliteSchema) {
		this.#db = openSqliteFile(file, schema);
		this.#file = file;
		this.#title = schema.title;
	}

	/** Runs the writes as one: all of them count or none. */
	together<T>(write: () => T): T {
		try {
			this.#db.exec('BEGIN IMMEDIATE');
			const result = write();
			this.#db.exec('COMMIT');
			return result;
		} catch (thrown) {
			if (this.#db.isOpen && this.#db.isTransaction) this.#db.exec('ROLLBACK');
			throw this.#failed(thrown);
		}
	}

	/** How many rows the statement changed. */
	run(sql: string, ...values: SQLInputValue[]): number {
		try {
			return Number(this.#statement(sql).run(...values).changes);
		} catch (thrown) {
			throw this.#failed(thrown);
		}
	}

	/** The rows, each checked. */
	all<T>(row: z.ZodType<T>, sql: string, ...values: SQLInputValue[]): T[] {
		let rows: unknown[];
		try {
			rows = this.#statement(sql).all(...values);
		} catch (thrown) {
			throw this.#failed(thrown);
		}
		// Each for itself: a schema of the list would be built anew on every read, which costs more than to check a row.
		return rows.map((one) => this.#checked(row, one));
	}

	/** The log of writes holds what was written before, also what is deleted since: it is written back and cut off. */
	truncateLog(): void {
		this.all(ANY_ROW, 'PRAGMA wal_checkpoint(TRUNCATE)');
	}

	close(): void {
		if (!this.#db.isOpen) return;
		try {
			this.#db.close();
		} catch (thrown) {
			throw this.#failed(thrown);
		}
	}

	#statement(sql: string): StatementSync {
		let statement = this.#statements.get(sql);
		if (!statement) {
			statement = this.#db.prepare(sql);
			this.#statements.set(sql, statement);
		}
		return statement;
	}

	#checked<T>(row: z.ZodType<T>, value: unknown): T {
		const parsed = row.safeParse(value);
		if (parsed.success) return parsed.data;
		throw new PlimsollError(
			'storage_failed',
			`The ${this.#title} ${this.#file} holds a row that is not valid: ${z.prettifyError(parsed.error)}`,
			{ cause: parsed.error },
		);
	}

	#failed(thrown: unknown): PlimsollError {
		return storageError(thrown, this.#file, this.#title);
	}
}
