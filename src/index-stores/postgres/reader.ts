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
import type { Database, Row } from './database.ts';
import { allPages, documentsStatement, summariesStatement } from './documents.ts';
import { Parameters, predicate } from './predicate.ts';
import { asVector, documentKey, PASSAGE_COLUMNS, toDocument, toPassage, toSummary } from './rows.ts';
import { storable } from './storable.ts';
import { alive, type StoredTable, storedTable } from './tables.ts';

/** A page of a census or of a reading of everything. */
const PAGE_TIMEOUT_MS = 60_000;
/** Rows with all that they hold that are read at once. */
const WHOLE_ROWS = 2_000;

/** One version of a table. */
export class PostgresReader implements IndexReader {
	readonly place: IndexPlace;
	readonly chunks: number;
	readonly #database: Database;
	readonly #table: StoredTable;

	private constructor(database: Database, table: StoredTable, at: { place: IndexPlace; chunks: number }) {
		this.place = at.place;
		this.chunks = at.chunks;
		this.#database = database;
		this.#table = table;
	}

	static async open(database: Database, place: IndexPlace): Promise<PostgresReader> {
		const { schema } = database;
		const [found] = await database.query(
			`SELECT id, t.version, dimensions, fields FROM ${schema}.tables t JOIN ${schema}.versions v ON v.table_id = t.id
			WHERE name = $1 AND NOT aside AND v.version = $2`,
			[place.table, place.version],
			PAGE_TIMEOUT_MS,
		);
		if (found === undefined) throw new Error(`version ${place.version} of ${place.table} is not there`);
		const table = storedTable(schema, found);
		const text = table.text(place.version);
		const counted = await database.query(`SELECT count(*) AS chunks FROM ${text}`, [], PAGE_TIMEOUT_MS);
		const reader = new PostgresReader(database, table, { place, chunks: Number(counted[0]?.chunks) });
		await reader.lexical('index', { limit: 1, filter: null, timeoutMs: PAGE_TIMEOUT_MS });
		const first = await database.query(`SELECT row FROM ${text} LIMIT 1`, [], PAGE_TIMEOUT_MS);
		await reader.passages(
			first.map(({ row }) => String(row)),
			PAGE_TIMEOUT_MS,
		);
		return reader;
	}

	async lexical(query: string, { limit, filter, timeoutMs }: LegRequest): Promise<Candidate[]> {
		const { schema } = this.#database;
		const text = this.#table.text(this.place.version);
		const parameters = new Parameters();
		const asked = `to_bm25query(${schema}.fold(${parameters.add(storable(query))}), '${text}_bm25')`;
		const restricted = filter === null ? 'true' : predicate(filter, this.#table.columns, parameters);
		// The operator gives negative scores, and 0 for a chunk without any of the words.
		const sql = `SELECT row, score FROM (
				SELECT row, -(body <@> ${asked}) AS score FROM ${text}
				WHERE ${restricted} ORDER BY body <@> ${asked} LIMIT ${parameters.add(limit)}
			) found WHERE score > 0 ORDER BY score DESC, row`;
		return candidates(await this.#database.query(sql, parameters.values, timeoutMs));
	}

	async vector(
		vector: Float32Array,
		{ limit, filter, timeoutMs, exact }: LegRequest & { exact: boolean },
	): Promise<Candidate[]> {
		const parameters = new Parameters();
		const distance = `vector <#> ${parameters.add(asVector(vector))}::vector`;
		const living = alive(parameters.add(this.place.version));
		const restricted = filter === null ? '' : ` AND ${predicate(filter, this.#table.columns, parameters)}`;
		// No index serves a sum, so that every vector is looked at.
		const sql = (order: string) => `SELECT row, score FROM (
				SELECT row, -(${distance}) AS score FROM ${this.#table.rows}
				WHERE ${living}${restricted} ORDER BY ${order} LIMIT ${parameters.add(limit)}
			) found ORDER BY score DESC, row`;
		if (!exact) {
			const found = candidates(await this.#database.query(sql(distance), [...parameters.values], timeoutMs));
			// A graph that few chunks pass the filter of can end before it has found them.
			if (found.length >= Math.min(limit, this.chunks)) return found;
			parameters.values.pop();
		}
		return candidates(await this.#database.query(sql(`(${distance}) + 0`), parameters.values, timeoutMs));
	}

	async passages(rows: readonly RowRef[], timeoutMs: number): Promise<Map<RowRef, Passage>> {
		if (rows.length === 0) return new Map();
		const { columns, rows: table } = this.#table;
		const found = await this.#database.query(
			`SELECT row, ${PASSAGE_COLUMNS}${columns.names} FROM ${table} WHERE row = ANY($1::bigint[])`,
			[rows.map(String)],
			timeoutMs,
		);
		return new Map(found.map((stored) => [String(stored.row), toPassage(stored, columns)]));
	}

	async openings(
		documents: readonly DocumentRef[],
		{ chunks, timeoutMs }: { chunks: number; timeoutMs: number },
	): Promise<Passage[]> {
		const { columns, rows: table } = this.#table;
		const found = await this.#database.query(
			`SELECT ${PASSAGE_COLUMNS}${columns.names} FROM ${table}
			WHERE document_key = ANY($1::text[]) AND ordinal < $2 AND ${alive('$3')}`,
			[documents.map(documentKey), chunks, this.place.version],
			timeoutMs,
		);
		return found.map((row) => toPassage(row, columns));
	}

	async *documents(): AsyncGenerator<IndexedDocument[]> {
		const statement = documentsStatement(this.#table.rows, alive('$3'));
		for await (const page of this.#all(statement)) yield page.map(toDocument);
	}

	async *summaries(): AsyncGenerator<ChunkSummary[]> {
		const { rows, columns } = this.#table;
		const statement = summariesStatement(rows, columns, alive('$3'));
		for await (const page of this.#all(statement)) yield page.map((row) => toSummary(row, columns));
	}

	readEverything(signal?: AbortSignal): Promise<RowsRead> {
		return this.#readRows('true', [], signal);
	}

	readDocuments(documents: readonly DocumentRef[], signal?: AbortSignal): Promise<RowsRead> {
		return this.#readRows('document_key = ANY($4::text[])', [documents.map(documentKey)], signal);
	}

	/** PostgreSQL has checksums of its pages. */
	async #readRows(which: string, values: readonly unknown[], signal: AbortSignal | undefined): Promise<RowsRead> {
		const { columns, dimensions, rows: table } = this.#table;
		const vector = dimensions === null ? '' : ', vector';
		const sql = `SELECT row, ${PASSAGE_COLUMNS}${columns.names}${vector} FROM ${table}
			WHERE row > $1 AND ${alive('$3')} AND ${which} ORDER BY row LIMIT $2`;
		let rows = 0;
		for await (const page of this.#all(sql, { limit: WHOLE_ROWS, values })) {
			signal?.throwIfAborted();
			rows += page.length;
		}
		return { rows, digest: null };
	}

	#all(sql: string, { limit, values = [] }: { limit?: number; values?: readonly unknown[] } = {}) {
		const given = [this.place.version, ...values];
		const page = (after: string, most: number) => this.#database.query(sql, [after, most, ...given], PAGE_TIMEOUT_MS);
		return allPages(page, limit);
	}

	close(): void {
		// It holds nothing: connections belong to the pool.
	}
}

function candidates(found: readonly Row[]): Candidate[] {
	return found.map(({ row, score }) => {
		if (typeof row !== 'string' || typeof score !== 'number') {
			throw new TypeError('the index answered without row or score');
		}
		return { row, score };
	});
}
