import { DatabaseSync } from 'node:sqlite';
import { create, insertMultiple, search } from '@orama/orama';
import { getLoadablePath } from 'sqlite-vec';
import { type BenchQuery, type Corpus, DIMENSIONS, FILTER } from './corpus.ts';
import type { Run } from './measure.ts';

/** What others searches with, in this process: built over the same chunks, asked the same. */
export interface Rival {
	readonly name: string;
	build(corpus: Corpus): Promise<(mode: 'lexical' | 'vector' | 'hybrid', filtered: boolean) => Run>;
}

const K = 10;
const CANDIDATES = 100;
const HYBRID_RRF_K = 60;
const INSERT_BATCH = 2_000;

/** SQLite's own full-text index beside the sqlite-vec extension, fused by reciprocal ranks. */
export const SQLITE: Rival = {
	name: 'SQLite FTS5 + sqlite-vec',
	async build(corpus) {
		const db = new DatabaseSync(':memory:', { allowExtension: true });
		db.loadExtension(getLoadablePath());
		db.exec(`
			CREATE TABLE chunks (row INTEGER PRIMARY KEY, body TEXT, shop TEXT, price REAL);
			CREATE VIRTUAL TABLE words USING fts5(body, content='', tokenize='porter unicode61');
			CREATE VIRTUAL TABLE vectors USING vec0(embedding float[${DIMENSIONS}] distance_metric=cosine, shop text);`);
		const insert = {
			chunk: db.prepare('INSERT INTO chunks VALUES (?, ?, ?, ?)'),
			words: db.prepare('INSERT INTO words (rowid, body) VALUES (?, ?)'),
			vector: db.prepare('INSERT INTO vectors (rowid, embedding, shop) VALUES (?, ?, ?)'),
		};
		let row = 0n;
		for (const batch of corpus.batches(INSERT_BATCH)) {
			db.exec('BEGIN');
			for (const { body, fields, vector } of batch) {
				row++;
				insert.chunk.run(row, body, String(fields.shop), Number(fields.price));
				insert.words.run(row, body);
				insert.vector.run(row, bytes(vector), String(fields.shop));
			}
			db.exec('COMMIT');
		}
		return sqliteRuns(db);
	},
};

function bytes(vector: Float32Array | null): Uint8Array {
	return vector === null ? new Uint8Array() : new Uint8Array(vector.buffer, vector.byteOffset, vector.byteLength);
}

function sqliteRuns(db: DatabaseSync) {
	const shop = String(FILTER.value);
	const lexical = (filtered: boolean) =>
		db.prepare(
			`SELECT words.rowid AS row FROM words ${filtered ? 'JOIN chunks ON chunks.row = words.rowid AND shop = ?' : ''}
			WHERE words MATCH ? ORDER BY bm25(words) LIMIT ${CANDIDATES}`,
		);
	const vector = (filtered: boolean) =>
		db.prepare(
			`SELECT rowid AS row FROM vectors WHERE embedding MATCH ? AND k = ${CANDIDATES} ${filtered ? 'AND shop = ?' : ''}`,
		);
	const legs = [false, true].map((filtered) => ({ lexical: lexical(filtered), vector: vector(filtered) }));
	const read = db.prepare('SELECT * FROM chunks WHERE row = ?');
	return (mode: 'lexical' | 'vector' | 'hybrid', filtered: boolean): Run =>
		async ({ text, vector: towards }) => {
			const leg = legs[Number(filtered)];
			const words = text.split(' ').join(' OR ');
			const scores = new Map<number, number>();
			const add = (rows: readonly Record<string, unknown>[] = []) => {
				for (const [rank, { row }] of rows.entries()) {
					scores.set(Number(row), (scores.get(Number(row)) ?? 0) + 1 / (HYBRID_RRF_K + rank));
				}
			};
			if (mode !== 'vector') add(filtered ? leg?.lexical.all(shop, words) : leg?.lexical.all(words));
			if (mode !== 'lexical') add(filtered ? leg?.vector.all(bytes(towards), shop) : leg?.vector.all(bytes(towards)));
			const best = [...scores].sort((a, b) => b[1] - a[1]).slice(0, K);
			return best.map(([row]) => read.get(row));
		};
}

export const ORAMA: Rival = {
	name: 'Orama',
	async build(corpus) {
		const db = create({
			schema: { body: 'string', shop: 'enum', price: 'number', embedding: `vector[${DIMENSIONS}]` },
		});
		for (const batch of corpus.batches(INSERT_BATCH)) {
			const documents = batch.map(({ body, fields, vector }) => ({ body, ...fields, embedding: [...(vector ?? [])] }));
			await insertMultiple(db, documents, INSERT_BATCH);
		}
		return (mode, filtered) => async (query: BenchQuery) => {
			const restricted = filtered ? { where: { shop: { eq: FILTER.value } } } : {};
			const words = { term: query.text, properties: ['body' as const], limit: K, ...restricted };
			const vector = { value: [...query.vector], property: 'embedding' };
			const near = { vector, similarity: 0, limit: K, ...restricted };
			if (mode === 'lexical') return search(db, { mode: 'fulltext', ...words });
			return mode === 'vector' ? search(db, { mode, ...near }) : search(db, { mode, ...words, ...near });
		};
	},
};
