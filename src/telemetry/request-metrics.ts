import { type Counter, Histogram, type Registry } from 'prom-client';
import type { AttemptTrace, RequestTrace } from '../spec/trace.ts';
import { BoundedNames } from './bounded-names.ts';
import { METRICS, type MetricOf, NONE, SECONDS_BUCKETS } from './metric-catalogue.ts';

/** Far above what a project names: edits of a long-running server may add up to it. */
const NAMES_MAX = 500;
const MICROS = 1_000_000;
const MS = 1_000;

/** What ended requests add up to. Costs a request some increments, and reads nothing but its trace. */
export class RequestMetrics {
	readonly #counters: Readonly<Record<MetricOf<'counter'>, Counter>>;
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
		this.#counters = counters;
		this.#durations = histogramIn(options.registry, 'plimsoll_request_duration_seconds');
		this.#firstTokens = histogramIn(options.registry, 'plimsoll_time_to_first_token_seconds');
		this.#tenants = options.tenantsMax === 0 ? null : new BoundedNames(options.tenantsMax);
	}

	/** Counts a request that has ended. */
	count(trace: RequestTrace): void {
		const feature = this.#features.of(trace.feature);
		const { outcome, error_code: code, time_to_first_token_ms: firstTokenMs } = trace;
		this.#add('plimsoll_requests_total', { feature, priority: priorityOf(trace), outcome, code: code ?? NONE }, 1);
		// Refusals take microseconds: among the others they would hide how long answers take.
		if (outcome !== 'refused') this.#durations.observe({ feature }, trace.latency_ms / MS);
		if (firstTokenMs !== null) this.#firstTokens.observe({ feature }, firstTokenMs / MS);
		this.#countTroubles(trace, feature);
		for (const { attempts } of trace.steps) {
			for (const attempt of attempts) this.#countAttempt(attempt, trace, feature);
		}
		if (this.#tenants !== null) this.#countTenant(trace, this.#tenants.of(trace.tenant_id));
	}

	#countTroubles(trace: RequestTrace, feature: string): void {
		this.#add('plimsoll_cached_tokens_total', { feature }, trace.tokens_cached);
		this.#add('plimsoll_retries_total', { feature }, trace.retries);
		if (trace.client_retries > 0) this.#add('plimsoll_client_retries_total', { feature }, 1);
		if (trace.degraded) {
			this.#add('plimsoll_degraded_total', { feature, reason: this.#reasons.of(trace.degraded_reason) }, 1);
		}
		if (trace.escalated_from !== null) this.#add('plimsoll_escalations_total', { feature }, 1);
		for (const { guard, verdict } of trace.guard_verdicts) {
			if (verdict === 'pass') continue;
			this.#add('plimsoll_guard_failures_total', { feature, guard: this.#guards.of(guard) }, 1);
		}
		const kind = replayOf(trace);
		if (kind !== null) this.#add('plimsoll_idempotent_replays_total', { kind }, 1);
	}

	#countAttempt(attempt: AttemptTrace, { cost_source: costSource }: RequestTrace, feature: string): void {
		const upstream = this.#upstreams.of(attempt.upstream);
		const source = costSource ?? NONE;
		this.#add('plimsoll_attempts_total', { upstream, outcome: attempt.outcome }, 1);
		this.#add('plimsoll_tokens_total', { feature, upstream, source, direction: 'in' }, attempt.tokens_in);
		this.#add('plimsoll_tokens_total', { feature, upstream, source, direction: 'out' }, attempt.tokens_out);
		this.#add('plimsoll_cost_usd_total', { feature, upstream, source }, attempt.cost_usd_micros / MICROS);
	}

	#countTenant({ outcome, steps }: RequestTrace, tenant: string): void {
		this.#add('plimsoll_tenant_requests_total', { tenant, outcome }, 1);
		for (const { attempts } of steps) {
			for (const attempt of attempts) {
				this.#add('plimsoll_tenant_tokens_total', { tenant, direction: 'in' }, attempt.tokens_in);
				this.#add('plimsoll_tenant_tokens_total', { tenant, direction: 'out' }, attempt.tokens_out);
				this.#add('plimsoll_tenant_cost_usd_total', { tenant }, attempt.cost_usd_micros / MICROS);
			}
		}
	}

	/** A counter that throws would take the request's end with it: what it cannot take is no amount. */
	#add(name: MetricOf<'counter'>, labels: Record<string, string>, amount: number): void {
		if (amount > 0 && Number.isFinite(amount)) this.#counters[name].inc(labels, amount);
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
