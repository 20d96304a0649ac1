import type { SqliteSchema } from './sqlite-file.ts';

/** A file of its own: its writer is a worker, which must never wait for, or hold up, the writer of the other records. */
export const IDEMPOTENCY_SCHEMA: SqliteSchema = {
	title: 'idempotency store',
	applicationId: 0x506c_6d49, // "PlmI"
	migrations: [
		`CREATE TABLE idempotency_keys (
			tenant_id TEXT NOT NULL,
			key_hash TEXT NOT NULL,
			fingerprint TEXT NOT NULL,
			request_id TEXT NOT NULL,
			phase TEXT NOT NULL,
			lease_until INTEGER NOT NULL,
			expires_at INTEGER NOT NULL,
			effects TEXT NOT NULL,
			PRIMARY KEY (tenant_id, key_hash)
		) STRICT, WITHOUT ROWID;
		CREATE INDEX idempotency_keys_by_expiry ON idempotency_keys (expires_at);
		CREATE TABLE responses (
			seq INTEGER PRIMARY KEY AUTOINCREMENT,
			tenant_id TEXT NOT NULL,
			key_hash TEXT NOT NULL,
			head TEXT NOT NULL,
			body TEXT NOT NULL,
			bytes INTEGER NOT NULL
		) STRICT;
		CREATE UNIQUE INDEX responses_by_key ON responses (tenant_id, key_hash);
		CREATE INDEX responses_by_age ON responses (tenant_id, seq);`,
	],
};
