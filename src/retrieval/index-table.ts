import { readdir, rename, rm } from 'node:fs/promises';
import path from 'node:path';
import { type Connection, Index, type Table } from '@lancedb/lancedb';
import { z } from 'zod';
import { PlimsollError } from '../spec/errors.ts';
import { type IndexRow, indexSchema, toArrow } from './index-rows.ts';
import { TOKENIZER } from './manifest.ts';

/** From here on a scan of all vectors costs more than the loss of an index that looks at a part of them. */
const VECTOR_INDEX_ROWS_MIN = 50_000;
/** Documents named in one delete statement. */
const DELETE_BATCH = 500;

const documentSchema = z.object({ source: z.string(), document_id: z.string(), content_hash: z.string() });

/** A document in a collection: two sources may use the same id. */
export function documentKey(source: string, documentId: string): string {
	return `${source}\u0000${documentId}`;
}

/**
 * The writing side of an index table. What it writes are new dataset versions; readers stay on the version that the
 * pointer names. Every write is one commit, so that a kill at any time leaves whole documents.
 */
export class IndexTable {
	readonly name: string;
	readonly #table: Table;
	readonly #dimensions: number | null;

	private constructor(table: Table, dimensions: number | null) {
		this.name = table.name;
		this.#table = table;
		this.#dimensions = dimensions;
	}

	/** Opens the newest version, or makes an empty table. */
	static async open(connection: Connection, name: string, dimensions: number | null): Promise<IndexTable> {
		return wrapped(name, async () => {
			const names = await connection.tableNames({ startAfter: '', limit: 100_000 });
			const table = names.includes(name)
				? await connection.openTable(name)
				: await connection.createEmptyTable(name, indexSchema(dimensions), { mode: 'create' });
			return new IndexTable(table, dimensions);
		});
	}

	/** The content hash of each document, by document key. */
	async documents(): Promise<Map<string, string>> {
		return wrapped(this.name, () => readDocuments(this.#table));
	}

	/** Replaces or adds whole documents: first what was there goes, then the rows come. */
	async write(replaced: readonly string[], rows: readonly IndexRow[]): Promise<void> {
		await this.remove(replaced);
		if (rows.length > 0) await wrapped(this.name, () => this.#table.add(toArrow(rows, this.#dimensions)));
	}

	async remove(documentKeys: readonly string[]): Promise<void> {
		for (let start = 0; start < documentKeys.length; start += DELETE_BATCH) {
			const predicate = documentsPredicate(documentKeys.slice(start, start + DELETE_BATCH));
			await wrapped(this.name, () => this.#table.delete(predicate));
		}
	}

	async version(): Promise<number> {
		return wrapped(this.name, () => this.#table.version());
	}

	/**
	 * Brings the indexes up to date, merges small files and drops the versions before `keepFrom`.
	 * Returns the version to point at, and its rows.
	 */
	async seal(keepFrom: number | null): Promise<{ version: number; chunks: number }> {
		return wrapped(this.name, async () => {
			const chunks = await this.#table.countRows();
			const indexes = new Set((await this.#table.listIndices()).map(({ name }) => name));
			if (!indexes.has('body_idx')) await this.#table.createIndex('body', { config: Index.fts(TOKENIZER) });
			if (this.#dimensions !== null && chunks >= VECTOR_INDEX_ROWS_MIN && !indexes.has('vector_idx')) {
				const numPartitions = Math.round(Math.sqrt(chunks));
				await this.#table.createIndex('vector', { config: Index.ivfFlat({ distanceType: 'dot', numPartitions }) });
			}
			const kept = (await this.#table.listVersions()).find(({ version }) => version === keepFrom);
			await this.#table.optimize(kept ? { cleanupOlderThan: kept.timestamp } : {});
			return { version: await this.#table.version(), chunks };
		});
	}

	close(): void {
		this.#table.close();
	}
}

/** The content hash of each document of a table, by document key. */
export async function readDocuments(table: Table): Promise<Map<string, string>> {
	const documents = new Map<string, string>();
	const query = table.query().where('ordinal = 0').select(['source', 'document_id', 'content_hash']);
	for await (const batch of query) {
		for (const row of batch) {
			const { source, document_id, content_hash } = documentSchema.parse(row.toJSON());
			documents.set(documentKey(source, document_id), content_hash);
		}
	}
	return documents;
}

/** Removes a table that nothing points at, even one that cannot be opened. */
export async function dropTable(connection: Connection, folder: string, name: string): Promise<void> {
	await connection
		.dropTable(name)
		.catch(() => rm(path.join(folder, `${name}.lance`), { recursive: true, force: true }));
}

/**
 * Moves the files of a damaged table out of the way: another tool may still read them. Returns the new name, null when
 * the table has no files. Throws PlimsollError `storage_failed`.
 * @param at milliseconds since the epoch, for the name.
 */
export async function setTableAside(folder: string, name: string, at: number): Promise<string | null> {
	const stamp = new Date(at).toISOString().replaceAll(/[-:]|\.\d+/g, '');
	return wrapped(name, async () => {
		const taken = new Set(await readdir(folder));
		if (!taken.has(`${name}.lance`)) return null;
		// The database lists what ends in .lance, so that this name is no table to it.
		const aside = `${name}.lance.unusable-${stamp}`;
		let free = aside;
		for (let n = 2; taken.has(free); n++) free = `${aside}-${n}`;
		await rename(path.join(folder, `${name}.lance`), path.join(folder, free));
		return free;
	});
}

function documentsPredicate(documentKeys: readonly string[]): string {
	const bySource = Map.groupBy(documentKeys, (key) => key.slice(0, key.indexOf('\u0000')));
	const clauses = [...bySource].map(([source, keys]) => {
		const ids = keys.map((key) => quote(key.slice(source.length + 1)));
		return `(source = ${quote(source)} AND document_id IN (${ids.join(', ')}))`;
	});
	return clauses.join(' OR ');
}

function quote(text: string): string {
	return `'${text.replaceAll("'", "''")}'`;
}

async function wrapped<T>(name: string, run: () => Promise<T>): Promise<T> {
	try {
		return await run();
	} catch (cause) {
		if (cause instanceof PlimsollError) throw cause;
		const reason = cause instanceof Error ? cause.message : String(cause);
		throw new PlimsollError(
			'storage_failed',
			`The index table ${name} could not be read or written; check the disk, then run the ingestion again.`,
			{
				internal: reason,
				cause,
			},
		);
	}
}
