import { expect, it } from 'vitest';
import { systemClock } from '../../src/base/clock.ts';
import { createOpenAiCompatibleModel } from '../../src/models/openai-compatible/model.ts';
import { UPSTREAM } from '../support/gateway-fixture.ts';
import { feature, KEY, runtimeOf } from '../support/runtime-fixture.ts';
import { startUpstreamDouble } from '../support/upstream-double.ts';

it.each(['plain', 'streamed'])('over HTTP, a silent upstream is cancelled for the next one, %s', async (kind) => {
	const silent = await startUpstreamDouble({ plan: { fault: 'silent' } });
	const well = await startUpstreamDouble({ plan: { text: 'Here I am.' } });
	// Long enough that nothing but the hedge ends the wait on a busy machine.
	const timeouts = { connectMs: 60_000, firstTokenMs: 60_000, idleMs: 60_000, totalMs: 60_000 };
	const models = [silent, well].map((double, n) => {
		const upstream = { ...UPSTREAM, name: `test/${n}`, timeouts };
		return createOpenAiCompatibleModel({
			upstream,
			baseUrl: double.url,
			apiKey: null,
			connectionsMax: 4,
			clock: systemClock,
		});
	});
	const greet = feature({ models: { hedge: { afterMs: 50 } }, budget: { deadlineMs: 60_000 } }, { route: models });
	const { runtime, traces } = runtimeOf(systemClock, [greet]);
	const context = runtime.open();
	let seen = '';
	const sink = {
		chunk({ text }: { text: string }) {
			seen += text;
		},
	};
	await runtime.admit(context, { kind: 'authorization', header: KEY, scope: 'invoke' });
	const answer = await runtime.chat(context, {
		model: 'greet',
		messages: [{ role: 'user', content: 'Hello?' }],
		variables: {},
		parameters: {},
		sink: kind === 'streamed' ? sink : null,
		user: null,
	});
	expect(answer).toMatchObject({ text: 'Here I am.', upstream: 'test/1' });
	expect(seen).toBe(kind === 'streamed' ? 'Here I am.' : '');
	// The silent one sees its caller hang up.
	await expect.poll(() => [silent.inFlight, silent.abortedCount], { timeout: 20_000 }).toEqual([0, 1]);
	expect([silent.requests, well.requests]).toEqual([1, 1]);
	const attempts = traces.last.steps.flatMap((step) => step.attempts);
	expect(attempts.map(({ upstream, outcome }) => [upstream, outcome]).sort()).toEqual([
		['test/0', 'cancelled'],
		['test/1', 'ok'],
	]);
	for (const model of models) await model.close();
	for (const double of [silent, well]) await double.close();
});
