import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { PartitionView } from '../../src/spec/retrieval.ts';
import type { RequestTrace } from '../../src/spec/trace.ts';
import { METRICS, SECONDS_BUCKETS } from '../../src/telemetry/metric-catalogue.ts';
import { Metrics } from '../../src/telemetry/metrics.ts';
import type { Standing } from '../../src/telemetry/standing.ts';
import { MetricsPage } from '../support/prometheus-text.ts';
import { anyTrace, sampleTrace } from './sample-trace.ts';

const STANDING: Standing = {
	version: '1.0.0',
	draining: false,
	upstreams: [{ upstream: 'a/1', state: 'open', retriesLeft: 7 }],
	admission: {
		limit: 40,
		max: 50,
		running: { interactive: 3, batch: 1 },
		queued: { interactive: 0, batch: 2 },
		bufferedBytes: 1_000,
		bufferedBytesMax: 2_000,
	},
	sharedState: { backend: 'redis', status: 'down', unsettled: 4 },
	idempotency: { status: 'up' },
	tracesDropped: { buffer_full: 5, closed: 0 },
	alerts: {
		open: [{ rule: 'index_damaged', severity: 'page', open: 2 }],
		deliveries: new Map([['on-call', { sent: 3, failed: 1, dropped: 0 }]]),
	},
	collections: [
		{ collection: 'docs', generation: 'gen_2', documents: 10, chunks: 30 },
		{ collection: 'tickets', generation: null, documents: 0, chunks: 0 },
	],
	generations: [
		{ collection: 'docs', state: 'live', generations: 1 },
		{ collection: 'docs', state: 'retired', generations: 2 },
	],
	ingestions: [
		{
			collection: 'docs',
			runs: { succeeded: 3, refused: 1, failed: 0, cancelled: 0 },
			documents: { unchanged: 5, written: 4, quarantined: 2, failed: 1, deleted: 0 },
			chunks: 12,
			rebuiltChunks: 7,
			embedding: { answered: 2, failed: 1, tokens: 900, costMicros: 2_500_000 },
			seconds: 1.5,
			running: { rebuild: true, documents: 6 },
		},
	],
	queryVectors: { entries: 3, bytes: 1_000, hits: 8, misses: 2 },
	partitions: new Map([['docs', [partition('busy', { queued: 3, hot: true }), partition('calm'), partition('third')]]]),
};

function partition(name: string, fields: Partial<PartitionView> = {}): PartitionView {
	const idle = {
		running: 0,
		queued: 0,
		searches: 1,
		shed: 0,
		degraded: 0,
		latencyMsP50: 5,
		latencyMsP99: 20,
		hot: false,
	};
	return { partition: name, ...idle, ...fields };
}

/** The page after these requests. */
async function pageAfter(traces: readonly RequestTrace[], tenantsMax = 0): Promise<MetricsPage> {
	const metrics = new Metrics({ tenantsMax, partitionsMax: 2 });
	const kept: RequestTrace[] = [];
	const sink = metrics.before({ record: (trace) => kept.push(trace), dropped: 0, flush: async () => {} });
	for (const trace of traces) sink.record(trace);
	expect(kept).toEqual(traces);
	return new MetricsPage(await metrics.page(STANDING, { withTenants: true }));
}

