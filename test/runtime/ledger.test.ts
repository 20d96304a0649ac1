import { expect, it } from 'vitest';
import { nextTurn } from '../../src/base/clock.ts';
import { seededRandom } from '../../src/base/random.ts';
import { VirtualClock } from '../../src/base/virtual-clock.ts';
import { parseScript } from '../../src/mock-upstream/script.ts';
import { ScriptPlanner } from '../../src/mock-upstream/script-planner.ts';
import { createOpenAiCompatibleModel } from '../../src/models/openai-compatible/model.ts';
import { PlimsollError } from '../../src/spec/errors.ts';
import type { Price } from '../../src/spec/model.ts';
import { MemoryState } from '../../src/stores/memory-state.ts';
import { UPSTREAM } from '../support/gateway-fixture.ts';
import { flatPrice } from '../support/prices.ts';
import { feature, KEY, NO_LIMITS, runtimeOf } from '../support/runtime-fixture.ts';
import { startUpstreamDouble } from '../support/upstream-double.ts';

/** Rates that leave a rest in every sum. */
const PRICE: Price = {
	...flatPrice('storm', 1_234_567, 7_654_321, 123_457),
	cacheWriteMicrosPerMillion: 1_543_211,
	reasoningMicrosPerMillion: 5_432_101,
	tiers: [{ ...flatPrice('', 2_345_679, 9_876_543), tokensInAbove: 40 }],
};
const STORM = `
answer: {tokens_in: 37, tokens_cached: 11, tokens_cache_written: 7, tokens_out: 23, tokens_reasoning: 5, chunks: 12}
rules:
  long: {share: 0.1, answer: {tokens_in: 41}}
  uncounted: {share: 0.1, fault: {kind: no_usage}}
  contradictory: {share: 0.1, fault: {kind: wrong_usage}}
  cut: {share: 0.2, fault: {kind: cut}}
  broken: {share: 0.1, fault: {kind: malformed_chunk}}
  truncated: {share: 0.1, fault: {kind: truncated}}
  down: {share: 0.2, fault: {kind: server_error, status: 503}}
  limited: {share: 0.2, fault: {kind: rate_limited, retry_after: milliseconds, retry_after_ms: 5}}
  gone: {share: 0.1, fault: {kind: reset}}
  silent: {share: 0.1, fault: {kind: silent}}
  mute: {share: 0.1, fault: {kind: stall, after_chunks: 4}}
`;
const REQUESTS = 240;
const LANES = 12;

/** Moves virtual time on, slowly enough for what is on its way between sockets of this process. */
async function whileTimePasses<T>(clock: VirtualClock, work: Promise<T>): Promise<T> {
	let isOver = false;
	const end = work.finally(() => {
		isOver = true;
	});
	while (!isOver) {
		await clock.advance(10);
		for (let turn = 0; turn < 5; turn++) await nextTurn();
	}
	return end;
}

it('after a storm, the ledger of every scope is the sum of the traces, to the last micro-dollar', async () => {
	const script = parseScript({ file: 'storm.yaml', text: STORM });
	if (!script.ok) throw new Error(JSON.stringify(script.problems));
	const clock = new VirtualClock();
	const double = await startUpstreamDouble({ clock, planner: new ScriptPlanner(script.value, 11, clock) });
	const timeouts = { connectMs: 60_000, firstTokenMs: 3_000, idleMs: 3_000, totalMs: 8_000 };
	const models = ['a', 'b'].map((name) => {
		// One of them has no price: its costs are estimates, and reconcile all the same.
		const upstream = { ...UPSTREAM, name: `test/${name}`, timeouts, price: name === 'a' ? PRICE : null };
		const about = { upstream, baseUrl: double.url, apiKey: null, connectionsMax: 64, clock };
		return createOpenAiCompatibleModel(about);
	});
	const limits = (['cost_usd_per_day', 'cost_usd_per_month'] as const).map((limit) => ({ limit, max: 10_000_000_000 }));
	const sharedState = new MemoryState();
	const { runtime, traces } = runtimeOf(
		clock,
		[feature({ models: { attemptsMax: 4 }, onFailure: { stream_broken: { action: 'fail_over' } } }, { route: models })],
		{
			sharedState,
			admission: { concurrentRequestsMax: REQUESTS },
			limits: {
				...NO_LIMITS,
				tenants: { acme: { ...NO_LIMITS.standard, tenant: limits, features: { greet: limits } } },
			},
		},
	);
	const random = seededRandom(5);
	const one = async (number: number) => {
		const context = runtime.open();
		let chunks = 0;
		const leavesAt = random.next() < 0.15 ? 3 : Number.POSITIVE_INFINITY;
		const breaksAt = random.next() < 0.1 ? 2 : Number.POSITIVE_INFINITY;
		const chunk = () => {
			if (++chunks === leavesAt) context.clientLeft();
			if (chunks === breaksAt) throw new Error('the socket of the client broke');
		};
		await runtime.admit(context, { kind: 'authorization', header: KEY, scope: 'invoke' });
		const sink = number % 2 === 0 ? null : { chunk };
		const messages = [{ role: 'user', content: `Hello, for the ${number}th time?` }];
		await runtime
			.chat(context, { model: 'greet', messages, variables: {}, parameters: {}, sink, user: null })
			.catch((thrown: unknown) => {
				if (!(thrown instanceof PlimsollError)) throw thrown;
			});
	};
	let number = 0;
	const lane = async () => {
		while (number < REQUESTS) await one(number++);
	};
	await whileTimePasses(clock, Promise.all(Array.from({ length: LANES }, lane)));
	await double.close();
	for (const model of models) await model.close();

	expect(traces.traces).toHaveLength(REQUESTS);
	expect(new Set(traces.traces.map(({ outcome }) => outcome)).size).toBeGreaterThan(3);
	const spent = traces.traces.reduce((sum, { cost_usd_micros }) => sum + cost_usd_micros, 0);
	const attempts = traces.traces.flatMap(({ steps }) => steps.flatMap((step) => step.attempts));
	expect(attempts.reduce((sum, { cost_usd_micros }) => sum + cost_usd_micros, 0)).toBe(spent);
	expect(new Set(attempts.map(({ outcome }) => outcome)).size).toBeGreaterThan(6);
	const counters = ['tenant', 'feature:greet'].flatMap((scope) => limits.map(({ limit }) => ({ scope, limit })));
	const usage = await sharedState.usage('acme', counters, clock.now());
	expect(spent).toBeGreaterThan(0);
	expect(usage.map(({ settled, reserved }) => ({ settled, reserved }))).toEqual(
		counters.map(() => ({ settled: spent, reserved: 0 })),
	);
});
