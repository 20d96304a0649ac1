import type { Verdict } from '../policy/breaker.ts';
import type { Passage } from '../policy/breakers.ts';
import { FAILURES } from '../policy/failure-table.ts';
import { endsRace } from '../policy/hedge.ts';
import type { Model, ModelRequest } from '../spec/model.ts';
import type { AttemptKind } from '../spec/trace.ts';
import { type AttemptResult, attempt, beginEffect } from './attempt.ts';
import type { GenerationParts, GenerationPlan } from './generation-plan.ts';
import type { CallAmounts } from './limits.ts';
import { requestOf, sentTokens } from './model-request.ts';
import { tokensOutOf } from './parameters.ts';
import type { Lane } from './race.ts';
import type { BegunEffect, RequestContext, StepNotes } from './request-context.ts';

/** Time kept back from attempts, so that what follows a time-out still fits before the deadline. */
const RESERVE_MS = 25;

/** The share of the time that the operator grants which an attempt must have had for its time-out to count against anyone. */
const FAIR_SHARE = 0.5;

/** A call that is allowed, and paid for where it is a repeat. */
export interface UpstreamCall {
	readonly model: Model;
	readonly passage: Passage;
	/** The most that it can use. */
	readonly most: CallAmounts;
	/** Whether it is the request's first at its upstream, for its own sake. */
	readonly isFirstAsk: boolean;
	/** Whether it is made beside another one, which goes on without it. */
	readonly isHedge: boolean;
	/** Null: it is the only one of its kind. */
	readonly lane: Lane | null;
}

/** The calls of one generation: each within everyone's limits, and known to everyone who counts calls. */
export class UpstreamCalls {
	readonly #context: RequestContext;
	readonly #plan: GenerationPlan;
	readonly #parts: GenerationParts;
	readonly #notes: StepNotes;

	constructor(context: RequestContext, plan: GenerationPlan, ask: { parts: GenerationParts; notes: StepNotes }) {
		this.#context = context;
		this.#plan = plan;
		this.#parts = ask.parts;
		this.#notes = ask.notes;
	}

