import { closeSync, linkSync, mkdirSync, openSync, renameSync, rmSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { PlimsollError } from '../spec/errors.ts';

/** What a database file holds and how it came to be: one list of migrations, applied in order, never edited. */
export interface SqliteSchema {
	/** What the file is called in messages, e.g. `record store`. */
	readonly title: string;
	/** Marks the file as ours, so that a foreign database is never written to. */
	readonly applicationId: number;
	/** What is deleted is overwritten, since it may name people. */
	readonly erases?: true;
	/** `migrations[n]` takes the file from version n to n + 1. */
	readonly migrations: readonly string[];
}

/** How long one statement waits for another process's write. Records are few and small: a longer wait is a fault. */
const BUSY_MS = 2_000;

/**
 * Opens or creates a SQLite file (0600, its folder 0700) at the newest version of `schema`. Throws PlimsollError
 * `storage_failed` when the file is corrupt, foreign, newer than this release, locked, or cannot be written.
 */
export function openSqliteFile(file: string, schema: SqliteSchema): DatabaseSync {
	let db: DatabaseSync | null = null;
	try {
		if (file !== ':memory:') ensureFile(file, schema);
		db = connect(file);
		if (schema.erases) db.exec('PRAGMA secure_delete = ON');
		checkIntegrity(db, file, schema);
		migrate(db, file, schema);
		return db;
	} catch (thrown) {
		db?.close();
		throw storageError(thrown, file, schema.title);
	}
}

function connect(file: string): DatabaseSync {
	const db = new DatabaseSync(file, { timeout: BUSY_MS });
	try {
		// FULL and not NORMAL: with WAL, NORMAL loses the last commits when the machine (not the process) goes down, and a
		// key that was shown once must exist tomorrow. Writes are rare, so that the extra fsync costs nothing that matters.
		db.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON');
		return db;
	} catch (thrown) {
		db.close();
		throw thrown;
	}
}

/** Any error of a database or its file as `storage_failed`, naming the file, the cause and what to do about it. */
export function storageError(thrown: unknown, file: string, title: string): PlimsollError {
	if (thrown instanceof PlimsollError) return thrown;
	const reason = thrown instanceof Error ? thrown.message : String(thrown);
	return new PlimsollError('storage_failed', `The ${title} ${file} ${explain(thrown, reason)}`, {
		internal: reason,
		cause: thrown,
	});
}

/** SQLite's primary result codes (sqlite.org/rescode.html) in words. */
const CAUSES: Readonly<Record<number, string>> = {
	5: `is locked by another process for longer than ${BUSY_MS} ms; stop that process or retry.`,
	6: 'is locked by another connection of this process; retry.',
	8: 'is read-only; make it writable for the user that runs Plimsoll.',
	10: 'could not be read or written by the system; check the disk.',
	11: 'is corrupt; restore it from a backup, or move it away to start with an empty one.',
	13: 'could not be written because the disk is full; free some space and retry.',
	14: 'could not be opened; check that its folder exists and is writable.',
	26: 'is not a SQLite database; move it away or choose another data_dir.',
};

const FILE_CAUSES: Readonly<Record<string, string>> = {
	EACCES: 'may not be opened by this user; check the permissions of the file and its folder.',
	EPERM: 'may not be opened by this user; check the permissions of the file and its folder.',
	EROFS: 'lies on a read-only file system; choose another data_dir.',
	ENOSPC: 'could not be created because the disk is full; free some space and retry.',
	EISDIR: 'is a folder, not a file; move it away or choose another data_dir.',
	ENOTDIR: 'lies under something that is not a folder; choose another data_dir.',
	EEXIST: 'lies under something that is not a folder; choose another data_dir.',
};

function explain(thrown: unknown, reason: string): string {
	if (thrown instanceof Error) {
		if ('errcode' in thrown && typeof thrown.errcode === 'number') {
			const cause = CAUSES[thrown.errcode & 0xff];
			if (cause) return cause;
		}
		if ('code' in thrown && typeof thrown.code === 'string') {
			if (thrown.code === 'ERR_INVALID_STATE') return 'is already closed.';
			const cause = FILE_CAUSES[thrown.code];
			if (cause) return cause;
		}
	}
	return `failed: ${reason}`;
}

/** An empty file has lost what it held, and must not pass for a new one. */
function ensureFile(file: string, schema: SqliteSchema): void {
	const found = statSync(file, { throwIfNoEntry: false });
	if (found?.isFile() && found.size === 0) {
		throw new PlimsollError(
			'storage_failed',
			`The ${schema.title} ${file} is empty: what it held is lost. Restore it from a backup, or remove it to start with a new one.`,
		);
	}
	// Refuses a file that may not be written, and a folder in its place.
	if (found) closeSync(openSync(file, 'a'));
	else createFile(file, schema);
}

/** Makes the file complete under another name before it gets its own, so that a kill never leaves an empty one. */
function createFile(file: string, schema: SqliteSchema): void {
	mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
	const draft = `${file}.new-${process.pid}`;
	const remove = () => {
		for (const end of ['', '-wal', '-shm', '-journal']) rmSync(`${draft}${end}`, { force: true });
	};
	// A killed process may have had the same id.
	remove();
	try {
		// SQLite gives its -wal and -shm files the mode of the main one, so that creating that one privately covers all.
		closeSync(openSync(draft, 'wx', 0o600));
		const db = connect(draft);
		try {
			migrate(db, draft, schema);
		} finally {
			// Writes the log back, so that the one file is everything.
			db.close();
		}
		publish(draft, file);
	} finally {
		remove();
	}
}

/** Gives the draft its name, unless another process was faster: then its file counts. */
function publish(draft: string, file: string): void {
	try {
		linkSync(draft, file);
	} catch (thrown) {
		const code = thrown instanceof Error && 'code' in thrown ? thrown.code : null;
		if (code === 'EEXIST') return;
		// Not every file system has links.
		if (code !== 'EPERM' && code !== 'ENOTSUP' && code !== 'EOPNOTSUPP') throw thrown;
		renameSync(draft, file);
	}
}

function checkIntegrity(db: DatabaseSync, file: string, schema: SqliteSchema): void {
	const verdict = db.prepare('PRAGMA quick_check(1)').get()?.quick_check;
	if (verdict === 'ok') return;
	throw new PlimsollError('storage_failed', `The ${schema.title} ${file} ${CAUSES[11]}`, { internal: String(verdict) });
}

function migrate(db: DatabaseSync, file: string, schema: SqliteSchema): void {
	const newest = schema.migrations.length;
	if (readVersion(db, file, schema) === newest) return;
	// IMMEDIATE, and the version read again inside: two processes may open a new file at once.
	db.exec('BEGIN IMMEDIATE');
	try {
		for (const statements of schema.migrations.slice(readVersion(db, file, schema))) db.exec(statements);
		db.exec(`PRAGMA application_id = ${schema.applicationId}; PRAGMA user_version = ${newest}; COMMIT`);
	} catch (thrown) {
		if (db.isTransaction) db.exec('ROLLBACK');
		throw thrown;
	}
}

function readVersion(db: DatabaseSync, file: string, schema: SqliteSchema): number {
	const applicationId = Number(db.prepare('PRAGMA application_id').get()?.application_id);
	const version = Number(db.prepare('PRAGMA user_version').get()?.user_version);
	const tables = Number(db.prepare('SELECT count(*) AS n FROM sqlite_schema').get()?.n);
	if (applicationId !== schema.applicationId && (applicationId !== 0 || version !== 0 || tables !== 0)) {
		throw new PlimsollError(
			'storage_failed',
			`The file ${file} is a SQLite database of another program, not a ${schema.title}; it was left as it is. Move it away or choose another data_dir.`,
		);
	}
	if (version > schema.migrations.length) {
		throw new PlimsollError(
			'storage_failed',
			`The ${schema.title} ${file} has format ${version}, written by a newer Plimsoll; this one knows formats up to ${schema.migrations.length}. Start the newer release.`,
		);
	}
	return version;
}
