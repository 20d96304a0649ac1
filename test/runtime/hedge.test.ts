import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { VirtualClock } from '../../src/base/virtual-clock.ts';
import type { LimitTable } from '../../src/contracts/project.ts';
import type { Hedge } from '../../src/contracts/release.ts';
import type { RequestContext } from '../../src/runtime/request-context.ts';
import type { PlimsollError } from '../../src/spec/errors.ts';
import type { Upstream } from '../../src/spec/model.ts';
import { MemoryState } from '../../src/stores/memory-state.ts';
import { BREAKER, feature, NO_LIMITS, RETRIES, runtimeOf, UNLIMITED } from '../support/runtime-fixture.ts';
import { type Behaviour, type Script, ScriptedModel } from '../support/scripted-model.ts';

const says = (text: string, afterMs: number): Behaviour => ({ kind: 'answer', afterMs, text });
const fails = (afterMs: number, failure: Extract<Behaviour, { kind: 'fail' }>['failure'] = 'server_error') =>
	({ kind: 'fail', afterMs, failure }) as const;

const COSTS = (['tokens_per_minute', 'cost_usd_per_day'] as const).map((limit) => ({ limit, max: 10_000_000 }));

interface Setting {
	readonly first: Script;
	readonly second: Script;
	readonly hedge?: Hedge;
	readonly firstIs?: Partial<Upstream>;
	readonly secondIs?: Partial<Upstream>;
	readonly attemptsMax?: number;
	readonly costMicrosMax?: number;
	readonly floor?: number;
	readonly ratio?: number;
	readonly limits?: typeof COSTS;
}

function setUp(setting: Setting) {
	const clock = new VirtualClock();
	const first = new ScriptedModel(clock, setting.first, { name: 'test/first', ...setting.firstIs });
	const second = new ScriptedModel(clock, setting.second, { name: 'test/second', ...setting.secondIs });
	const sharedState = new MemoryState();
	const limits: LimitTable = {
		...NO_LIMITS,
		tenants: { acme: { ...UNLIMITED, tenant: setting.limits ?? COSTS } },
	};
	const greet = feature(
		{
			models: { hedge: setting.hedge ?? { afterMs: 100 }, attemptsMax: setting.attemptsMax ?? 3 },
			budget: { costMicrosMax: setting.costMicrosMax ?? null },
		},
		{ route: [first, second] },
	);
	const floor = setting.floor ?? RETRIES.floor;
	const { runtime, traces } = runtimeOf(clock, [greet], {
		sharedState,
		limits,
		retries: { ...RETRIES, ratio: setting.ratio ?? RETRIES.ratio, floor, tenantFloor: floor },
		breakers: new Map([first, second].map(({ upstream }) => [upstream.name, BREAKER])),
	});
	/** Sends a request; what it streams is in `seen`. */
	const send = ({ streamed = false }: { streamed?: boolean } = {}) => {
		const context: RequestContext = runtime.open();
		const sent = { context, seen: '', text: null as string | null, error: null as PlimsollError | null, over: false };
		const sink = streamed
			? {
					chunk({ text }: { text: string }) {
						sent.seen += text;
					},
				}
			: null;
		const run = async () => {
			await runtime.admit(context, { kind: 'in_process', tenantId: 'acme' });
			const messages = [{ role: 'user', content: 'Hello?' }];
			const what = { model: 'greet', messages, variables: {}, parameters: {}, sink, user: null };
			const answer = await runtime.chat(context, what);
			return answer;
		};
		run()
			.then(
				(answer) => Object.assign(sent, { text: answer.text, degraded: answer.degraded }),
				(error) => Object.assign(sent, { error }),
			)
			.finally(() => {
				sent.over = true;
			});
		return sent;
	};
	const ask = async (how: { streamed?: boolean } = {}) => {
		const sent = send(how);
		for (let ms = 0; !sent.over && ms < 30_000; ms += 10) await clock.advance(10);
		expect(sent.over).toBe(true);
		return sent;
	};
	const attempts = () =>
		traces.last.steps
			.flatMap((step) => step.attempts)
			.map(({ upstream, outcome, started_ms, kind }) => {
				// The second upstream is asked beside the first, or after it.
				expect(['hedge', 'fail_over', 'retry', 'first']).toContain(kind);
				return [upstream, outcome, started_ms];
			});
	/** What the tenant's ledger has. */
	const ledger = async () => {
		const counters = COSTS.map(({ limit }) => ({ scope: 'tenant', limit }));
		return sharedState.usage('acme', counters, clock.now());
	};
	const detail = () => traces.last.steps.find(({ stage }) => stage === 'generate')?.detail;
	return { clock, first, second, runtime, traces, send, ask, attempts, ledger, detail };
}

