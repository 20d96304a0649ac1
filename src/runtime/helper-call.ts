import { countTokens } from '../base/tokens.ts';
import { type ErrorCode, PlimsollError } from '../spec/errors.ts';
import type { ChatMessage, Model } from '../spec/model.ts';
import { generateIn } from './generate.ts';
import { type GenerationParts, NO_POLICIES } from './generation-plan.ts';
import type { RequestContext, StepNotes } from './request-context.ts';

/** Of the contract's `cost_usd_max`: what helpers use up is missing for the answer. */
const COST_SHARE = 0.25;
/** What two messages cost beyond their text. */
const FRAMING_TOKENS = 8;

/** A call that helps a request and is not its answer. */
export interface HelperCall {
	readonly model: Model;
	readonly system: string;
	readonly user: string;
	readonly tokensOutMax: number;
	/** The contract's, for all calls of the request; null: none. */
	readonly costMicrosMax: number | null;
	/** When it must have ended, milliseconds since the request entered. */
	readonly endsMs: number;
}

/** Why a helper gave nothing, in a few words; its attempt in the trace says more. */
export class NoHelp extends Error {}

/**
 * Asks a helper once, within everyone's limits and a quarter of the request's cost. Its attempt stands in the step that it helps, its
 * cost in the request's; the attempts that the answer may have, and who is named as having given it, stay as they were.
 * Throws NoHelp for whatever need not end the request.
 */
export async function askHelper(
	context: RequestContext,
	call: HelperCall,
	{ parts, notes }: { parts: GenerationParts; notes: StepNotes },
): Promise<string> {
	const { model, system, user, endsMs, costMicrosMax } = call;
	if (model.upstream.sideEffects) throw new NoHelp(`${model.upstream.name} acts on the world`);
	const messages: readonly ChatMessage[] = [
		{ role: 'system', content: system },
		{ role: 'user', content: user },
	];
	const plan = {
		candidates: [model],
		escalateTo: null,
		messages,
		countTokensIn: () => tokensOf(call),
		call: { parameters: {}, tokensOutMax: call.tokensOutMax, passThrough: false },
		formats: null,
		grounding: { question: user, passages: [], abstention: null },
		attemptsMax: 1,
		hedge: null,
		onFailure: NO_POLICIES,
		costMicrosMax: costMicrosMax === null ? null : Math.floor(costMicrosMax * COST_SHARE),
		grantedMs: Math.max(0, endsMs - context.elapsedMs()),
		endsMs,
		sink: null,
	};
	const restore = setAside(context);
	try {
		const generation = await generateIn(notes, context, { plan, parts });
		if (generation.kind !== 'produced') throw new NoHelp('it gave no answer');
		if (generation.completion.finishReason === 'length') throw new NoHelp('its answer was cut off');
		return generation.completion.text;
	} catch (error) {
		context.throwIfOver();
		throw asNoHelp(error);
	} finally {
		restore();
	}
}

/** What a call sends, in the helper's own tokens. */
export function tokensOf({ model, system, user }: Pick<HelperCall, 'model' | 'system' | 'user'>): number {
	const { tokenizer } = model.upstream;
	return countTokens(system, tokenizer) + countTokens(user, tokenizer) + FRAMING_TOKENS;
}

/** What was refused is not routed around, and a fault of our own is not hidden. */
const FINAL: ReadonlySet<ErrorCode> = new Set(['upstream_content_filtered', 'upstream_outcome_unknown']);

function asNoHelp(error: unknown): unknown {
	const isFinal = !(error instanceof PlimsollError) || error.category === 'internal' || FINAL.has(error.code);
	return isFinal ? error : new NoHelp(error.code, { cause: error });
}

/** Remembers what the trace and the retry budgets say of the answer so far; the result puts it back. */
function setAside(context: RequestContext): () => void {
	const { trace, attempts } = context;
	const asked = [...context.asked];
	const { upstream, provider, model_name, provider_fingerprint, finish_reason } = trace;
	const { tokens_in, tokens_out, tokens_cached, tokens_cache_written, tokens_reasoning, retries } = trace;
	context.attempts = 0;
	context.asked.clear();
	return () => {
		Object.assign(trace, { upstream, provider, model_name, provider_fingerprint, finish_reason });
		Object.assign(trace, { tokens_in, tokens_out, tokens_cached, tokens_cache_written, tokens_reasoning, retries });
		context.attempts = attempts;
		context.asked.clear();
		for (const name of asked) context.asked.add(name);
	};
}
