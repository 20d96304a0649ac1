import { describe, expect, it } from 'vitest';
import { VirtualClock } from '../../src/base/virtual-clock.ts';
import type { LimitSet, LimitTable, TenantLimits } from '../../src/contracts/project.ts';
import type { Runtime } from '../../src/runtime/runtime.ts';
import { PlimsollError } from '../../src/spec/errors.ts';
import type { LimitName } from '../../src/spec/shared-state.ts';
import { MemoryState } from '../../src/stores/memory-state.ts';
import { feature, KEY, keyRecord, NO_LIMITS, runtimeOf } from '../support/runtime-fixture.ts';
import { type Behaviour, ScriptedModel } from '../support/scripted-model.ts';

const HELLO: Behaviour = { kind: 'answer', afterMs: 10, text: 'Hello to you.' };

function acme(change: Partial<TenantLimits>): LimitTable {
	const none: TenantLimits = NO_LIMITS.standard;
	return { ...NO_LIMITS, tenants: { acme: { ...none, ...change } } };
}
const only = (limit: LimitName, max: number): LimitSet => [{ limit, max }];

/** Sends requests all at once and moves virtual time until they have ended. */
async function askAll(
	clock: VirtualClock,
	runtime: Runtime,
	requests: readonly { model?: string; user?: string; parameters?: Record<string, unknown> }[],
): Promise<readonly (PlimsollError | null)[]> {
	const running = requests.map(async ({ model = 'greet', user, parameters = {} }) => {
		const context = runtime.open();
		try {
			await runtime.admit(context, { kind: 'authorization', header: KEY, scope: 'invoke' });
			const messages = [{ role: 'user', content: 'Hello?' }];
			await runtime.chat(context, { model, messages, variables: {}, parameters, sink: null, user: user ?? null });
			return null;
		} catch (thrown) {
			if (thrown instanceof PlimsollError) return thrown;
			throw thrown;
		}
	});
	const all = Promise.all(running);
	await clock.advance(100);
	return all;
}

describe('limits on requests', () => {
	it('refuses the request above the rate, says which limit and when, and lets the next minute in', async () => {
		const clock = new VirtualClock();
		const { runtime, traces } = runtimeOf(clock, [feature({}, { route: [new ScriptedModel(clock, [HELLO])] })], {
			limits: acme({ tenant: only('requests_per_minute', 2) }),
		});
		const [first, second, third] = await askAll(clock, runtime, [{}, {}, {}]);
		expect([first, second]).toEqual([null, null]);
		expect(third).toMatchObject({ code: 'rate_limited', message: expect.stringContaining('the tenant acme') });
		expect(traces.traces.find(({ outcome }) => outcome === 'refused')?.steps[0]).toMatchObject({
			stage: 'admit',
			error_code: 'rate_limited',
			detail: { refused_scope: 'tenant', refused_limit: 'requests_per_minute' },
		});
		await clock.advance(third?.retryAfterMs ?? 0);
		expect(await askAll(clock, runtime, [{}, {}])).toEqual([null, null]);
	});

	it('counts places of a feature, a key and a user apart, and gives them back', async () => {
		const clock = new VirtualClock();
		const route = [new ScriptedModel(clock, [HELLO])];
		const one = only('concurrent_requests', 1);
		for (const limits of [acme({ features: { greet: one } }), acme({ keys: { test: one } })]) {
			const { runtime } = runtimeOf(clock, [feature({}, { route })], { limits });
			const ended = await askAll(clock, runtime, [{}, {}]);
			expect(ended.map((error) => error?.code ?? 'ok')).toEqual(['ok', 'rate_limited']);
			expect(await askAll(clock, runtime, [{}])).toEqual([null]);
		}
		const { runtime } = runtimeOf(clock, [feature({}, { route })], { limits: acme({ eachUser: one }) });
		const ended = await askAll(clock, runtime, [{ user: 'ada' }, { user: 'ada' }, { user: 'bob' }, {}, {}]);
		expect(ended.map((error) => error?.code ?? 'ok')).toEqual(['ok', 'rate_limited', 'ok', 'ok', 'ok']);
		expect(ended[1]?.message).toContain('this user');
	});

	it('holds an organisation’s limit over its tenants together, and tells none what the others use', async () => {
		const clock = new VirtualClock();
		const member = { ...NO_LIMITS.standard, organisation: 'globex' };
		const limits = {
			...NO_LIMITS,
			tenants: { acme: { ...member, tenant: only('requests_per_minute', 100) }, beta: member },
			organisations: { globex: only('requests_per_minute', 3) },
		};
		const state = new MemoryState();
		const route = [new ScriptedModel(clock, [HELLO])];
		const acmeSide = runtimeOf(clock, [feature({}, { route })], { limits, sharedState: state });
		const keys = [keyRecord({ tenantId: 'beta' })];
		const betaSide = runtimeOf(clock, [feature({}, { route })], { limits, sharedState: state, keys });
		expect(await askAll(clock, acmeSide.runtime, [{}, {}])).toEqual([null, null]);
		const [passed, refused] = await askAll(clock, betaSide.runtime, [{}, {}]);
		expect(passed).toBeNull();
		expect(refused).toMatchObject({ code: 'rate_limited', retryAfterMs: expect.any(Number) });
		expect(refused?.message).toBe(
			'requests_per_minute of the organisation globex allows 3 requests a minute, and what is left of it does not cover this request.',
		);
		const trace = betaSide.traces.traces.find(({ outcome }) => outcome === 'refused');
		expect(trace?.steps[0]?.detail).toMatchObject({ refused_scope: 'organisation:globex' });
		// The strictest wins, whichever it is.
		const strict = { ...limits, tenants: { acme: { ...member, tenant: only('requests_per_minute', 2) } } };
		const { runtime } = runtimeOf(clock, [feature({}, { route })], { limits: strict });
		const ended = await askAll(clock, runtime, [{}, {}, {}]);
		expect(ended[2]?.message).toContain('the tenant acme allows 2');
	});

	it('holds the standard limits over tenants that have none of their own', async () => {
		const clock = new VirtualClock();
		const table = acme({});
		const limits = {
			...NO_LIMITS,
			standard: { ...table.standard, tenant: only('requests_per_minute', 1) },
			tenants: {},
		};
		const { runtime } = runtimeOf(clock, [feature({}, { route: [new ScriptedModel(clock, [HELLO])] })], { limits });
		expect((await askAll(clock, runtime, [{}, {}])).map((error) => error?.code)).toEqual([undefined, 'rate_limited']);
	});
});