describe('a call that is slow', () => {
	it('is asked elsewhere once, and the second answer is what the client gets; both are paid for', async () => {
		const { ask, attempts, traces, detail, first, second, ledger, runtime } = setUp({
			first: [says('late', 5000)],
			second: [says('soon', 50)],
		});
		const left = runtime.retries.left('test/second');
		const { text } = await ask();
		expect(text).toBe('soon');
		expect([first.calls, second.calls]).toEqual([1, 1]);
		expect(attempts()).toEqual(
			expect.arrayContaining([
				['test/first', 'cancelled', 0],
				['test/second', 'ok', 100],
			]),
		);
		expect(first.requests[0]?.signal.aborted).toBe(true);
		expect(detail()).toMatchObject({ hedge: 'test/second', hedge_result: 'won' });
		expect(traces.last).toMatchObject({
			upstream: 'test/second',
			cost_source: 'estimated',
			degraded: false,
			retries: 1,
		});
		const both = traces.last.steps.flatMap((step) => step.attempts);
		const loser = both.find(({ outcome }) => outcome === 'cancelled');
		expect(loser?.error).toContain('hedged');
		expect(loser?.cost_usd_micros).toBeGreaterThan(0);
		const cost = both.reduce((sum, { cost_usd_micros }) => sum + cost_usd_micros, 0);
		expect(traces.last.cost_usd_micros).toBe(cost);
		const [, money] = await ledger();
		expect(money).toMatchObject({ settled: cost, reserved: 0 });
		expect(runtime.retries.left('test/second')).toBe(left - 1);
		expect(runtime.breakers.status().map(({ window }) => window)).toEqual([
			{ calls: 0, failures: 0, slow: 0 },
			{ calls: 1, failures: 0, slow: 0 },
		]);
	});

	it('is answered by itself when it is faster in the end, and the second is cancelled', async () => {
		const { ask, attempts, second, detail } = setUp({ first: [says('late', 150)], second: [says('later', 500)] });
		expect((await ask()).text).toBe('late');
		expect(attempts()).toEqual(
			expect.arrayContaining([
				['test/first', 'ok', 0],
				['test/second', 'cancelled', 100],
			]),
		);
		expect(second.requests[0]?.signal.aborted).toBe(true);
		expect(detail()).toMatchObject({ hedge_result: 'lost' });
	});

	it('asks nobody else when it is answered in time, or fails before: then its policy decides', async () => {
		const quick = setUp({ first: [says('quick', 90)], second: [says('no', 10)] });
		expect((await quick.ask()).text).toBe('quick');
		await quick.clock.advance(1000);
		expect(quick.second.calls).toBe(0);
		const failing = setUp({ first: [fails(50), says('again', 10)], second: [says('no', 10)] });
		expect((await failing.ask()).text).toBe('again');
		expect([failing.first.calls, failing.second.calls]).toEqual([2, 0]);
	});

	it('that fails while the second runs waits for that one, whose answer is then a fail-over', async () => {
		const { ask, traces, first } = setUp({ first: [fails(200)], second: [says('saved', 500)] });
		expect((await ask()).text).toBe('saved');
		expect(first.calls).toBe(1);
		expect(traces.last.degraded_reason).toBe('upstream_outage: fail_over');
	});

	it('goes on when the second fails', async () => {
		const { ask, traces, second } = setUp({ first: [says('steady', 800)], second: [fails(50)] });
		expect((await ask()).text).toBe('steady');
		expect(second.calls).toBe(1);
		expect(traces.last).toMatchObject({ upstream: 'test/first', degraded: false });
	});

	it('and fails like the second is recovered from as after a fail-over', async () => {
		const { ask, first, second } = setUp({ first: [fails(300)], second: [fails(50), says('at last', 10)] });
		expect((await ask()).text).toBe('at last');
		expect([first.calls, second.calls]).toEqual([1, 2]);
		const spent = setUp({ first: [fails(300)], second: [fails(50)], attemptsMax: 2 });
		expect((await spent.ask()).error?.code).toBe('upstream_unavailable');
		expect([spent.first.calls, spent.second.calls]).toEqual([1, 1]);
	});

	it('is not routed around a content filter, whichever of the two refuses', async () => {
		for (const filters of ['first', 'second'] as const) {
			const { ask } = setUp({
				first: filters === 'first' ? [fails(200, 'content_filter')] : [says('x', 900)],
				second: filters === 'second' ? [fails(50, 'content_filter')] : [says('x', 900)],
			});
			expect((await ask()).error?.code).toBe('upstream_content_filtered');
		}
	});

	it.each([
		['the retry budget is spent', { floor: 0 }],
		['its attempts are', { attemptsMax: 1 }],
		['both could cost more than the contract allows', { costMicrosMax: 700 }],
		['the first acts on the world', { firstIs: { sideEffects: true } }],
		['the second acts on the world', { secondIs: { sideEffects: true } }],
		['a limit has room for one', { limits: COSTS.map((limit) => ({ ...limit, max: 700 })) }],
	] satisfies [string, Partial<Setting>][])('asks nobody else when %s', async (_, change) => {
		const { ask, second, detail } = setUp({ first: [says('alone', 500)], second: [says('no', 10)], ...change });
		expect((await ask()).text).toBe('alone');
		expect(second.calls).toBe(0);
		expect(detail()?.hedge).toMatch(/^not sent: /);
	});

	it('is one only by what its upstream usually takes, once that is known', async () => {
		let afterMs = 50;
		const { ask, second } = setUp({
			first: () => says('usual', afterMs),
			second: [says('second', 10)],
			hedge: { afterQuantile: 0.95, samplesMin: 5 },
		});
		afterMs = 2000;
		expect((await ask()).text).toBe('usual');
		afterMs = 50;
		for (let n = 0; n < 40; n++) await ask();
		expect(second.calls).toBe(0);
		afterMs = 2000;
		expect((await ask()).text).toBe('second');
	});
});

