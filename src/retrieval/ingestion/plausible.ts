import type { CollectionConfig } from '../../contracts/collection.ts';
import { PlimsollError } from '../../spec/errors.ts';
import type { AcceptedLoss } from '../../spec/quarantine.ts';
import type { LeftOut } from '../../spec/retrieval.ts';
import type { Counts } from './counts.ts';

/** How one source stands before anything of it is removed. */
export interface Standing {
	readonly counts: Counts;
	/** What was taken for right before. */
	readonly accepted: AcceptedLoss;
	/** Documents in the live generation. */
	readonly live: number;
	/** Documents that would be in the next one. */
	readonly next: number;
	/** Whether somebody says of each document that it is gone, so that many at once are no fault. */
	readonly isDeclared: boolean;
}

/**
 * Holds what a run found against what is live, before it removes anything: a source that returns half is more often
 * broken than halved. Throws PlimsollError `ingestion_stopped` that names each source and what is wrong with it.
 */
export function assertPlausible({ name, ingestion }: CollectionConfig, standings: readonly Standing[]): void {
	const { documentsDropMax, failedShareMax, quarantinedShareMax, documentsMin } = ingestion.checks;
	const faults: string[] = [];
	for (const { counts, accepted, live, next, isDeclared } of standings) {
		const { source, seen, failures, quarantined } = counts;
		const check = (
			documents: number,
			of: number,
			{ max, key, known = 0, first = null }: { max: number; key: string; known?: number; first?: LeftOut | null },
			what: string,
		) => {
			const news = documents - known;
			if (news < documentsMin || news <= (of - known) * max) return;
			const beyond = known === 0 ? '' : ` beyond the ${known} that were accepted`;
			const example = first === null ? '' : `, e.g. ${first.document}: ${first.reason}`;
			faults.push(
				`${source}: ${news} of ${of - known} documents ${what}${beyond}, more than ${key} (${max})${example}`,
			);
		};
		check(isDeclared ? 0 : live - next, live, { max: documentsDropMax, key: 'documents_drop_max' }, 'would be gone');
		const { firstFailure, firstMisfit } = counts;
		check(
			failures,
			seen,
			{ max: failedShareMax, key: 'failed_share_max', known: accepted.failed, first: firstFailure },
			'failed',
		);
		check(
			quarantined,
			seen,
			{ max: quarantinedShareMax, key: 'quarantined_share_max', known: accepted.misfits, first: firstMisfit },
			'do not fit',
		);
	}
	if (faults.length === 0) return;
	throw new PlimsollError(
		'ingestion_stopped',
		`The ingestion of ${name} stopped before anything was removed or went live: ${faults.map((fault) => fault.replace(/\.$/, '')).join('; ')}. Look at the source and at plimsoll quarantine list ${name}; where this is right, plimsoll ingest ${name} --accept takes it.`,
	);
}
