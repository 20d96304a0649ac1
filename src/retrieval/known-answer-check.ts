import type { CanarySet } from '../contracts/canary-set.ts';
import type { CanaryBaseline } from '../spec/canaries.ts';
import { runCanaries } from './canary-run.ts';
import { summarise } from './canary-summary.ts';
import type { Check } from './verification.ts';

/**
 * A generation finds the known answers before it goes live: each floor is met, and it finds no less than the baseline, by
 * more than chance. A person may overrule it, since canaries can be out of date.
 */
export function knownAnswerCheck(parts: {
	readonly setOf: (collection: string) => CanarySet | null;
	readonly baselineOf: (collection: string) => Promise<CanaryBaseline | null>;
	/** Milliseconds since the epoch. */
	readonly now: () => number;
}): Check {
	return {
		name: 'known_answers',
		overrulable: true,
		async run({ config, search, signal, live }) {
			const set = parts.setOf(config.name);
			if (set === null || set.groups.length === 0) return null;
			const report = await runCanaries(search, set.groups, { signal });
			// Nothing serves yet: what there is is better than nothing, and the floor decides.
			const baseline = live === null ? null : await parts.baselineOf(config.name);
			const run = summarise(set, { kind: 'promotion', at: parts.now(), report, baseline, approximateRecall: null });
			const { verdict, why, queries, recall, missed, comparison } = run;
			const detail = { queries, recall: recall.value, missed, comparison };
			if (verdict !== 'passed') {
				const advice = verdict === 'failed' ? 'look at what is missing, or at the canaries' : 'try again';
				return { passed: false, message: `${why}; ${advice}`, detail };
			}
			if (comparison?.dropped) {
				const { common, lost, gained, baseline: before } = comparison;
				const message = `of ${common} known answers ${lost} are lost and ${gained} gained since ${before}, more than by chance; the detail names those that are not found`;
				return { passed: false, message, detail };
			}
			const found = queries - missed.length;
			return { passed: true, message: `${found} of ${queries} known answers are found`, detail };
		},
	};
}