describe('a stream that says nothing', () => {
	it('is the second’s from its first token on, and nobody sees two', async () => {
		const { ask } = setUp({ first: [says('late one', 105)], second: [says('one two three', 10)] });
		const late = await ask({ streamed: true });
		expect(late.seen).toBe('late one');
		const won = setUp({ first: [says('late one', 900)], second: [says('one two three', 10)] });
		const sent = await won.ask({ streamed: true });
		expect(sent.seen).toBe('one two three');
		expect(won.attempts()).toEqual(
			expect.arrayContaining([
				['test/first', 'cancelled', 0],
				['test/second', 'ok', 100],
			]),
		);
		expect(won.traces.last.time_to_first_token_ms).toBe(110);
	});

	it('ends like any other that breaks, when the one that leads does', async () => {
		const cut: Behaviour = { kind: 'fail', afterMs: 10, failure: 'cut', text: 'one ' };
		const { ask, first } = setUp({ first: [says('late', 900)], second: [cut] });
		const { error, seen } = await ask({ streamed: true });
		expect(error?.code).toBe('upstream_stream_cut');
		expect(seen).toBe('one ');
		expect(first.calls).toBe(1);
	});
});

it('a client that leaves in the middle of the race ends both attempts, and nothing stays held', async () => {
	for (const streamed of [false, true]) {
		const { send, clock, first, second, traces, ledger } = setUp({
			first: [says('late', 5000)],
			second: [says('late too', 5000)],
		});
		const sent = send({ streamed });
		await clock.advance(300);
		expect([first.calls, second.calls]).toEqual([1, 1]);
		sent.context.clientLeft();
		await clock.advance(10);
		expect(sent.error?.code).toBe('client_closed');
		for (const model of [first, second]) expect(model.requests[0]?.signal.aborted).toBe(true);
		for (const { reserved } of await ledger()) expect(reserved).toBe(0);
		expect((await ledger())[1]?.settled).toBe(traces.last.cost_usd_micros);
		expect(traces.last.outcome).toBe('cancelled');
	}
});

