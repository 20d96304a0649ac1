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

	async list({ tenantId, requestId, feature, rating, limit }: FeedbackQuery): Promise<readonly Feedback[]> {
		return this.#sql.all(
			row,
			`SELECT ${COLUMNS} FROM feedback WHERE (?1 IS NULL OR tenant_id = ?1) AND (?2 IS NULL OR request_id = ?2)
			AND (?3 IS NULL OR feature = ?3) AND (?4 IS NULL
			OR CASE WHEN score = 0.5 THEN 'neutral' WHEN score > 0.5 THEN 'up' ELSE 'down' END = ?4)
			ORDER BY seq DESC LIMIT ?5`,
			tenantId,
			requestId,
			feature,
			rating,
			Math.max(0, Math.trunc(limit)),
		);
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
			const beyond = this.#sql.run(
				`DELETE FROM feedback WHERE seq IN (SELECT seq FROM (SELECT seq,
				row_number() OVER (PARTITION BY tenant_id ORDER BY seq DESC) AS place FROM feedback) WHERE place > ?)`,
				rowsPerTenantMax,
			);
			return late + beyond;
		});
		this.#sql.truncateLog();
		return gone;
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