describe('the page of metrics', () => {
	it('is in the format after any requests, and its requests and costs are those of the traces', async () => {
		await fc.assert(
			fc.asyncProperty(fc.array(anyTrace, { maxLength: 8 }), async (traces) => {
				const page = await pageAfter(traces, 3);
				expect(page.sum('plimsoll_requests_total')).toBe(traces.length);
				expect(page.sum('plimsoll_tenant_requests_total')).toBe(traces.length);
				const attempts = traces.flatMap(({ steps }) => steps.flatMap((step) => step.attempts));
				expect(page.sum('plimsoll_attempts_total')).toBe(attempts.length);
				const dollars = attempts.reduce((sum, { cost_usd_micros: micros }) => sum + micros / 1_000_000, 0);
				const off = Math.abs(page.sum('plimsoll_cost_usd_total') - dollars);
				expect(off).toBeLessThanOrEqual(1e-9 * Math.max(1, dollars));
			}),
			{ numRuns: 20 },
		);
	});

	it('counts what retrieval found, used and did below its floor', async () => {
		const { steps } = sampleTrace({});
		const traceOf = (detail: Record<string, number | string>) =>
			sampleTrace({ steps: steps.map((step) => (step.stage === 'retrieve' ? { ...step, detail } : step)) });
		const page = await pageAfter([
			traceOf({ tokens_found: 900, tokens: 600 }),
			traceOf({ tokens_found: 100, tokens: 100, floor_action: 'widen_k' }),
			traceOf({}),
		]);
		expect(page.sum('plimsoll_retrieval_requests_total')).toBe(2);
		const tokens = page.series('plimsoll_retrieval_tokens_total');
		expect(tokens.map(({ labels, value }) => [labels.passages, value])).toEqual([
			['found', 1000],
			['used', 700],
		]);
		expect(page.series('plimsoll_retrieval_below_floor_total').map(({ labels }) => labels.action)).toEqual(['widen_k']);
	});

	it('counts hedges by what became of them, and what their losers cost', async () => {
		const { steps } = sampleTrace({});
		const [one] = steps.flatMap((step) => step.attempts);
		const traceOf = (first: string, hedge: string) => {
			const attempts = [
				{ ...(one as NonNullable<typeof one>), outcome: first, cost_usd_micros: 300 },
				{ ...(one as NonNullable<typeof one>), outcome: hedge, cost_usd_micros: 500, kind: 'hedge' as const },
			];
			return sampleTrace({ steps: steps.map((step) => (step.stage === 'generate' ? { ...step, attempts } : step)) });
		};
		const page = await pageAfter([traceOf('cancelled', 'ok'), traceOf('ok', 'cancelled'), traceOf('cut', 'connect')]);
		const results = page.series('plimsoll_hedges_total').map(({ labels, value }) => [labels.result, value]);
		expect(results.sort()).toEqual([
			['failed', 1],
			['lost', 1],
			['won', 1],
		]);
		expect(page.sum('plimsoll_hedge_lost_cost_usd_total')).toBeCloseTo(0.0008, 9);
	});

	it('gives back every name as it is, with whatever quotes, backslashes and line ends', async () => {
		const name = fc.oneof(
			fc.string({ minLength: 1, unit: 'grapheme' }),
			fc.constantFrom('"', '\\', '\\n', '\n', '"}\n'),
		);
		await fc.assert(
			fc.asyncProperty(name, async (feature) => {
				const page = await pageAfter([sampleTrace({ feature })]);
				expect(page.series('plimsoll_requests_total').map(({ labels }) => labels.feature)).toEqual([feature]);
			}),
			{ numRuns: 30 },
		);
	});

	it('has every metric of the catalogue, and none of our own beside it', async () => {
		const page = await pageAfter([], 3);
		const own = [...page.families].filter(([name]) => name.startsWith('plimsoll_'));
		const listed = Object.entries(METRICS).map(([name, { kind, help }]) => [name, kind, help]);
		expect(own.map(([name, { type, help }]) => [name, type, help]).sort()).toEqual(listed.sort());
		expect([...page.families.keys()]).toEqual(
			expect.arrayContaining(['process_cpu_seconds_total', 'nodejs_eventloop_lag_p99_seconds']),
		);
	});

	it('names no user and no key, and a tenant only where tenants are told apart', async () => {
		const names = [...new Set(Object.values(METRICS).flatMap(({ labels }) => [...labels]))];
		expect(names.filter((label) => /user|key|request/.test(label))).toEqual([]);
		const page = await pageAfter([sampleTrace({ tenant_id: 'acme' })]);
		expect(JSON.stringify([...page.families])).not.toContain('acme');
	});
});

describe('labels', () => {
	it('tell so many tenants apart as they may, and count the others together', async () => {
		const traces = Array.from({ length: 40 }, (_, n) => sampleTrace({ tenant_id: `tenant-${n % 10}` }));
		const page = await pageAfter(traces, 3);
		const tenants = Object.groupBy(page.series('plimsoll_tenant_requests_total'), ({ labels }) => labels.tenant ?? '');
		expect(Object.keys(tenants).sort()).toEqual(['(other)', 'tenant-0', 'tenant-1', 'tenant-2']);
		expect(page.sum('plimsoll_tenant_requests_total', { tenant: '(other)' })).toBe(28);
	});

	it('do not grow without end with names that come and go', async () => {
		const traces = Array.from({ length: 2_000 }, (_, n) => sampleTrace({ feature: `feature-${n}`, steps: [] }));
		const page = await pageAfter(traces);
		expect(page.series('plimsoll_requests_total')).toHaveLength(501);
		expect(page.sum('plimsoll_requests_total')).toBe(2_000);
	});
});

describe('durations', () => {
	it('give quantiles that are off by at most a tenth between 10 ms and 100 s', async () => {
		const ms = fc.double({ min: 10.001, max: 99_999, noNaN: true });
		await fc.assert(
			fc.asyncProperty(fc.array(ms, { minLength: 1, maxLength: 60 }), async (all) => {
				const page = await pageAfter(all.map((latency_ms) => sampleTrace({ latency_ms, steps: [] })));
				const exact = [...all].sort((a, b) => a - b)[Math.ceil(0.95 * all.length) - 1] ?? 0;
				const told = page.quantile('plimsoll_request_duration_seconds', 0.95) * 1_000;
				expect(Math.abs(told - exact) / exact).toBeLessThanOrEqual(0.1 + 1e-9);
			}),
			{ numRuns: 20 },
		);
		expect(SECONDS_BUCKETS).toHaveLength(107);
	});

	it('leave out what was refused', async () => {
		const page = await pageAfter([sampleTrace({ outcome: 'refused', latency_ms: 0.1, time_to_first_token_ms: null })]);
		expect(page.sum('plimsoll_request_duration_seconds_count')).toBe(0);
		expect(page.sum('plimsoll_time_to_first_token_seconds_count')).toBe(0);
		expect(page.sum('plimsoll_requests_total', { outcome: 'refused' })).toBe(1);
	});
});

