import type { Completion } from '../spec/model.ts';
import type { Passage } from '../spec/retrieval.ts';
import type { GuardVerdict } from '../spec/trace.ts';
import type { Feature } from './feature.ts';
import type { RequestContext } from './request-context.ts';

interface Judged {
	readonly completion: Completion;
	readonly question: string;
	readonly passages: readonly Passage[];
	/** Nothing of the answer has been sent, so that it may be another one that passes. */
	readonly mayRepair: boolean;
	/** What was wrong already in its beginning, after which nothing more was asked for. */
	readonly found: GuardVerdict | null;
}

interface Judgement {
	/** The first failed verdict; null when all passed. */
	readonly failed: GuardVerdict | null;
	/** As it passed. */
	readonly completion: Completion;
}

/** guard: every check of the contract on the whole answer, or on what a guard could make of it. */
export function guard(context: RequestContext, { guards }: Feature, judged: Judged): Promise<Judgement> {
	return context.step('guard', ({ detail }) => {
		const { question, passages, mayRepair, found } = judged;
		let { completion } = judged;
		const verdicts: GuardVerdict[] = found ? [found] : [];
		if (found) detail[found.guard] = found.verdict;
		for (const check of found ? [] : guards) {
			let verdict = check.check(completion.text, { question, passages, finishReason: completion.finishReason });
			const repaired = verdict.verdict === 'fail' && mayRepair ? check.repair?.(completion.text) : null;
			if (repaired) {
				completion = { ...completion, text: repaired.text, raw: null };
				verdict = { guard: check.name, verdict: 'pass', reason: null, repaired: repaired.how };
				detail.repaired = repaired.how;
			}
			verdicts.push(verdict);
			detail[verdict.guard] = verdict.verdict;
			// Later guards may rely on what earlier ones hold, such as a bounded length.
			if (verdict.verdict === 'fail') break;
		}
		context.trace.guard_verdicts = [...context.trace.guard_verdicts, ...verdicts];
		return { failed: verdicts.find(({ verdict }) => verdict === 'fail') ?? null, completion };
	});
}
