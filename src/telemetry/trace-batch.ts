import { rmSync } from 'node:fs';
import { rm, truncate, writeFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import type { DuckDBConnection, DuckDBPreparedStatement } from '@duckdb/node-api';
import { CREATE_BATCH, INSERT_BATCH, TRACE } from './trace-columns.ts';
import { LINE_BYTES_MAX } from './trace-line.ts';

/**
 * The way of traces into the tables: a file of JSON lines beside the database, which DuckDB reads by itself. That takes
 * half the CPU time of rows handed over by the client. The file holds something only while a batch is written.
 */
export class TraceBatch {
	readonly #path: string;
	readonly #statements: readonly DuckDBPreparedStatement[];

	/** Kept from batch to batch: fresh memory costs more than what is written into it. */
	#bytes = Buffer.alloc(0);

	private constructor(path: string, statements: readonly DuckDBPreparedStatement[]) {
		this.#path = path;
		this.#statements = statements;
	}

	/** @param file the database's. From here on no statement reaches any other file than that and the batch's. */
	static async open(connection: DuckDBConnection, file: string): Promise<TraceBatch> {
		const path = `${resolve(file)}.batch`;
		// What a crash may have left, with whatever permissions.
		await rm(path, { force: true });
		await writeFile(path, '', { mode: 0o600, flag: 'wx' });
		await connection.run(`SET allowed_paths = [${quoted(path)}]`);
		await connection.run('SET enable_external_access = false');
		await connection.run(CREATE_BATCH);
		const statements: DuckDBPreparedStatement[] = [];
		for (const sql of [readLines(path), ...INSERT_BATCH, 'TRUNCATE batch'])
			statements.push(await connection.prepare(sql));
		return new TraceBatch(path, statements);
	}

	async fill(lines: readonly string[]): Promise<void> {
		let room = 0;
		for (const line of lines) room += 3 * line.length + 1;
		if (room > this.#bytes.length) this.#bytes = Buffer.allocUnsafeSlow(room);
		let end = 0;
		for (const line of lines) {
			end += this.#bytes.write(line, end);
			end += this.#bytes.write('\n', end);
		}
		await writeFile(this.#path, this.#bytes.subarray(0, end));
	}

	/** Inserts what the file holds; the caller's transaction makes it all or nothing. */
	async insert(): Promise<void> {
		for (const statement of this.#statements) await statement.run();
	}

	async clear(): Promise<void> {
		await truncate(this.#path);
	}

	/** A statement that is left keeps the database open. */
	close(): void {
		for (const statement of this.#statements) statement.destroySync();
		rmSync(this.#path, { force: true });
	}
}

function readLines(path: string): string {
	const columns = Object.entries(TRACE).map(([name, { type }]) => `${name}: ${quoted(type)}`);
	// Without hive_partitioning = false a folder named `tenant_id=x` would be taken for a column.
	return `INSERT INTO batch SELECT * FROM read_json(${quoted(path)}, format = 'newline_delimited',
		compression = 'uncompressed', hive_partitioning = false, maximum_object_size = ${LINE_BYTES_MAX + 1},
		columns = {${columns.join(', ')}})`;
}

function quoted(text: string): string {
	return `'${text.replaceAll("'", "''")}'`;
}
