import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Random, seededRandom } from '../../src/base/random.ts';
import {
	compareCanaries,
	estimate,
	judgeCanaries,
	NOT_CHECKED,
	nextBaseline,
	nextCheckState,
} from '../../src/policy/canary-verdict.ts';
import type { CanaryBaseline, CanaryOutcome, CanaryVerdict } from '../../src/spec/canaries.ts';

const ALPHA = 0.001;

function outcome(n: number, rank: number | null, unanswered: string | null = null): CanaryOutcome {
	return { id: `c${n}`, hash: 'h', rank, unanswered };
}

function baseline(outcomes: readonly CanaryOutcome[], generation = 'g1'): CanaryBaseline {
	return { collection: 'docs', at: 1, generation, outcomes };
}

/** One run in which each of n answers is found with this chance, at a rank that wavers. */
function noisy(n: number, found: number, random: Random): CanaryOutcome[] {
	return Array.from({ length: n }, (_, at) => {
		const rank = 1 + (at % 3) + (random.next() < 0.1 ? 1 : 0);
		return outcome(at, random.next() < found ? rank : null);
	});
}

/** Whether a daily run and the one that must confirm it both find a drop. */
function alarmed(run: () => CanaryOutcome[], before: CanaryBaseline, random: Random): boolean {
	const drops = () => compareCanaries(run(), before, { alpha: ALPHA, random })?.dropped === true;
	return drops() && drops();
}

describe('chance and drops', () => {
	it('1,000 clean histories of 30 days raise no alarm, however noisy the engine', () => {
		let alarms = 0;
		for (let history = 0; history < 1_000; history++) {
			const random = seededRandom(history);
			// Most histories are of an engine that answers the same each time but for a time-out or a tie; some of a wild one.
			const found = [1, 0.99, 0.97, 0.9][history % 4] ?? 1;
			const n = [20, 50, 200][history % 3] ?? 20;
			const before = baseline(noisy(n, found, random));
			for (let today = 0; today < 30; today++) {
				if (alarmed(() => noisy(n, found, random), before, random)) alarms++;
			}
		}
		expect(alarms).toBe(0);
	}, 120_000);

	it.each([
		// queries, found before, found after, the share of drops that is caught at least
		[20, 1, 0.2, 0.9],
		[50, 0.98, 0.55, 0.95],
		[100, 0.98, 0.72, 0.95],
		[200, 0.97, 0.8, 0.95],
	])(
		'of %i queries a fall from %f to %f is caught in at least %f of cases',
		(n, from, to, power) => {
			let caught = 0;
			const cases = 60;
			for (let seed = 0; seed < cases; seed++) {
				const random = seededRandom(10_000 + seed);
				const before = baseline(noisy(n, from, random));
				if (alarmed(() => noisy(n, to, random), before, random)) caught++;
			}
			expect(caught / cases).toBeGreaterThanOrEqual(power);
		},
		60_000,
	);

	it('ranks that fall while everything is still found are a drop too', () => {
		const random = seededRandom(1);
		const before = baseline(Array.from({ length: 60 }, (_, n) => outcome(n, 1)));
		const after = before.outcomes.map((one) => ({ ...one, rank: 4 }));
		const comparison = compareCanaries(after, before, { alpha: ALPHA, random });
		expect(comparison).toMatchObject({ lost: 0, gained: 0, recallP: 1, mrrDrop: 0.75, dropped: true });
	});

	it('a tiny fall of ranks is none, however sure it is', () => {
		const before = baseline(Array.from({ length: 400 }, (_, n) => outcome(n, 9)));
		const after = before.outcomes.map((one) => ({ ...one, rank: 10 }));
		expect(compareCanaries(after, before, { alpha: ALPHA, random: seededRandom(1) })?.dropped).toBe(false);
	});

	it('compares only what both have, unchanged and answered, and nothing where that is too little', () => {
		const outcomes = Array.from({ length: 30 }, (_, n) => outcome(n, 1));
		const before = baseline(outcomes);
		const now = outcomes.map((one, n): CanaryOutcome => {
			if (n < 5) return { ...one, hash: 'edited', rank: null };
			return n < 8 ? { ...one, rank: null, unanswered: 'no answer within 2000 ms' } : one;
		});
		const random = seededRandom(1);
		const sampled = [...now, outcome(99, null)];
		expect(compareCanaries(sampled, before, { alpha: ALPHA, random })).toMatchObject({ common: 22, lost: 0 });
		expect(compareCanaries(now.slice(0, 27), before, { alpha: ALPHA, random })).toBeNull();
		expect(compareCanaries([], before, { alpha: ALPHA, random })).toBeNull();
	});
});

