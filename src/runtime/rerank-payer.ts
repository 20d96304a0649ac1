import type { Payer, RerankCall, RerankReport } from '../spec/reranker.ts';
import type { CallAmounts } from './limits.ts';
import type { RequestContext, StepNotes } from './request-context.ts';

/**
 * A request pays for its search's re-ranker: within its contract's cost and everyone's limits, set aside before the call and settled
 * after. The call stands as an attempt in the trace.
 */
export class RerankPayer implements Payer {
	readonly #context: RequestContext;
	readonly #notes: StepNotes;
	readonly #costMicrosMax: number | null;
	/** The call that is under way. */
	#call: {
		readonly asked: RerankCall;
		readonly startedMs: number;
		end(report: RerankReport): Promise<void>;
	} | null = null;
	#isLeft = false;

	/** @param costMicrosMax the contract's, for all calls of the request; null: none. */
	constructor(context: RequestContext, { notes, costMicrosMax }: { notes: StepNotes; costMicrosMax: number | null }) {
		this.#context = context;
		this.#notes = notes;
		this.#costMicrosMax = costMicrosMax;
	}

	async begin(asked: RerankCall): Promise<(report: RerankReport) => Promise<void>> {
		const { trace, limits, deadline } = this.#context;
		const { costMicros } = asked;
		if (this.#costMicrosMax !== null && costMicros > 0 && trace.cost_usd_micros + costMicros > this.#costMicrosMax)
			throw new Error('its call would pass budget.cost_usd_max');
		const isLimited = costMicros > 0 && limits?.limitsCalls === true;
		const most: CallAmounts = { tokens: 0, costMicros };
		// What refuses the re-ranker does not refuse the request.
		const ticket = isLimited ? await limits.reserveCall(most, deadline.remainingMs(), { detail: {} }) : null;
		// What nobody waits for is not bought: its cost would stand in no trace.
		if (this.#isLeft) {
			await limits?.settleCall(ticket, null);
			throw new Error('the request did not wait for it');
		}
		const call = {
			asked,
			startedMs: this.#context.elapsedMs(),
			end: async (report: RerankReport) => {
				// The first word counts: a request that went on has said that it paid.
				if (this.#call !== call) return;
				this.#call = null;
				this.#note(report);
				await limits?.settleCall(ticket, { tokens: 0, costMicros: report.costMicros });
			},
		};
		this.#call = call;
		return call.end;
	}

	/** The request no longer waits: what was asked may be billed. */
	async leave(): Promise<void> {
		this.#isLeft = true;
		if (this.#call === null) return;
		const { asked, startedMs, end } = this.#call;
		await end({ ...asked, ms: this.#context.elapsedMs() - startedMs, failure: 'the request did not wait for it' });
	}

	#note({ model, revision, ms, failure, costMicros }: RerankReport): void {
		const { trace } = this.#context;
		this.#notes.attempts.push({
			seq: this.#notes.attempts.length,
			upstream: `rerank/${model}`,
			model_name: revision === null ? model : `${model}@${revision}`,
			provider_response_id: null,
			started_ms: Math.max(0, this.#context.sinceMs(ms)),
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
		if (failure === null) trace.cost_source ??= 'reported';
		else trace.cost_source = 'estimated';
	}
}
