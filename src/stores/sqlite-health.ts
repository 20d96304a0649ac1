import { z } from 'zod';
import { ALERT_SEVERITIES, type AlertRecord } from '../spec/alerts.ts';
import type { CanaryBaseline, CanaryRun, CanaryRunKind } from '../spec/canaries.ts';
import type { HealthRecords } from '../spec/health-records.ts';
import { canaryBaseline, canaryRun } from './canary-rows.ts';
import { json } from './json-column.ts';
import { RECORD_SCHEMA } from './record-schema.ts';
import { SqliteStatements } from './sqlite-statements.ts';

const ALERT_MS_MAX = 400 * 86_400_000;
const ALERT_ROWS_MAX = 10_000;
const RUN_MS_MAX = 400 * 86_400_000;
const RUN_ROWS_MAX = 1_000;

const subject = z.union([
	z.strictObject({ collection: z.string() }),
	z.strictObject({ feature: z.string() }),
	z.strictObject({ embedder: z.string() }),
]);

const alertRow: z.ZodType<AlertRecord> = z.object({
	id: z.string(),
	key: z.string(),
	severity: z.enum(ALERT_SEVERITIES),
	subject: json(subject),
	message: z.string(),
	detail: json(z.record(z.string(), z.union([z.string(), z.number(), z.boolean(), z.null()]))),
	openedAt: z.int(),
	raisedAt: z.int(),
	count: z.int().min(1),
	acknowledgedAt: z.int().nullable(),
	acknowledgedBy: z.string().nullable(),
	resolvedAt: z.int().nullable(),
	told: json(z.record(z.string(), z.string())),
});

const ALERT_COLUMNS =
	'id, key, severity, subject, message, detail, opened_at AS openedAt, raised_at AS raisedAt, count, acknowledged_at AS acknowledgedAt, acknowledged_by AS acknowledgedBy, resolved_at AS resolvedAt, told';

const runRow = z.object({ run: json(canaryRun) });
const baselineRow = z.object({ baseline: json(canaryBaseline) });

/** Health in the file of the records, by a connection of its own. A write is on disk when its promise resolves. */
export function openSqliteHealth(file: string): HealthRecords {
	return new SqliteHealth(new SqliteStatements(file, RECORD_SCHEMA));
}

class SqliteHealth implements HealthRecords {
	readonly #sql: SqliteStatements;

	constructor(sql: SqliteStatements) {
		this.#sql = sql;
	}

	async putAlerts(alerts: readonly AlertRecord[]): Promise<void> {
		if (alerts.length === 0) return;
		this.#sql.together(() => {
			for (const alert of alerts) this.#writeAlert(alert);
			const newest = Math.max(...alerts.map(({ raisedAt }) => raisedAt));
			this.#sql.run('DELETE FROM alerts WHERE resolved_at IS NOT NULL AND raised_at < ?', newest - ALERT_MS_MAX);
			this.#sql.run(
				`DELETE FROM alerts WHERE id IN (SELECT id FROM alerts WHERE resolved_at IS NOT NULL
				ORDER BY opened_at DESC, id DESC LIMIT -1 OFFSET ?)`,
				ALERT_ROWS_MAX,
			);
		});
	}

	async listAlerts({ open, limit }: { open: boolean; limit: number }): Promise<readonly AlertRecord[]> {
		const where = open ? 'WHERE resolved_at IS NULL' : '';
		return this.#sql.all(
			alertRow,
			`SELECT ${ALERT_COLUMNS} FROM alerts ${where} ORDER BY opened_at DESC, id DESC LIMIT ?`,
			Math.max(0, Math.trunc(limit)),
		);
	}

	async putCanaryRun(run: CanaryRun): Promise<void> {
		this.#sql.together(() => {
			const { collection, kind, at } = run;
			const sql = 'INSERT INTO canary_runs (collection, kind, at, run) VALUES (?, ?, ?, ?)';
			this.#sql.run(sql, collection, kind, at, JSON.stringify(run));
			this.#sql.run('DELETE FROM canary_runs WHERE at < ?', at - RUN_MS_MAX);
			this.#sql.run(
				`DELETE FROM canary_runs WHERE collection = ? AND seq <= (SELECT seq FROM canary_runs
				WHERE collection = ? ORDER BY seq DESC LIMIT 1 OFFSET ?)`,
				collection,
				collection,
				RUN_ROWS_MAX,
			);
		});
	}

	async listCanaryRuns(ask: {
		collection: string | null;
		kind: CanaryRunKind | null;
		limit: number;
	}): Promise<readonly CanaryRun[]> {
		const rows = this.#sql.all(
			runRow,
			`SELECT run FROM canary_runs WHERE collection = coalesce(?, collection) AND kind = coalesce(?, kind)
			ORDER BY seq DESC LIMIT ?`,
			ask.collection,
			ask.kind,
			Math.max(0, Math.trunc(ask.limit)),
		);
		return rows.map(({ run }) => run);
	}

	async canaryBaseline(collection: string): Promise<CanaryBaseline | null> {
		const sql = 'SELECT baseline FROM canary_baselines WHERE collection = ?';
		const [row] = this.#sql.all(baselineRow, sql, collection);
		return row?.baseline ?? null;
	}

	async putCanaryBaseline(baseline: CanaryBaseline): Promise<void> {
		this.#sql.run(
			'INSERT OR REPLACE INTO canary_baselines (collection, baseline) VALUES (?, ?)',
			baseline.collection,
			JSON.stringify(baseline),
		);
	}

	async close(): Promise<void> {
		this.#sql.close();
	}

	#writeAlert(alert: AlertRecord): void {
		this.#sql.run(
			`INSERT OR REPLACE INTO alerts (id, key, severity, subject, message, detail, opened_at, raised_at, count,
			acknowledged_at, acknowledged_by, resolved_at, told) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
			alert.id,
			alert.key,
			alert.severity,
			JSON.stringify(alert.subject),
			alert.message,
			JSON.stringify(alert.detail),
			alert.openedAt,
			alert.raisedAt,
			alert.count,
			alert.acknowledgedAt,
			alert.acknowledgedBy,
			alert.resolvedAt,
			JSON.stringify(alert.told),
		);
	}
}
