import { z } from 'zod';
import {
	GENERATION_STATES,
	type GenerationCount,
	type GenerationRecord,
	type GenerationStore,
	MOVE_KINDS,
	type PointerChange,
	type PointerMove,
} from '../spec/generations.ts';
import type { AuditEntry } from '../spec/records.ts';
import { json } from './json-column.ts';
import { count } from './record-rows.ts';
import { verificationReport } from './report-row.ts';
import type { SqliteStatements } from './sqlite-statements.ts';

const COLUMNS = `collection, sequence, generation, state, index_table AS "table", run_id AS runId, manifest, documents, chunks,
	statistics, verification, reason, created_at AS createdAt, verified_at AS verifiedAt, promoted_at AS promotedAt,
	retired_at AS retiredAt, removed_at AS removedAt`;

/** Generations and moves of one collection that are kept on record. What is live or can be is never among the rest. */
const RECORDS_MAX = 1_000;

const instant = z.int().nullable();

const generationRow: z.ZodType<GenerationRecord> = z.object({
	collection: z.string(),
	sequence: z.int().min(1),
	generation: z.string(),
	state: z.enum(GENERATION_STATES),
	table: z.string(),
	runId: z.string(),
	manifest: json(z.json()),
	documents: count,
	chunks: count,
	statistics: json(z.json()),
	verification: json(verificationReport).nullable(),
	reason: z.string().nullable(),
	createdAt: z.int(),
	verifiedAt: instant,
	promotedAt: instant,
	retiredAt: instant,
	removedAt: instant,
});

const moveRow: z.ZodType<PointerMove> = z.object({
	at: z.int(),
	collection: z.string(),
	kind: z.enum(MOVE_KINDS),
	from: z.string().nullable(),
	to: z.string(),
	actor: z.string(),
	why: z.string(),
});

const countRow: z.ZodType<GenerationCount> = z.object({
	collection: z.string(),
	state: z.enum(GENERATION_STATES),
	generations: count,
});

const lastRow = z.object({ last: z.int().nullable() });

/** The generations in the record store's file. */
export class GenerationTable implements GenerationStore {
	readonly #sql: SqliteStatements;
	readonly #writeAudit: (entry: AuditEntry) => void;

	/** @param writeAudit writes within the transaction that is open. */
	constructor(sql: SqliteStatements, writeAudit: (entry: AuditEntry) => void) {
		this.#sql = sql;
		this.#writeAudit = writeAudit;
	}

