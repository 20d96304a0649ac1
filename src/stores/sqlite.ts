import type { DatabaseSync, SQLInputValue, StatementSync } from 'node:sqlite';
import { z } from 'zod';
import { PlimsollError } from '../spec/errors.ts';
import {
	type Allowance,
	type IndexPointer,
	type KeyRecord,
	type RecordStore,
	type RunRecord,
	SCOPES,
} from '../spec/records.ts';
import type { IngestReport } from '../spec/retrieval.ts';
import { LIMITS } from '../spec/shared-state.ts';
import { openSqliteFile, type SqliteSchema, storageError } from './sqlite-file.ts';

const SCHEMA: SqliteSchema = {
	title: 'record store',
	applicationId: 0x506c_6d52, // "PlmR"
	migrations: [
		`CREATE TABLE keys (
			id TEXT PRIMARY KEY,
			tenant_id TEXT NOT NULL,
			name TEXT NOT NULL,
			scopes TEXT NOT NULL,
			secret_hash TEXT NOT NULL,
			created_at INTEGER NOT NULL,
			revoked_at INTEGER
		) STRICT;
		CREATE TABLE index_pointers (
			collection TEXT PRIMARY KEY,
			generation TEXT NOT NULL,
			promoted_at INTEGER NOT NULL,
			documents INTEGER NOT NULL,
			chunks INTEGER NOT NULL,
			manifest TEXT NOT NULL
		) STRICT;
		CREATE TABLE runs (
			id TEXT PRIMARY KEY,
			collection TEXT NOT NULL,
			started_at INTEGER NOT NULL,
			ended_at INTEGER,
			outcome TEXT NOT NULL,
			report TEXT,
			error TEXT
		) STRICT;
		CREATE INDEX runs_by_time ON runs (started_at DESC, id DESC);
		CREATE INDEX runs_by_collection ON runs (collection, started_at DESC, id DESC);`,
		`CREATE TABLE allowances (
			tenant_id TEXT NOT NULL,
			scope TEXT NOT NULL,
			limit_name TEXT NOT NULL,
			until INTEGER NOT NULL,
			micros INTEGER NOT NULL,
			PRIMARY KEY (tenant_id, scope, limit_name, until)
		) STRICT, WITHOUT ROWID;`,
	],
};

/** A JSON column: text that must parse, and whose value must satisfy `schema`. */
function json<T extends z.ZodType>(schema: T) {
	const parsed = z.string().transform((text, context) => {
		try {
			return JSON.parse(text) as unknown;
		} catch {
			context.addIssue({ code: 'custom', message: 'not JSON' });
			return z.NEVER;
		}
	});
	return parsed.pipe(schema);
}

const count = z.int().min(0);

const keyRow: z.ZodType<KeyRecord> = z.object({
	id: z.string(),
	tenantId: z.string(),
	name: z.string(),
	scopes: json(z.array(z.enum(SCOPES))),
	secretHash: z.string(),
	createdAt: z.int(),
	revokedAt: z.int().nullable(),
});

const pointerRow: z.ZodType<IndexPointer> = z.object({
	collection: z.string(),
	generation: z.string(),
	promotedAt: z.int(),
	documents: count,
	chunks: count,
	manifest: json(z.json()),
});

const report: z.ZodType<IngestReport> = z.object({
	runId: z.string(),
	collection: z.string(),
	generation: z.string(),
	promoted: z.boolean(),
	sources: z.array(
		z.object({
			source: z.string(),
			seen: count,
			new: count,
			changed: count,
			unchanged: count,
			deleted: count,
			failed: z.array(z.object({ document: z.string(), reason: z.string() })),
			chunks: count,
			tokens: count,
			seconds: z.number(),
		}),
	),
});

const runRow: z.ZodType<RunRecord> = z.object({
	id: z.string(),
	collection: z.string(),
	startedAt: z.int(),
	endedAt: z.int().nullable(),
	outcome: z.enum(['running', 'succeeded', 'failed', 'cancelled']),
	report: json(report).nullable(),
	error: z.string().nullable(),
});

const allowanceRow: z.ZodType<Allowance> = z.object({
	tenantId: z.string(),
	scope: z.string(),
	limit: z.enum(LIMITS),
	until: count,
	micros: count,
});

const KEY_COLUMNS =
	'id, tenant_id AS tenantId, name, scopes, secret_hash AS secretHash, created_at AS createdAt, revoked_at AS revokedAt';
const RUN_COLUMNS = 'id, collection, started_at AS startedAt, ended_at AS endedAt, outcome, report, error';

/**
 * Records in one SQLite file, created when absent; `:memory:` keeps them for the life of the store. A write has been
 * fsynced when its promise resolves. Throws PlimsollError `storage_failed` (here and from every method) with the file
 * and the cause.
 */
export function openSqliteRecords(file: string): RecordStore {
	const db = openSqliteFile(file, SCHEMA);
	return new SqliteRecords(db, file);
}

class SqliteRecords implements RecordStore {
	readonly #db: DatabaseSync;
	readonly #file: string;
	readonly #statements = new Map<string, StatementSync>();

	constructor(db: DatabaseSync, file: string) {
		this.#db = db;
		this.#file = file;
	}

