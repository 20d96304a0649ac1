import { seededRandom } from '../base/random.ts';
import type { CanarySet } from '../contracts/canary-set.ts';
import { COMMON_MIN, compareCanaries, estimate, judgeCanaries } from '../policy/canary-verdict.ts';
import type { CanaryBaseline, CanaryOutcome, CanaryRun, CanaryRunKind } from '../spec/canaries.ts';
import type { CanaryReport } from './canary-run.ts';

/** Ids that a run names; the command that runs canaries shows no more either. */
const MISSED_MAX = 50;

interface Summarised {
	readonly kind: CanaryRunKind;
	/** Milliseconds since the epoch; also the seed of resampling, so that the same run gives the same numbers. */
	readonly at: number;
	readonly report: CanaryReport;
	/** Null: it is compared with nothing. */
	readonly baseline: CanaryBaseline | null;
	readonly approximateRecall: number | null;
}

/** What a report comes to for a collection: its floors, its estimates, and how it compares. */
export function summarise({ collection, checks }: CanarySet, from: Summarised): CanaryRun {
	const { kind, at, report, baseline, approximateRecall } = from;
	const outcomes = outcomesOf(report);
	const groups = report.groups.map(({ group, outcomes: own }) => ({
		name: group.feature ?? collection,
		recallMin: group.recallMin,
		outcomes: own,
	}));
	const { verdict, why } = judgeCanaries(groups.filter((group) => group.outcomes.length > 0));
	const random = seededRandom(at % 2 ** 32);
	const missed = outcomes.filter(({ rank, unanswered }) => rank === null && unanswered === null);
	return {
		collection,
		kind,
		at,
		generation: report.generation ?? 'none answered',
		queries: outcomes.length,
		unanswered: outcomes.filter(({ unanswered }) => unanswered !== null).length,
		degraded: report.degraded,
		...estimate(outcomes, random),
		verdict,
		why: why || noteOn(kind, outcomes.length),
		missed: missed.map(({ id }) => id).slice(0, MISSED_MAX),
		comparison: baseline && compareCanaries(outcomes, baseline, { alpha: checks.alpha, random }),
		approximateRecall,
	};
}

export function outcomesOf({ groups }: CanaryReport): readonly CanaryOutcome[] {
	return groups.flatMap(({ outcomes }) => outcomes);
}

function noteOn(kind: CanaryRunKind, queries: number): string {
	if (kind !== 'daily' || queries >= COMMON_MIN) return '';
	return `${queries} canaries are too few to tell a drop from chance: ${COMMON_MIN} are needed`;
}
