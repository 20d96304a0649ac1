import { expect, it } from 'vitest';
import { VirtualClock } from '../../src/base/virtual-clock.ts';
import { BREAKER, feature, runtimeOf } from '../support/runtime-fixture.ts';
import { type Behaviour, ScriptedModel } from '../support/scripted-model.ts';

const answer = (afterMs: number): Behaviour => ({ kind: 'answer', afterMs, text: 'Hello.' });
const failing: Behaviour = { kind: 'fail', afterMs: 1, failure: 'server_error' };

/** Equal upstreams, and one that is not their equal. */
function setUp(scripts: readonly Behaviour[], by: 'load' | 'weight') {
	const clock = new VirtualClock();
	const models = scripts.map((script, at) => new ScriptedModel(clock, [script], { name: `test/${at}` }));
	const last = new ScriptedModel(clock, [answer(1)], { name: 'test/last' });
	const weights = Object.fromEntries(models.map(({ upstream }) => [upstream.name, 1]));
	const { runtime, traces } = runtimeOf(
		clock,
		[feature({ models: { equals: [{ weights, by }] } }, { route: [...models, last] })],
		{ breakers: new Map(models.map(({ upstream }) => [upstream.name, BREAKER])) },
	);
	const ask = async () => {
		const context = runtime.open();
		await runtime.admit(context, { kind: 'in_process', tenantId: 'acme' });
		const messages = [{ role: 'user', content: 'Hello?' }];
		const request = { model: 'greet', messages, variables: {}, parameters: {}, sink: null, user: null };
		return runtime.chat(context, request);
	};
	return { clock, models, last, traces, ask };
}

it('the slower of two equal upstreams gets fewer calls, and the one behind them none', async () => {
	const { clock, models, last, ask } = setUp([answer(1000), answer(100)], 'load');
	const running = [];
	for (let n = 0; n < 100; n++) {
		running.push(ask());
		await clock.advance(50);
	}
	await clock.advance(5000);
	await Promise.all(running);
	const [slow = 0, quick = 0] = models.map(({ calls }) => calls);
	expect(slow + quick).toBe(100);
	expect(quick).toBeGreaterThan(4 * slow);
	expect(last.calls).toBe(0);
});

it('one that is left alone is passed over, no answer is degraded for it, and it is back when it is well', async () => {
	const { clock, models, traces, ask } = setUp([failing, answer(1)], 'weight');
	for (let n = 0; n < 30; n++) {
		const running = ask();
		await clock.advance(1000 / 10);
		await clock.advance(1000 / 10);
		await running;
	}
	const calls = models[0]?.calls ?? 0;
	expect(calls).toBeGreaterThanOrEqual(BREAKER.failuresInARow);
	const running = ask();
	await clock.advance(10);
	expect((await running).degraded).toBeNull();
	expect(traces.last.steps.find(({ stage }) => stage === 'route')?.detail.route).toBe('test/1, test/0, test/last');
	await clock.advance(BREAKER.probeIntervalMs);
	for (let n = 0; n < 10; n++) {
		const next = ask();
		await clock.advance(500);
		await next;
	}
	expect(models[0]?.calls ?? 0).toBeGreaterThan(calls);
});
