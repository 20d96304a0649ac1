import { join } from 'node:path';
import type { Logger } from 'pino';
import { PlimsollError } from '../spec/errors.ts';
import type { Scope } from '../spec/records.ts';
import type { CollectionStatus, IngestProgress, IngestReport, SearchMode } from '../spec/retrieval.ts';
import type { RequestTrace } from '../spec/trace.ts';
import { readHolder } from '../stores/data-folder.ts';
import type { AskReply, KeyReply, NewKeyReply, SearchReply, TracesReply } from './gateway-reply.ts';
import { HttpSession } from './http-session.ts';
import { DEVELOPMENT_KEY_FILE } from './keys.ts';
import { locateDataDir } from './load-project.ts';
import { readSecret } from './secret-file.ts';

export interface SessionAsk {
	readonly question: string;
	/** Called once, as soon as the id under which the trace will be found is known; also for requests that then fail. */
	readonly onRequestId?: (requestId: string) => void;
	/** Called with each piece of the answer; awaited before the next. */
	readonly onText?: (text: string) => void | Promise<void>;
	readonly signal?: AbortSignal;
}

export interface SessionSearch {
	readonly query: string;
	readonly k: number;
	/** Null: as the collection is configured. */
	readonly mode: SearchMode | null;
	readonly signal?: AbortSignal;
}

/** What a command can do with a project, by way of its server or in process. Throws PlimsollError. */
export interface Session {
	/** The server that answers; null in process. */
	readonly url: string | null;
	ask(feature: string, ask: SessionAsk): Promise<AskReply>;
	search(collection: string, ask: SessionSearch): Promise<SearchReply>;
	collections(): Promise<readonly CollectionStatus[]>;
	ingest(
		collection: string,
		options: { onProgress: (progress: IngestProgress) => void; signal: AbortSignal },
	): Promise<IngestReport>;
	/** Throws `trace_not_found`. */
	trace(requestId: string): Promise<RequestTrace>;
	/** The latest requests, newest first, and how features did in the last day. */
	traces(filter: { feature: string | null; limit: number }): Promise<TracesReply>;
	listKeys(): Promise<readonly KeyReply[]>;
	createKey(ask: { name: string; tenant: string; scopes: readonly Scope[] }): Promise<NewKeyReply>;
	/** Throws `key_not_found`. */
	revokeKey(id: string): Promise<void>;
	close(): Promise<void>;
}

export interface SessionOptions {
	/** The project folder; null when none was found, which only an address makes up for. */
	readonly dir: string | null;
	/** A server elsewhere; default PLIMSOLL_URL. */
	readonly url: string | null;
	/** Default PLIMSOLL_API_KEY, then the project's development key. */
	readonly key: string | null;
	/** For what runs in process. */
	readonly log: Logger;
}

/**
 * One process at a time owns a data folder, so that a command talks to the server that runs on it, and opens the
 * folder itself only when none does. An address, given or in PLIMSOLL_URL, goes before both.
 */
export async function openSession({ dir, url, key, log }: SessionOptions): Promise<Session> {
	const address = url ?? nonEmpty(process.env.PLIMSOLL_URL);
	const givenKey = key ?? nonEmpty(process.env.PLIMSOLL_API_KEY);
	// The development key stays on this machine: it is never sent to an address that somebody typed.
	if (address !== null) return new HttpSession(address, givenKey);
	if (dir === null) throw new Error('a session needs a project folder or an address');
	const dataDir = await locateDataDir(dir, process.env);
	const holder = readHolder(dataDir);
	if (holder === null) {
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