describe('the baseline', () => {
	const run = (generation: string, outcomes: readonly CanaryOutcome[]) => baseline(outcomes, generation);
	const found = (from: number, to: number) =>
		Array.from({ length: 40 }, (_, n) => outcome(n, n >= from && n < to ? 1 : null));

	it('stays while generations lose a little each, so that losses add up', () => {
		let kept = nextBaseline(null, run('g1', found(0, 40)));
		let alarms = 0;
		for (let lost = 1; lost <= 20; lost++) {
			const outcomes = found(lost, 40);
			if (compareCanaries(outcomes, kept, { alpha: ALPHA, random: seededRandom(1) })?.dropped) alarms++;
			kept = nextBaseline(kept, run(`g${lost + 1}`, outcomes));
		}
		expect(kept.generation).toBe('g1');
		expect(alarms).toBe(10);
	});

	it('follows a generation that finds no less, and takes in new canaries at once', () => {
		const first = nextBaseline(null, run('g1', found(0, 30)));
		expect(nextBaseline(first, run('g2', found(0, 31))).generation).toBe('g2');
		const more = [...found(5, 30), outcome(99, 2)];
		const kept = nextBaseline(first, run('g2', more));
		expect(kept.generation).toBe('g1');
		expect(kept.outcomes.at(-1)).toEqual(outcome(99, 2));
		expect(kept.outcomes[0]).toEqual(outcome(0, 1));
		expect(nextBaseline(kept, run('g2', more.slice(1))).outcomes).toHaveLength(40);
	});

	it('does not keep an answer that nobody gave', () => {
		const first = nextBaseline(null, run('g1', [outcome(0, null, 'late')]));
		expect(nextBaseline(first, run('g1', [outcome(0, 1)])).outcomes).toEqual([outcome(0, 1)]);
	});
});

describe('the floor', () => {
	const group = (found: number, missed: number, late: number) => ({
		name: 'ask',
		recallMin: 0.8,
		outcomes: [
			...Array.from({ length: found }, (_, n) => outcome(n, 1)),
			...Array.from({ length: missed }, (_, n) => outcome(100 + n, null)),
			...Array.from({ length: late }, (_, n) => outcome(200 + n, null, 'late')),
		],
	});

	it.each<[number, number, number, CanaryVerdict]>([
		[8, 2, 0, 'passed'],
		[7, 3, 0, 'failed'],
		[7, 2, 1, 'inconclusive'],
		[8, 1, 1, 'passed'],
		[0, 0, 10, 'inconclusive'],
		[5, 3, 2, 'failed'],
	])('of %i found, %i missed and %i unanswered: %s', (found, missed, late, verdict) => {
		expect(judgeCanaries([group(found, missed, late)]).verdict).toBe(verdict);
	});

	it('is of each group, and the message names those that fail', () => {
		const bad = { ...group(1, 9, 0), name: 'search' };
		expect(judgeCanaries([group(10, 0, 0), bad])).toEqual({
			verdict: 'failed',
			why: 'search: 1 of 10 known answers were found; the floor is 0.8',
		});
		expect(judgeCanaries([])).toEqual({ verdict: 'passed', why: '' });
	});

	it('never passes when it would fail with one answer less, whatever was answered', () => {
		fc.assert(
			fc.property(fc.nat(30), fc.nat(30), fc.nat(30), (found, missed, late) => {
				const verdict = judgeCanaries([group(found, missed, late)]).verdict;
				const all = found + missed + late;
				if (verdict === 'passed') expect(found).toBeGreaterThanOrEqual(0.8 * all - 1e-9);
				if (verdict === 'failed') expect(found + late).toBeLessThan(0.8 * all);
			}),
		);
	});
});

describe('readiness', () => {
	const judged = (...verdicts: CanaryVerdict[]) =>
		verdicts.reduce((state, verdict) => nextCheckState(state, { verdict, why: verdict }), NOT_CHECKED);

	it('is pending until something is known, and one failure or two silent runs change nothing', () => {
		expect(NOT_CHECKED.status).toBe('pending');
		expect(judged('failed').status).toBe('pending');
		expect(judged('passed', 'failed').status).toBe('passing');
		expect(judged('passed', 'inconclusive', 'inconclusive').status).toBe('passing');
		expect(judged('passed', 'failed', 'inconclusive', 'failed', 'inconclusive').status).toBe('passing');
	});

	it('fails after two failures or three silent runs in a row, and passes with the first that passes', () => {
		expect(judged('passed', 'failed', 'failed')).toMatchObject({ status: 'failing', why: 'failed' });
		expect(judged('passed', 'inconclusive', 'inconclusive', 'inconclusive').status).toBe('failing');
		expect(judged('failed', 'failed', 'passed')).toMatchObject({ status: 'passing', failures: 0 });
	});
});

it('estimates leave out what went unanswered', () => {
	const outcomes = [outcome(0, 1), outcome(1, 2), outcome(2, null), outcome(3, null, 'late')];
	const { recall, mrr } = estimate(outcomes, seededRandom(1));
	expect(recall.value).toBeCloseTo(2 / 3);
	expect(mrr.value).toBeCloseTo(0.5);
	expect(recall.low).toBeLessThan(recall.value);
	expect(mrr.high).toBeGreaterThan(mrr.value);
});
