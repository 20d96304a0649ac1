import { sleep } from '../base/clock.ts';
import type { Decision } from '../policy/failure.ts';
import type { PlimsollError } from '../spec/errors.ts';
import type { Generation, GenerationParts, GenerationPlan } from './generation-plan.ts';
import { Run } from './generation-run.ts';
import type { RequestContext, StepNotes } from './request-context.ts';

/** generate: asks upstreams until one answers or the contract's policy says to stop. */
export function generate(context: RequestContext, plan: GenerationPlan, parts: GenerationParts): Promise<Generation> {
	return context.step('generate', (notes) => generateIn(notes, context, { plan, parts }));
}

/** The same within another step: its attempts are that step's. */
export async function generateIn(
	notes: StepNotes,
	context: RequestContext,
	{ plan, parts }: { plan: GenerationPlan; parts: GenerationParts },
): Promise<Generation> {
	const run = new Run(context, plan, { parts, notes });
	for (;;) {
		const most = run.mostUsed();
		const tooDear = run.overBudget(most);
		if (tooDear !== null) {
			const fallback = afterOverBudget(run, plan, tooDear);
			if (fallback !== null) return fallback;
			continue;
		}
		let decision: Decision;
		const entry = run.enter();
		if ('end' in entry) {
			const result = await run.attempt(entry, most);
			if (result.ok) return run.produced(result);
			context.throwIfOver();
			decision = run.decide(result);
		} else decision = run.decideSkipped(entry);

		const { recovery, situation } = decision;
		if (recovery.action === 'fall_back') {
			return { kind: 'fallen_back', answer: recovery.answer, degraded: `${situation}: fall_back` };
		}
		if (!run.follow(decision)) throw run.failure(decision);
		if (recovery.action === 'retry') await sleep(parts.clock, recovery.afterMs, context.signal);
	}
}

/** Follows the contract's policy for a call that could cost too much. Null: go on with who was escalated to. */
function afterOverBudget(run: Run, { onFailure }: GenerationPlan, tooDear: PlimsollError): Generation | null {
	const broken = run.brokenFailure();
	if (broken !== null) throw broken;
	const policy = onFailure.budget_exceeded;
	if (policy.action === 'fall_back') {
		return { kind: 'fallen_back', answer: policy.answer, degraded: 'budget_exceeded: fall_back' };
	}
	if (policy.action !== 'escalate' || !run.escalate()) throw tooDear;
	return null;
}
