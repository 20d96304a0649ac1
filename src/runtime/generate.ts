import { type Clock, sleep } from '../base/clock.ts';
import type { Random } from '../base/random.ts';
import type { Contract } from '../contracts/release.ts';
import { worstCaseCost } from '../policy/cost.ts';
import { type Decision, decideRecovery, type Recovery } from '../policy/failure.ts';
import type { RetryBudget } from '../policy/retry-budget.ts';
import { PlimsollError } from '../spec/errors.ts';
import type { ChatMessage, Model, ModelRequest, UpstreamError } from '../spec/model.ts';
import { type AttemptResult, attempt, type Produced } from './attempt.ts';
import type { CallAmounts } from './limits.ts';
import { type CallParameters, tokensOutOf } from './parameters.ts';
import type { AnswerSink } from './request.ts';
import type { RequestContext, StepNotes } from './request-context.ts';

/** Everything that generation needs to know, whatever asked for it. */
export interface GenerationPlan {
	/** In order of preference, at least one. */
	readonly candidates: readonly Model[];
	readonly escalateTo: Model | null;
	readonly messages: readonly ChatMessage[];
	readonly countTokensIn: () => number;
	readonly call: CallParameters;
	readonly grounding: ModelRequest['grounding'];
	readonly attemptsMax: number;
	readonly onFailure: Contract['onFailure'];
	/** Null: no cap. */
	readonly costMicrosMax: number | null;
	/** When generation must have ended, milliseconds since the request entered; the deadline stands above it. */
	readonly endsMs: number;
	/** Where a stream goes while it is made; null: nothing is sent before the whole is known. */
	readonly sink: AnswerSink | null;
}

export interface GenerationParts {
	readonly clock: Clock;
	readonly random: Random;
	readonly retryBudget: RetryBudget;
	/** Told about faults that must not cost the client an answer that it can have. */
	readonly onFault: (error: unknown) => void;
}

export type Generation =
	| ({ readonly kind: 'produced'; readonly model: Model; readonly degraded: string | null } & Produced)
	| { readonly kind: 'fallen_back'; readonly answer: string; readonly degraded: string };

/** Time kept back from attempts, so that what follows a time-out still fits before the deadline. */
const RESERVE_MS = 25;

/** generate: asks upstreams until one answers or the contract's policy says to stop. */
export function generate(context: RequestContext, plan: GenerationPlan, parts: GenerationParts): Promise<Generation> {
	return context.step('generate', async (notes) => {
		if (context.attempts === 0) parts.retryBudget.earn();
		const run = new Run(context, plan, notes);
		for (;;) {
			const most = run.mostUsed();
			const tooDear = run.overBudget(most);
			if (tooDear !== null) {
				const policy = plan.onFailure.budget_exceeded;
				if (policy.action === 'fall_back') {
					return { kind: 'fallen_back', answer: policy.answer, degraded: 'budget_exceeded: fall_back' };
				}
				if (policy.action !== 'escalate' || !run.escalate()) throw tooDear;
				continue;
			}
			const result = await run.attempt(most, parts.onFault);
			if (result.ok) return run.produced(result);
			context.throwIfOver();
			const decision = run.decide(result, { draw: parts.random.next(), mayRetry: parts.retryBudget.allows });
			const { recovery } = decision;
			if (recovery.action === 'fall_back') {
				return { kind: 'fallen_back', answer: recovery.answer, degraded: `${decision.situation}: fall_back` };
			}
			if (recovery.action === 'fail' || (run.repeats(recovery) && !parts.retryBudget.spend())) {
				throw failure(decision, result.error);
			}
			run.follow(decision);
			if (recovery.action === 'retry' && recovery.afterMs > 0) {
				await sleep(parts.clock, recovery.afterMs, context.signal);
			}
		}
	});
}

/** Where a generation stands between its attempts. */
class Run {
	readonly #context: RequestContext;
	readonly #plan: GenerationPlan;
	readonly #notes: StepNotes;
	readonly #asked = new Set<Model>();
	#model: Model;
	#index = 0;
	#failuresHere = 0;
	#degraded: string | null = null;

	constructor(context: RequestContext, plan: GenerationPlan, notes: StepNotes) {
		this.#context = context;
		this.#plan = plan;
		this.#notes = notes;
		this.#model = plan.candidates[0] as Model;
	}

	/** The most that the next call can use. Counting is work, and is done only where something is capped. */
	mostUsed(): CallAmounts {
		const { costMicrosMax, countTokensIn, call } = this.#plan;
		const isLimited = this.#context.limits?.limitsCalls ?? false;
		if (costMicrosMax === null && !isLimited) return { tokens: 0, costMicros: 0 };
		const { upstream } = this.#model;
		const tokensIn = countTokensIn();
		const tokensOut = tokensOutOf(call, upstream);
		return { tokens: tokensIn + tokensOut, costMicros: worstCaseCost(tokensIn, tokensOut, upstream.price) };
	}

