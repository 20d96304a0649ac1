import type { SqliteSchema } from './sqlite-file.ts';

/** The tables of pushed documents. Steps are only ever added. */
export const PUSHED_SCHEMA: SqliteSchema = {
	title: 'store of pushed documents',
	applicationId: 0x506c_6d44, // "PlmD"
	erases: true,
	migrations: [
		`CREATE TABLE documents (
			collection TEXT NOT NULL,
			source TEXT NOT NULL,
			id TEXT NOT NULL,
			sequence INTEGER NOT NULL,
			hash TEXT NOT NULL,
			format TEXT NOT NULL,
			title TEXT,
			meta TEXT NOT NULL,
			tenant TEXT,
			bytes INTEGER NOT NULL,
			pushed_at INTEGER NOT NULL,
			body BLOB NOT NULL,
			PRIMARY KEY (collection, source, id)
		) STRICT;
		CREATE TABLE totals (
			collection TEXT NOT NULL,
			source TEXT NOT NULL,
			documents INTEGER NOT NULL,
			bytes INTEGER NOT NULL,
			PRIMARY KEY (collection, source)
		) STRICT, WITHOUT ROWID;
		CREATE TABLE marks (
			collection TEXT PRIMARY KEY,
			sequence INTEGER NOT NULL,
			ingested INTEGER NOT NULL
		) STRICT, WITHOUT ROWID;
		CREATE TABLE purges (
			collection TEXT NOT NULL,
			sequence INTEGER NOT NULL,
			source TEXT NOT NULL,
			id TEXT
		) STRICT;
		CREATE INDEX purges_by_collection ON purges (collection, sequence);`,
	],
};
