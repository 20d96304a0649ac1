import { rm, truncate, writeFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import type { DuckDBConnection, DuckDBPreparedStatement } from '@duckdb/node-api';
import { CREATE_BATCH, INSERT_BATCH, TRACE } from './trace-columns.ts';
import { LINE_BYTES_MAX } from './trace-line.ts';

/**
 * The way of traces into the tables: a file of JSON lines beside the database, which DuckDB reads by itself. That takes
 * far less CPU time than rows handed over by the client. The file is empty but while a batch is written.
 */
export class TraceBatch {
	readonly #path: string;
	readonly #statements: DuckDBPreparedStatement[] = [];
	/** Kept from batch to batch: fresh memory costs more than what is written into it. */
	#bytes = Buffer.alloc(0);
	#lines = 0;

	private constructor(path: string) {
		this.#path = path;
	}

	/** @param file the database's. From here on no statement reaches any other file than that and the batch's. */
	static async open(connection: DuckDBConnection, file: string): Promise<TraceBatch> {
		const batch = new TraceBatch(`${resolve(file)}.batch`);
		try {
			await batch.#open(connection);
			return batch;
		} catch (thrown) {
			batch.close();
			throw thrown;
		}
	}

	async #open(connection: DuckDBConnection): Promise<void> {
		// What a crash may have left, with whatever permissions.
		await rm(this.#path, { force: true });
		await writeFile(this.#path, '', { mode: 0o600, flag: 'wx' });
		await connection.run(`SET allowed_paths = [${quoted(this.#path)}]`);
		await connection.run('SET enable_external_access = false');
		await connection.run(CREATE_BATCH);
		for (const sql of [readLines(this.#path), ...INSERT_BATCH, 'TRUNCATE batch']) {
			this.#statements.push(await connection.prepare(sql));
		}
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
		this.#lines = lines.length;
	}

	/** Inserts what the file holds; the caller's transaction makes it all or nothing. */
	async insert(): Promise<void> {
		const [read, ...rest] = this.#statements;
		const rows = (await read?.run())?.rowsChanged;
		if (rows !== this.#lines) throw new Error(`${rows} traces were read of ${this.#lines} in ${this.#path}`);
		for (const statement of rest) await statement.run();
	}

	async clear(): Promise<void> {
		await truncate(this.#path);
	}

	/** A statement that is left would keep the database open. */
	close(): void {
		for (const statement of this.#statements) statement.destroySync();
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
