import { type Connection, connect, Session } from '@lancedb/lancedb';
import type { ObjectStorage } from '../../contracts/index-store.ts';
import { PlimsollError } from '../../spec/errors.ts';
import type { IndexPlace, IndexStore, TableShape } from '../../spec/index-store.ts';
import { speaksOfDamage, storageFailure } from '../storage-failure.ts';
import { BucketDatasets } from './bucket.ts';
import {
	CHECKED_INDEX_BYTES,
	INDEX_CACHE_BYTES,
	METADATA_CACHE_BYTES,
	PASSING_METADATA_BYTES,
	WRITER_INDEX_BYTES,
} from './cache.ts';
import type { Datasets } from './datasets.ts';
import { FolderDatasets } from './folder.ts';
import { INDEXED_FROM, type IndexedFrom } from './indexes.ts';
import { LanceReader } from './reader.ts';
import { LEXICAL } from './text.ts';
import { diagnose } from './trouble.ts';
import { LanceWriter } from './writer.ts';

/** In one listing; a collection has a handful. */
const TABLES_MAX = 100_000;

/** Indexes as LanceDB datasets in a folder or a bucket. */
export class LanceStore implements IndexStore {
	readonly lexical = LEXICAL;
	readonly revision = 'lancedb-3';
	readonly #datasets: Datasets;
	readonly #from: IndexedFrom;
	#connection: Connection | null = null;
	/** Connections of before a damage: open readers of other tables still read through their sessions. */
	readonly #retired: Connection[] = [];

	/** @param place an absolute folder, or one of a bucket. */
	constructor(place: string | ObjectStorage, from: IndexedFrom = INDEXED_FROM) {
		this.#from = from;
		this.#datasets = typeof place === 'string' ? new FolderDatasets(place) : new BucketDatasets(place);
	}

	async open(): Promise<void> {
		await storageFailure(`The index in ${this.#datasets.uri}`, diagnose, async () => {
			await this.#datasets.prepare();
			this.#connection = await this.#connect();
			// What a bucket refuses, it refuses now.
			await this.tables('');
		});
	}

	writer(shape: TableShape): Promise<LanceWriter> {
		return LanceWriter.open(shape, {
			called: this.#called(shape.table),
			from: this.#from,
			connect: () => this.#session(WRITER_INDEX_BYTES, PASSING_METADATA_BYTES),
		});
	}

	async reader(place: IndexPlace): Promise<LanceReader> {
		return LanceReader.open(await this.#open.openTable(place.table), place);
	}

	async freshReader(place: IndexPlace): Promise<LanceReader> {
		const uncached = await this.#session(CHECKED_INDEX_BYTES, PASSING_METADATA_BYTES);
		try {
			return await LanceReader.open(await uncached.openTable(place.table), place);
		} finally {
			// The reader's table keeps what it needs.
			uncached.close();
		}
	}

	isDamage(cause: unknown): boolean {
		return speaksOfDamage(cause, diagnose);
	}

	async forgetCaches(): Promise<void> {
		const connection = await this.#connect();
		// Meanwhile everything was closed.
		if (this.#connection === null) return connection.close();
		this.#retired.push(this.#connection);
		this.#connection = connection;
	}

	async tables(prefix: string): Promise<string[]> {
		const names = await this.#open.tableNames({ startAfter: '', limit: TABLES_MAX });
		return names.filter((name) => name.startsWith(prefix));
	}

	drop(table: string): Promise<void> {
		return storageFailure(this.#called(table), diagnose, () => this.#datasets.drop(this.#open, table));
	}

	setAside(table: string, at: number): Promise<string | null> {
		return storageFailure(this.#called(table), diagnose, () => this.#datasets.setAside(this.#open, table, at));
	}

	close(): void {
		for (const connection of [...this.#retired, this.#connection]) connection?.close();
		this.#retired.length = 0;
		this.#connection = null;
	}

	#called(table: string): string {
		return `The index table ${table} in ${this.#datasets.uri}`;
	}

	get #open(): Connection {
		if (!this.#connection) throw new PlimsollError('retrieval_failed', 'Retrieval is not open.');
		return this.#connection;
	}

	#connect(): Promise<Connection> {
		return this.#session(INDEX_CACHE_BYTES, METADATA_CACHE_BYTES);
	}

	/** A session of its own. */
	#session(indexBytes: number, metadataBytes: number): Promise<Connection> {
		const { uri, options } = this.#datasets;
		return connect(uri, { storageOptions: { ...options } }, new Session(BigInt(indexBytes), BigInt(metadataBytes)));
	}
}
