import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DuckDBInstance } from '@duckdb/node-api';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { VirtualClock } from '../../src/base/virtual-clock.ts';
import type { RequestTrace } from '../../src/spec/trace.ts';
import { openTraceReader } from '../../src/telemetry/trace-reader.ts';
import { openTraceStore, type TraceStore, type TraceStoreOptions } from '../../src/telemetry/trace-store.ts';
import { anyTrace, requestId, sampleTrace } from './sample-trace.ts';

const DAY = 86_400_000;

describe('trace store', () => {
	let dir: string;
	let file: string;
	let clock: VirtualClock;
	let warnings: string[];
	let store: TraceStore;
	const open = async (options: Partial<TraceStoreOptions> = {}): Promise<TraceStore> => {
		const warn = (message: string) => warnings.push(message);
		return openTraceStore({ file, clock, retentionDays: 36_500, warn, ...options });
	};
	const summaryOf = ({ steps: _, ...summary }: RequestTrace) => summary;

	beforeEach(async () => {
		dir = mkdtempSync(join(tmpdir(), 'plimsoll-traces-'));
		file = join(dir, 'data', 'traces.duckdb');
		clock = new VirtualClock();
		warnings = [];
		store = await open();
	});
	afterEach(async () => {
		await store.close();
		rmSync(dir, { recursive: true, force: true });
	});

	it('returns a trace with its steps and attempts as it was recorded', async () => {
		store.record(sampleTrace());
		expect(await store.find(sampleTrace().request_id, 'acme')).toEqual(sampleTrace());
		expect(warnings).toEqual([]);
	});

	it('brings a file of the first release up to date, for a reader as for a server, and keeps what it holds', async () => {
		store.record(sampleTrace());
		await store.close();
		const old = await DuckDBInstance.create(file);
		const connection = await old.connect();
		await connection.run('ALTER TABLE requests DROP COLUMN client_retries');
		await connection.run('UPDATE plimsoll_format SET format = 1');
		connection.closeSync();
		old.closeSync();
		const reader = await openTraceReader(file);
		expect(await reader.find(sampleTrace().request_id, 'acme')).toEqual({ ...sampleTrace(), client_retries: 0 });
		expect(await reader.stats({ tenantId: null, feature: null, sinceMs: 0 })).toMatchObject([{ client_retries: 0 }]);
		await reader.close();
		store = await open();
		const again = { ...sampleTrace(), request_id: requestId(sampleTrace().started_at, 7), client_retries: 2 };
		store.record(again);
		expect(await store.find(again.request_id, 'acme')).toEqual(again);
		expect(warnings).toEqual([]);
	});

	it('round-trips any trace exactly', async () => {
		let n = 0;
		await fc.assert(
			fc.asyncProperty(fc.array(anyTrace, { minLength: 1, maxLength: 5 }), async (some) => {
				const traces = some.map((trace) => ({ ...trace, request_id: `${trace.request_id}${n++}` }));
				for (const trace of traces) store.record(trace);
				for (const trace of traces) expect(await store.find(trace.request_id, null)).toEqual(trace);
			}),
			{ numRuns: 60 },
		);
		expect(store.dropped).toBe(0);
	});

	it('keeps the trace as it was when it was recorded, whatever happens to the object afterwards', async () => {
		const trace = sampleTrace();
		store.record(trace);
		Object.assign(trace, { tenant_id: 'changed', steps: [] });
		expect(await store.find(trace.request_id, null)).toEqual(sampleTrace());
	});

	it('finds nothing under an unknown id, and takes hostile ids for what they are', async () => {
		store.record(sampleTrace());
		for (const id of [
			'',
			"' OR 1=1 --",
			"req'; DROP TABLE requests; --",
			'%',
			'req_%',
			'\u0000',
			'$1',
			'x'.repeat(1e5),
		]) {
			expect(await store.find(id, null)).toBeNull();
			expect(await store.find(sampleTrace().request_id, id)).toBeNull();
			expect(await store.recent({ tenantId: id, feature: id, limit: 5 })).toEqual([]);
			expect(await store.stats({ tenantId: id, feature: id, sinceMs: 0 })).toEqual([]);
		}
		expect(await store.find(sampleTrace().request_id, null)).toEqual(sampleTrace());
	});

	it('finds a request whose id says another time than its start', async () => {
		const late = sampleTrace({ request_id: requestId(1_750_000_000_000, 1), started_at: 1_750_009_000_000 });
		const odd = sampleTrace({ request_id: 'req_zzzzzzzzzz0000000000000000' });
		store.record(late);
		store.record(odd);
		expect(await store.find(late.request_id, null)).toEqual(late);
		expect(await store.find(odd.request_id, null)).toEqual(odd);
	});

	it('lists the newest requests first, of one feature or all, up to the limit', async () => {
		const traces = Array.from({ length: 6 }, (_, n) =>
			sampleTrace({ request_id: `r${n}`, started_at: 1_000 + n, feature: n % 2 ? 'odd' : 'even' }),
		);
		for (const trace of [3, 0, 5, 1, 4, 2].map((n) => traces[n])) if (trace) store.record(trace);
		const ids = async (feature: string | null, limit: number) =>
			(await store.recent({ tenantId: null, feature, limit })).map(({ request_id }) => request_id);
		expect(await ids(null, 4)).toEqual(['r5', 'r4', 'r3', 'r2']);
		expect(await ids('even', 10)).toEqual(['r4', 'r2', 'r0']);
		expect(await ids(null, 0)).toEqual([]);
		expect(await ids(null, -1)).toEqual([]);
		expect((await store.recent({ tenantId: null, feature: null, limit: 1 }))[0]).toEqual(
			summaryOf(traces[5] as RequestTrace),
		);
	});

	it('sums up features since an instant', async () => {
		for (let n = 0; n < 100; n++) {
			store.record(
				sampleTrace({
					request_id: `r${n}`,
					started_at: 1_000 + n,
					latency_ms: n + 1,
					time_to_first_token_ms: n < 50 ? null : n,
					cost_usd_micros: 10,
					outcome: n < 3 ? 'failed' : n < 8 ? 'degraded' : 'ok',
					degraded: n >= 3 && n < 8,
				}),
			);
		}
		store.record(sampleTrace({ request_id: 'old', started_at: 999 }));
		store.record(sampleTrace({ request_id: 'bare', feature: null, started_at: 2_000 }));
		store.record(sampleTrace({ request_id: 'other', feature: 'b', started_at: 2_000, time_to_first_token_ms: null }));
		const [a, b, ...rest] = await store.stats({ tenantId: null, feature: null, sinceMs: 1_000 });
		expect(rest).toEqual([]);
		expect(b).toMatchObject({
			feature: 'support-answer',
			requests: 100,
			failed: 3,
			degraded: 5,
			cost_usd_micros: 1_000,
		});
		expect(b?.latency_ms_p50).toBeCloseTo(50.5);
		expect(b?.latency_ms_p95).toBeCloseTo(95.05);
		expect(b?.time_to_first_token_ms_p95).toBeCloseTo(96.55);
		expect(a).toMatchObject({ feature: 'b', requests: 1, time_to_first_token_ms_p95: null });
		expect(await store.stats({ tenantId: null, feature: 'b', sinceMs: 0 })).toHaveLength(1);
	});

	it('never shows one tenant what another one did', async () => {
		const tenants = ['acme', 'ACME', 'acme ', 'b', '', null];
		for (const [n, tenant] of tenants.entries()) {
			store.record(sampleTrace({ request_id: `r${n}`, tenant_id: tenant, cost_usd_micros: 10 ** n }));
		}
		for (const [n, tenant] of tenants.entries()) {
			if (tenant === null) continue;
			for (const [m] of tenants.entries()) {
				const found = await store.find(`r${m}`, tenant);
				expect(found?.tenant_id ?? null).toBe(m === n ? tenant : null);
			}
			const listed = await store.recent({ tenantId: tenant, feature: null, limit: 100 });
			expect(listed.map(({ request_id }) => request_id)).toEqual([`r${n}`]);
			const [stats] = await store.stats({ tenantId: tenant, feature: null, sinceMs: 0 });
			expect(stats).toMatchObject({ requests: 1, cost_usd_micros: 10 ** n });
		}
		expect(await store.recent({ tenantId: null, feature: null, limit: 100 })).toHaveLength(tenants.length);
	});

	it('keeps everything over a clean close, and closes twice without complaint', async () => {
		const traces = Array.from({ length: 3_000 }, (_, n) => sampleTrace({ request_id: `r${n}`, started_at: n }));
		for (const trace of traces) store.record(trace);
		await store.close();
		await store.close();
		const reader = await openTraceReader(file);
		expect((await reader.stats({ tenantId: null, feature: null, sinceMs: 0 }))[0]?.requests).toBe(3_000);
		expect(await reader.find('r2999', 'acme')).toEqual(traces[2_999]);
		expect(await reader.find('r2999', 'other')).toBeNull();
		expect((await reader.recent({ tenantId: null, feature: null, limit: 1 }))[0]?.request_id).toBe('r2999');
		await reader.close();
		store = await open();
		expect(await store.find('r0', null)).toEqual(traces[0]);
		expect(warnings).toEqual([]);
	});

	it('writes on its own a quarter of a second after a trace, without being asked', async () => {
		store.record(sampleTrace());
		expect(clock.pending).toBeGreaterThan(0);
		await clock.advance(250);
		const pending = clock.pending;
		await store.flush();
		// The timer is gone and was not set anew: what flush waited for was already on its way.
		expect(clock.pending).toBeLessThanOrEqual(pending);
		expect(await store.find(sampleTrace().request_id, null)).not.toBeNull();
	});

	it('is readable by its owner only', () => {
		expect(statSync(join(dir, 'data')).mode & 0o777).toBe(0o700);
		expect(statSync(file).mode & 0o777).toBe(0o600);
	});

	it('counts and reports what does not fit its buffer, once for many, and keeps the rest', async () => {
		await store.close();
		store = await open({ bufferTraces: 10 });
		for (let n = 0; n < 25; n++) store.record(sampleTrace({ request_id: `r${n}`, started_at: n }));
		expect(store.dropped).toBe(15);
		expect(store.droppedBy.buffer_full).toBe(15);
		expect(warnings).toEqual(['1 trace was dropped, 1 since the start (buffer_full: 10 traces wait for the worker).']);
		await clock.advance(10_000);
		expect(warnings[1]).toBe(
			'14 traces were dropped, 15 since the start (buffer_full: 10 traces wait for the worker).',
		);
		await store.flush();
		expect((await store.stats({ tenantId: null, feature: null, sinceMs: 0 }))[0]?.requests).toBe(10);
		for (let n = 30; n < 35; n++) store.record(sampleTrace({ request_id: `r${n}`, started_at: n }));
		expect(await store.find('r34', null)).not.toBeNull();
		expect(store.dropped).toBe(15);
	});

	it('counts what is not a trace and keeps its neighbours', async () => {
		const cycle: Record<string, unknown> = { ...sampleTrace() };
		cycle.self = cycle;
		const wrong = [
			cycle,
			sampleTrace({ tokens_in: 1.5, request_id: 'half' }),
			sampleTrace({ latency_ms: Number.NaN, request_id: 'nan' }),
			{ ...sampleTrace(), request_id: 7 },
			{ ...sampleTrace(), steps: [{ ...sampleTrace().steps[0], attempts: null }] },
			null,
		] as unknown as RequestTrace[];
		store.record(sampleTrace({ request_id: 'before' }));
		for (const trace of wrong) store.record(trace);
		store.record(sampleTrace({ request_id: 'after' }));
		await store.flush();
		expect(store.droppedBy).toMatchObject({ not_a_trace: wrong.length, write_failed: 0 });
		const kept = await store.recent({ tenantId: null, feature: null, limit: 10 });
		expect(kept.map(({ request_id }) => request_id).sort()).toEqual(['after', 'before']);
		expect(await store.find('before', null)).toEqual(sampleTrace({ request_id: 'before' }));
	});

	it('keeps lone surrogates as U+FFFD', async () => {
		store.record(sampleTrace({ request_id: 'lone', feature: 'cut \ud83d' }));
		expect(await store.find('lone', null)).toEqual(sampleTrace({ request_id: 'lone', feature: 'cut \ufffd' }));
	});

	it('writes large traces in several batches and counts one that is too large', async () => {
		for (let n = 0; n < 20; n++) store.record(sampleTrace({ request_id: `r${n}`, feature: '名'.repeat(900_000) }));
		store.record(sampleTrace({ request_id: 'larger', feature: '名'.repeat(1_100_000) }));
		await store.flush();
		expect(store.droppedBy).toMatchObject({ not_a_trace: 1, write_failed: 0 });
		expect(warnings[0]).toMatch(/not a valid trace: it has 110\d{4} characters, of 1048576 at most/);
		expect((await store.stats({ tenantId: null, feature: null, sinceMs: 0 }))[0]?.requests).toBe(20);
	});

	it('takes nothing after close, and counts that', async () => {
		await store.close();
		store.record(sampleTrace());
		expect(store.droppedBy.closed).toBe(1);
		await expect(store.find('x', null)).rejects.toMatchObject({ code: 'storage_failed' });
		await store.flush();
	});

	it('removes what is older than the retention, at the start and every hour, with steps and attempts', async () => {
		await store.close();
		store = await open({ retentionDays: 30 });
		const now = clock.now();
		const ages = [0, 29, 29.99, 30.01, 31, 400];
		for (const [n, days] of ages.entries()) {
			store.record(sampleTrace({ request_id: `r${n}`, started_at: Math.round(now - days * DAY) }));
		}
		await store.flush();
		const kept = async () => {
			const rows = await store.recent({ tenantId: null, feature: null, limit: 10 });
			return rows.map(({ request_id }) => request_id).sort();
		};
		expect(await kept()).toHaveLength(6);
		await clock.advance(3_600_000);
		await store.flush();
		// The worker removes before it answers what is written afterwards.
		store.record(sampleTrace({ request_id: 'r9', started_at: now }));
		expect(await kept()).toEqual(['r0', 'r1', 'r9']);
		await store.close();
		store = await open({ retentionDays: 10 });
		store.record(sampleTrace({ request_id: 'r8', started_at: now }));
		expect(await kept()).toEqual(['r0', 'r8', 'r9']);
		expect(await store.find('r0', null)).not.toBeNull();
		expect(await store.find('r1', null)).toBeNull();
		expect(warnings).toEqual([]);
	});

	it('does not grow for ever: the space of removed traces is used again', async () => {
		await store.close();
		const sizes: number[] = [];
		for (let month = 0; month < 6; month++) {
			store = await open({ retentionDays: 20 });
			for (let n = 0; n < 3_000; n++) {
				const at = clock.now() + n;
				store.record(sampleTrace({ request_id: requestId(at, n), started_at: at, prompt_hash: `${month}:${n}` }));
			}
			await store.close();
			sizes.push(statSync(file).size);
			await clock.advance(30 * DAY);
		}
		expect(Math.max(...sizes.slice(2))).toBeLessThanOrEqual(2.5 * (sizes[0] ?? 0));
	});
});
