import type { Random } from '../base/random.ts';
import { bootstrapMean, mcnemarWorse, signFlipTest, wilson } from '../base/statistics.ts';
import type { CanaryBaseline, CanaryComparison, CanaryOutcome, CanaryVerdict, Estimate } from '../spec/canaries.ts';

/** With fewer pairs neither test could tell a large drop from chance. */
export const COMMON_MIN = 20;
/** A mean reciprocal rank that fell by less is no drop, however sure it is: other documents came in between. */
const MRR_DROP_MIN = 0.02;

/** Outcomes of canaries that are held to one floor. */
export interface JudgedGroup {
	/** For people: a feature, or the collection. */
	readonly name: string;
	/** In [0, 1]. */
	readonly recallMin: number;
	readonly outcomes: readonly CanaryOutcome[];
}

/**
 * Holds each group to its floor. What went unanswered counts for neither side: a group fails when it would with all of
 * them found, and passes when it would with none of them found.
 */
export function judgeCanaries(groups: readonly JudgedGroup[]): { verdict: CanaryVerdict; why: string } {
	const judged = groups.map((group) => ({ group, verdict: verdictOf(group) }));
	const worst = (['failed', 'inconclusive'] as const).find((one) => judged.some(({ verdict }) => verdict === one));
	if (worst === undefined) return { verdict: 'passed', why: '' };
	const why = judged.filter(({ verdict }) => verdict === worst).map(({ group }) => describe(group));
	return { verdict: worst, why: why.join('; ') };
}

function verdictOf({ recallMin, outcomes }: JudgedGroup): CanaryVerdict {
	const { found, unanswered } = tally(outcomes);
	// A floor of 0.8 of 5 is 4, which 0.8 × 5 might miss by a rounding.
	const needed = Math.ceil(recallMin * outcomes.length - 1e-9);
	if (found >= needed) return 'passed';
	return found + unanswered < needed ? 'failed' : 'inconclusive';
}

function describe({ name, recallMin, outcomes }: JudgedGroup): string {
	const { found, unanswered } = tally(outcomes);
	const open = unanswered === 0 ? '' : `, ${unanswered} went unanswered`;
	return `${name}: ${found} of ${outcomes.length} known answers were found${open}; the floor is ${recallMin}`;
}

/** Recall and mean reciprocal rank of what was answered, with intervals at 95 %. */
export function estimate(outcomes: readonly CanaryOutcome[], random: Random): { recall: Estimate; mrr: Estimate } {
	const { found, answered } = tally(outcomes);
	const reciprocals = outcomes.filter(({ unanswered }) => unanswered === null).map(reciprocalRank);
	const mean = reciprocals.reduce((sum, one) => sum + one, 0) / Math.max(1, answered);
	return {
		recall: { value: found / Math.max(1, answered), ...wilson(found, answered) },
		mrr: { value: mean, ...bootstrapMean(reciprocals, random) },
	};
}

/**
 * Compares the canaries that both sides have, unchanged and answered; null when those are too few. The two tests share
 * alpha half and half (Bonferroni), so that together they take chance for a drop no more often.
 */
export function compareCanaries(
	outcomes: readonly CanaryOutcome[],
	baseline: CanaryBaseline,
	{ alpha, random }: { alpha: number; random: Random },
): CanaryComparison | null {
	const before = new Map(baseline.outcomes.map((outcome) => [keyOf(outcome), outcome]));
	const pairs = outcomes.flatMap((now) => {
		const was = before.get(keyOf(now));
		return was && was.unanswered === null && now.unanswered === null ? [{ was, now }] : [];
	});
	if (pairs.length < COMMON_MIN) return null;
	const lost = pairs.filter(({ was, now }) => was.rank !== null && now.rank === null).length;
	const gained = pairs.filter(({ was, now }) => was.rank === null && now.rank !== null).length;
	const falls = pairs.map(({ was, now }) => reciprocalRank(was) - reciprocalRank(now));
	const mrrDrop = falls.reduce((sum, one) => sum + one, 0) / falls.length;
	const recallP = mcnemarWorse(lost, gained);
	const mrrP = signFlipTest(falls, random);
	const dropped = recallP < alpha / 2 || (mrrP < alpha / 2 && mrrDrop >= MRR_DROP_MIN);
	return { baseline: baseline.generation, common: pairs.length, lost, gained, recallP, mrrDrop, mrrP, dropped };
}

/**
 * The baseline after a whole run of a live generation. Canaries that are new or changed come in, those that are gone go. The
 * outcomes of the others stay as they were, so that many small losses add up; a generation that finds no fewer replaces them.
 */
export function nextBaseline(
	baseline: CanaryBaseline | null,
	run: { collection: string; at: number; generation: string; outcomes: readonly CanaryOutcome[] },
): CanaryBaseline {
	if (baseline === null) return run;
	const before = new Map(baseline.outcomes.map((outcome) => [keyOf(outcome), outcome]));
	const kept = run.outcomes.map((now) => {
		const was = before.get(keyOf(now));
		return was?.unanswered === null ? was : now;
	});
	if (baseline.generation === run.generation) return { ...baseline, outcomes: kept };
	const common = run.outcomes.filter((now) => before.has(keyOf(now)));
	const isNoWorse =
		common.every(({ unanswered }) => unanswered === null) &&
		tally(common).found >= tally(common.flatMap((now) => before.get(keyOf(now)) ?? [])).found;
	return isNoWorse ? run : { ...baseline, outcomes: kept };
}

/** How a collection's checks stand, over runs. */
export interface CheckState {
	readonly status: 'pending' | 'passing' | 'failing';
	/** In a row. */
	readonly failures: number;
	readonly inconclusive: number;
	readonly why: string;
}

export const NOT_CHECKED: CheckState = {
	status: 'pending',
	failures: 0,
	inconclusive: 0,
	why: 'its known-answer checks have not been made yet',
};

/** One failure may be an accident of its moment; so may two runs that nobody answered. */
const FAILURES_MIN = 2;
const INCONCLUSIVE_MIN = 3;

/** Where one more run leads: to failing only after several that agree, and back with the first that passes. */
export function nextCheckState(
	state: CheckState,
	{ verdict, why }: { verdict: CanaryVerdict; why: string },
): CheckState {
	if (verdict === 'passed') return { status: 'passing', failures: 0, inconclusive: 0, why: '' };
	const failures = verdict === 'failed' ? state.failures + 1 : 0;
	const inconclusive = verdict === 'inconclusive' ? state.inconclusive + 1 : 0;
	const isFailing = failures >= FAILURES_MIN || inconclusive >= INCONCLUSIVE_MIN;
	return { status: isFailing ? 'failing' : state.status, failures, inconclusive, why };
}

function tally(outcomes: readonly CanaryOutcome[]): { found: number; answered: number; unanswered: number } {
	const unanswered = outcomes.filter((outcome) => outcome.unanswered !== null).length;
	return {
		found: outcomes.filter(({ rank }) => rank !== null).length,
		answered: outcomes.length - unanswered,
		unanswered,
	};
}

function reciprocalRank({ rank }: CanaryOutcome): number {
	return rank === null ? 0 : 1 / rank;
}

function keyOf({ id, hash }: CanaryOutcome): string {
	return `${id} ${hash}`;
}
