import { type Connection, MatchQuery, type Table } from '@lancedb/lancedb';
import type { Table as ArrowTable } from 'apache-arrow';
import type { Passage } from '../spec/retrieval.ts';
import type { Candidate } from './fusion.ts';
import { PASSAGE_COLUMNS, toPassage } from './index-rows.ts';
import { readDocuments } from './index-table.ts';
import type { Manifest } from './manifest.ts';

/** A large table's vectors lie in about √chunks partitions; one in so many of them is looked at. A table without partitions is scanned whole. */
const PARTITIONS_PER_PROBE = 4;

/** An index generation opened for reading, pinned to its dataset version whatever is written meanwhile. */
export class LiveIndex {
	readonly manifest: Manifest;
	readonly #table: Table;

	private constructor(manifest: Manifest, table: Table) {
		this.manifest = manifest;
		this.#table = table;
	}

	/** Opens and proves a generation: its rows are counted, its text index is loaded, one row is read. Throws when it is damaged. */
	static async open(connection: Connection, manifest: Manifest): Promise<LiveIndex> {
		const table = await connection.openTable(manifest.table);
		await table.checkout(manifest.version);
		const index = new LiveIndex(manifest, table);
		const chunks = await table.countRows();
		if (chunks !== manifest.chunks) throw new Error(`it holds ${chunks} chunks, its manifest says ${manifest.chunks}`);
		await table.prewarmIndex('body_idx');
		await table.query().select(PASSAGE_COLUMNS).limit(1).toArray();
		return index;
	}

	/** Reads every row and vector once, to tell damage from a passing fault. Throws when one cannot be read. */
	async readEverything(): Promise<void> {
		let rows = 0;
		for await (const batch of this.#table.query()) rows += batch.numRows;
		if (rows !== this.manifest.chunks) throw new Error(`${rows} of ${this.manifest.chunks} chunks can be read`);
	}

	/** Only for an index that no search uses. */
	close(): void {
		this.#table.close();
	}

	/** BM25. Words only: the query has no operators, so that no text is a syntax error. */
	async lexical(query: string, limit: number, timeoutMs: number): Promise<Candidate[]> {
		const found = await this.#table
			.query()
			.fullTextSearch(new MatchQuery(query, 'body'))
			.select(['chunk_id', '_score'])
			.withRowId()
			.limit(limit)
			.toArrow({ timeoutMs });
		return candidates(found, '_score', (score) => score);
	}

	/** Cosine similarity with a unit vector. */
	async vector(vector: Float32Array, limit: number, timeoutMs: number): Promise<Candidate[]> {
		const found = await this.#table
			.query()
			.nearestTo(vector)
			.column('vector')
			.distanceType('dot')
			.nprobes(Math.max(20, Math.ceil(Math.sqrt(this.manifest.chunks) / PARTITIONS_PER_PROBE)))
			.select(['chunk_id', '_distance'])
			.withRowId()
			.limit(limit)
			.toArrow({ timeoutMs });
		return candidates(found, '_distance', (distance) => 1 - distance);
	}

	/** The passages behind row ids, by chunk id. */
	async passages(rows: readonly bigint[], timeoutMs: number): Promise<Map<string, Passage>> {
		if (rows.length === 0) return new Map();
		const found = await this.#table.takeRowIds(rows).select(PASSAGE_COLUMNS).toArray({ timeoutMs });
		return new Map(found.map(toPassage).map((passage) => [passage.chunkId, passage]));
	}

	/** The content hash of each document, by document key. */
	documents(): Promise<Map<string, string>> {
		return readDocuments(this.#table);
	}
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