describe('how things stand', () => {
	it('is read when somebody looks, in base units', async () => {
		const page = await pageAfter([]);
		const values = {
			plimsoll_retry_budget_left: 7,
			plimsoll_places: 40,
			plimsoll_places_max: 50,
			plimsoll_buffered_bytes: 1_000,
			plimsoll_buffered_bytes_max: 2_000,
			plimsoll_shared_state_up: 0,
			plimsoll_shared_state_unsettled_total: 4,
			plimsoll_idempotency_store_up: 1,
			plimsoll_traces_dropped_total: 5,
			plimsoll_alerts_open: 2,
			plimsoll_alert_deliveries_total: 4,
			plimsoll_draining: 0,
			plimsoll_index_generations: 3,
			plimsoll_ingestion_runs_total: 4,
			plimsoll_ingestion_documents_total: 12,
			plimsoll_ingestion_chunks_total: 12,
			plimsoll_rebuild_chunks_total: 7,
			plimsoll_ingestion_embedding_calls_total: 3,
			plimsoll_ingestion_embedding_tokens_total: 900,
			plimsoll_ingestion_embedding_cost_usd_total: 2.5,
			plimsoll_ingestion_seconds_total: 1.5,
			plimsoll_ingestion_run_documents: 6,
			plimsoll_query_vectors_total: 10,
			plimsoll_query_vectors_kept: 3,
			plimsoll_query_vectors_bytes: 1_000,
			plimsoll_partitions_hot: 1,
		};
		for (const [name, value] of Object.entries(values)) expect(page.sum(name), name).toBe(value);
		expect(page.sum('plimsoll_requests_running', { priority: 'interactive' })).toBe(3);
		expect(page.sum('plimsoll_requests_queued', { priority: 'batch' })).toBe(2);
		const states = page.series('plimsoll_breaker_state', { upstream: 'a/1' });
		expect(states.filter(({ value }) => value === 1).map(({ labels }) => labels.state)).toEqual(['open']);
		expect(page.sum('plimsoll_index_live', { collection: 'tickets' })).toBe(0);
		expect(page.series('plimsoll_index_info').map(({ labels }) => labels)).toEqual([
			{ collection: 'docs', generation: 'gen_2' },
		]);
	});

	it('tells the busiest partitions apart, which keep their names, and adds up the others', async () => {
		const metrics = new Metrics({ tenantsMax: 0, partitionsMax: 2 });
		const page = async (views: readonly PartitionView[], withTenants = true) =>
			new MetricsPage(await metrics.page({ ...STANDING, partitions: new Map([['docs', views]]) }, { withTenants }));
		const names = (one: MetricsPage) =>
			one.series('plimsoll_partition_searches_total').map(({ labels, value }) => [labels.partition, value]);
		const all = [partition('a', { searches: 5 }), partition('b'), partition('c'), partition('d', { shed: 4 })];
		const first = await page(all);
		expect(names(first)).toEqual([
			['a', 5],
			['b', 1],
			['(other)', 2],
		]);
		expect(first.sum('plimsoll_partition_shed_total', { partition: '(other)' })).toBe(4);
		expect(first.series('plimsoll_partition_latency_seconds', { partition: 'a', quantile: '0.99' })[0]?.value).toBe(
			0.02,
		);
		expect(first.series('plimsoll_partition_latency_seconds', { partition: '(other)' })).toEqual([]);
		// Who became busy later shares the name of the others.
		expect(
			names(await page(all.toReversed()))
				.map(([name]) => name)
				.sort(),
		).toEqual(['(other)', 'a', 'b']);
		// What searches count as one beyond their own cap is the same to a reader.
		const both = await page([partition('(other)', { searches: 40 }), partition('a'), partition('b'), partition('e')]);
		expect(names(both).sort()).toEqual([
			['(other)', 41],
			['a', 1],
			['b', 1],
		]);
		// Their names may be tenants.
		const open = await page([partition('acme', { hot: true })], false);
		expect(open.series('plimsoll_partition_searches_total')).toEqual([]);
		expect(open.sum('plimsoll_partitions_hot')).toBe(1);
	});

	it('keeps nothing of what stood before', async () => {
		const metrics = new Metrics({ tenantsMax: 0, partitionsMax: 2 });
		await metrics.page(STANDING, { withTenants: false });
		const [docs] = STANDING.collections;
		const collections = docs ? [{ ...docs, generation: 'gen_3' }] : [];
		const next = { ...STANDING, upstreams: [], collections };
		const page = new MetricsPage(await metrics.page(next, { withTenants: false }));
		expect(page.series('plimsoll_breaker_state')).toEqual([]);
		expect(page.series('plimsoll_index_info').map(({ labels }) => labels.generation)).toEqual(['gen_3']);
		expect(page.sum('plimsoll_traces_dropped_total')).toBe(5);
	});
});
