import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Logger } from 'pino';
import { PROJECT_FILE } from '../contracts/project.ts';
import { PlimsollError } from '../spec/errors.ts';
import { readHolder } from '../stores/data-folder.ts';
import { HttpSession } from './http-session.ts';
import { DEVELOPMENT_KEY_FILE } from './keys.ts';
import { locateDataDir } from './load-project.ts';
import { readSecret } from './secret-file.ts';
import type { Session } from './session.ts';

export interface SessionOptions {
	/** The project folder; null when none was found, which only an address makes up for. */
	readonly dir: string | null;
	/** A server elsewhere; default PLIMSOLL_URL. */
	readonly url: string | null;
	/** Default PLIMSOLL_API_KEY, then the project's development key. */
	readonly key: string | null;
	/** PLIMSOLL_API_KEY belongs to another server: the one that runs on the project is not shown it. */
	readonly keyIsElsewhere?: boolean;
	/** For what runs in process. */
	readonly log: Logger;
}

/**
 * One process at a time owns a data folder, so that a command talks to the server that runs on it, and opens the
 * folder itself only when none does. An address, given or in PLIMSOLL_URL, goes before both.
 */
export async function openSession({ dir, url, key, keyIsElsewhere = false, log }: SessionOptions): Promise<Session> {
	const address = url ?? nonEmpty(process.env.PLIMSOLL_URL);
	const givenKey = key ?? (keyIsElsewhere ? null : nonEmpty(process.env.PLIMSOLL_API_KEY));
	// The development key stays on this machine: it is never sent to an address that somebody typed.
	if (address !== null) return new HttpSession(address, givenKey);
	if (dir === null) throw new Error('a session needs a project folder or an address');
	const dataDir = await locateDataDir(dir, process.env);
	const holder = readHolder(dataDir);
	if (holder === null) {
		// A folder without a project would be given a data folder, and its emptiness be taken for an answer.
		if (!existsSync(join(dir, PROJECT_FILE))) {
			throw new PlimsollError('project_not_found', `There is no ${PROJECT_FILE} in ${dir}.`);
		}
		// Loaded only now: a command that talks to a server needs no database engines.
		const { LocalSession } = await import('./local-session.ts');
		return new LocalSession({ dir, dataDir, log });
	}
	if (holder.url === null) {
		const who = holder.pid === null ? 'Another Plimsoll process' : `The Plimsoll process ${holder.pid}`;
		throw new PlimsollError(
			'data_folder_locked',
			`${who} uses the data folder ${dataDir} and takes no requests: it is a command, or a server that still starts. Try again when it is done.`,
		);
	}
	return new HttpSession(reachable(holder.url), givenKey ?? readSecret(join(dataDir, DEVELOPMENT_KEY_FILE)));
}

/** A session with another deployment, by the key that a variable holds. Throws `request_invalid` when it holds none. */
export function openOther(url: string, keyVariable: string): Session {
	const key = nonEmpty(process.env[keyVariable]);
	if (key !== null) return new HttpSession(url, key);
	throw new PlimsollError(
		'request_invalid',
		`The environment variable ${keyVariable} is not set; expected a key of ${url} with the scope admin. --against-key-env names another variable.`,
	);
}

/** Whether commands go to a server named by an option or the environment, so that they need no project folder. */
export function hasAddress(url: string | null): boolean {
	return (url ?? nonEmpty(process.env.PLIMSOLL_URL)) !== null;
}

/** Where a client on this machine reaches a server that listens on every address. */
export function reachable(url: string): string {
	return url.replace(/^http:\/\/(0\.0\.0\.0|\[::\])(?=:|$)/, 'http://127.0.0.1');
}

function nonEmpty(value: string | undefined): string | null {
	return value === undefined || value === '' ? null : value;
}