	/** One attempt: what it may use is reserved before, settled after. */
	async make(call: UpstreamCall): Promise<AttemptResult> {
		const { model, passage, most, lane } = call;
		const { limits } = this.#context;
		let ticket: Awaited<ReturnType<NonNullable<typeof limits>['reserveCall']>> | null = null;
		let used: CallAmounts | null = null;
		let end: Parameters<Passage['end']>[0] = { verdict: 'unsent', tookMs: 0, error: null };
		const { name } = model.upstream;
		this.#parts.load.begin(name);
		try {
			if (limits?.limitsCalls) {
				// What refuses a second call does not refuse the request.
				const notes = call.isHedge ? { detail: {} } : this.#notes;
				ticket = await limits.reserveCall(most, this.remainingMs(), notes);
			}
			this.#context.throwIfOver();
			const effect = await beginEffect(this.#context, model.upstream);
			lane?.signal.throwIfAborted();
			if (call.isFirstAsk) this.#earn(name);
			const request = this.#request(call);
			// From here on, whatever goes wrong, what may have been used is taken for used.
			used = most;
			end = { ...end, verdict: 'nothing' };
			lane?.sent();
			const result = await this.#attempt(call, request, effect);
			if (result.ok || endsRace(result.error.kind)) lane?.lead();
			used = usedBy(result);
			end = this.#endOf(result, { model, request });
			if (!result.ok && result.fault !== null) throw result.fault;
			return result;
		} finally {
			this.#parts.load.end(name);
			passage.end(end);
			if (ticket !== null) await limits?.settleCall(ticket, used).catch(this.#parts.onFault);
		}
	}

	/** What generation has left, milliseconds. */
	remainingMs(): number {
		return Math.min(this.#context.deadline.remainingMs(), this.#plan.endsMs - this.#context.elapsedMs());
	}

	/** Only a call that is made earns a retry, and not one whose limits refuse it. */
	#earn(upstream: string): void {
		// What a client sends again is amplification: it earns no further retry.
		if (this.#context.trace.client_retries > 0) return;
		this.#parts.retries.earn(upstream, this.#context.caller.tenantId);
	}

	async #attempt(asked: UpstreamCall, request: ModelRequest, effect: BegunEffect | null): Promise<AttemptResult> {
		const { model, lane, passage } = asked;
		this.#context.attempts++;
		const { countTokensIn, sink, call } = this.#plan;
		const { upstream } = model;
		const count = () => countTokensIn() + (request.continues ? sentTokens(this.#plan, upstream) : 0);
		const tokensOutMax = tokensOutOf(call, upstream);
		const { passThrough } = call;
		const ask = {
			model,
			request,
			effect,
			countTokensIn: count,
			tokensOutMax,
			sink,
			passThrough,
			lane,
			begun: passage.begun,
			kind: this.#kindOf(asked),
		};
		const result = await attempt(this.#context, ask, this.#notes);
		this.#charge(result, model);
		if (this.#plan.hedge !== null) this.#time(result, { model, lane });
		return result;
	}

	#kindOf({ isHedge, isFirstAsk }: UpstreamCall): AttemptKind {
		if (isHedge) return 'hedge';
		if (this.#plan.isReAsk === true) return 're_ask';
		if (this.#context.attempts === 1) return 'first';
		return isFirstAsk ? 'fail_over' : 'retry';
	}

	/** One that is cancelled for being slow was at least so slow: left out, its upstream would look faster with each. */
	#time({ ok, tookMs }: AttemptResult, { model, lane }: Pick<UpstreamCall, 'model' | 'lane'>): void {
		if (ok || lane?.lost) this.#parts.times.note(model.upstream.name, this.#plan.sink !== null, tookMs);
	}

	#charge(result: AttemptResult, { upstream }: Model): void {
		const { trace, attempts } = this.#context;
		trace.cost_usd_micros += result.costMicros;
		trace.price_version = upstream.price?.version ?? null;
		trace.retries = attempts - 1;
		if (result.costSource === 'estimated') trace.cost_source = 'estimated';
	}

	/** What the attempt tells the breaker. */
	#endOf(
		result: AttemptResult,
		{ model, request }: { model: Model; request: ModelRequest },
	): Parameters<Passage['end']>[0] {
		const { tookMs } = result;
		if (result.ok) return { verdict: 'ok', tookMs, error: null };
		const { error } = result;
		const { totalMs, firstTokenMs } = request.timeouts;
		const isOfTotal =
			error.kind === 'timeout_total' || (error.kind === 'timeout_first_token' && totalMs <= firstTokenMs);
		const isOurs = isOfTotal && !this.#wasFair(model, totalMs);
		const verdict: Verdict = isOurs ? 'nothing' : FAILURES[error.kind].verdict;
		return { verdict, tookMs, error };
	}

	/**
	 * Whether an attempt had the time that its operator grants: a client in a hurry, or what other attempts left over, must
	 * not make an upstream look ill.
	 */
	#wasFair({ upstream }: Model, totalMs: number): boolean {
		if (totalMs >= upstream.timeouts.totalMs) return true;
		return !this.#context.isHurried && totalMs >= this.#plan.grantedMs * FAIR_SHARE - RESERVE_MS;
	}

	#request({ model, lane }: UpstreamCall): ModelRequest {
		const msMax = Math.max(1, this.remainingMs() - RESERVE_MS);
		const whole = this.#context.signal;
		const signal = lane === null ? whole : AbortSignal.any([whole, lane.signal]);
		return requestOf(this.#plan, model.upstream, { signal, msMax });
	}
}

/** What a call used, as the trace has it too; null: nothing. */
function usedBy({ usage, costMicros }: AttemptResult): CallAmounts | null {
	return usage === null ? null : { tokens: usage.tokensIn + usage.tokensOut, costMicros };
}
