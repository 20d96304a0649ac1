import type { Clock } from '../base/clock.ts';
import { PlimsollError } from '../spec/errors.ts';
import type { Retriever, SearchRequest, SearchResult } from '../spec/retrieval.ts';
import type { RequestContext, StepNotes } from './request-context.ts';
import { RerankPayer } from './rerank-payer.ts';

/** A search that ends in time: the retriever's own time-outs stand below this one. */
export async function searchWithin(
	context: RequestContext,
	ask: Omit<SearchRequest, 'signal' | 'msMax' | 'caller'>,
	parts: { retriever: Retriever; clock: Clock; msMax: number; costMicrosMax: number | null; notes: StepNotes },
): Promise<SearchResult> {
	const { msMax } = parts;
	const { caller, signal } = context;
	const { promise: expired, reject } = Promise.withResolvers<never>();
	const onAbort = () => reject(signal.reason);
	signal.addEventListener('abort', onAbort, { once: true });
	const cancel = parts.clock.after(msMax, () =>
		reject(
			new PlimsollError(
				'retrieval_failed',
				`The search in ${ask.collection} took longer than ${Math.round(msMax)} ms, its share of the deadline.`,
			),
		),
	);
	const payer = new RerankPayer(context, parts);
	try {
		return await Promise.race([parts.retriever.search({ ...ask, caller, msMax, signal, payer }), expired]);
	} finally {
		cancel();
		signal.removeEventListener('abort', onAbort);
		await payer.leave();
	}
}
