import { type Counter, Histogram, type Registry } from 'prom-client';
import { NONE } from '../spec/names.ts';
import type { AttemptTrace, RequestTrace } from '../spec/trace.ts';
import { BoundedNames } from './bounded-names.ts';
import { METRICS, type MetricOf, SECONDS_BUCKETS } from './metric-catalogue.ts';
import { Tally } from './tally.ts';

/** Far above what a project names: edits of a long-running server may add up to it. */
const NAMES_MAX = 500;
const MICROS = 1_000_000;
const MS = 1_000;

/** What ended requests add up to. Costs a request some look-ups, and reads nothing but its trace. */
export class RequestMetrics {
	readonly #tallies: Readonly<Record<MetricOf<'counter'>, Tally>>;
	readonly #durations: Histogram;
	readonly #firstTokens: Histogram;
	readonly #features = new BoundedNames(NAMES_MAX);
	readonly #upstreams = new BoundedNames(NAMES_MAX);
	readonly #guards = new BoundedNames(NAMES_MAX);
	readonly #reasons = new BoundedNames(NAMES_MAX);
	/** Null: tenants are not told apart. */
	readonly #tenants: BoundedNames | null;

	/** @param options.tenantsMax how many tenants are told apart; 0: none. */
	constructor(
		counters: Readonly<Record<MetricOf<'counter'>, Counter>>,
		options: { registry: Registry; tenantsMax: number },
	) {
		this.#tallies = talliesOf(counters);
		this.#durations = histogramIn(options.registry, 'plimsoll_request_duration_seconds');
		this.#firstTokens = histogramIn(options.registry, 'plimsoll_time_to_first_token_seconds');
		this.#tenants = options.tenantsMax === 0 ? null : new BoundedNames(options.tenantsMax);
	}

	/** Counts a request that has ended. */
	count(trace: RequestTrace): void {
		const feature = this.#features.of(trace.feature);
		const { outcome, error_code: code, time_to_first_token_ms: firstTokenMs } = trace;
		this.#tallies.plimsoll_requests_total.add(1, feature, priorityOf(trace), outcome, code ?? NONE);
		// Refusals take microseconds: among the others they would hide how long answers take.
		if (outcome !== 'refused') this.#durations.observe({ feature }, trace.latency_ms / MS);
		if (firstTokenMs !== null) this.#firstTokens.observe({ feature }, firstTokenMs / MS);
		this.#countTroubles(trace, feature);
		this.#countRating(trace);
		this.#countRetrieval(trace, feature);
		for (const { attempts } of trace.steps) {
			this.#countHedge(attempts, feature);
			for (const attempt of attempts) this.#countAttempt(attempt, trace, feature);
		}
		if (this.#tenants !== null) this.#countTenant(trace, this.#tenants.of(trace.tenant_id));
	}

	#countTroubles(trace: RequestTrace, feature: string): void {
		this.#tallies.plimsoll_cached_tokens_total.add(trace.tokens_cached, feature);
		this.#tallies.plimsoll_retries_total.add(trace.retries, feature);
		if (trace.client_retries > 0) this.#tallies.plimsoll_client_retries_total.add(1, feature);
		if (trace.degraded) {
			this.#tallies.plimsoll_degraded_total.add(1, feature, this.#reasons.of(trace.degraded_reason));
		}
		if (trace.escalated_from !== null) this.#tallies.plimsoll_escalations_total.add(1, feature);
		for (const { guard, verdict } of trace.guard_verdicts) {
			if (verdict === 'pass') continue;
			this.#tallies.plimsoll_guard_failures_total.add(1, feature, this.#guards.of(guard));
		}
		const kind = replayOf(trace);
		if (kind !== null) this.#tallies.plimsoll_idempotent_replays_total.add(1, kind);
	}