	/** One attempt, within everyone's limits: what it may use is reserved before, settled after. */
	async attempt(most: CallAmounts, onFault: (error: unknown) => void): Promise<AttemptResult> {
		const { limits } = this.#context;
		const ticket = (await limits?.reserveCall(most, this.#remainingMs(), this.#notes)) ?? null;
		// Whatever goes wrong in between, what may have been used is taken for used.
		let used: CallAmounts | null = most;
		try {
			if (this.#context.signal.aborted) used = null;
			this.#context.throwIfOver();
			const result = await this.#call();
			used = usedBy(result, most);
			return result;
		} finally {
			await limits?.settleCall(ticket, used).catch(onFault);
		}
	}

	async #call(): Promise<AttemptResult> {
		this.#context.attempts++;
		this.#asked.add(this.#model);
		const result = await attempt(
			this.#context,
			{
				model: this.#model,
				request: this.#request(),
				countTokensIn: this.#plan.countTokensIn,
				sink: this.#plan.sink,
				passThrough: this.#plan.call.passThrough,
			},
			this.#notes,
		);
		this.#settle(result);
		return result;
	}

	decide(failed: Extract<AttemptResult, { ok: false }>, chance: { draw: number; mayRetry: boolean }): Decision {
		this.#failuresHere++;
		return decideRecovery(
			{
				failure: failed.error.kind,
				retryAfterMs: failed.error.retryAfterMs,
				failuresHere: this.#failuresHere,
				attempts: this.#context.attempts,
				attemptsMax: this.#plan.attemptsMax,
				hasNext: this.#index + 1 < this.#plan.candidates.length,
				canEscalate: this.#canEscalate(),
				answerStarted: failed.answerStarted,
				mayHaveActed: this.#context.mayHaveActed,
				remainingMs: this.#remainingMs(),
				...chance,
			},
			this.#plan.onFailure,
		);
	}

	/** Whether following it asks an upstream again that this run has asked before: only that can feed a storm. */
	repeats(recovery: Recovery): boolean {
		if (recovery.action === 'retry') return true;
		const next = recovery.action === 'escalate' ? this.#plan.escalateTo : this.#plan.candidates[this.#index + 1];
		return next != null && this.#asked.has(next);
	}

	follow({ recovery, situation }: Decision): void {
		if (recovery.action === 'escalate') this.escalate();
		if (recovery.action !== 'fail_over') return;
		this.#degraded = `${situation}: fail_over`;
		this.#moveTo(this.#plan.candidates[++this.#index] as Model);
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
		return { kind: 'produced', model: this.#model, degraded: this.#degraded, ...result };
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

	#canEscalate(): boolean {
		return this.#plan.escalateTo !== null && this.#model !== this.#plan.escalateTo;
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
		trace.tokens_in = result.usage.tokensIn;
		trace.tokens_out = result.usage.tokensOut;
		trace.tokens_cached = result.usage.tokensCached;
		trace.finish_reason = result.completion.finishReason;
	}

	#request(): ModelRequest {
		const { messages, call, grounding } = this.#plan;
		const { timeouts } = this.#model.upstream;
		const left = Math.max(1, this.#remainingMs() - RESERVE_MS);
		return {
			messages,
			parameters: call.passThrough ? call.parameters : withCap(call, this.#model),
			grounding,
			signal: this.#context.signal,
			timeouts: { ...timeouts, totalMs: Math.min(timeouts.totalMs, left) },
		};
	}

	#remainingMs(): number {
		return Math.min(this.#context.deadline.remainingMs(), this.#plan.endsMs - this.#context.elapsedMs());
	}
}

/** What a call used. A count of our own is held to what was reserved: the provider was told to stop there. */
function usedBy(result: AttemptResult, most: CallAmounts): CallAmounts | null {
	const { usage, costMicros } = result;
	if (usage === null) return null;
	const tokens = usage.tokensIn + usage.tokensOut;
	if (usage.source === 'reported') return { tokens, costMicros };
	return { tokens: Math.min(tokens, most.tokens), costMicros: Math.min(costMicros, most.costMicros) };
}

function failure(decision: Decision, error: UpstreamError): PlimsollError {
	const wait = error.retryAfterMs === null ? {} : { retryAfterMs: error.retryAfterMs };
	// Where an upstream stands is the operator's to know: the attempt in the trace keeps the whole message.
	const isPlace = error.kind === 'connect' || error.kind === 'timeout_connect';
	if (decision.code === 'upstream_outcome_unknown') {
		return new PlimsollError(decision.code, unknownOutcome(error), { cause: error, internal: error.message });
	}
	const message = isPlace ? `${error.upstream} could not be reached; the trace says why.` : error.message;
	return new PlimsollError(decision.code, message, { cause: error, internal: error.message, ...wait });
}

function unknownOutcome({ upstream }: UpstreamError): string {
	return `${upstream} acts on the world and failed after it was asked; whether it acted is not known, so it was not asked again.`;
}

function withCap({ parameters, tokensOutMax }: CallParameters, { upstream }: Model): Record<string, unknown> {
	return {
		...parameters,
		[upstream.tokensOutParameter]: Math.min(tokensOutMax ?? upstream.tokensOutMax, upstream.tokensOutMax),
	};
}

function usd(micros: number): string {
	return `$${(micros / 1_000_000).toFixed(6)}`;
}