describe('limits on tokens and cost', () => {
	it('lets 50 of 200 at once through a budget for 50, and never spends more than it', async () => {
		const clock = new VirtualClock();
		// A call may cost 5 tokens in and 100 out: 405 micro-dollars. It then costs 30.
		const model = new ScriptedModel(clock, [HELLO]);
		const state = new MemoryState();
		const { runtime, traces } = runtimeOf(clock, [feature({}, { route: [model] })], {
			limits: acme({ tenant: only('cost_usd_per_day', 50 * 405) }),
			sharedState: state,
			admission: { concurrentRequestsMax: 1000 },
		});
		const requests = Array.from({ length: 200 }, () => ({}));
		const ended = await askAll(clock, runtime, requests);
		expect(ended.filter((error) => error === null)).toHaveLength(50);
		expect(ended.find((error) => error !== null)).toMatchObject({ code: 'budget_exhausted' });
		expect(model.calls).toBe(50);
		const spent = () => traces.traces.reduce((sum, { cost_usd_micros }) => sum + cost_usd_micros, 0);
		expect(spent()).toBe(50 * 30);
		// What was reserved and not used is free again: nothing is refused that fits.
		expect(await askAll(clock, runtime, [{}, {}, {}])).toEqual([null, null, null]);
		expect(await state.usage('acme', [{ scope: 'tenant', limit: 'cost_usd_per_day' }], clock.now())).toEqual([
			{ settled: spent(), reserved: 0 },
		]);
	});

	it('reserves the contract’s cap where the client sets none, and less where it sets one', async () => {
		const clock = new VirtualClock();
		const route = [new ScriptedModel(clock, [HELLO])];
		const { runtime } = runtimeOf(clock, [feature({}, { route })], {
			limits: acme({ tenant: only('tokens_per_minute', 104) }),
		});
		expect((await askAll(clock, runtime, [{}]))[0]).toMatchObject({ code: 'request_above_limit', retryAfterMs: null });
		expect(await askAll(clock, runtime, [{ parameters: { max_tokens: 20 } }])).toEqual([null]);
	});

	it('charges attempts that failed after the provider began, and none that it never saw', async () => {
		const clock = new VirtualClock();
		const fails = (failure: 'connect' | 'cut') =>
			new ScriptedModel(clock, [{ kind: 'fail', afterMs: 1, failure, text: 'Hel' }]);
		const counted = async (failure: 'connect' | 'cut') => {
			const state = new MemoryState();
			const { runtime } = runtimeOf(clock, [feature({}, { route: [fails(failure)] })], {
				limits: acme({ tenant: only('tokens_per_minute', 1000) }),
				sharedState: state,
			});
			await askAll(clock, runtime, [{}]);
			await clock.advance(1000);
			return (await state.usage('acme', [{ scope: 'tenant', limit: 'tokens_per_minute' }], clock.now()))[0];
		};
		expect(await counted('connect')).toEqual({ settled: 0, reserved: 0 });
		expect(await counted('cut')).toEqual({ settled: 5, reserved: 0 });
	});

	it('counts every answer that a bare request asks for', async () => {
		const clock = new VirtualClock();
		const { runtime } = runtimeOf(clock, [], {
			upstreams: [new ScriptedModel(clock, [HELLO])],
			limits: acme({ tenant: only('tokens_per_minute', 2000) }),
		});
		const bare = (parameters: Record<string, unknown>) =>
			askAll(clock, runtime, [{ model: 'test/primary', parameters }]);
		expect((await bare({ max_tokens: 500, n: 5 }))[0]).toMatchObject({ code: 'request_above_limit' });
		expect((await bare({ max_tokens: 9e15 }))[0]).toMatchObject({ code: 'request_above_limit' });
		expect(await bare({ max_tokens: 500, n: 2 })).toEqual([null]);
	});
});
