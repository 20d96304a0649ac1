import { closeSync, openSync, readFileSync, renameSync, rmSync, statSync, utimesSync, writeSync } from 'node:fs';
import { hostname } from 'node:os';
import { setTimeout as delay } from 'node:timers/promises';
import { SetupError } from './setup-error.js';

const HEARTBEAT_MS = 2_000;
/** A holder that has not touched its lock for this long is gone, even where its process id means nothing to us. */
const STALE_MS = 30_000;
const WAIT_MAX_MS = 20 * 60_000;

/**
 * Holds a lock file until the returned function is called. Survives a holder that was killed.
 * @param {string} path
 * @param {() => void} onWait called once when somebody else holds it
 * @returns {Promise<() => void>} releases the lock
 */
export async function holdLock(path, onWait) {
	const me = `${hostname()} ${process.pid}`;
	const started = Date.now();
	for (let told = false; !tryTake(path, me); told = true) {
		if (!told) onWait();
		if (Date.now() - started > WAIT_MAX_MS) {
			throw new SetupError(
				`another set-up still holds ${path} after 20 minutes. Stop it, delete the file and try again.`,
			);
		}
		breakIfStale(path);
		await delay(200);
	}
	const heartbeat = setInterval(() => {
		const now = new Date();
		utimesSync(path, now, now);
	}, HEARTBEAT_MS);
	return () => {
		clearInterval(heartbeat);
		rmSync(path, { force: true });
	};
}

function tryTake(path, me) {
	try {
		const file = openSync(path, 'wx');
		writeSync(file, me);
		closeSync(file);
		return true;
	} catch (error) {
		if (error.code === 'EEXIST') return false;
		throw new SetupError(`cannot write ${path}: ${error.message}`);
	}
}

function breakIfStale(path) {
	try {
		const { mtimeMs } = statSync(path);
		const [host, pid] = readFileSync(path, 'utf8').split(' ');
		const dead = host === hostname() && pid !== undefined && !isAlive(Number(pid));
		if (!dead && Date.now() - mtimeMs < STALE_MS) return;
		// Only one of several waiters succeeds in renaming, so a fresh lock of another is never removed.
		const grave = `${path}.${process.pid}`;
		renameSync(path, grave);
		rmSync(grave, { force: true });
	} catch (error) {
		// Gone between two calls: the holder released it, and the next try takes it.
		if (error.code !== 'ENOENT') throw error;
	}
}

function isAlive(pid) {
	try {
		process.kill(pid, 0);
		return true;
	} catch (error) {
		return error.code !== 'ESRCH';
	}
}
