import type { Hedge } from '../contracts/release.ts';
import type { Closure, Passage } from '../policy/breakers.ts';
import { summedUsage, worstCaseCost } from '../policy/cost.ts';
import { clientWaitMs, type Decision, decideRecovery } from '../policy/failure.ts';
import { FAILURES, type Setback, successorOf } from '../policy/failure-table.ts';
import { hedgeDelayMs, hedgePlace } from '../policy/hedge.ts';
import { ERRORS, PlimsollError } from '../spec/errors.ts';
import type { Model, Usage } from '../spec/model.ts';
import type { AttemptResult, Produced } from './attempt.ts';
import { type Failing, failureError } from './generation-failure.ts';
import type { Generation, GenerationParts, GenerationPlan } from './generation-plan.ts';
import { type HedgeCall, hedgedCall } from './hedged-call.ts';
import type { CallAmounts } from './limits.ts';
import { beginningIn, formatFor, sentTokens } from './model-request.ts';
import { tokensOutOf } from './parameters.ts';
import type { RequestContext, StepNotes } from './request-context.ts';
import { UpstreamCalls } from './upstream-call.ts';

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
	readonly #calls: UpstreamCalls;
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
		this.#calls = new UpstreamCalls(context, plan, ask);
	}

	/** The most that the next call can use. Counting is work, and is done only where something is capped. */
	mostUsed({ upstream }: Model = this.#model): CallAmounts {
		const { costMicrosMax, countTokensIn, call } = this.#plan;
		const isLimited = this.#context.limits?.limitsCalls ?? false;
		if (costMicrosMax === null && !isLimited) return { tokens: 0, costMicros: 0 };
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

	/** One attempt and, where the contract hedges and the first keeps the client waiting, a second one beside it. */
	async attempt(passage: Passage, most: CallAmounts): Promise<AttemptResult> {
		const call = { model: this.#model, passage, most, isFirstAsk: this.#isFirstAsk, isHedge: false };
		const afterMs = this.#plan.hedge === null ? null : this.#hedgeDelayMs(this.#plan.hedge);
		if (afterMs === null) return this.#calls.make({ ...call, lane: null });
		const { clock, onFault } = this.#parts;
		const begin = () => this.#beginHedge(most);
		const raced = await hedgedCall(call, { clock, calls: this.#calls, afterMs, begin, onFault });
		const { result, first, hedge, isOfHedge } = raced;
		if (hedge === null) return result;
		const { detail } = this.#notes;
		detail.hedge = hedge.call.model.upstream.name;
		detail.hedge_result = result.ok ? (isOfHedge ? 'won' : 'lost') : 'failed';
		if (!isOfHedge) return result;
		// Asked because another failed is what a fail-over is, even if it was asked before that was known.
		const situation = first.ok ? null : FAILURES[first.error.kind].situation;
		if (situation !== null) this.#degraded = `${situation}: fail_over`;
		this.#index = hedge.index;
		this.#moveTo(hedge.call.model);
		return result;
	}

	/** How long the next call is alone; null: until its end. */
	#hedgeDelayMs(hedge: Hedge): number | null {
		const { name } = this.#model.upstream;
		const { sink, candidates } = this.#plan;
		// What another upstream began is gone on with by one; and a probe has to tell how its upstream is.
		if (this.#broken !== null || candidates[this.#index] !== this.#model || !this.#isClosed(name)) return null;
		return hedgeDelayMs(hedge, this.#parts.times.of(name, sink !== null));
	}

	/** A second attempt, paid for like a repeat, if everything leaves room for two. */
	#beginHedge(most: CallAmounts): HedgeCall | null {
		const { candidates, attemptsMax } = this.#plan;
		const { attempts, mayHaveActed, asked, signal } = this.#context;
		const { retries, breakers } = this.#parts;
		const remainingMs = signal.aborted ? 0 : this.#calls.remainingMs();
		const seats = candidates.map(({ upstream: { name, sideEffects } }) => {
			return { name, sideEffects, isClosed: this.#isClosed(name) };
		});
		const index = hedgePlace({ seats, index: this.#index, attempts, attemptsMax, mayHaveActed, remainingMs });
		const model = index === null ? undefined : candidates[index];
		if (index === null || !model) return this.#noHedge('nobody else may be asked');
		const { name } = model.upstream;
		const mostOfHedge = this.mostUsed(model);
		if (this.overBudget({ ...most, costMicros: most.costMicros + mostOfHedge.costMicros }) !== null) {
			return this.#noHedge('both could cost more than the contract allows');
		}
		if (!retries.allows(name, this.#tenant)) return this.#noHedge('the retry budget is spent');
		const passage = breakers.enter(name);
		if (!('end' in passage)) return this.#noHedge(`${name} is not asked for now`);
		retries.spend(name, this.#tenant);
		asked.add(name);
		this.#noHedge('a limit left no room for it, or the first was there in the end');
		return { index, call: { model, passage, most: mostOfHedge, isFirstAsk: false, isHedge: true } };
	}

	#noHedge(why: string): null {
		this.#notes.detail.hedge = `not sent: ${why}`;
		return null;
	}

	#isClosed(upstream: string): boolean {
		const { breakers } = this.#parts;
		return !breakers.has(upstream) || breakers.isClosed(upstream);
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
		this.#answered({ ...result, usage });
		return { kind: 'produced', model: this.#model, degraded: this.#degraded, ...result, usage };
	}

	/** What the trace says of who answered. */
	#answered({ completion, usage, costSource }: Produced): void {
		const { trace } = this.#context;
		const { upstream } = this.#model;
		trace.cost_source = trace.cost_source === 'estimated' ? 'estimated' : costSource;
		trace.price_version = upstream.price?.version ?? null;
		trace.upstream = upstream.name;
		trace.provider = upstream.provider;
		trace.model_name = completion.served.model ?? upstream.model;
		trace.provider_fingerprint = completion.served.fingerprint;
		trace.tokens_in = usage.tokensIn;
		trace.tokens_out = usage.tokensOut;
		trace.tokens_cached = usage.tokensCached;
		trace.tokens_cache_written = usage.tokensCacheWritten;
		trace.tokens_reasoning = usage.tokensReasoning;
		trace.finish_reason = completion.finishReason;
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
		return failureError(code, { upstream: name, last, waitMs, isBare: this.#plan.call.passThrough });
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
				remainingMs: this.#calls.remainingMs(),
				draw: this.#parts.random.next(),
			},
			this.#plan.onFailure,
		);
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

	#nextToContinue(): number | null {
		if (beginningIn(this.#plan) === '') return null;
		const place = this.#seats.findIndex(({ continuesTurn }, at) => at > this.#index && continuesTurn);
		return place === -1 ? null : place;
	}
}

const REASONS: Readonly<Record<Closure['why'], string>> = {
	failures: 'too many of its latest calls failed',
	slow: 'too many of its latest calls were slow',
	quota: 'its provider refused for its limits',
	hand: 'an operator took it out',
};

function usd(micros: number): string {
	return `$${(micros / 1_000_000).toFixed(6)}`;
}
