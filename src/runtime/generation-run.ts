import type { Verdict } from '../policy/breaker.ts';
import { summedUsage, worstCaseCost } from '../policy/cost.ts';
import { clientWaitMs, type Decision, decideRecovery } from '../policy/failure.ts';
import { FAILURES, type Setback, successorOf } from '../policy/failure-table.ts';
import { ERRORS, PlimsollError } from '../spec/errors.ts';
import type { Model, ModelRequest, Usage } from '../spec/model.ts';
import { type AttemptResult, attempt, beginEffect, type Produced } from './attempt.ts';
import type { Closure, Passage } from './breakers.ts';
import { type Failing, failureError } from './generation-failure.ts';
import type { Generation, GenerationParts, GenerationPlan } from './generation-plan.ts';
import type { CallAmounts } from './limits.ts';
import { beginningIn, formatFor, requestOf, sentTokens } from './model-request.ts';
import { tokensOutOf } from './parameters.ts';
import type { BegunEffect, RequestContext, StepNotes } from './request-context.ts';

/** Time kept back from attempts, so that what follows a time-out still fits before the deadline. */
const RESERVE_MS = 25;

/** The share of the time that the operator grants which an attempt must have had for its time-out to count against anyone. */
const FAIR_SHARE = 0.5;

/** An upstream that the run may not ask now; `budget`: not once more. */
type Obstacle = (Closure & { readonly kind: 'breaker' }) | { readonly kind: 'budget' };

interface Broken {
	readonly why: Failing;
	readonly usage: Usage | null;
}

/** Where a generation stands between its attempts. */
export class Run {
	readonly #context: RequestContext;
	readonly #plan: GenerationPlan;
	readonly #parts: GenerationParts;
	readonly #notes: StepNotes;
	#model: Model;
	#index = 0;
	#failuresHere = 0;
	/** A repeat that is paid for already. */
	#paidFor: Model | null = null;
	/** Whether the next call is the request's first at its upstream. */
	#isFirstAsk = false;
	#degraded: string | null = null;
	#last: Failing | null = null;
	#skippedMs: number | null = null;
	/** Why the stream broke that is gone on with, and what its upstreams counted; null: it is whole so far. */
	#broken: Broken | null = null;

	constructor(context: RequestContext, plan: GenerationPlan, ask: { parts: GenerationParts; notes: StepNotes }) {
		this.#context = context;
		this.#plan = plan;
		this.#parts = ask.parts;
		this.#notes = ask.notes;
		this.#model = plan.candidates[0] as Model;
	}

