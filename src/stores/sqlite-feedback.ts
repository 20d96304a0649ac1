import { z } from 'zod';
import type { Feedback, FeedbackQuery, FeedbackStore } from '../spec/feedback.ts';
import { json } from './json-column.ts';
import type { SqliteStatements } from './sqlite-statements.ts';

const COLUMNS =
	'tenant_id AS tenantId, request_id AS requestId, rater, at, score, label, passages, comment, question, corrected_answer AS correctedAnswer, feature, collection, generation, chunks';

const row: z.ZodType<Feedback> = z.object({
	tenantId: z.string(),
	requestId: z.string(),
	rater: z.string(),
	at: z.int(),
	score: z.number().min(0).max(1),
	label: z.string().nullable(),
	passages: json(z.array(z.string())),
	comment: z.string().nullable(),
	question: z.string().nullable(),
	correctedAnswer: z.string().nullable(),
	feature: z.string().nullable(),
	collection: z.string().nullable(),
	generation: z.string().nullable(),
	chunks: json(z.array(z.string())),
});

const tenantRow = z.object({ tenantId: z.string() });

/** The statement has what is asked for and nothing else, so that an index can serve it. */
export function ratingsAsked({ tenantId, requestId, feature, rating, limit }: FeedbackQuery) {
	// One request has few ratings, which are better found by it and sorted than met on the way through others: a plus keeps
	// an index out of it.
	const rest = requestId === null ? '' : '+';
	const all = { tenant_id: tenantId, request_id: requestId, [`${rest}feature`]: feature, [`${rest}rating`]: rating };
	const asked = Object.entries(all).flatMap(([what, value]) => (value === null ? [] : [{ what, value }]));
	const where = asked.map(({ what }) => `${what} = ?`).join(' AND ') || 'true';
	const sql = `SELECT ${COLUMNS} FROM feedback WHERE ${where} ORDER BY ${rest}seq DESC LIMIT ?`;
	return { sql, values: [...asked.map(({ value }) => value), Math.max(0, Math.trunc(limit))] };
}

/** Ratings in the file of the records. */
export class SqliteFeedback implements FeedbackStore {
	readonly #sql: SqliteStatements;

	constructor(sql: SqliteStatements) {
		this.#sql = sql;
	}

	async put(all: readonly Feedback[]): Promise<void> {
		this.#sql.together(() => {
			// Replaced whole: a text that was taken back must not stay.
			for (const one of all) this.#write(one);
		});
	}

	async list(query: FeedbackQuery): Promise<readonly Feedback[]> {
		const { sql, values } = ratingsAsked(query);
		return this.#sql.all(row, sql, ...values);
	}

	async questions(ask: Parameters<FeedbackStore['questions']>[0]): Promise<readonly Feedback[]> {
		return this.#sql.all(
			row,
			`SELECT ${COLUMNS} FROM feedback WHERE tenant_id = ? AND collection = ? AND question IS NOT NULL
			ORDER BY seq DESC LIMIT ?`,
			ask.tenantId,
			ask.collection,
			Math.max(0, Math.trunc(ask.limit)),
		);
	}

	async remove({ tenantId, requestId, rater }: Parameters<FeedbackStore['remove']>[0]): Promise<number> {
		const removed = this.#sql.run(
			'DELETE FROM feedback WHERE tenant_id = ?1 AND (?2 IS NULL OR request_id = ?2) AND (?3 IS NULL OR rater = ?3)',
			tenantId,
			requestId,
			rater,
		);
		this.#sql.truncateLog();
		return removed;
	}

	async prune({ before, textsBefore, rowsPerTenantMax }: Parameters<FeedbackStore['prune']>[0]): Promise<number> {
		const gone = this.#sql.together(() => {
			this.#sql.run(
				`UPDATE feedback SET comment = NULL, question = NULL, corrected_answer = NULL WHERE at < ?
				AND (comment IS NOT NULL OR question IS NOT NULL OR corrected_answer IS NOT NULL)`,
				textsBefore,
			);
			const late = this.#sql.run('DELETE FROM feedback WHERE at < ?', before);
			return late + this.#removeBeyond(rowsPerTenantMax);
		});
		this.#sql.truncateLog();
		return gone;
	}

	#removeBeyond(rowsPerTenantMax: number): number {
		const full = 'SELECT tenant_id AS tenantId FROM feedback GROUP BY tenant_id HAVING count(*) > ?';
		return this.#sql.all(tenantRow, full, rowsPerTenantMax).reduce(
			(gone, { tenantId }) =>
				gone +
				this.#sql.run(
					`DELETE FROM feedback WHERE tenant_id = ?1 AND seq <= (SELECT seq FROM feedback
					WHERE tenant_id = ?1 ORDER BY seq DESC LIMIT 1 OFFSET ?2)`,
					tenantId,
					rowsPerTenantMax,
				),
			0,
		);
	}

	#write(one: Feedback): void {
		this.#sql.run(
			`INSERT OR REPLACE INTO feedback (tenant_id, request_id, rater, at, score, label, passages, comment, question,
			corrected_answer, feature, collection, generation, chunks) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
			one.tenantId,
			one.requestId,
			one.rater,
			one.at,
			one.score,
			one.label,
			JSON.stringify(one.passages),
			one.comment,
			one.question,
			one.correctedAnswer,
			one.feature,
			one.collection,
			one.generation,
			JSON.stringify(one.chunks),
		);
	}
}
