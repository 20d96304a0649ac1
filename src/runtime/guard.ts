import type { Completion } from '../spec/model.ts';
import type { Passage } from '../spec/retrieval.ts';
import type { GuardVerdict } from '../spec/trace.ts';
import type { Feature } from './feature.ts';
import type { RequestContext } from './request-context.ts';

/** guard: every check of the contract on the whole answer. The first failed verdict, or null when all passed. */
export function guard(
	context: RequestContext,
	{ guards }: Feature,
	judged: { completion: Completion; question: string; passages: readonly Passage[] },
): Promise<GuardVerdict | null> {
	return context.step('guard', ({ detail }) => {
		const { completion, question, passages } = judged;
		const verdicts: GuardVerdict[] = [];
		for (const check of guards) {
			const verdict = check.check(completion.text, { question, passages, finishReason: completion.finishReason });
			verdicts.push(verdict);
			detail[verdict.guard] = verdict.verdict;
			// Later guards may rely on what earlier ones hold, such as a bounded length.
			if (verdict.verdict === 'fail') break;
		}
		context.trace.guard_verdicts = [...context.trace.guard_verdicts, ...verdicts];
		return verdicts.find(({ verdict }) => verdict === 'fail') ?? null;
	});
}