	async putKey(key: KeyRecord): Promise<void> {
		this.#run(
			`INSERT INTO keys (id, tenant_id, name, scopes, secret_hash, created_at, revoked_at) VALUES (?, ?, ?, ?, ?, ?, ?)
			ON CONFLICT (id) DO UPDATE SET tenant_id = excluded.tenant_id, name = excluded.name, scopes = excluded.scopes,
			secret_hash = excluded.secret_hash, created_at = excluded.created_at, revoked_at = excluded.revoked_at`,
			key.id,
			key.tenantId,
			key.name,
			JSON.stringify(key.scopes),
			key.secretHash,
			key.createdAt,
			key.revokedAt,
		);
	}

	async listKeys(): Promise<readonly KeyRecord[]> {
		return this.#all(keyRow, `SELECT ${KEY_COLUMNS} FROM keys ORDER BY created_at, id`);
	}

	async revokeKey(id: string, at: number): Promise<boolean> {
		return this.#run('UPDATE keys SET revoked_at = ? WHERE id = ? AND revoked_at IS NULL', at, id) > 0;
	}

	async putIndexPointer(pointer: IndexPointer): Promise<void> {
		this.#run(
			`INSERT INTO index_pointers (collection, generation, promoted_at, documents, chunks, manifest) VALUES (?, ?, ?, ?, ?, ?)
			ON CONFLICT (collection) DO UPDATE SET generation = excluded.generation, promoted_at = excluded.promoted_at,
			documents = excluded.documents, chunks = excluded.chunks, manifest = excluded.manifest`,
			pointer.collection,
			pointer.generation,
			pointer.promotedAt,
			pointer.documents,
			pointer.chunks,
			JSON.stringify(pointer.manifest ?? null),
		);
	}

	async listIndexPointers(): Promise<readonly IndexPointer[]> {
		return this.#all(
			pointerRow,
			`SELECT collection, generation, promoted_at AS promotedAt, documents, chunks, manifest
			FROM index_pointers ORDER BY collection`,
		);
	}

	async putRun(run: RunRecord): Promise<void> {
		this.#run(
			`INSERT INTO runs (id, collection, started_at, ended_at, outcome, report, error) VALUES (?, ?, ?, ?, ?, ?, ?)
			ON CONFLICT (id) DO UPDATE SET collection = excluded.collection, started_at = excluded.started_at,
			ended_at = excluded.ended_at, outcome = excluded.outcome, report = excluded.report, error = excluded.error`,
			run.id,
			run.collection,
			run.startedAt,
			run.endedAt,
			run.outcome,
			run.report && JSON.stringify(run.report),
			run.error,
		);
	}

	async listRuns(collection: string | null, limit: number): Promise<readonly RunRecord[]> {
		const where = collection === null ? '' : 'WHERE collection = ?';
		const values = collection === null ? [] : [collection];
		return this.#all(
			runRow,
			`SELECT ${RUN_COLUMNS} FROM runs ${where} ORDER BY started_at DESC, id DESC LIMIT ?`,
			...values,
			// A negative LIMIT means "no limit" to SQLite.
			Math.max(0, Math.trunc(limit)),
		);
	}

	async putAllowances(allowances: readonly Allowance[]): Promise<void> {
		if (allowances.length === 0) return;
		// One statement, so that it needs no transaction to be all or nothing.
		this.#run(
			`INSERT INTO allowances (tenant_id, scope, limit_name, until, micros)
			SELECT value ->> 'tenantId', value ->> 'scope', value ->> 'limit', value ->> 'until', value ->> 'micros'
			FROM json_each(?) WHERE true
			ON CONFLICT (tenant_id, scope, limit_name, until) DO UPDATE SET micros = excluded.micros`,
			JSON.stringify(allowances),
		);
	}

	async listAllowances(now: number): Promise<readonly Allowance[]> {
		this.#run('DELETE FROM allowances WHERE until <= ?', now);
		return this.#all(
			allowanceRow,
			`SELECT tenant_id AS tenantId, scope, limit_name AS "limit", until, micros FROM allowances
			ORDER BY tenant_id, scope, limit_name, until`,
		);
	}

	async close(): Promise<void> {
		if (!this.#db.isOpen) return;
		try {
			this.#db.close();
		} catch (thrown) {
			throw storageError(thrown, this.#file, SCHEMA.title);
		}
	}

	/** How many rows the statement changed. */
	#run(sql: string, ...values: SQLInputValue[]): number {
		try {
			return Number(this.#statement(sql).run(...values).changes);
		} catch (thrown) {
			throw storageError(thrown, this.#file, SCHEMA.title);
		}
	}

	#all<T>(row: z.ZodType<T>, sql: string, ...values: SQLInputValue[]): T[] {
		let rows: unknown[];
		try {
			rows = this.#statement(sql).all(...values);
		} catch (thrown) {
			throw storageError(thrown, this.#file, SCHEMA.title);
		}
		const parsed = z.array(row).safeParse(rows);
		if (parsed.success) return parsed.data;
		throw new PlimsollError(
			'storage_failed',
			`The record store ${this.#file} holds a row that is not valid: ${z.prettifyError(parsed.error)}`,
			{ cause: parsed.error },
		);
	}

	#statement(sql: string): StatementSync {
		let statement = this.#statements.get(sql);
		if (!statement) {
			statement = this.#db.prepare(sql);
			this.#statements.set(sql, statement);
		}
		return statement;
	}
}
