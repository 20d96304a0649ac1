import { describe, expect, it } from 'vitest';
import { VirtualClock } from '../../src/base/virtual-clock.ts';
import type { LimitTable } from '../../src/contracts/project.ts';
import { PlimsollError } from '../../src/spec/errors.ts';
import type { SearchRequest, SearchResult } from '../../src/spec/retrieval.ts';
import { feature, hit, KEY, NO_LIMITS, retrieverOf, runtimeOf } from '../support/runtime-fixture.ts';
import { ScriptedModel } from '../support/scripted-model.ts';

const COST = 2_000;
const CALL = { model: 'rr-1', revision: null, costMicros: COST };

/** A search whose re-ranker is paid by the request, takes so long and fails as told. */
function searching(
	clock: VirtualClock,
	{
		beginsAfterMs = 0,
		takesMs = 10,
		failure = null,
		costMicros = COST,
		ended = () => {},
	}: {
		beginsAfterMs?: number;
		takesMs?: number;
		failure?: string | null;
		costMicros?: number;
		/** Hears why the fused order stands. */
		ended?: (degraded: string | null) => void;
	},
) {
	return async ({ payer }: SearchRequest): Promise<SearchResult> => {
		let degraded: string | null = null;
		try {
			if (beginsAfterMs > 0) await new Promise<void>((resolve) => clock.after(beginsAfterMs, resolve));
			const settle = await payer?.begin(CALL);
			await new Promise<void>((resolve) => clock.after(takesMs, resolve));
			await settle?.({ ...CALL, ms: takesMs, failure, costMicros });
			degraded = failure;
		} catch (error) {
			degraded = error instanceof Error ? error.message : String(error);
		}
		ended(degraded);
		const how = { mode: 'hybrid', answered: 'hybrid', lexicalMs: 1, vectorMs: 1 } as const;
		return { collection: 'docs', generation: 'docs-g1', hits: [hit(1, 'one'), hit(2, 'two')], ...how, degraded };
	};
}

async function ask(
	set: Parameters<typeof searching>[1] & {
		limits?: LimitTable;
		costMicrosMax?: number;
		leavesAfterMs?: number;
		times?: number;
	},
) {
	const clock = new VirtualClock();
	const model = new ScriptedModel(clock, [{ kind: 'answer', afterMs: 50, text: 'Hello to you.' }]);
	const { costMicrosMax, limits, leavesAfterMs, times = 1 } = set;
	const greet = feature(
		{ retrieval: {}, ...(costMicrosMax === undefined ? {} : { budget: { costMicrosMax } }) },
		{ route: [model] },
	);
	const retriever = retrieverOf([], searching(clock, set));
	const { runtime, traces } = runtimeOf(clock, [greet], { retriever, ...(limits && { limits }) });
	let answer: unknown = null;
	for (let at = 0; at < times; at++) {
		const context = runtime.open();
		await runtime.admit(context, { kind: 'authorization', header: KEY, scope: 'invoke' });
		const messages = [{ role: 'user', content: 'Where is the mark?' }];
		const running = runtime
			.chat(context, { model: 'greet', messages, variables: {}, parameters: {}, sink: null, user: null })
			.catch((error: PlimsollError) => error);
		if (leavesAfterMs !== undefined) {
			await clock.advance(leavesAfterMs);
			context.cancel(new PlimsollError('client_closed', 'The client closed the connection.'));
		}
		await clock.advance(20_000);
		answer = await running;
	}
	const step = traces.last.steps.find(({ stage }) => stage === 'retrieve');
	return { answer, step, trace: traces.last };
}

const daily = (max: number): LimitTable => ({
	...NO_LIMITS,
	tenants: { acme: { ...NO_LIMITS.standard, tenant: [{ limit: 'cost_usd_per_day', max }] } },
});

describe('what a re-ranker costs', () => {
	it('stands as an attempt with its cost, which is the request’s', async () => {
		const { step, trace } = await ask({});
		expect(step?.attempts).toMatchObject([
			{ upstream: 'rerank/rr-1', outcome: 'ok', cost_usd_micros: COST, latency_ms: 10 },
		]);
		expect(trace.cost_usd_micros).toBeGreaterThanOrEqual(COST);
	});

	it('is not asked where it would pass the contract’s cost: the fused order stands, marked degraded', async () => {
		const { answer, step } = await ask({ costMicrosMax: COST - 1 });
		expect(step?.attempts).toEqual([]);
		expect(answer).toMatchObject({ degraded: expect.stringContaining('its call would pass budget.cost_usd_max') });
	});

	it('is not asked where a limit does not cover it, and the request goes on', async () => {
		const { answer, step } = await ask({ limits: daily(COST - 1), costMicrosMax: 1_000_000 });
		expect(step?.attempts).toEqual([]);
		expect(answer).not.toBeInstanceOf(PlimsollError);
		expect(answer).toMatchObject({ degraded: expect.stringContaining('the tenant acme') });
	});

	it('counts against limits with what it did cost: one that was not billed leaves room for the next', async () => {
		const limits = daily(COST + 1_500);
		const billed = await ask({ limits, costMicrosMax: 1_000_000, times: 2 });
		expect(billed.step?.attempts).toEqual([]);
		const free = await ask({ limits, costMicrosMax: 1_000_000, times: 2, failure: 'status 500', costMicros: 0 });
		expect(free.step?.attempts).toMatchObject([{ outcome: 'failed', error: 'status 500', cost_usd_micros: 0 }]);
	});

	it('is paid in full, as an estimate, by a request that does not wait for it', async () => {
		const { step, trace } = await ask({ takesMs: 1_000, leavesAfterMs: 500 });
		expect(step?.attempts).toMatchObject([
			{ outcome: 'failed', error: 'the request did not wait for it', cost_usd_micros: COST, latency_ms: 500 },
		]);
		expect(trace).toMatchObject({ outcome: 'cancelled', cost_usd_micros: COST, cost_source: 'estimated' });
	});

	it('is not asked by a search that goes on after its request', async () => {
		const ends: (string | null)[] = [];
		const ended = (degraded: string | null) => ends.push(degraded);
		const limits = daily(1_000_000);
		const { step, trace } = await ask({ limits, beginsAfterMs: 1_000, leavesAfterMs: 500, ended });
		expect(ends).toEqual(['the request did not wait for it']);
		expect(step?.attempts).toEqual([]);
		expect(trace).toMatchObject({ outcome: 'cancelled', cost_usd_micros: 0 });
	});
});