	#countRetrieval({ steps }: RequestTrace, feature: string): void {
		const detail = steps.find(({ stage }) => stage === 'retrieve')?.detail;
		if (typeof detail?.tokens_found !== 'number' || typeof detail.tokens !== 'number') return;
		this.#tallies.plimsoll_retrieval_requests_total.add(1, feature);
		this.#tallies.plimsoll_retrieval_tokens_total.add(detail.tokens_found, feature, 'found');
		this.#tallies.plimsoll_retrieval_tokens_total.add(detail.tokens, feature, 'used');
		const { floor_action: action } = detail;
		if (typeof action === 'string') this.#tallies.plimsoll_retrieval_below_floor_total.add(1, feature, action);
	}

	/** A rating is a request of its own; whose feature it rates its step says. */
	#countRating({ steps }: RequestTrace): void {
		const detail = steps.findLast(({ stage }) => stage === 'respond')?.detail;
		if (typeof detail?.rating !== 'string') return;
		const { rated_feature: feature } = detail;
		const named = typeof feature === 'string' ? feature : null;
		this.#tallies.plimsoll_feedback_total.add(1, this.#features.of(named), detail.rating);
	}

	#countHedge(attempts: readonly AttemptTrace[], feature: string): void {
		for (const hedge of attempts) {
			if (hedge.kind !== 'hedge') continue;
			const isLost = hedge.outcome !== 'ok' && attempts.some(({ outcome }) => outcome === 'ok');
			const result = hedge.outcome === 'ok' ? 'won' : isLost ? 'lost' : 'failed';
			this.#tallies.plimsoll_hedges_total.add(1, feature, this.#upstreams.of(hedge.upstream), result);
			const lost = attempts.filter(({ outcome }) => outcome === 'cancelled');
			const micros = lost.reduce((sum, { cost_usd_micros: cost }) => sum + cost, 0);
			this.#tallies.plimsoll_hedge_lost_cost_usd_total.add(micros / MICROS, feature);
		}
	}

	#countAttempt(attempt: AttemptTrace, { cost_source: costSource }: RequestTrace, feature: string): void {
		const upstream = this.#upstreams.of(attempt.upstream);
		const source = costSource ?? NONE;
		this.#tallies.plimsoll_attempts_total.add(1, upstream, attempt.outcome);
		this.#tallies.plimsoll_tokens_total.add(attempt.tokens_in, feature, upstream, source, 'in');
		this.#tallies.plimsoll_tokens_total.add(attempt.tokens_out, feature, upstream, source, 'out');
		this.#tallies.plimsoll_cost_usd_total.add(attempt.cost_usd_micros / MICROS, feature, upstream, source);
	}

	#countTenant({ outcome, steps }: RequestTrace, tenant: string): void {
		this.#tallies.plimsoll_tenant_requests_total.add(1, tenant, outcome);
		for (const { attempts } of steps) {
			for (const attempt of attempts) {
				this.#tallies.plimsoll_tenant_tokens_total.add(attempt.tokens_in, tenant, 'in');
				this.#tallies.plimsoll_tenant_tokens_total.add(attempt.tokens_out, tenant, 'out');
				this.#tallies.plimsoll_tenant_cost_usd_total.add(attempt.cost_usd_micros / MICROS, tenant);
			}
		}
	}

	/** Brings the counters up to date. */
	handOver(): void {
		for (const tally of Object.values(this.#tallies)) tally.handOver();
	}
}

/** Only an identified caller has one. */
function priorityOf({ steps: [first] }: RequestTrace): string {
	const priority = first?.detail.priority;
	return priority === 'interactive' || priority === 'batch' ? priority : NONE;
}

function replayOf({ steps }: RequestTrace): 'stored' | 'joined' | null {
	for (const { stage, detail } of steps) {
		// Claimed in a step of its own, the last of that stage.
		if (stage !== 'admit') return null;
		if (detail.idempotency === 'stored' || detail.idempotency === 'joined') return detail.idempotency;
	}
	return null;
}

function histogramIn(registry: Registry, name: MetricOf<'histogram'>): Histogram {
	const { help, labels } = METRICS[name];
	return new Histogram({ name, help, labelNames: [...labels], buckets: [...SECONDS_BUCKETS], registers: [registry] });
}

function talliesOf(counters: Readonly<Record<MetricOf<'counter'>, Counter>>): Record<MetricOf<'counter'>, Tally> {
	const names = Object.keys(counters) as MetricOf<'counter'>[];
	const tallies = names.map((name) => [name, new Tally(counters[name], METRICS[name].labels)]);
	return Object.fromEntries(tallies) as Record<MetricOf<'counter'>, Tally>;
}
