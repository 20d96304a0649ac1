import { existsSync, renameSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { dirname } from 'node:path';
import { type DuckDBConnection, DuckDBInstance } from '@duckdb/node-api';
import { PlimsollError } from '../spec/errors.ts';
import { TraceBatch } from './trace-batch.ts';
import { createTable } from './trace-columns.ts';

/** `migrations[n]` takes the file from format n to n + 1; never edited. A new file has every column from its first step on. */
const MIGRATIONS: readonly (readonly string[])[] = [
	[createTable('requests'), createTable('steps'), createTable('attempts')],
	['ALTER TABLE requests ADD COLUMN IF NOT EXISTS client_retries BIGINT DEFAULT 0'],
	[
		"ALTER TABLE requests ADD COLUMN IF NOT EXISTS flags VARCHAR DEFAULT '{}'",
		"ALTER TABLE requests ADD COLUMN IF NOT EXISTS flag_reasons VARCHAR DEFAULT '{}'",
	],
	[
		'ALTER TABLE requests ADD COLUMN IF NOT EXISTS tokens_cache_written BIGINT DEFAULT 0',
		'ALTER TABLE requests ADD COLUMN IF NOT EXISTS tokens_reasoning BIGINT DEFAULT 0',
		'ALTER TABLE attempts ADD COLUMN IF NOT EXISTS kind VARCHAR',
	],
];

const SETTINGS = {
	// Traces must not take cores or memory from requests.
	threads: '1',
	memory_limit: '512MB',
	// A checkpoint rewrites the last, unfinished row group of every column. At DuckDB's own 16 MB it does so every
	// 7,000 traces; at 64 MB writing 1,000,000 steps takes a fifth less CPU and a third less disk.
	checkpoint_threshold: '64MB',
	// The batch's file is written anew each time: a cache of it would be memory for nothing, or worse.
	enable_external_file_cache: 'false',
	autoinstall_known_extensions: 'false',
	autoload_known_extensions: 'false',
};

/** An open database: one connection writes, one reads, so that a long query does not hold up writes. */
export interface TraceFile {
	readonly writer: DuckDBConnection;
	readonly reader: DuckDBConnection;
	close(): void;
}

/** A trace file with the way in for traces. */
export interface WritableTraceFile extends TraceFile {
	readonly batch: TraceBatch;
}

/** Opens a trace file as `openTraceFile` does, to write traces. */
export async function openToWrite(file: string): Promise<WritableTraceFile> {
	const opened = await openTraceFile(file, 'write');
	try {
		const batch = await TraceBatch.open(opened.writer, file);
		return {
			...opened,
			batch,
			close() {
				batch.close();
				opened.close();
			},
		};
	} catch (thrown) {
		opened.close();
		throw traceFileError(thrown, file);
	}
}

/**
 * Opens a trace file of ours, creating it when absent and `access` is `write`. Throws PlimsollError `storage_failed`;
 * whether the file itself is at fault says `isDamaged(error)`.
 */
export async function openTraceFile(file: string, access: 'write' | 'read'): Promise<TraceFile> {
	let instance: DuckDBInstance | null = null;
	try {
		if (access === 'read' && (await isOld(file))) (await openTraceFile(file, 'write')).close();
		if (access === 'write') await mkdir(dirname(file), { recursive: true, mode: 0o700 });
		instance = await DuckDBInstance.create(file, {
			...SETTINGS,
			access_mode: access === 'write' ? 'READ_WRITE' : 'READ_ONLY',
			// The file is data, never a way to reach others or the network. To write, the batch turns it off.
			enable_external_access: access === 'write' ? 'true' : 'false',
		});
		const opened = instance;
		const writer = await instance.connect();
		await migrate(writer, file, access);
		const reader = await instance.connect();
		return {
			writer,
			reader,
			close() {
				reader.closeSync();
				writer.closeSync();
				opened.closeSync();
			},
		};
	} catch (thrown) {
		instance?.closeSync();
		throw traceFileError(thrown, file);
	}
}

/** Whether an older release wrote the file, so that it lacks what this one asks for. */
async function isOld(file: string): Promise<boolean> {
	const instance = await DuckDBInstance.create(file, { ...SETTINGS, access_mode: 'READ_ONLY' });
	try {
		const connection = await instance.connect();
		const ours = await connection.runAndReadAll("SELECT 1 FROM duckdb_tables() WHERE table_name = 'plimsoll_format'");
		const format = ours.getRows().length > 0 ? await readFormat(connection) : MIGRATIONS.length;
		connection.closeSync();
		return format < MIGRATIONS.length;
	} finally {
		instance.closeSync();
	}
}

async function migrate(connection: DuckDBConnection, file: string, access: 'write' | 'read'): Promise<void> {
	const tables = (await connection.runAndReadAll('SELECT table_name FROM duckdb_tables()')).getRows().flat();
	const ours = tables.includes('plimsoll_format');
	if (!ours && tables.length > 0) {
		throw new PlimsollError(
			'storage_failed',
			`The file ${file} is a DuckDB database of another program, not a trace store; it was left as it is. Move it away or choose another data_dir.`,
		);
	}
	const format = ours ? await readFormat(connection) : 0;
	if (format > MIGRATIONS.length) {
		throw new DamagedFile(
			`The trace store ${file} has format ${format}, written by a newer Plimsoll; this one knows formats up to ${MIGRATIONS.length}.`,
		);
	}
	if (access === 'read' || format === MIGRATIONS.length) return;
	await connection.run('BEGIN');
	if (!ours) await connection.run('CREATE TABLE plimsoll_format (format INTEGER NOT NULL)');
	for (const statement of MIGRATIONS.slice(format).flat()) await connection.run(statement);
	await connection.run('DELETE FROM plimsoll_format');
	await connection.run('INSERT INTO plimsoll_format VALUES ($1)', [MIGRATIONS.length]);
	await connection.run('COMMIT');
}

async function readFormat(connection: DuckDBConnection): Promise<number> {
	const rows = (await connection.runAndReadAll('SELECT max(format) FROM plimsoll_format')).getRows();
	return Number(rows[0]?.[0] ?? 0);
}

/** The file cannot be used by this release, and no wait or space will change that. */
class DamagedFile extends PlimsollError {
	constructor(message: string, cause?: unknown) {
		super('storage_failed', message, { internal: cause instanceof Error ? cause.message : message, cause });
	}
}

export function isDamaged(error: unknown): boolean {
	return error instanceof DamagedFile;
}

/** DuckDB gives no codes: its messages are the interface. */
const CAUSES: readonly (readonly [RegExp, string])[] = [
	[/Conflicting lock|Could not set lock/, 'is in use by another process; ask that one, or stop it.'],
	[/No space left on device/i, 'could not be written because the disk is full; free some space.'],
	[/Read-only file system/i, 'lies on a read-only file system; choose another data_dir.'],
	[/Permission denied/i, 'may not be opened by this user; check the permissions of the file and its folder.'],
	[/Is a directory/i, 'is a folder, not a file; move it away or choose another data_dir.'],
	[/No such file|database does not exist/, 'does not exist.'],
	[/Interrupt/, 'took too long to answer and the query was stopped; ask for less.'],
];

const DAMAGE =
	/not a valid DuckDB database file|[Cc]orrupt|Could not read enough bytes|while replaying WAL|Serialization Error|but we can only read|newer version of DuckDB/;

/** Any error of DuckDB or the file system as `storage_failed` with the file and the cause. */
export function traceFileError(thrown: unknown, file: string): PlimsollError {
	if (thrown instanceof PlimsollError) return thrown;
	const reason = thrown instanceof Error ? thrown.message : String(thrown);
	const cause = CAUSES.find(([pattern]) => pattern.test(reason))?.[1];
	if (cause)
		return new PlimsollError('storage_failed', `The trace store ${file} ${cause}`, { internal: reason, cause: thrown });
	if (DAMAGE.test(reason)) return new DamagedFile(`The trace store ${file} is corrupt.`, thrown);
	return new PlimsollError('storage_failed', `The trace store ${file} failed: ${reason}`, {
		internal: reason,
		cause: thrown,
	});
}

/**
 * Moves a file that cannot be used out of the way, with its write-ahead log, and returns its new name. Nothing is ever
 * deleted: a newer release or DuckDB's own tools may still read it.
 * @param at milliseconds since the epoch, for the name.
 */
export function setAside(file: string, at: number): string {
	const stamp = new Date(at).toISOString().replaceAll(/[-:]|\.\d+/g, '');
	let name = `${file}.unusable-${stamp}`;
	for (let n = 2; existsSync(name) || existsSync(`${name}.wal`); n++) name = `${file}.unusable-${stamp}-${n}`;
	if (existsSync(file)) renameSync(file, name);
	if (existsSync(`${file}.wal`)) renameSync(`${file}.wal`, `${name}.wal`);
	return name;
}
