import { closeSync, mkdirSync, openSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { z } from 'zod';
import { PlimsollError } from '../spec/errors.ts';
import { storageError } from './sqlite-file.ts';

const holderFile = z.object({ pid: z.int().positive(), url: z.string().nullable() });

/** Who uses a data folder. */
interface Holder {
	/** Null when the holder has not said (yet). A pid of another container means nothing here. */
	readonly pid: number | null;
	/** Where it listens, e.g. `http://127.0.0.1:4600`; null while it starts or when it serves no HTTP. */
	readonly url: string | null;
}

/** The exclusive right to a data folder. The system takes it back when the process dies, however it dies. */
export interface DataFolder {
	/** Absolute. */
	readonly dir: string;
	/** Tells other processes where this one listens. Throws PlimsollError `storage_failed`. */
	publish(holder: { readonly pid: number; readonly url: string }): void;
	/** Gives the folder back. Further calls do nothing. */
	release(): void;
}

/**
 * Nothing is ever written to this database: an exclusive transaction on it is a file lock that the system releases
 * with the process, on every platform. Never open the file by other means: POSIX drops all of a process's locks on a
 * file when any descriptor of it is closed.
 */
const LOCK_FILE = 'lock.db';
const HOLDER_FILE = 'holder.json';
const TITLE = 'lock file';

/** A command's look at the lock holds it for a moment; a start waits that out. */
const BUSY_MS = 500;

/**
 * Takes the data folder, creating it (0700) when absent. Throws PlimsollError `data_folder_locked`, naming the holder,
 * when another process has it, and `storage_failed` when the folder cannot be created or written.
 */
export function lockDataFolder(dir: string): DataFolder {
	const path = resolve(dir);
	const lock = openLock(path);
	try {
		if (!tryLock(lock, path)) throw lockedError(path, readHolderFile(path));
		// What a dead predecessor said must not be taken for ours.
		writeHolderFile(path, { pid: process.pid, url: null });
	} catch (thrown) {
		lock.close();
		throw thrown;
	}
	return {
		dir: path,
		publish: (holder) => writeHolderFile(path, holder),
		release() {
			if (!lock.isOpen) return;
			rmSync(join(path, HOLDER_FILE), { force: true });
			lock.close();
		},
	};
}

/** Who holds the data folder; null when nobody does or it does not exist. Throws `storage_failed` when it cannot tell. */
export function readHolder(dir: string): Holder | null {
	const path = resolve(dir);
	const file = join(path, LOCK_FILE);
	let lock: DatabaseSync | null = null;
	try {
		if (!statSync(file, { throwIfNoEntry: false })) return null;
		lock = new DatabaseSync(file, { readOnly: true });
		// Any read asks for a shared lock, which an exclusive one refuses.
		lock.prepare('SELECT count(*) FROM sqlite_schema').get();
		return null;
	} catch (thrown) {
		if (isBusy(thrown)) return readHolderFile(path);
		throw storageError(thrown, file, TITLE);
	} finally {
		lock?.close();
	}
}

function openLock(path: string): DatabaseSync {
	const file = join(path, LOCK_FILE);
	try {
		mkdirSync(path, { recursive: true, mode: 0o700 });
		// Only when absent: opening and closing an existing one would drop a lock that this process already has on it.
		if (!statSync(file, { throwIfNoEntry: false })) closeSync(openSync(file, 'a', 0o600));
		return new DatabaseSync(file, { timeout: BUSY_MS });
	} catch (thrown) {
		throw storageError(thrown, file, TITLE);
	}
}

/** False when another process, or another holder in this one, has it. */
function tryLock(lock: DatabaseSync, path: string): boolean {
	try {
		lock.exec('BEGIN EXCLUSIVE');
		return true;
	} catch (thrown) {
		if (isBusy(thrown)) return false;
		throw storageError(thrown, join(path, LOCK_FILE), TITLE);
	}
}

function isBusy(thrown: unknown): boolean {
	return thrown instanceof Error && 'errcode' in thrown && thrown.errcode === 5;
}

function lockedError(path: string, { pid, url }: Holder): PlimsollError {
	const who = pid === null ? 'Another Plimsoll process' : `The Plimsoll process ${pid}`;
	const where = url === null ? '' : `, listening on ${url},`;
	return new PlimsollError(
		'data_folder_locked',
		`${who}${where} uses the data folder ${path}. Stop it, or give this one another data_dir.`,
	);
}

/** Written beside and renamed, so that a reader never sees half of it. */
function writeHolderFile(path: string, holder: Holder): void {
	const file = join(path, HOLDER_FILE);
	try {
		writeFileSync(`${file}.new`, JSON.stringify(holder), { mode: 0o600 });
		renameSync(`${file}.new`, file);
	} catch (thrown) {
		throw storageError(thrown, file, 'holder file');
	}
}

/** The holder has the lock but may die or start at any moment: a file that is absent or odd means "not known". */
function readHolderFile(path: string): Holder {
	try {
		return holderFile.parse(JSON.parse(readFileSync(join(path, HOLDER_FILE), 'utf8')));
	} catch {
		return { pid: null, url: null };
	}
}
