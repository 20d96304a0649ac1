import type { Clock } from '../base/clock.ts';
import { PlimsollError } from '../spec/errors.ts';
import type { Retriever, SearchRequest, SearchResult } from '../spec/retrieval.ts';
import type { RequestContext } from './request-context.ts';

/** A search that ends in time: the retriever's own time-outs stand below this one. */
export async function searchWithin(
	context: RequestContext,
	ask: Omit<SearchRequest, 'signal' | 'msMax' | 'caller'>,
	parts: { retriever: Retriever; clock: Clock; msMax: number },
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
	try {
		return await Promise.race([parts.retriever.search({ ...ask, caller, msMax, signal }), expired]);
	} finally {
		cancel();
		signal.removeEventListener('abort', onAbort);
	}
}