	/** The most that the next call can use. Counting is work, and is done only where something is capped. */
	mostUsed(): CallAmounts {
		const { costMicrosMax, countTokensIn, call } = this.#plan;
		const isLimited = this.#context.limits?.limitsCalls ?? false;
		if (costMicrosMax === null && !isLimited) return { tokens: 0, costMicros: 0 };
		const { upstream } = this.#model;
		const tokensIn =
			countTokensIn() + sentTokens(this.#plan, upstream) + (formatFor(this.#plan, upstream)?.tokens ?? 0);
		const tokensOut = tokensOutOf(call, upstream);
		return { tokens: tokensIn + tokensOut, costMicros: worstCaseCost(tokensIn, tokensOut, upstream.price) };
	}

	/**
	 * The way to the upstream, if its breaker and, for a repeat, the retry budgets let this run through. A first ask earns
	 * retries and a repeat spends one: the only place that does either.
	 */
	enter(): Passage | Obstacle {
		const { name } = this.#model.upstream;
		const { asked } = this.#context;
		const { retries, breakers } = this.#parts;
		const mustPay = asked.has(name) && this.#paidFor !== this.#model;
		if (mustPay && !retries.allows(name, this.#tenant)) return { kind: 'budget' };
		const entry = breakers.enter(name);
		if (!('end' in entry)) return { kind: 'breaker', ...entry };
		if (mustPay) retries.spend(name, this.#tenant);
		this.#isFirstAsk = !asked.has(name);
		this.#paidFor = null;
		asked.add(name);
		return entry;
	}

	/** One attempt, within everyone's limits: what it may use is reserved before, settled after. */
	async attempt(passage: Passage, most: CallAmounts): Promise<AttemptResult> {
		const { limits } = this.#context;
		const startedMs = this.#context.elapsedMs();
		let ticket: Awaited<ReturnType<NonNullable<typeof limits>['reserveCall']>> | null = null;
		let used: CallAmounts | null = null;
		let end: Parameters<Passage['end']>[0] = { verdict: 'unsent', tookMs: 0, error: null };
		const { name } = this.#model.upstream;
		this.#parts.load.begin(name);
		try {
			if (limits?.limitsCalls) ticket = await limits.reserveCall(most, this.#remainingMs(), this.#notes);
			this.#context.throwIfOver();
			const effect = await beginEffect(this.#context, this.#model.upstream);
			this.#earn();
			const request = this.#request();
			// From here on, whatever goes wrong, what may have been used is taken for used.
			used = most;
			end = { ...end, verdict: 'nothing' };
			const result = await this.#call(request, effect);
			used = usedBy(result);
			end = this.#endOf(result, { request, startedMs });
			if (!result.ok && result.fault !== null) throw result.fault;
			return result;
		} finally {
			this.#parts.load.end(name);
			passage.end(end);
			if (ticket !== null) await limits?.settleCall(ticket, used).catch(this.#parts.onFault);
		}
	}

	/** Only a call that is made earns a retry, and not one whose limits refuse it. */
	#earn(): void {
		// What a client sends again is amplification: it earns no further retry.
		if (!this.#isFirstAsk || this.#context.trace.client_retries > 0) return;
		this.#parts.retries.earn(this.#model.upstream.name, this.#tenant);
	}

	/** What follows a failed attempt. */
	decide({ error, answerStarted, usage }: Extract<AttemptResult, { ok: false }>): Decision {
		this.#failuresHere++;
		const { retryAfterMs } = error;
		this.#last = { setback: error.kind, message: error.message, error, retryAfterMs };
		if (answerStarted) return this.#decideBroken(this.#last, usage);
		const { name } = this.#model.upstream;
		const isOpen = this.#parts.breakers.waitMs(name) > (retryAfterMs ?? 0);
		const mayRetry = !isOpen && this.#parts.retries.allows(name, this.#tenant);
		return this.#decide({ setback: error.kind, retryAfterMs, answerStarted, mayRetry });
	}

	/** What follows when an upstream may not be asked: that costs no attempt, and the trace says it. */
	decideSkipped(obstacle: Obstacle): Decision {
		const { name } = this.#model.upstream;
		if (obstacle.kind === 'budget') {
			this.#note(`${name} (retry budget spent)`);
			this.#last ??= {
				setback: 'server_error',
				message: `${name} is not asked again: the retry budget is spent.`,
				error: null,
				retryAfterMs: null,
			};
		} else {
			const { why, waitMs } = obstacle;
			const until = new Date(this.#parts.clock.now() + waitMs).toISOString();
			this.#note(`${name} (open until ${until}${why === 'failures' ? '' : `: ${why}`})`);
			this.#skippedMs = Math.min(waitMs, this.#skippedMs ?? waitMs);
			this.#last = {
				setback: why === 'quota' ? 'quota_open' : 'breaker_open',
				message: `${name} is not asked for now: ${REASONS[why]}.`,
				error: null,
				retryAfterMs: null,
			};
		}
		if (this.#broken !== null) return this.#decideBroken(this.#last, null);
		return this.#decide({ setback: this.#last.setback, retryAfterMs: null, answerStarted: false, mayRetry: false });
	}

	/**
	 * What follows when a stream ends of which the client has seen a part. Who was to go on with it and would not, or could
	 * not, changes nothing about why it broke; only its content filter is heard.
	 */
	#decideBroken(failing: Failing, usage: Usage | null): Decision {
		const isFinal = failing.setback === 'content_filter' || failing.setback === 'cancelled';
		const why = isFinal ? failing : (this.#broken?.why ?? failing);
		this.#broken = { why, usage: summedUsage(this.#broken?.usage ?? null, usage) };
		this.#last = why;
		return this.#decide({ setback: why.setback, retryAfterMs: null, answerStarted: true, mayRetry: false });
	}

	/** False when asking once more cannot be paid for. */
	follow({ recovery, situation }: Decision): boolean {
		switch (recovery.action) {
			case 'retry':
				// Paid before the wait, so that those who wait together cannot all count on the same retry.
				if (!this.#parts.retries.spend(this.#model.upstream.name, this.#tenant)) return false;
				this.#paidFor = this.#model;
				return true;
			case 'escalate':
				return this.escalate();
			case 'fail_over':
			case 'continue':
				this.#degraded = `${situation}: ${recovery.action}`;
				this.#index = recovery.to;
				this.#moveTo(this.#plan.candidates[recovery.to] as Model);
				return true;
			default:
				return false;
		}
	}

	/** False when there is nobody to escalate to, or who would be asked already is. */
	escalate(): boolean {
		const { escalateTo } = this.#plan;
		if (escalateTo === null || !this.#canEscalate()) return false;
		this.#context.trace.escalated_from = this.#model.upstream.name;
		this.#moveTo(escalateTo);
		return true;
	}

	produced(result: Produced): Generation {
		const usage = summedUsage(this.#broken?.usage ?? null, result.usage) ?? result.usage;
		return { kind: 'produced', model: this.#model, degraded: this.#degraded, ...result, usage };
	}

	/** The error that the request ends with, and how long its client should stay away. */
	failure({ code }: Pick<Decision, 'code'>): PlimsollError {
		const last = this.#last;
		const { name } = this.#model.upstream;
		const waitMs = ERRORS[code].retryable
			? clientWaitMs({
					retryAfterMs: last?.retryAfterMs ?? null,
					breakerMs: this.#parts.breakers.waitMs(name),
					skippedMs: this.#skippedMs,
					isStrained: code === 'upstream_rate_limited' || !this.#parts.retries.allows(name, this.#tenant),
					draw: this.#parts.random.next(),
				})
			: null;
		return failureError(code, { upstream: name, last, waitMs });
	}

	/** Why the stream broke that cannot be gone on with; null: it did not. */
	brokenFailure(): PlimsollError | null {
		return this.#broken && this.failure({ code: FAILURES[this.#broken.why.setback].code });
	}

	/** No call is made that could push the request above its cap, whatever the upstream then answers. */
	overBudget({ costMicros: worst }: CallAmounts): PlimsollError | null {
		const { costMicrosMax } = this.#plan;
		const spent = this.#context.trace.cost_usd_micros;
		if (costMicrosMax === null || spent + worst <= costMicrosMax) return null;
		const already = spent > 0 ? ` on top of ${usd(spent)} spent` : '';
		return new PlimsollError(
			'budget_cost_exceeded',
			`A call to ${this.#model.upstream.name} could cost ${usd(worst)}${already}; budget.cost_usd_max is ${usd(costMicrosMax)}.`,
		);
	}

	get #seats() {
		return this.#plan.candidates.map(({ upstream }) => upstream);
	}

	get #tenant(): string {
		return this.#context.caller.tenantId;
	}

	#decide(now: { setback: Setback; retryAfterMs: number | null; answerStarted: boolean; mayRetry: boolean }): Decision {
		const { setback, ...rest } = now;
		return decideRecovery(
			{
				failure: setback,
				...rest,
				failuresHere: this.#failuresHere,
				attempts: this.#context.attempts,
				attemptsMax: this.#plan.attemptsMax,
				next: successorOf(setback, this.#model.upstream, { seats: this.#seats, index: this.#index }),
				nextToContinue: this.#nextToContinue(),
				canEscalate: this.#canEscalate(setback),
				mayHaveActed: this.#context.mayHaveActed,
				remainingMs: this.#remainingMs(),
				draw: this.#parts.random.next(),
			},
			this.#plan.onFailure,
		);
	}

	async #call(request: ModelRequest, effect: BegunEffect | null): Promise<AttemptResult> {
		this.#context.attempts++;
		const { countTokensIn, sink, call } = this.#plan;
		const count = () => countTokensIn() + (request.continues ? sentTokens(this.#plan, this.#model.upstream) : 0);
		const tokensOutMax = tokensOutOf(call, this.#model.upstream);
		const { passThrough } = call;
		const ask = { model: this.#model, request, effect, countTokensIn: count, tokensOutMax, sink, passThrough };
		const result = await attempt(this.#context, ask, this.#notes);
		this.#settle(result);
		return result;
	}

	/** What the attempt tells the breaker. */
	#endOf(
		result: AttemptResult,
		{ request, startedMs }: { request: ModelRequest; startedMs: number },
	): Parameters<Passage['end']>[0] {
		const tookMs = this.#notes.attempts.at(-1)?.time_to_first_token_ms ?? this.#context.sinceMs(startedMs);
		if (result.ok) return { verdict: 'ok', tookMs, error: null };
		const { error } = result;
		const { totalMs, firstTokenMs } = request.timeouts;
		const isOfTotal =
			error.kind === 'timeout_total' || (error.kind === 'timeout_first_token' && totalMs <= firstTokenMs);
		const isOurs = isOfTotal && !this.#wasFair(totalMs);
		const verdict: Verdict = isOurs ? 'nothing' : FAILURES[error.kind].verdict;
		return { verdict, tookMs, error };
	}

	/**
	 * Whether an attempt had the time that its operator grants: a client in a hurry, or what other attempts left over, must
	 * not make an upstream look ill.
	 */
	#wasFair(totalMs: number): boolean {
		if (totalMs >= this.#model.upstream.timeouts.totalMs) return true;
		return !this.#context.isHurried && totalMs >= this.#plan.grantedMs * FAIR_SHARE - RESERVE_MS;
	}

	#note(skipped: string): void {
		const { detail } = this.#notes;
		detail.skipped = typeof detail.skipped === 'string' ? `${detail.skipped}, ${skipped}` : skipped;
	}

	#canEscalate(setback: Setback | null = null): boolean {
		const { escalateTo } = this.#plan;
		if (escalateTo === null || this.#model === escalateTo) return false;
		// What did not fit is not sent unchanged to where it cannot fit either.
		const mustGrow = setback !== null && FAILURES[setback].next === 'larger';
		return !mustGrow || escalateTo.upstream.contextTokensMax > this.#model.upstream.contextTokensMax;
	}

	#moveTo(model: Model): void {
		this.#model = model;
		this.#failuresHere = 0;
	}

	#settle(result: AttemptResult): void {
		const { trace } = this.#context;
		trace.cost_usd_micros += result.costMicros;
		trace.price_version = this.#model.upstream.price?.version ?? null;
		trace.retries = this.#context.attempts - 1;
		if (!result.ok) {
			if (result.costMicros > 0) trace.cost_source = 'estimated';
			return;
		}
		trace.cost_source = trace.cost_source === 'estimated' ? 'estimated' : result.costSource;
		trace.upstream = this.#model.upstream.name;
		trace.provider = this.#model.upstream.provider;
		trace.model_name = result.completion.served.model ?? this.#model.upstream.model;
		trace.provider_fingerprint = result.completion.served.fingerprint;
		const usage = summedUsage(this.#broken?.usage ?? null, result.usage) ?? result.usage;
		trace.tokens_in = usage.tokensIn;
		trace.tokens_out = usage.tokensOut;
		trace.tokens_cached = usage.tokensCached;
		trace.finish_reason = result.completion.finishReason;
	}

	#request(): ModelRequest {
		const msMax = Math.max(1, this.#remainingMs() - RESERVE_MS);
		return requestOf(this.#plan, this.#model.upstream, { signal: this.#context.signal, msMax });
	}

	#nextToContinue(): number | null {
		if (beginningIn(this.#plan) === '') return null;
		const place = this.#seats.findIndex(({ continuesTurn }, at) => at > this.#index && continuesTurn);
		return place === -1 ? null : place;
	}

	#remainingMs(): number {
		return Math.min(this.#context.deadline.remainingMs(), this.#plan.endsMs - this.#context.elapsedMs());
	}
}

const REASONS: Readonly<Record<Closure['why'], string>> = {
	failures: 'too many of its latest calls failed',
	slow: 'too many of its latest calls were slow',
	quota: 'its provider refused for its limits',
	hand: 'an operator took it out',
};

/** What a call used, as the trace has it too; null: nothing. */
function usedBy({ usage, costMicros }: AttemptResult): CallAmounts | null {
	return usage === null ? null : { tokens: usage.tokensIn + usage.tokensOut, costMicros };
}

function usd(micros: number): string {
	return `$${(micros / 1_000_000).toFixed(6)}`;
}
