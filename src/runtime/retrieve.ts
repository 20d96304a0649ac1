import type { Contract } from '../contracts/release.ts';
import { PlimsollError } from '../spec/errors.ts';
import type { PromptInput } from '../spec/prompt.ts';
import type { Hit, SearchResult } from '../spec/retrieval.ts';
import { capPassages } from './cap-passages.ts';
import type { ContextSizes } from './context-sizes.ts';
import type { Feature } from './feature.ts';
import type { RequestContext, StepNotes } from './request-context.ts';
import { type FloorParts, type Found, findAboveFloor, isEnough } from './retrieval-floor.ts';

export type Retrieval =
	| { readonly kind: 'found'; readonly hits: readonly Hit[]; readonly degraded: string | null }
	| { readonly kind: 'fallen_back'; readonly answer: string; readonly degraded: string };

/** retrieve: finds the passages that the answer must rest on, holds them to the floor and cuts them to the cap. */
export function retrieve(
	context: RequestContext,
	ask: { feature: Feature; retrieval: NonNullable<Contract['retrieval']>; input: Omit<PromptInput, 'passages'> },
	parts: FloorParts & { readonly contexts: ContextSizes },
): Promise<Retrieval> {
	return context.step('retrieve', async (notes) => {
		const { feature, retrieval, input } = ask;
		const { contract } = feature.release;
		const { question } = input;
		if (question.trim() === '') {
			const message = `${contract.feature} retrieves for a question, and the request has none.`;
			throw new PlimsollError('request_invalid', message, { param: 'question' });
		}
		const { stepShare } = contract.budget;
		const endsMs = context.elapsedMs() + context.deadlineMs * stepShare.retrieve;
		const { helper } = feature;
		const where = { parts, notes };
		const found = await findAboveFloor(context, { contract, retrieval, helper, input, endsMs }, where);
		const ofCap = { contract, retrieval, helper, question, hits: found.hits, endsMs };
		const capped = await capPassages(context, ofCap, where);
		parts.contexts.note(contract.feature, Number(notes.detail.tokens_found));
		note(context, notes, { result: found.result, used: capped.hits });
		if (!isEnough(capped, retrieval)) return belowFloor(contract, capped.hits, notes);
		return { kind: 'found', hits: capped.hits, degraded: degradation(found, capped.degraded, notes) };
	});
}

/** Why an answer from these passages is degraded; the way that saved it goes before what else was amiss. */
function degradation({ by, result }: Found, cap: string | null, { detail }: StepNotes): string | null {
	if (by !== null) {
		detail.floor_action = by;
		return `empty_retrieval: ${by}`;
	}
	return result.degraded === null ? cap : `retrieval: ${result.degraded}`;
}

function belowFloor(
	{ feature, retrieval, onFailure }: Contract,
	hits: readonly Hit[],
	{ detail }: StepNotes,
): Retrieval {
	const policy = onFailure.empty_retrieval;
	const degraded = `empty_retrieval: ${policy.action}`;
	detail.floor_action = policy.action;
	if (policy.action === 'degrade') return { kind: 'found', hits, degraded };
	if ('answer' in policy) return { kind: 'fallen_back', answer: policy.answer, degraded };
	throw new PlimsollError(
		'retrieval_empty',
		`${retrieval?.collection} holds ${hits.length} fitting passages for this question; ${feature} needs ${retrieval?.hitsMin}.`,
	);
}

export function note(
	{ trace }: RequestContext,
	{ detail }: StepNotes,
	{ result, used }: { result: SearchResult; used: readonly Hit[] },
): void {
	trace.retrieval_collection = result.collection;
	trace.retrieval_generation = result.generation;
	trace.retrieval_doc_ids = used.map((hit) => hit.chunkId);
	trace.retrieval_scores = used.map((hit) => hit.score);
	detail.mode = result.mode;
	if (result.answered !== result.mode) detail.answered = result.answered;
	detail.hits = result.hits.length;
	detail.used = used.length;
	detail.lexical_ms = result.lexicalMs;
	detail.vector_ms = result.vectorMs;
	if (typeof result.queryCached === 'boolean') detail.query_cached = result.queryCached;
	if (result.degraded !== null) detail.degraded = result.degraded;
}