	async begin({ collection, table, runId, at }: Parameters<GenerationStore['begin']>[0]): Promise<GenerationRecord> {
		return this.#sql.together(() => {
			const [brokenOff] = this.#all(
				"collection = ? AND index_table = ? AND state IN ('building', 'failed') ORDER BY sequence DESC LIMIT 1",
				collection,
				table,
			);
			const record = brokenOff
				? { ...brokenOff, state: 'building' as const, runId, reason: null }
				: newBuild({ collection, table, runId, at, sequence: this.#nextSequence(collection) });
			this.#write(record);
			this.#sql.run(
				`DELETE FROM generations WHERE collection = ? AND sequence <= ?
				AND (removed_at IS NOT NULL OR state IN ('failed', 'refused'))`,
				collection,
				record.sequence - RECORDS_MAX,
			);
			return record;
		});
	}

	async put(record: GenerationRecord): Promise<void> {
		this.#write(record);
	}

	async amend(
		{ collection, sequence }: Parameters<GenerationStore['amend']>[0],
		{ manifest = null, verification = null, verifiedAt = null }: Parameters<GenerationStore['amend']>[1],
	): Promise<void> {
		this.#sql.run(
			`UPDATE generations SET manifest = coalesce(?, manifest), verification = coalesce(?, verification),
			verified_at = coalesce(?, verified_at) WHERE collection = ? AND sequence = ?`,
			manifest === null ? null : JSON.stringify(manifest),
			verification && JSON.stringify(verification),
			verifiedAt,
			collection,
			sequence,
		);
	}

	async discard(collection: string, sequence: number): Promise<void> {
		this.#sql.run(
			"DELETE FROM generations WHERE collection = ? AND sequence = ? AND state NOT IN ('live', 'retired')",
			collection,
			sequence,
		);
	}

	async retireAll(collection: string, at: number): Promise<void> {
		this.#sql.together(() => {
			this.#sql.run("DELETE FROM generations WHERE collection = ? AND state IN ('building', 'failed')", collection);
			this.#sql.run(
				`UPDATE generations SET removed_at = coalesce(removed_at, ?1),
				retired_at = CASE state WHEN 'live' THEN ?1 ELSE retired_at END,
				state = CASE state WHEN 'live' THEN 'retired' ELSE state END WHERE collection = ?2`,
				at,
				collection,
			);
		});
	}

	async list(collection: string | null, limit: number): Promise<readonly GenerationRecord[]> {
		const most = Math.max(0, Math.trunc(limit));
		const order = 'ORDER BY collection, sequence DESC LIMIT ?';
		return collection === null
			? this.#all(`true ${order}`, most)
			: this.#all(`collection = ? ${order}`, collection, most);
	}

	async find(collection: string, generation: string): Promise<GenerationRecord | null> {
		return this.#all('collection = ? AND generation = ?', collection, generation)[0] ?? null;
	}

	async live(): Promise<readonly GenerationRecord[]> {
		return this.#all("state = 'live' ORDER BY collection");
	}

	async counts(): Promise<readonly GenerationCount[]> {
		return this.#sql.all(
			countRow,
			`SELECT collection, state, count(*) AS generations FROM generations WHERE removed_at IS NULL
			GROUP BY collection, state ORDER BY collection, state`,
		);
	}

	async move({ kind, collection, sequence, from, at, actor, why, entry }: PointerChange): Promise<boolean> {
		return this.#sql.together(() => {
			const [live = null] = this.#all("collection = ? AND state = 'live'", collection);
			const [next] = this.#all('collection = ? AND sequence = ? AND removed_at IS NULL', collection, sequence);
			if ((live?.generation ?? null) !== from || !next || next.state === 'building' || next.state === 'failed')
				return false;
			if (live) this.#write({ ...live, state: 'retired', retiredAt: at });
			this.#write({ ...next, state: 'live', promotedAt: at, retiredAt: null, reason: null });
			this.#sql.run(
				`INSERT INTO pointer_moves (at, collection, kind, from_generation, to_generation, actor, why)
				VALUES (?, ?, ?, ?, ?, ?, ?)`,
				at,
				collection,
				kind,
				from,
				next.generation,
				actor,
				why,
			);
			this.#sql.run(
				`DELETE FROM pointer_moves WHERE collection = ? AND seq < (SELECT min(seq) FROM
				(SELECT seq FROM pointer_moves WHERE collection = ? ORDER BY seq DESC LIMIT ${RECORDS_MAX}))`,
				collection,
				collection,
			);
			if (entry) this.#writeAudit(entry);
			return true;
		});
	}

	async moves(collection: string, limit: number): Promise<readonly PointerMove[]> {
		return this.#sql.all(
			moveRow,
			`SELECT at, collection, kind, from_generation AS "from", to_generation AS "to", actor, why FROM pointer_moves
			WHERE collection = ? ORDER BY seq DESC LIMIT ?`,
			collection,
			Math.max(0, Math.trunc(limit)),
		);
	}

	#all(where: string, ...values: (string | number)[]): GenerationRecord[] {
		return this.#sql.all(generationRow, `SELECT ${COLUMNS} FROM generations WHERE ${where}`, ...values);
	}

	#nextSequence(collection: string): number {
		const sql = 'SELECT max(sequence) AS last FROM generations WHERE collection = ?';
		const [row] = this.#sql.all(lastRow, sql, collection);
		return (row?.last ?? 0) + 1;
	}

	#write(record: GenerationRecord): void {
		this.#sql.run(
			`INSERT INTO generations (collection, sequence, generation, state, index_table, run_id, manifest, documents, chunks,
			statistics, verification, reason, created_at, verified_at, promoted_at, retired_at, removed_at)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
			ON CONFLICT (collection, sequence) DO UPDATE SET generation = excluded.generation, state = excluded.state,
			index_table = excluded.index_table, run_id = excluded.run_id, manifest = excluded.manifest,
			documents = excluded.documents, chunks = excluded.chunks, statistics = excluded.statistics,
			verification = excluded.verification, reason = excluded.reason, created_at = excluded.created_at,
			verified_at = excluded.verified_at, promoted_at = excluded.promoted_at, retired_at = excluded.retired_at,
			removed_at = excluded.removed_at`,
			record.collection,
			record.sequence,
			record.generation,
			record.state,
			record.table,
			record.runId,
			JSON.stringify(record.manifest),
			record.documents,
			record.chunks,
			JSON.stringify(record.statistics),
			record.verification && JSON.stringify(record.verification),
			record.reason,
			record.createdAt,
			record.verifiedAt,
			record.promotedAt,
			record.retiredAt,
			record.removedAt,
		);
	}
}

function newBuild({
	at,
	...build
}: Pick<GenerationRecord, 'collection' | 'table' | 'runId' | 'sequence'> & { at: number }): GenerationRecord {
	return {
		...build,
		generation: `${build.collection}-g${build.sequence}`,
		state: 'building',
		manifest: null,
		documents: 0,
		chunks: 0,
		statistics: null,
		verification: null,
		reason: null,
		createdAt: at,
		verifiedAt: null,
		promotedAt: null,
		retiredAt: null,
		removedAt: null,
	};
}
