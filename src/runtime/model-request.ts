import { countTokens } from '../base/tokens.ts';
import type { SchemaFormat } from '../contracts/release.ts';
import type { ModelRequest, Upstream } from '../spec/model.ts';
import type { GenerationPlan } from './generation-plan.ts';
import { outgoingOf } from './outgoing-stream.ts';
import { beginningOf } from './seam.ts';

/** What an upstream is asked by a plan; where the client has seen a part of the answer, to go on with it. */
export function requestOf(
	plan: GenerationPlan,
	upstream: Upstream,
	{ signal, msMax }: { signal: AbortSignal; msMax: number },
): ModelRequest {
	const { messages, call, grounding } = plan;
	const { timeouts } = upstream;
	const beginning = beginningIn(plan);
	const continued = beginning !== '' && {
		messages: [...messages, { role: 'assistant', content: beginning }],
		continues: true,
	};
	return {
		messages,
		...continued,
		parameters: call.passThrough ? call.parameters : { ...withCap(plan, upstream), ...responseFormat(plan, upstream) },
		grounding,
		signal,
		timeouts: { ...timeouts, totalMs: Math.min(timeouts.totalMs, msMax) },
	};
}

/** How an upstream is held to a schema; null: it is not. A contract that sets a format of its own means it. */
export function formatFor(plan: GenerationPlan, { name }: Upstream): SchemaFormat | null {
	const { formats, call } = plan;
	// Held to the whole of an answer, nobody goes on in the middle of one.
	if (formats === null || 'response_format' in call.parameters || beginningIn(plan) !== '') return null;
	return formats[name] ?? null;
}

function responseFormat(plan: GenerationPlan, upstream: Upstream): Readonly<Record<string, unknown>> | null {
	const format = formatFor(plan, upstream);
	return format && { response_format: format.responseFormat };
}

/** What the client has seen of the answer, for an upstream to go on with; empty: nothing. */
export function beginningIn({ sink }: GenerationPlan): string {
	return beginningOf(outgoingOf(sink)?.sent ?? '');
}

/** What the beginning adds to the prompt, and takes from the longest answer. */
export function sentTokens(plan: GenerationPlan, { tokenizer }: Upstream): number {
	const beginning = beginningIn(plan);
	return beginning === '' ? 0 : countTokens(beginning, tokenizer);
}

function withCap(plan: GenerationPlan, upstream: Upstream): Record<string, unknown> {
	const { parameters, tokensOutMax } = plan.call;
	const left = (tokensOutMax ?? upstream.tokensOutMax) - sentTokens(plan, upstream);
	return { ...parameters, [upstream.tokensOutParameter]: Math.max(1, Math.min(left, upstream.tokensOutMax)) };
}
