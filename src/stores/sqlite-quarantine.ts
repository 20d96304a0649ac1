import { z } from 'zod';
import {
	type AcceptedLoss,
	QUARANTINE_KINDS,
	QUARANTINE_STATES,
	type QuarantineCount,
	type QuarantineEntry,
	type QuarantineQuery,
	type QuarantineState,
	type QuarantineStore,
	type WholeRun,
} from '../spec/quarantine.ts';
import { json } from './json-column.ts';
import { ANY_ROW, type SqliteStatements } from './sqlite-statements.ts';

const COLUMNS =
	'id, collection, source, document, kind, reasons, content_hash AS contentHash, rules_hash AS rulesHash, run_id AS runId, first_at AS firstAt, last_at AS lastAt, kept, state';

const entryRow = z
	.object({
		id: z.string(),
		collection: z.string(),
		source: z.string(),
		document: z.string(),
		kind: z.enum(QUARANTINE_KINDS),
		reasons: json(z.array(z.string())),
		contentHash: z.string().nullable(),
		rulesHash: z.string(),
		runId: z.string(),
		firstAt: z.int(),
		lastAt: z.int(),
		kept: z.int(),
		state: z.enum(QUARANTINE_STATES),
	})
	.transform((row): QuarantineEntry => ({ ...row, kept: row.kept === 1 }));

const wholeRunRow = z.object({ table: z.string(), rulesHash: z.string(), unlisted: z.int() });
const sizeRow = z.object({ entries: z.int() });
const lossRow = z.object({ source: z.string(), failed: z.int(), misfits: z.int() });
const countRow = z.object({ state: z.string(), entries: z.int() });

/** The quarantine in the file of the records. */
export class SqliteQuarantine implements QuarantineStore {
	readonly #sql: SqliteStatements;

	constructor(sql: SqliteStatements) {
		this.#sql = sql;
	}