it('whatever comes of them, hedges stay within the retry budget and the cap, and the ledger is the traces', async () => {
	const behaviour = fc.oneof(
		fc.integer({ min: 10, max: 600 }).map((ms) => says('one two', ms)),
		fc.integer({ min: 10, max: 400 }).map((ms) => fails(ms)),
		fc
			.integer({ min: 10, max: 400 })
			.map((ms): Behaviour => ({ kind: 'fail', afterMs: ms, failure: 'cut', text: 'one ' })),
	);
	const scripts = fc.array(behaviour, { minLength: 1, maxLength: 12 });
	const requests = fc.array(
		fc.record({ streamed: fc.boolean(), leavesMs: fc.option(fc.integer({ min: 1, max: 400 })) }),
		{
			minLength: 1,
			maxLength: 12,
		},
	);
	const ratio = 0.25;
	const floor = 2;
	const costMicrosMax = 1300;
	let hedged = 0;
	await fc.assert(
		fc.asyncProperty(scripts, scripts, requests, async (one, two, asks) => {
			const { send, clock, first, second, traces, ledger } = setUp({
				...{ first: one, second: two, ratio, floor, costMicrosMax },
			});
			const sent = [];
			for (const { streamed, leavesMs } of asks) {
				const request = send({ streamed });
				if (leavesMs !== null) clock.after(leavesMs, () => request.context.clientLeft());
				sent.push(request);
				await clock.advance(40);
			}
			for (let ms = 0; ms < 8000; ms += 50) await clock.advance(50);
			expect(sent.every(({ over }) => over)).toBe(true);
			expect(traces.traces).toHaveLength(asks.length);
			const all = traces.traces.map(({ steps }) => steps.flatMap((step) => step.attempts));
			for (const { upstream, calls } of [first, second]) {
				const askers = all.filter((attempts) => attempts.some((attempt) => attempt.upstream === upstream.name)).length;
				expect(calls).toBeLessThanOrEqual(askers * (1 + ratio) + floor);
				expect(all.flat().filter((attempt) => attempt.upstream === upstream.name)).toHaveLength(calls);
			}
			for (const [n, trace] of traces.traces.entries()) {
				expect(trace.cost_usd_micros).toBeLessThanOrEqual(costMicrosMax);
				expect(all[n]?.length).toBeLessThanOrEqual(3);
				expect(all[n]?.reduce((sum, { cost_usd_micros }) => sum + cost_usd_micros, 0)).toBe(trace.cost_usd_micros);
			}
			const hedges = traces.traces.filter(({ steps }) => steps.some(({ detail }) => detail.hedge_result)).length;
			// Each is paid by the tenant too, who earns at two upstreams at most.
			expect(hedges).toBeLessThanOrEqual(floor + 2 * ratio * asks.length);
			hedged += hedges;
			const spent = traces.traces.reduce((sum, { cost_usd_micros }) => sum + cost_usd_micros, 0);
			expect((await ledger())[1]).toMatchObject({ settled: spent, reserved: 0 });
		}),
		{ seed: 4, numRuns: 60 },
	);
	expect(hedged).toBeGreaterThan(30);
});
