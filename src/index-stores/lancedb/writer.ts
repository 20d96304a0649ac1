import { type Connection, Index, type Table } from '@lancedb/lancedb';
import type { DocumentRef, IndexedDocument, IndexRow, IndexWriter, TableShape } from '../../spec/index-store.ts';
import { documentsOf } from './documents.ts';
import { documentsPredicate } from './predicate.ts';
import { arrowSchema, toArrow } from './rows.ts';
import { storageFailure } from './storage-failure.ts';
import { TOKENIZER } from './text.ts';

/** From here on a scan of all vectors costs more than the loss of an index that looks at a part of them. */
const VECTOR_INDEX_ROWS_MIN = 50_000;
/** Documents named in one delete statement. */
const DELETE_BATCH = 500;

/** The newest version of a dataset. */
export class LanceWriter implements IndexWriter {
	readonly #shape: TableShape;
	readonly #table: Table;

	private constructor(table: Table, shape: TableShape) {
		this.#table = table;
		this.#shape = shape;
	}

	static async open(connection: Connection, shape: TableShape): Promise<LanceWriter> {
		const name = shape.table;
		return storageFailure(name, async () => {
			const names = await connection.tableNames({ startAfter: '', limit: 100_000 });
			const table = names.includes(name)
				? await connection.openTable(name)
				: await connection.createEmptyTable(name, arrowSchema(shape), { mode: 'create' });
			return new LanceWriter(table, shape);
		});
	}

	get table(): string {
		return this.#shape.table;
	}

	async *documents(): AsyncGenerator<IndexedDocument> {
		const rest = documentsOf(this.#table);
		for (;;) {
			const next = await this.#guarded(() => rest.next());
			if (next.done) return;
			yield next.value;
		}
	}

	async write(replaced: readonly DocumentRef[], rows: readonly IndexRow[]): Promise<void> {
		await this.remove(replaced);
		if (rows.length > 0) await this.#guarded(() => this.#table.add(toArrow(rows, this.#shape)));
	}

	async remove(documents: readonly DocumentRef[]): Promise<void> {
		for (let start = 0; start < documents.length; start += DELETE_BATCH) {
			const those = documentsPredicate(documents.slice(start, start + DELETE_BATCH));
			await this.#guarded(() => this.#table.delete(those));
		}
	}

	version(): Promise<number> {
		return this.#guarded(() => this.#table.version());
	}

	seal(keep: readonly number[]): Promise<{ version: number; chunks: number }> {
		return this.#guarded(async () => {
			const chunks = await this.#table.countRows();
			const indexes = new Set((await this.#table.listIndices()).map(({ name }) => name));
			if (!indexes.has('body_idx')) await this.#table.createIndex('body', { config: Index.fts(TOKENIZER) });
			if (this.#shape.dimensions !== null && chunks >= VECTOR_INDEX_ROWS_MIN && !indexes.has('vector_idx')) {
				const numPartitions = Math.round(Math.sqrt(chunks));
				await this.#table.createIndex('vector', { config: Index.ivfFlat({ distanceType: 'dot', numPartitions }) });
			}
			const oldest = Math.min(...keep);
			const kept = (await this.#table.listVersions()).find(({ version }) => version === oldest);
			await this.#table.optimize(kept ? { cleanupOlderThan: kept.timestamp } : {});
			return { version: await this.#table.version(), chunks };
		});
	}

	close(): void {
		this.#table.close();
	}

	#guarded<T>(run: () => Promise<T>): Promise<T> {
		return storageFailure(this.table, run);
	}
}
