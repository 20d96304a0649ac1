import type { Clock } from '../base/clock.ts';
import { PlimsollError } from '../spec/errors.ts';
import type { RerankReport, Retriever, SearchRequest, SearchResult } from '../spec/retrieval.ts';
import type { RequestContext, StepNotes } from './request-context.ts';

/** A search that ends in time: the retriever's own time-outs stand below this one. */
export async function searchWithin(
	context: RequestContext,
	ask: Omit<SearchRequest, 'signal' | 'msMax' | 'caller'>,
	parts: { retriever: Retriever; clock: Clock; msMax: number; notes: StepNotes },
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
		const result = await Promise.race([parts.retriever.search({ ...ask, caller, msMax, signal }), expired]);
		if (result.rerank) await charge(context, result.rerank, parts.notes);
		return result;
	} finally {
		cancel();
		signal.removeEventListener('abort', onAbort);
	}
}

/** A re-ranker is paid by the search: it stands as an attempt in the trace, and counts against everyone's limits afterwards. */
async function charge(
	context: RequestContext,
	{ model, ms, failure, costMicros }: RerankReport,
	notes: StepNotes,
): Promise<void> {
	const { trace, limits } = context;
	notes.attempts.push({
		seq: notes.attempts.length,
		upstream: `rerank/${model}`,
		model_name: model,
		provider_response_id: null,
		started_ms: Math.max(0, context.sinceMs(ms)),
		latency_ms: ms,
		time_to_first_token_ms: null,
		outcome: failure === null ? 'ok' : 'failed',
		error: failure,
		tokens_in: 0,
		tokens_out: 0,
		cost_usd_micros: costMicros,
		kind: null,
	});
	if (costMicros === 0) return;
	trace.cost_usd_micros += costMicros;
	trace.cost_source ??= 'reported';
	if (!limits?.limitsCalls) return;
	const used = { tokens: 0, costMicros };
	// Spent already: a limit that is reached refuses what comes next.
	const ticket = await limits.reserveCall(used, context.deadline.remainingMs(), { detail: {} }).catch(() => null);
	await limits.settleCall(ticket, used);
}
