import type { Clock } from '../base/clock.ts';
import { sha256 } from '../base/hash.ts';
import { answerTo } from './answer.ts';
import { delayMs } from './delay.ts';
import { faultPlan } from './fault-schema.ts';
import { KeyLimits } from './key-limits.ts';
import { drawAt, type Plan } from './plan.ts';
import type { RawDelay, RawRule, RawScript } from './script-schema.ts';
import type { Planned, PlannedRequest, Planner } from './upstream-double.ts';

/** Which of a request's draws is for what, so that none depends on another. */
const DRAW = { latency: 1, firstToken: 2, gap: 3, rule: 4 } as const;
const NO_KEY = '(none)';

/** Plans each request by a script: the same seed and requests in the same order give the same plans. */
export class ScriptPlanner implements Planner {
	readonly #script: RawScript;
	readonly #seed: number;
	readonly #clock: Clock;
	readonly #rules: readonly { readonly name: string; readonly rule: RawRule }[];
	readonly #limits = new KeyLimits();
	/** How many requests met the conditions of each rule. */
	#met: number[];
	#count = 0;
	#startedMs: number;

	constructor(script: RawScript, seed: number, clock: Clock) {
		this.#script = script;
		this.#seed = seed;
		this.#clock = clock;
		this.#rules = Object.entries(script.rules).map(([name, rule]) => ({ name, rule }));
		this.#met = this.#rules.map(() => 0);
		this.#startedMs = clock.monotonic();
	}

	get models(): readonly string[] {
		return this.#script.models;
	}

	reset(): void {
		this.#met = this.#rules.map(() => 0);
		this.#count = 0;
		this.#startedMs = this.#clock.monotonic();
		this.#limits.clear();
	}

	plan(request: PlannedRequest): Planned {
		const index = this.#count++;
		const elapsedMs = this.#clock.monotonic() - this.#startedMs;
		const id = sha256(`${this.#seed} ${index}`).slice(0, 24);
		const { keys, keys_required: isClosed } = this.#script;
		if (isClosed && (request.key === null || !Object.hasOwn(keys, request.key))) {
			return { plan: { id, fault: 'authentication' }, limits: [] };
		}
		const struck = this.#strike(request, elapsedMs);
		const plan = this.#planOf(struck, { id, index, elapsedMs });
		const { waitMs, left } = this.#take(request, plan, elapsedMs);
		if (waitMs === null) return { plan, limits: left };
		const retryAfter = { form: 'seconds' as const, ms: waitMs };
		return { plan: { id, fault: 'rate_limited', retryAfter }, limits: left };
	}

	#take({ asked, key }: PlannedRequest, plan: Plan, nowMs: number) {
		const { limits, keys } = this.#script;
		const own = key !== null && Object.hasOwn(keys, key) ? { ...limits, ...keys[key] } : limits;
		const counts =
			own.tokens_per_minute !== undefined && asked !== null
				? answerTo(asked, {
						...(plan.counts && { counts: plan.counts }),
						...(plan.text !== undefined && { text: plan.text }),
					}).counts
				: null;
		const tokens = counts ? counts.tokensIn + counts.tokensOut : 0;
		return this.#limits.take(key ?? NO_KEY, own, { tokens, nowMs });
	}

	/** The first rule that holds and strikes. Every rule counts the requests that meet its conditions, struck or not. */
	#strike(request: PlannedRequest, elapsedMs: number): { name: string; rule: RawRule } | null {
		let struck: { name: string; rule: RawRule } | null = null;
		for (const [at, { name, rule }] of this.#rules.entries()) {
			if (!concerns(rule, request)) continue;
			const nth = (this.#met[at] ?? 0) + 1;
			this.#met[at] = nth;
			if (struck !== null || !isTime(rule, elapsedMs) || !isTurn(rule, nth)) continue;
			if (drawAt(this.#seed, DRAW.rule, at, nth) < rule.share) struck = { name, rule };
		}
		return struck;
	}

	#planOf(struck: { name: string; rule: RawRule } | null, at: { id: string; index: number; elapsedMs: number }): Plan {
		const { id, index, elapsedMs } = at;
		const { latency, first_token: firstToken, gap } = this.#script;
		const draw = (delay: RawDelay | null, purpose: number) => {
			const one = (nth: number) => drawAt(this.#seed, purpose, index, nth);
			return delayMs(delay, { draws: [one(0), one(1), one(2)], elapsedMs });
		};
		return {
			id,
			...answerPlan({ ...this.#script.answer, ...struck?.rule.answer }),
			latencyMs: draw(struck?.rule.latency ?? latency, DRAW.latency),
			firstTokenMs: draw(struck?.rule.first_token ?? firstToken, DRAW.firstToken),
			gapMs: draw(gap, DRAW.gap),
			...(struck && { rule: struck.name }),
			...(struck?.rule.fault && faultPlan(struck.rule.fault)),
		};
	}
}

function answerPlan(answer: RawScript['answer']): Plan {
	const { text, thinking, tool_calls: toolCalls, chunks } = answer;
	const counts = {
		...(answer.tokens_in !== undefined && { tokensIn: answer.tokens_in }),
		...(answer.tokens_out !== undefined && { tokensOut: answer.tokens_out }),
		...(answer.tokens_cached !== undefined && { tokensCached: answer.tokens_cached }),
		...(answer.tokens_cache_written !== undefined && { tokensCacheWritten: answer.tokens_cache_written }),
		...(answer.tokens_reasoning !== undefined && { tokensReasoning: answer.tokens_reasoning }),
	};
	return {
		counts,
		...(text !== undefined && { text }),
		...(thinking !== undefined && { thinking }),
		...(toolCalls !== undefined && { toolCalls }),
		...(chunks !== undefined && { chunks }),
	};
}

/** Whether a rule is about such requests at all. */
function concerns({ when }: RawRule, { route, asked, key }: PlannedRequest): boolean {
	if (when.routes && !when.routes.includes(route.name)) return false;
	if (when.stream !== undefined && when.stream !== asked?.stream) return false;
	if (when.models && !when.models.some((pattern) => fits(pattern, asked?.model ?? ''))) return false;
	return !when.keys || (key !== null && when.keys.includes(key));
}

function fits(pattern: string, model: string): boolean {
	return pattern.endsWith('*') ? model.startsWith(pattern.slice(0, -1)) : model === pattern;
}

function isTime({ when }: RawRule, elapsedMs: number): boolean {
	const at = when.every_s === undefined ? elapsedMs : elapsedMs % (when.every_s * 1_000);
	if (when.from_s !== undefined && at < when.from_s * 1_000) return false;
	return when.until_s === undefined || at < when.until_s * 1_000;
}

function isTurn({ when }: RawRule, nth: number): boolean {
	const at = when.every_requests === undefined ? nth : ((nth - 1) % when.every_requests) + 1;
	if (when.from_request !== undefined && at < when.from_request) return false;
	return when.until_request === undefined || at <= when.until_request;
}
