import { dirname, join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { z } from 'zod';
import { mergeKeys, mergeSettings } from '../policy/shared-records.ts';
import type { PushPlace } from '../spec/pushed.ts';
import type {
	Allowance,
	AuditEntry,
	KeyRecord,
	KeyUse,
	RecordStore,
	RunRecord,
	SharedChange,
	SpaceRecord,
} from '../spec/records.ts';
import type { SettingsRecord } from '../spec/tenants.ts';
import { withoutDocuments } from './forgotten-documents.ts';
import { GenerationTable } from './generation-table.ts';
import { allowanceRow, auditRow, keyRow, runRow, settingsRow, spaceRow } from './record-rows.ts';
import { RECORD_SCHEMA } from './record-schema.ts';
import { SqliteFeedback } from './sqlite-feedback.ts';
import { SqlitePages } from './sqlite-pages.ts';
import { SqlitePushed } from './sqlite-pushed.ts';
import { SqliteQuarantine } from './sqlite-quarantine.ts';
import { SqliteStatements } from './sqlite-statements.ts';

const AUDIT_MS_MAX = 400 * 86_400_000;
const AUDIT_ROWS_MAX = 100_000;
/** More spaces than embedders that anyone tries out. */
const SPACES_MAX = 256;
/** More runs than any collection has on record. */
const RUNS_MAX = 1_000_000;

/** Pushed documents lie beside the records: they may be many gigabytes. */
const PUSHED_FILE = 'pushed.sqlite';

const KEY_COLUMNS =
	'id, tenant_id AS tenantId, name, scopes, secret_hash AS secretHash, created_at AS createdAt, revoked_at AS revokedAt, features, expires_at AS expiresAt, last_used_at AS lastUsedAt';
const SETTINGS_COLUMNS = 'kind, name, settings, version, changed_at AS changedAt, changed_by AS changedBy';
const RUN_COLUMNS = 'id, collection, started_at AS startedAt, ended_at AS endedAt, outcome, report, error';

/** One step in the index for each. */
const RUN_COLLECTIONS = `WITH RECURSIVE names (collection) AS (
	SELECT min(collection) FROM runs
	UNION ALL
	SELECT (SELECT min(collection) FROM runs WHERE collection > names.collection) FROM names WHERE collection IS NOT NULL
) SELECT collection FROM names WHERE collection IS NOT NULL`;
/** ?1 collection, ?2 before, ?3 keep, ?4 most. */
const PRUNE_RUNS = `DELETE FROM runs WHERE id IN (
	SELECT id FROM runs WHERE collection = ?1 AND outcome <> 'running'
	AND (started_at < ?2 OR (started_at, id) <= (
		SELECT started_at, id FROM runs WHERE collection = ?1 ORDER BY started_at DESC, id DESC LIMIT 1 OFFSET ?3))
	AND id NOT IN (SELECT run_id FROM generations WHERE collection = ?1)
	AND id NOT IN (SELECT run_id FROM quarantine WHERE collection = ?1)
	ORDER BY started_at, id LIMIT ?4)`;

const collectionRow = z.object({ collection: z.string() });
const versionRow = z.object({ version: z.int() });

/**
 * Records in one SQLite file, created when absent; `:memory:` keeps them for the life of the store. A write has been
 * fsynced when its promise resolves. Throws PlimsollError `storage_failed` (here and from every method) with the file
 * and the cause.
 */
export function openSqliteRecords(file: string): RecordStore {
	const beside = file === ':memory:' ? file : join(dirname(file), PUSHED_FILE);
	return new SqliteRecords(new SqliteStatements(file, RECORD_SCHEMA), new SqlitePushed(beside));
}

class SqliteRecords implements RecordStore {
	readonly generations: GenerationTable;
	readonly #sql: SqliteStatements;
	readonly quarantine: SqliteQuarantine;
	readonly feedback: SqliteFeedback;
	readonly pushed: SqlitePushed;
	readonly pages: SqlitePages;

	constructor(sql: SqliteStatements, pushed: SqlitePushed) {
		this.#sql = sql;
		this.pushed = pushed;
		this.generations = new GenerationTable(sql, (entry) => this.#writeAudit(entry));
		this.quarantine = new SqliteQuarantine(sql);
		this.pages = new SqlitePages(sql);
		this.feedback = new SqliteFeedback(sql);
	}

	async putKey(key: KeyRecord, entry?: AuditEntry): Promise<void> {
		this.#sql.together(() => {
			this.#writeKey(key);
			if (entry) this.#writeAudit(entry);
			return true;
		});
	}

	async listKeys(): Promise<readonly KeyRecord[]> {
		return this.#sql.all(keyRow, `SELECT ${KEY_COLUMNS} FROM keys ORDER BY created_at, id`);
	}

	async revokeKey(id: string, at: number, entry?: AuditEntry): Promise<boolean> {
		return this.#sql.together(() => {
			const revoked = this.#sql.run('UPDATE keys SET revoked_at = ? WHERE id = ? AND revoked_at IS NULL', at, id) > 0;
			if (revoked && entry) this.#writeAudit(entry);
			return revoked;
		});
	}

	async rotateKey(change: Parameters<RecordStore['rotateKey']>[0]): Promise<boolean> {
		const { id, at, expiresAt, replacement, entry } = change;
		return this.#sql.together(() => {
			// The condition stands in the statement: a revocation since the caller looked must not be undone.
			const expiring = this.#sql.run(
				`UPDATE keys SET expires_at = min(coalesce(expires_at, ?), ?)
				WHERE id = ? AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > ?)`,
				expiresAt,
				expiresAt,
				id,
				at,
			);
			if (expiring === 0) return false;
			this.#writeKey(replacement);
			this.#writeAudit(entry);
			return true;
		});
	}

	async touchKeys(uses: readonly KeyUse[]): Promise<void> {
		this.#sql.together(() => {
			for (const { id, at } of uses) {
				this.#sql.run('UPDATE keys SET last_used_at = max(coalesce(last_used_at, 0), ?) WHERE id = ?', at, id);
			}
			return true;
		});
	}

	async listSettings(): Promise<readonly SettingsRecord[]> {
		return this.#sql.all(settingsRow, `SELECT ${SETTINGS_COLUMNS} FROM settings ORDER BY kind, name`);
	}

	async putSettings(record: SettingsRecord, entries: readonly AuditEntry[]): Promise<boolean> {
		return this.#sql.together(() => {
			if (!this.#writeSettings(record)) return false;
			if (record.kind === 'tenant' && record.settings === null) {
				const sql = 'UPDATE keys SET revoked_at = ? WHERE tenant_id = ? AND revoked_at IS NULL';
				this.#sql.run(sql, record.changedAt, record.name);
			}
			for (const entry of entries) this.#writeAudit(entry);
			return true;
		});
	}

	async mergeShared(
		{ keys, settings }: Parameters<RecordStore['mergeShared']>[0],
		tell: Parameters<RecordStore['mergeShared']>[1],
	): Promise<readonly SharedChange[]> {
		return this.#sql.together(() => {
			const changes: SharedChange[] = [];
			for (const key of keys) {
				const [before = null] = this.#sql.all(keyRow, `SELECT ${KEY_COLUMNS} FROM keys WHERE id = ?`, key.id);
				const after = before === null ? key : mergeKeys(before, key);
				if (before !== null && isDeepStrictEqual(before, after)) continue;
				this.#writeKey(after);
				changes.push({ kind: 'key', before, after });
			}
			for (const record of settings) {
				const sql = `SELECT ${SETTINGS_COLUMNS} FROM settings WHERE kind = ? AND name = ?`;
				const [before = null] = this.#sql.all(settingsRow, sql, record.kind, record.name);
				const after = before === null ? record : mergeSettings(before, record);
				if (before !== null && isDeepStrictEqual(before, after)) continue;
				this.#replaceSettings(after);
				changes.push({ kind: 'settings', before, after });
			}
			for (const change of changes) {
				const entry = tell(change);
				if (entry !== null) this.#writeAudit(entry);
			}
			return changes;
		});
	}

	async putAudit(entry: AuditEntry): Promise<void> {
		this.#sql.together(() => {
			this.#writeAudit(entry);
			return true;
		});
	}

	async listAudit(limit: number): Promise<readonly AuditEntry[]> {
		return this.#sql.all(
			auditRow,
			'SELECT at, actor, action, subject, tenant_id AS tenantId, detail FROM audit ORDER BY seq DESC LIMIT ?',
			Math.max(0, Math.trunc(limit)),
		);
	}

	async putSpace({ name, space, measuredAt, usedAt }: SpaceRecord): Promise<void> {
		this.#sql.run(
			`INSERT INTO embedding_spaces (name, space, measured_at, used_at) VALUES (?, ?, ?, ?)
			ON CONFLICT (name) DO UPDATE SET space = excluded.space, measured_at = excluded.measured_at, used_at = excluded.used_at`,
			name,
			JSON.stringify(space ?? null),
			measuredAt,
			usedAt,
		);
		this.#sql.run(
			`DELETE FROM embedding_spaces WHERE name NOT IN
			(SELECT name FROM embedding_spaces ORDER BY used_at DESC, name LIMIT ?)`,
			SPACES_MAX,
		);
	}

	async listSpaces(): Promise<readonly SpaceRecord[]> {
		return this.#sql.all(
			spaceRow,
			`SELECT name, space, measured_at AS measuredAt, used_at AS usedAt FROM embedding_spaces ORDER BY used_at DESC, name`,
		);
	}

	async putRun(run: RunRecord): Promise<void> {
		this.#sql.run(
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
		return this.#sql.all(
			runRow,
			`SELECT ${RUN_COLUMNS} FROM runs ${where} ORDER BY started_at DESC, id DESC LIMIT ?`,
			...values,
			// A negative LIMIT means "no limit" to SQLite.
			Math.max(0, Math.trunc(limit)),
		);
	}

	async findRun(collection: string, id: string): Promise<RunRecord | null> {
		const sql = `SELECT ${RUN_COLUMNS} FROM runs WHERE id = ? AND collection = ?`;
		return this.#sql.all(runRow, sql, id, collection)[0] ?? null;
	}

	async pruneRuns({ before, keep, most }: Parameters<RecordStore['pruneRuns']>[0]): Promise<number> {
		let gone = 0;
		for (const { collection } of this.#sql.all(collectionRow, RUN_COLLECTIONS)) {
			if (gone < most) gone += this.#sql.run(PRUNE_RUNS, collection, before, keep, most - gone);
		}
		return gone;
	}

	async forgetDocuments(place: PushPlace, ids: readonly string[] | null): Promise<void> {
		await this.quarantine.forget(place, ids);
		for (const run of await this.listRuns(place.collection, RUNS_MAX)) {
			const without = withoutDocuments(run, place.source, ids);
			if (!isDeepStrictEqual(without, run)) await this.putRun(without);
		}
		this.#sql.truncateLog();
	}

	async putAllowances(allowances: readonly Allowance[]): Promise<void> {
		if (allowances.length === 0) return;
		// One statement, so that it needs no transaction to be all or nothing.
		this.#sql.run(
			`INSERT INTO allowances (tenant_id, scope, limit_name, until, micros)
			SELECT value ->> 'tenantId', value ->> 'scope', value ->> 'limit', value ->> 'until', value ->> 'micros'
			FROM json_each(?) WHERE true
			ON CONFLICT (tenant_id, scope, limit_name, until) DO UPDATE SET micros = excluded.micros`,
			JSON.stringify(allowances),
		);
	}

	async listAllowances(now: number): Promise<readonly Allowance[]> {
		this.#sql.run('DELETE FROM allowances WHERE until <= ?', now);
		return this.#sql.all(
			allowanceRow,
			`SELECT tenant_id AS tenantId, scope, limit_name AS "limit", until, micros FROM allowances
			ORDER BY tenant_id, scope, limit_name, until`,
		);
	}

	async close(): Promise<void> {
		this.pushed.close();
		this.#sql.close();
	}

	#writeKey(key: KeyRecord): void {
		this.#sql.run(
			`INSERT INTO keys (id, tenant_id, name, scopes, secret_hash, created_at, revoked_at, features, expires_at, last_used_at)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
			ON CONFLICT (id) DO UPDATE SET tenant_id = excluded.tenant_id, name = excluded.name, scopes = excluded.scopes,
			secret_hash = excluded.secret_hash, created_at = excluded.created_at, revoked_at = excluded.revoked_at,
			features = excluded.features, expires_at = excluded.expires_at, last_used_at = excluded.last_used_at`,
			key.id,
			key.tenantId,
			key.name,
			JSON.stringify(key.scopes),
			key.secretHash,
			key.createdAt,
			key.revokedAt,
			key.features && JSON.stringify(key.features),
			key.expiresAt,
			key.lastUsedAt,
		);
	}

	/** False when the stored version is not the one before. */
	#writeSettings(record: SettingsRecord): boolean {
		const sql = 'SELECT version FROM settings WHERE kind = ? AND name = ?';
		const [stored] = this.#sql.all(versionRow, sql, record.kind, record.name);
		if ((stored?.version ?? 0) !== record.version - 1) return false;
		this.#replaceSettings(record);
		return true;
	}

	#replaceSettings({ kind, name, settings, version, changedAt, changedBy }: SettingsRecord): void {
		this.#sql.run(
			`INSERT INTO settings (kind, name, settings, version, changed_at, changed_by) VALUES (?, ?, ?, ?, ?, ?)
			ON CONFLICT (kind, name) DO UPDATE SET settings = excluded.settings, version = excluded.version,
			changed_at = excluded.changed_at, changed_by = excluded.changed_by`,
			kind,
			name,
			settings && JSON.stringify(settings),
			version,
			changedAt,
			changedBy,
		);
		if (kind === 'tenant' && settings === null) this.#sql.run('DELETE FROM feedback WHERE tenant_id = ?', name);
	}

	#writeAudit({ at, actor, action, subject, tenantId, detail }: AuditEntry): void {
		this.#sql.run(
			'INSERT INTO audit (at, actor, action, subject, tenant_id, detail) VALUES (?, ?, ?, ?, ?, ?)',
			at,
			actor,
			action,
			subject,
			tenantId,
			JSON.stringify(detail),
		);
		this.#sql.run('DELETE FROM audit WHERE at < ?', at - AUDIT_MS_MAX);
		this.#sql.run('DELETE FROM audit WHERE seq <= (SELECT max(seq) FROM audit) - ?', AUDIT_ROWS_MAX);
	}
}
