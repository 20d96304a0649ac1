import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import { type Connection, connect, Session } from '@lancedb/lancedb';
import { nearest } from '../base/nearest.ts';
import type { CollectionConfig } from '../contracts/collection.ts';
import type { Alerts } from '../spec/alerts.ts';
import { PlimsollError } from '../spec/errors.ts';
import type { IndexPointer, RecordStore } from '../spec/records.ts';
import type { CollectionStatus } from '../spec/retrieval.ts';
import { LiveIndex } from './live-index.ts';
import { type Manifest, parseManifest } from './manifest.ts';

/** Of all tables together. What does not fit is read from disk again. */
const INDEX_CACHE_BYTES = 512n * 1024n * 1024n;
const METADATA_CACHE_BYTES = 128n * 1024n * 1024n;

/** The system's limits and rights (ENOMEM, EACCES, ENFILE, EMFILE): they say nothing about the files. */
const NOT_DAMAGE = /os error (12|13|23|24)\b/;

/** What is known of a collection: its live generation, or why it has none. */
export interface CollectionState {
	readonly config: CollectionConfig;
	readonly index: LiveIndex | null;
	/** Set when a pointer exists and its generation cannot be served. */
	readonly problem: PlimsollError | null;
}

/** The collections of the configuration with their live generations. The only place that opens the database. */
export class Catalogue {
	readonly folder: string;
	readonly #records: RecordStore;
	readonly #warn: (message: string) => void;
	readonly #alerts: Alerts;
	readonly #states = new Map<string, CollectionState>();
	#connection: Connection | null = null;
	/** Connections of before a damage: live indexes of other collections still read through their sessions. */
	readonly #retired: Connection[] = [];

	constructor(
		dataDir: string,
		{ records, warn, alerts }: { records: RecordStore; warn: (message: string) => void; alerts: Alerts },
	) {
		this.folder = path.join(dataDir, 'index');
		this.#records = records;
		this.#warn = warn;
		this.#alerts = alerts;
	}

	/** Throws PlimsollError `storage_failed` when the folder cannot be used. */
	async open(): Promise<void> {
		try {
			await mkdir(this.folder, { recursive: true });
			this.#connection = await this.#connect();
		} catch (cause) {
			throw new PlimsollError('storage_failed', `The index folder ${this.folder} cannot be opened.`, { cause });
		}
	}

	get connection(): Connection {
		if (!this.#connection) throw new PlimsollError('retrieval_failed', 'Retrieval is not open.');
		return this.#connection;
	}

	/** Puts new collections in force: opens those that came, forgets those that went. */
	async update(configs: ReadonlyMap<string, CollectionConfig>): Promise<void> {
		for (const name of this.#states.keys()) if (!configs.has(name)) this.#states.delete(name);
		const pointers = new Map((await this.#records.listIndexPointers()).map((pointer) => [pointer.collection, pointer]));
		for (const [name, config] of configs) {
			const known = this.#states.get(name);
			const pointer = pointers.get(name);
			this.#states.set(name, known?.index ? { ...known, config } : await this.#load(config, pointer));
		}
	}

	/** Throws PlimsollError `collection_not_found`. */
	state(collection: string): CollectionState {
		const state = this.#states.get(collection);
		if (state) return state;
		const near = nearest(collection, [...this.#states.keys()]);
		const hint = near ? ` Did you mean ${near}?` : '';
		throw new PlimsollError('collection_not_found', `No collection is called ${collection}.${hint}`, {
			param: 'collection',
		});
	}

	status(): CollectionStatus[] {
		return [...this.#states.values()].map(({ config, index }) => ({
			collection: config.name,
			generation: index?.manifest.generation ?? null,
			documents: index?.manifest.documents ?? 0,
			chunks: index?.manifest.chunks ?? 0,
		}));
	}

	/** Makes a generation live: proves that it can be read, writes the pointer, then lets searches see it. */
	async promote(manifest: Manifest, promotedAt: number): Promise<void> {
		const index = await LiveIndex.open(this.connection, manifest);
		const { collection, generation, documents, chunks } = manifest;
		await this.#records.putIndexPointer({ collection, generation, documents, chunks, promotedAt, manifest });
		const state = this.#states.get(collection);
		if (state) this.#states.set(collection, { ...state, index, problem: null });
		this.#alerts.resolve(damageKey(collection));
	}

	/**
	 * Looks at the files of the live generation past every cache, and marks the collection as not ready when they are
	 * damaged. Returns what is known then.
	 * @param thorough reads every row; without, as much as a start does.
	 */
	async examine(collection: string, { thorough }: { thorough: boolean }): Promise<CollectionState> {
		const state = this.state(collection);
		if (!state.index) return state;
		const uncached = await connect(this.folder);
		try {
			const index = await LiveIndex.open(uncached, state.index.manifest);
			try {
				if (thorough) await index.readEverything();
			} finally {
				index.close();
			}
			return state;
		} catch (cause) {
			if (NOT_DAMAGE.test(String(cause))) return state;
			return await this.#condemn(state, cause);
		} finally {
			uncached.close();
		}
	}

	close(): void {
		this.#states.clear();
		for (const connection of [...this.#retired, this.#connection]) connection?.close();
		this.#retired.length = 0;
		this.#connection = null;
	}

	#tellDamage(collection: string, problem: PlimsollError): void {
		this.#warn(`${problem.message} (${problem.internal})`);
		const { message, internal } = problem;
		const detail = { reason: internal ?? null };
		this.#alerts.raise({ key: damageKey(collection), severity: 'page', subject: { collection }, message, detail });
	}

	#connect(): Promise<Connection> {
		return connect(this.folder, {}, new Session(INDEX_CACHE_BYTES, METADATA_CACHE_BYTES));
	}

	async #condemn({ config, index }: CollectionState, cause: unknown): Promise<CollectionState> {
		// What is cached of the damaged files must not be taken for the files that come in their place.
		const connection = await this.#connect();
		const now = this.#states.get(config.name);
		// Meanwhile another generation went live, or everything was closed.
		if (!index || now?.index !== index) {
			connection.close();
			return now ?? { config, index: null, problem: null };
		}
		this.#retired.push(this.connection);
		this.#connection = connection;
		const problem = damaged(index.manifest, cause);
		this.#tellDamage(config.name, problem);
		const state = { config: now.config, index: null, problem };
		this.#states.set(config.name, state);
		return state;
	}

	async #load(config: CollectionConfig, pointer: IndexPointer | undefined): Promise<CollectionState> {
		if (!pointer) return { config, index: null, problem: null };
		try {
			return { config, index: await LiveIndex.open(this.connection, parseManifest(pointer)), problem: null };
		} catch (cause) {
			const problem = damaged(pointer, cause);
			this.#tellDamage(config.name, problem);
			return { config, index: null, problem };
		}
	}
}

/** The alert that a collection's live generation cannot be read. */
function damageKey(collection: string): string {
	return `index_damaged:${collection}`;
}

function damaged(pointer: Pick<IndexPointer, 'collection' | 'generation'>, cause: unknown): PlimsollError {
	if (cause instanceof PlimsollError) return cause;
	return new PlimsollError(
		'index_not_ready',
		`Generation ${pointer.generation} of ${pointer.collection} is damaged; plimsoll ingest ${pointer.collection} builds a new one.`,
		{ internal: cause instanceof Error ? cause.message : String(cause), cause },
	);
}
