import type { Clock } from '../base/clock.ts';
import type { Contract } from '../contracts/release.ts';
import { PlimsollError } from '../spec/errors.ts';
import type { Hit, Retriever, SearchRequest, SearchResult } from '../spec/retrieval.ts';
import type { RequestContext, StepNotes } from './request-context.ts';

export type Retrieval =
	| { readonly kind: 'found'; readonly hits: readonly Hit[]; readonly degraded: string | null }
	| { readonly kind: 'fallen_back'; readonly answer: string; readonly degraded: string };

/** retrieve: finds the passages that the answer must rest on, holds them to the floor and cuts them to the cap. */
export function retrieve(
	context: RequestContext,
	ask: { contract: Contract; retrieval: NonNullable<Contract['retrieval']>; question: string },
	parts: { retriever: Retriever; clock: Clock },
): Promise<Retrieval> {
	return context.step('retrieve', async (notes) => {
		const { contract, retrieval, question } = ask;
		if (question.trim() === '') {
			throw new PlimsollError(
				'request_invalid',
				`${contract.feature} retrieves for a question, and the request has none.`,
				{
					param: 'question',
				},
			);
		}
		const result = await searchWithin(
			context,
			{ collection: retrieval.collection, query: question, k: retrieval.k, mode: retrieval.mode, filter: null },
			{ ...parts, msMax: context.deadlineMs * contract.budget.stepShare.retrieve },
		);
		const hits = withinCap(atLeast(retrieval.scoreMin, result.hits), retrieval.tokensMax);
		note(context, notes, { result, used: hits });
		const searchDegraded = result.degraded === null ? null : `retrieval: ${result.degraded}`;
		if (hits.length >= retrieval.hitsMin) return { kind: 'found', hits, degraded: searchDegraded };
		return belowFloor(contract, hits);
	});
}

function belowFloor({ feature, retrieval, onFailure }: Contract, hits: readonly Hit[]): Retrieval {
	const policy = onFailure.empty_retrieval;
	const degraded = `empty_retrieval: ${policy.action}`;
	if (policy.action === 'degrade') return { kind: 'found', hits, degraded };
	if (policy.action === 'fall_back') return { kind: 'fallen_back', answer: policy.answer, degraded };
	throw new PlimsollError(
		'retrieval_empty',
		`${retrieval?.collection} holds ${hits.length} fitting passages for this question; ${feature} needs ${retrieval?.hitsMin}.`,
	);
}

/** A search that ends in time: the retriever's own time-outs stand below this one. */
export async function searchWithin(
	context: RequestContext,
	ask: Omit<SearchRequest, 'signal'>,
	parts: { retriever: Retriever; clock: Clock; msMax: number },
): Promise<SearchResult> {
	const { promise: expired, reject } = Promise.withResolvers<never>();
	const onAbort = () => reject(context.signal.reason);
	context.signal.addEventListener('abort', onAbort, { once: true });
	const cancel = parts.clock.after(parts.msMax, () =>
		reject(
			new PlimsollError(
				'retrieval_failed',
				`The search in ${ask.collection} took longer than ${Math.round(parts.msMax)} ms, its share of the deadline.`,
			),
		),
	);
	try {
		return await Promise.race([parts.retriever.search({ ...ask, signal: context.signal }), expired]);
	} finally {
		cancel();
		context.signal.removeEventListener('abort', onAbort);
	}
}

function atLeast(scoreMin: number, hits: readonly Hit[]): readonly Hit[] {
	return scoreMin > 0 ? hits.filter((hit) => hit.score >= scoreMin) : hits;
}

/** The best hits whose tokens fit together; the rest is cut by rank. */
function withinCap(hits: readonly Hit[], tokensMax: number): readonly Hit[] {
	let tokens = 0;
	const end = hits.findIndex((hit) => {
		tokens += hit.tokens;
		return tokens > tokensMax;
	});
	return end === -1 ? hits : hits.slice(0, end);
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
	detail.hits = result.hits.length;
	detail.used = used.length;
	detail.lexical_ms = result.lexicalMs;
	detail.vector_ms = result.vectorMs;
	if (result.degraded !== null) detail.degraded = result.degraded;
}
