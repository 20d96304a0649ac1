import { MatchQuery, type Table } from '@lancedb/lancedb';
import type { Table as ArrowTable, RecordBatch } from 'apache-arrow';
import type {
	Candidate,
	ChunkSummary,
	DocumentRef,
	IndexedDocument,
	IndexPlace,
	IndexReader,
	LegRequest,
	RowRef,
	RowsRead,
} from '../../spec/index-store.ts';
import type { Passage } from '../../spec/retrieval.ts';
import { INDEX_CACHE_BYTES } from './cache.ts';
import { documentsOf, summariesOf } from './documents.ts';
import { partitionsOf } from './indexes.ts';
import { documentsPredicate, documentsPredicates, predicate } from './predicate.ts';
import { RowDigest } from './row-digest.ts';
import { PASSAGE_COLUMNS, toPassage } from './rows.ts';

/** So many partitions are all looked at; of more, half. What passes a filter can lie in any. A table without partitions is scanned whole. */
const PROBES_MIN = 32;

/**
 * A filter that lets through one row in so many, or fewer: comparing each of them is exact and faster than the index, which asks
 * of every row of a partition whether it passes.
 */
const RARE = 400;

/** Beyond half of the cache one table would push the others out. */
const PREWARM_BYTES_MAX = INDEX_CACHE_BYTES / 2;

/** One dataset version. */
export class LanceReader implements IndexReader {
	readonly place: IndexPlace;
	readonly chunks: number;
	readonly #table: Table;
	readonly #indexes: ReadonlySet<string>;

	private constructor(
		table: Table,
		{ place, chunks, indexes }: { place: IndexPlace; chunks: number; indexes: ReadonlySet<string> },
	) {
		this.#table = table;
		this.#indexes = indexes;
		this.place = place;
		this.chunks = chunks;
	}

	static async open(table: Table, place: IndexPlace): Promise<LanceReader> {
		await table.checkout(place.version);
		const chunks = await table.countRows();
		const indexes = await prewarm(table);
		await table.query().select(PASSAGE_COLUMNS).limit(1).toArrow();
		return new LanceReader(table, { place, chunks, indexes });
	}

	async lexical(query: string, { limit, filter, timeoutMs }: LegRequest): Promise<Candidate[]> {
		const asked = this.#table.query().fullTextSearch(new MatchQuery(query, 'body'));
		const found = await restricted(asked, filter).select(['_score']).withRowId().limit(limit).toArrow({ timeoutMs });
		return candidates(found, '_score', (score) => score);
	}

	async vector(
		vector: Float32Array,
		{ limit, filter, timeoutMs, exact }: LegRequest & { exact: boolean },
	): Promise<Candidate[]> {
		const nearest = this.#table.query().nearestTo(vector).column('vector').distanceType('dot');
		const comparesAll = exact || (await this.#isRare(filter));
		const asked = comparesAll ? nearest.bypassVectorIndex() : nearest.nprobes(this.#probes(filter));
		const found = await restricted(asked, filter).select(['_distance']).withRowId().limit(limit).toArrow({ timeoutMs });
		return candidates(found, '_distance', (distance) => 1 - distance);
	}

	async passages(rows: readonly RowRef[], timeoutMs: number): Promise<Map<RowRef, Passage>> {
		if (rows.length === 0) return new Map();
		const ids = rows.map((row) => BigInt(row));
		const found = await this.#table.takeRowIds(ids).select(PASSAGE_COLUMNS).withRowId().toArrow({ timeoutMs });
		const taken = found.getChild('_rowid');
		return new Map(passagesOf(found).map((passage, at) => [taken?.get(at) as bigint, passage]));
	}

	async openings(
		documents: readonly DocumentRef[],
		{ chunks, timeoutMs }: { chunks: number; timeoutMs: number },
	): Promise<Passage[]> {
		if (documents.length === 0) return [];
		const where = `(${documentsPredicate(documents)}) AND ordinal < ${chunks}`;
		return passagesOf(await this.#table.query().where(where).select(PASSAGE_COLUMNS).toArrow({ timeoutMs }));
	}

	documents(): AsyncGenerator<IndexedDocument[]> {
		return documentsOf(this.#table);
	}

	summaries(): AsyncGenerator<ChunkSummary[]> {
		return summariesOf(this.#table);
	}

	/** Its files have no checksums. */
	async readEverything(signal?: AbortSignal): Promise<RowsRead> {
		return digestOf([this.#table.query()], signal);
	}

	async readDocuments(documents: readonly DocumentRef[], signal?: AbortSignal): Promise<RowsRead> {
		const queries = documentsPredicates(documents).map((those) => this.#table.query().where(those));
		return digestOf(queries, signal);
	}

	close(): void {
		this.#table.close();
	}

	async #isRare(filter: LegRequest['filter']): Promise<boolean> {
		if (filter === null || !this.#indexes.has('vector_idx')) return false;
		return (await this.#table.countRows(predicate(filter))) * RARE <= this.chunks;
	}

	#probes(filter: LegRequest['filter']): number {
		const partitions = partitionsOf(this.chunks);
		return Math.max(PROBES_MIN, filter === null ? Math.ceil(partitions / 2) : partitions);
	}
}

/** @param queries of which no two find the same row. */
async function digestOf(
	queries: readonly AsyncIterable<RecordBatch>[],
	signal: AbortSignal | undefined,
): Promise<RowsRead> {
	const digest = new RowDigest();
	for (const query of queries) {
		for await (const batch of query) {
			signal?.throwIfAborted();
			await digest.add(batch);
		}
	}
	return { rows: digest.rows, digest: digest.value };
}

/**
 * Reads into memory the indexes that searches need, where there is room for one. Returns the names of all indexes. Throws when
 * there is none of the text.
 */
async function prewarm(table: Table): Promise<ReadonlySet<string>> {
	const sizes = new Map((await table.listIndices()).map(({ name, sizeBytes }) => [name, sizeBytes]));
	const fits = (name: string, otherwise: number) => (sizes.get(name) ?? otherwise) <= PREWARM_BYTES_MAX;
	if (fits('body_idx', 0)) await table.prewarmIndex('body_idx');
	if (fits('vector_idx', Number.POSITIVE_INFINITY)) await table.prewarmIndex('vector_idx');
	return new Set(sizes.keys());
}

/** The engine filters before it ranks, so that `limit` counts what the filter lets through. */
function restricted<Q extends { where(predicate: string): Q }>(query: Q, filter: LegRequest['filter']): Q {
	return filter === null ? query : query.where(predicate(filter));
}

/** Column by column, because a row object for each candidate is most of what a search costs the event loop. */
function candidates(found: ArrowTable, scoreColumn: string, toScore: (value: number) => number): Candidate[] {
	const rows = found.getChild('_rowid');
	const scores = found.getChild(scoreColumn);
	const list: Candidate[] = [];
	for (let at = 0; at < found.numRows; at++) {
		const row: unknown = rows?.get(at);
		const score: unknown = scores?.get(at);
		if (typeof row !== 'bigint' || typeof score !== 'number') {
			throw new TypeError(`the index answered without _rowid or ${scoreColumn}`);
		}
		list.push({ row, score: toScore(score) });
	}
	return list;
}

function passagesOf(found: ArrowTable): Passage[] {
	const [passages, bodies] = PASSAGE_COLUMNS.map((name) => found.getChild(name));
	return Array.from({ length: found.numRows }, (_, at) => toPassage(passages?.get(at), bodies?.get(at)));
}