	async put(entries: readonly QuarantineEntry[], max: number): Promise<number> {
		return this.#sql.together(() => {
			let unlisted = 0;
			const counted = new Map<string, number>();
			for (const entry of entries) {
				const { collection } = entry;
				const held = counted.get(collection) ?? this.#size(collection);
				const known = this.#sql.all(ANY_ROW, 'SELECT 1 FROM quarantine WHERE id = ?', entry.id).length > 0;
				if (!known && held >= max) unlisted++;
				else this.#write(entry);
				counted.set(collection, known || held >= max ? held : held + 1);
			}
			return unlisted;
		});
	}

	async list({ collection, source, state, limit }: QuarantineQuery): Promise<readonly QuarantineEntry[]> {
		return this.#sql.all(
			entryRow,
			`SELECT ${COLUMNS} FROM quarantine
			WHERE (?1 IS NULL OR collection = ?1) AND (?2 IS NULL OR source = ?2)
			AND (CASE WHEN ?3 IS NULL THEN state <> 'dropped' ELSE state = ?3 END)
			ORDER BY collection, source, document LIMIT ?4`,
			collection,
			source,
			state,
			Math.max(0, Math.trunc(limit)),
		);
	}

	async find(id: string): Promise<QuarantineEntry | null> {
		return (await this.findAll([id]))[0] ?? null;
	}

	async findAll(ids: readonly string[]): Promise<readonly QuarantineEntry[]> {
		const sql = `SELECT ${COLUMNS} FROM quarantine WHERE id IN (SELECT value FROM json_each(?))`;
		return this.#sql.all(entryRow, sql, JSON.stringify(ids));
	}

	async settle(collection: string, { runId, table, rulesHash, unlisted }: WholeRun): Promise<void> {
		this.#sql.together(() => {
			this.#sql.run('DELETE FROM quarantine WHERE collection = ? AND run_id <> ?', collection, runId);
			this.#sql.run(
				`INSERT INTO ingested (collection, index_table, rules_hash, unlisted) VALUES (?, ?, ?, ?)
				ON CONFLICT (collection) DO UPDATE SET index_table = excluded.index_table,
				rules_hash = excluded.rules_hash, unlisted = excluded.unlisted`,
				collection,
				table,
				rulesHash,
				unlisted,
			);
		});
	}

	async settlePart(
		collection: string,
		{ runId, sources }: { runId: string; sources: readonly string[] },
	): Promise<void> {
		this.#sql.run(
			`DELETE FROM quarantine WHERE collection = ? AND run_id <> ? AND source IN (SELECT value FROM json_each(?))`,
			collection,
			runId,
			JSON.stringify(sources),
		);
	}

	async forget(
		{ collection, source }: { collection: string; source: string },
		ids: readonly string[] | null,
	): Promise<void> {
		this.#sql.run(
			`DELETE FROM quarantine WHERE collection = ?1 AND source = ?2
			AND (?3 IS NULL OR document IN (SELECT value FROM json_each(?3)))`,
			collection,
			source,
			ids && JSON.stringify(ids),
		);
	}

	async lastRun(collection: string): Promise<Omit<WholeRun, 'runId'> | null> {
		const sql = 'SELECT index_table AS "table", rules_hash AS rulesHash, unlisted FROM ingested WHERE collection = ?';
		return this.#sql.all(wholeRunRow, sql, collection)[0] ?? null;
	}

	async acceptedLosses(collection: string): Promise<readonly AcceptedLoss[]> {
		const sql = 'SELECT source, failed, misfits FROM accepted_losses WHERE collection = ?';
		return this.#sql.all(lossRow, sql, collection);
	}

	async acceptLosses(collection: string, losses: readonly AcceptedLoss[]): Promise<void> {
		this.#sql.together(() => {
			for (const { source, failed, misfits } of losses) {
				this.#sql.run(
					'INSERT OR REPLACE INTO accepted_losses (collection, source, failed, misfits) VALUES (?, ?, ?, ?)',
					collection,
					source,
					failed,
					misfits,
				);
			}
		});
	}

	async count(collection: string): Promise<QuarantineCount> {
		const sql = 'SELECT state, count(*) AS entries FROM quarantine WHERE collection = ? GROUP BY state';
		const counts = new Map(this.#sql.all(countRow, sql, collection).map(({ state, entries }) => [state, entries]));
		const of = (state: QuarantineState) => counts.get(state) ?? 0;
		const last = await this.lastRun(collection);
		return { held: of('held'), retry: of('retry'), dropped: of('dropped'), unlisted: last?.unlisted ?? 0 };
	}

	async mark(collection: string, ids: readonly string[] | null, state: QuarantineState): Promise<number> {
		return this.#sql.run(
			`UPDATE quarantine SET state = ?1 WHERE collection = ?2 AND state <> ?1
			AND (?3 IS NULL OR id IN (SELECT value FROM json_each(?3)))`,
			state,
			collection,
			ids && JSON.stringify(ids),
		);
	}

	#size(collection: string): number {
		const sql = 'SELECT count(*) AS entries FROM quarantine WHERE collection = ?';
		return this.#sql.all(sizeRow, sql, collection)[0]?.entries ?? 0;
	}

	#write(entry: QuarantineEntry): void {
		this.#sql.run(
			`INSERT INTO quarantine (id, collection, source, document, kind, reasons, content_hash, rules_hash, run_id, first_at, last_at, kept, state)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
			ON CONFLICT (id) DO UPDATE SET kind = excluded.kind, reasons = excluded.reasons,
			content_hash = excluded.content_hash, rules_hash = excluded.rules_hash, run_id = excluded.run_id,
			last_at = excluded.last_at, kept = excluded.kept, state = CASE WHEN state = 'dropped'
			AND content_hash IS excluded.content_hash AND rules_hash = excluded.rules_hash THEN 'dropped' ELSE excluded.state END`,
			entry.id,
			entry.collection,
			entry.source,
			entry.document,
			entry.kind,
			JSON.stringify(entry.reasons),
			entry.contentHash,
			entry.rulesHash,
			entry.runId,
			entry.firstAt,
			entry.lastAt,
			entry.kept ? 1 : 0,
			entry.state,
		);
	}
}
