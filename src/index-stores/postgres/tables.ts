import { z } from 'zod';
import type { TableShape } from '../../spec/index-store.ts';
import { Columns } from './columns.ts';
import type { Query, Row } from './database.ts';
import { foldFunction } from './text.ts';

const tableSchema = z.object({
	id: z.coerce.number(),
	version: z.coerce.number(),
	dimensions: z.number().nullable(),
	fields: z.array(z.tuple([z.string(), z.enum(['text', 'number', 'boolean', 'time', 'labels'])])),
});

/** A table as the database knows it. */
export interface StoredTable {
	readonly id: number;
	/** The newest. */
	readonly version: number;
	readonly dimensions: number | null;
	readonly columns: Columns;
	/** Every chunk of every version that is kept, with its vector. */
	readonly rows: string;
	/** The text of one version, with a BM25 index whose statistics are those of that version alone. */
	text(version: number): string;
}

export function storedTable(schema: string, found: Row): StoredTable {
	const { id, version, dimensions, fields } = tableSchema.parse(found);
	return {
		...{ id, version, dimensions, columns: new Columns(new Map(fields)) },
		rows: `${schema}.rows_${id}`,
		text: (at) => `${schema}.text_${id}_${at}`,
	};
}

/** Only chunks of that version; the newest when it is null. */
export function alive(version: string | null): string {
	return version === null ? 'deleted IS NULL' : `created <= ${version} AND (deleted IS NULL OR deleted > ${version})`;
}

/** What stands before any table does. Two processes may do it at once: the lock is released with the transaction. */
export async function prepareSchema(query: Query, schema: string): Promise<void> {
	await query(`SELECT pg_advisory_xact_lock(hashtext('plimsoll index'))`);
	await query(`CREATE SCHEMA IF NOT EXISTS ${schema}`);
	await query(`CREATE TABLE IF NOT EXISTS ${schema}.tables (
		id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text UNIQUE NOT NULL, aside boolean NOT NULL DEFAULT false,
		version bigint NOT NULL, dimensions integer, fields jsonb NOT NULL)`);
	await query(`CREATE TABLE IF NOT EXISTS ${schema}.versions (
		table_id integer NOT NULL REFERENCES ${schema}.tables ON DELETE CASCADE, version bigint NOT NULL,
		PRIMARY KEY (table_id, version))`);
	await query(foldFunction(schema));
}

/** The table of this name, made where there is none. */
export async function findOrMake(query: Query, schema: string, shape: TableShape): Promise<StoredTable> {
	const fields = JSON.stringify([...shape.fields]);
	const made = await query(
		`INSERT INTO ${schema}.tables (name, version, dimensions, fields) VALUES ($1, 1, $2, $3)
		ON CONFLICT (name) DO NOTHING RETURNING id, version, dimensions, fields`,
		[shape.table, shape.dimensions, fields],
	);
	const [found = made[0]] = await query(
		`SELECT id, version, dimensions, fields FROM ${schema}.tables WHERE name = $1`,
		[shape.table],
	);
	const table = storedTable(schema, found ?? {});
	if (made.length > 0) await makeRows(query, table);
	return table;
}

async function makeRows(query: Query, { id, rows, dimensions, columns }: StoredTable): Promise<void> {
	const vector = dimensions === null ? '' : `, vector vector(${dimensions}) NOT NULL`;
	// Some room on each page, so that a row that goes is marked where it is and no index hears of it.
	await query(`CREATE TABLE ${rows} (
		row bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, created bigint NOT NULL, deleted bigint,
		document_key text NOT NULL, chunk_id text NOT NULL, source text NOT NULL, document_id text NOT NULL,
		content_hash text NOT NULL, title text NOT NULL, heading_path text NOT NULL, body text NOT NULL,
		text_at integer NOT NULL, start_at integer NOT NULL, end_at integer NOT NULL, ordinal integer NOT NULL,
		tokens integer NOT NULL${columns.definitions}${vector}) WITH (fillfactor = 90)`);
	await query(`CREATE INDEX rows_${id}_document ON ${rows} (document_key)`);
}
