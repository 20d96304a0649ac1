import type { Completion, Usage } from '../spec/model.ts';
import type { Generation } from './generation-plan.ts';
import type { Answer, Citation } from './request.ts';
import type { RequestContext } from './request-context.ts';

/** The answer that a model gave and the guards let pass. */
export function producedAnswer(
	context: RequestContext,
	produced: Extract<Generation, { kind: 'produced' }>,
	{ citations, passesThoughts }: { citations: readonly Citation[]; passesThoughts: boolean },
): Answer {
	const { completion, usage, model } = produced;
	return {
		...identityOf(context),
		...contentOf(completion),
		thoughts: passesThoughts ? (completion.thoughts ?? []) : [],
		usage,
		citations,
		upstream: model.upstream.name,
		model: completion.served.model ?? model.upstream.model,
		degraded: context.trace.degraded_reason,
	};
}

/** The fixed answer that a failure policy declares. Always degraded. */
export function fallbackAnswer(context: RequestContext, text: string, degraded: string): Answer {
	markDegraded(context, degraded);
	context.trace.finish_reason = 'stop';
	return {
		...identityOf(context),
		text,
		finishReason: 'stop',
		toolCalls: null,
		thoughts: [],
		confidence: null,
		raw: null,
		usage: billedUsage(context),
		citations: [],
		upstream: null,
		model: null,
		degraded: context.trace.degraded_reason,
	};
}

/** The first policy that answered names the degradation; later ones follow from it. */
export function markDegraded({ trace }: RequestContext, reason: string | null): void {
	if (reason === null) return;
	trace.degraded = true;
	trace.degraded_reason ??= reason;
}

function identityOf({ trace }: RequestContext): Pick<Answer, 'feature' | 'release'> {
	return { feature: trace.feature, release: trace.release };
}

function contentOf({ text, finishReason, toolCalls, confidence, raw }: Completion) {
	return { text, finishReason, toolCalls, confidence, raw };
}

/** What was billed for an answer that was then withheld; nothing where no model answered. */
function billedUsage({ trace }: RequestContext): Usage {
	const answered = trace.upstream !== null;
	return {
		tokensIn: answered ? trace.tokens_in : 0,
		tokensOut: answered ? trace.tokens_out : 0,
		tokensCached: answered ? trace.tokens_cached : 0,
		tokensCacheWritten: answered ? trace.tokens_cache_written : 0,
		tokensReasoning: answered ? trace.tokens_reasoning : 0,
		source: 'estimated',
	};
}
