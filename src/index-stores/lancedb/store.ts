import { mkdir, readdir, rename, rm } from 'node:fs/promises';
import path from 'node:path';
import { type Connection, connect, Session } from '@lancedb/lancedb';
import { PlimsollError } from '../../spec/errors.ts';
import type { IndexPlace, IndexStore, TableShape } from '../../spec/index-store.ts';
import { LanceReader } from './reader.ts';
import { storageFailure } from './storage-failure.ts';
import { LEXICAL } from './text.ts';
import { LanceWriter } from './writer.ts';

/** Of all tables together. What does not fit is read from disk again. */
const INDEX_CACHE_BYTES = 512n * 1024n * 1024n;
const METADATA_CACHE_BYTES = 128n * 1024n * 1024n;

/** The system's limits and rights (ENOMEM, EACCES, ENFILE, EMFILE): they say nothing about the files. */
const NOT_DAMAGE = /os error (12|13|23|24)\b/;

/** Indexes as LanceDB datasets in a folder. */
export class LanceStore implements IndexStore {
	readonly lexical = LEXICAL;
	readonly revision = 'lancedb-2';
	readonly #folder: string;
	#connection: Connection | null = null;
	/** Connections of before a damage: open readers of other tables still read through their sessions. */
	readonly #retired: Connection[] = [];

	/** @param folder absolute. */
	constructor(folder: string) {
		this.#folder = folder;
	}

	async open(): Promise<void> {
		try {
			await mkdir(this.#folder, { recursive: true });
			this.#connection = await this.#connect();
		} catch (cause) {
			throw new PlimsollError('storage_failed', `The index folder ${this.#folder} cannot be opened.`, { cause });
		}
	}

	writer(shape: TableShape): Promise<LanceWriter> {
		return LanceWriter.open(this.#open, shape);
	}

	async reader(place: IndexPlace): Promise<LanceReader> {
		return LanceReader.open(await this.#open.openTable(place.table), place);
	}

	async freshReader(place: IndexPlace): Promise<LanceReader> {
		const uncached = await connect(this.#folder);
		try {
			return await LanceReader.open(await uncached.openTable(place.table), place);
		} finally {
			// The reader's table keeps what it needs.
			uncached.close();
		}
	}

	isDamage(cause: unknown): boolean {
		return !NOT_DAMAGE.test(String(cause));
	}

	async forgetCaches(): Promise<void> {
		const connection = await this.#connect();
		// Meanwhile everything was closed.
		if (this.#connection === null) return connection.close();
		this.#retired.push(this.#connection);
		this.#connection = connection;
	}

	async tables(prefix: string): Promise<string[]> {
		const names = await this.#open.tableNames({ startAfter: '', limit: 100_000 });
		return names.filter((name) => name.startsWith(prefix));
	}

	async drop(table: string): Promise<void> {
		await this.#open
			.dropTable(table)
			.catch(() => rm(path.join(this.#folder, `${table}.lance`), { recursive: true, force: true }));
	}

	setAside(table: string, at: number): Promise<string | null> {
		const stamp = new Date(at).toISOString().replaceAll(/[-:]|\.\d+/g, '');
		return storageFailure(table, async () => {
			const taken = new Set(await readdir(this.#folder));
			if (!taken.has(`${table}.lance`)) return null;
			// The database lists what ends in .lance, so that this name is no table to it.
			const aside = `${table}.lance.unusable-${stamp}`;
			let free = aside;
			for (let n = 2; taken.has(free); n++) free = `${aside}-${n}`;
			await rename(path.join(this.#folder, `${table}.lance`), path.join(this.#folder, free));
			return free;
		});
	}

	close(): void {
		for (const connection of [...this.#retired, this.#connection]) connection?.close();
		this.#retired.length = 0;
		this.#connection = null;
	}

	get #open(): Connection {
		if (!this.#connection) throw new PlimsollError('retrieval_failed', 'Retrieval is not open.');
		return this.#connection;
	}

	#connect(): Promise<Connection> {
		return connect(this.#folder, {}, new Session(INDEX_CACHE_BYTES, METADATA_CACHE_BYTES));
	}
}
