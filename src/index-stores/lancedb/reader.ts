import { MatchQuery, type Table } from '@lancedb/lancedb';
import type { Table as ArrowTable } from 'apache-arrow';
import type {
	Candidate,
	ChunkSummary,
	DocumentRef,
	IndexedDocument,
	IndexPlace,
	IndexReader,
	LegRequest,
	RowRef,
} from '../../spec/index-store.ts';
import type { Passage } from '../../spec/retrieval.ts';
import { INDEX_CACHE_BYTES } from './cache.ts';
import { documentsOf, summariesOf } from './documents.ts';
import { documentsPredicate, predicate } from './predicate.ts';
import { flagColumns, passageColumns, toPassage } from './rows.ts';

/** A large table's vectors lie in about √chunks partitions; one in so many of them is looked at. A table without partitions is scanned whole. */
const PARTITIONS_PER_PROBE = 4;

/** Beyond half of the cache one table would push the others out. */
const PREWARM_BYTES_MAX = INDEX_CACHE_BYTES / 2;

interface Opened {
	readonly place: IndexPlace;
	readonly chunks: number;
	readonly columns: string[];
	readonly flags: ReadonlySet<string>;
}

/** One dataset version. */
export class LanceReader implements IndexReader {
	readonly place: IndexPlace;
	readonly chunks: number;
	readonly #table: Table;
	readonly #columns: string[];
	readonly #flags: ReadonlySet<string>;

	private constructor(table: Table, read: Opened) {
		this.place = read.place;
		this.chunks = read.chunks;
		this.#table = table;
		this.#columns = read.columns;
		this.#flags = read.flags;
	}

	static async open(table: Table, place: IndexPlace): Promise<LanceReader> {
		await table.checkout(place.version);
		const chunks = await table.countRows();
		const schema = await table.schema();
		const columns = passageColumns(schema);
		await prewarm(table);
		await table.query().select(columns).limit(1).toArray();
		return new LanceReader(table, { place, chunks, columns, flags: flagColumns(schema) });
	}

	async lexical(query: string, { limit, filter, timeoutMs }: LegRequest): Promise<Candidate[]> {
		const asked = this.#table.query().fullTextSearch(new MatchQuery(query, 'body'));
		const found = await restricted(asked, filter)
			.select(['chunk_id', '_score'])
			.withRowId()
			.limit(limit)
			.toArrow({ timeoutMs });
		return candidates(found, '_score', (score) => score);
	}

	async vector(
		vector: Float32Array,
		{ limit, filter, timeoutMs, exact }: LegRequest & { exact: boolean },
	): Promise<Candidate[]> {
		const nearest = this.#table.query().nearestTo(vector).column('vector').distanceType('dot');
		const asked = exact ? nearest.bypassVectorIndex() : nearest.nprobes(this.#probes());
		const found = await restricted(asked, filter)
			.select(['chunk_id', '_distance'])
			.withRowId()
			.limit(limit)
			.toArrow({ timeoutMs });
		return candidates(found, '_distance', (distance) => 1 - distance);
	}

	async passages(rows: readonly RowRef[], timeoutMs: number): Promise<Map<string, Passage>> {
		if (rows.length === 0) return new Map();
		const ids = rows.map((row) => BigInt(row));
		const found = await this.#table.takeRowIds(ids).select(this.#columns).toArray({ timeoutMs });
		return new Map(found.map((row) => toPassage(row, this.#flags)).map((passage) => [passage.chunkId, passage]));
	}

	async openings(
		documents: readonly DocumentRef[],
		{ chunks, timeoutMs }: { chunks: number; timeoutMs: number },
	): Promise<Passage[]> {
		if (documents.length === 0) return [];
		const where = `(${documentsPredicate(documents)}) AND ordinal < ${chunks}`;
		const found = await this.#table.query().where(where).select(this.#columns).toArray({ timeoutMs });
		return found.map((row) => toPassage(row, this.#flags));
	}

	documents(): AsyncIterable<IndexedDocument> {
		return documentsOf(this.#table);
	}

	summaries(): AsyncIterable<ChunkSummary> {
		return summariesOf(this.#table);
	}

	async readEverything(): Promise<number> {
		let rows = 0;
		for await (const batch of this.#table.query()) rows += batch.numRows;
		return rows;
	}

	close(): void {
		this.#table.close();
	}

	#probes(): number {
		return Math.max(20, Math.ceil(Math.sqrt(this.chunks) / PARTITIONS_PER_PROBE));
	}
}

/** Reads into memory what searches need: all of the text index, and the one over vectors where there is room for it. */
async function prewarm(table: Table): Promise<void> {
	await table.prewarmIndex('body_idx');
	for (const { name, sizeBytes } of await table.listIndices()) {
		if (name === 'vector_idx' && (sizeBytes ?? Number.POSITIVE_INFINITY) <= PREWARM_BYTES_MAX)
			await table.prewarmIndex(name);
	}
}

/** The engine filters before it ranks, so that `limit` counts what the filter lets through. */
function restricted<Q extends { where(predicate: string): Q }>(query: Q, filter: LegRequest['filter']): Q {
	return filter === null ? query : query.where(predicate(filter));
}

/** Column by column, because a row object for each candidate is most of what a search costs the event loop. */
function candidates(found: ArrowTable, scoreColumn: string, toScore: (value: number) => number): Candidate[] {
	const ids = found.getChild('chunk_id');
	const rows = found.getChild('_rowid');
	const scores = found.getChild(scoreColumn);
	const list: Candidate[] = [];
	for (let at = 0; at < found.numRows; at++) {
		const chunkId: unknown = ids?.get(at);
		const row: unknown = rows?.get(at);
		const score: unknown = scores?.get(at);
		if (typeof chunkId !== 'string' || typeof row !== 'bigint' || typeof score !== 'number') {
			throw new TypeError(`the index answered without chunk_id, _rowid or ${scoreColumn}`);
		}
		list.push({ chunkId, row, score: toScore(score) });
	}
	return list;
}
