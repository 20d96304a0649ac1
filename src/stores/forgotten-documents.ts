import type { RunRecord } from '../spec/records.ts';
import type { LeftOut } from '../spec/retrieval.ts';

const GONE = 'what is said here named a document that was purged';

/** A run without what it says of documents of a source. @param ids null: all of the source. */
export function withoutDocuments(run: RunRecord, source: string, ids: readonly string[] | null): RunRecord {
	const purged = ids && new Set(ids);
	const left = (named: readonly LeftOut[]) =>
		purged === null ? [] : named.filter(({ document }) => !purged.has(document));
	const tells = (text: string) =>
		ids === null ? text.includes(source) : ids.some((id) => id !== '' && text.includes(id));
	const report = run.report && {
		...run.report,
		sources: run.report.sources.map((one) =>
			one.source === source ? { ...one, failed: left(one.failed), misfits: left(one.misfits) } : one,
		),
		refused: run.report.refused && {
			...run.report.refused,
			verification: {
				...run.report.refused.verification,
				checks: run.report.refused.verification.checks.map((check) =>
					tells(check.message) ? { ...check, message: GONE } : check,
				),
			},
		},
	};
	return { ...run, report, error: run.error !== null && tells(run.error) ? GONE : run.error };
}
