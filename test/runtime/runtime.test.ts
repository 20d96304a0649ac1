import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { VirtualClock } from '../../src/base/virtual-clock.ts';
import type { LimitTable } from '../../src/contracts/project.ts';
import { FAILURE_POLICIES, type FailureAction } from '../../src/contracts/release.ts';
import type { Answer, AnswerSink } from '../../src/runtime/request.ts';
import type { Runtime } from '../../src/runtime/runtime.ts';
import { PlimsollError } from '../../src/spec/errors.ts';
import type { Guard } from '../../src/spec/guard.ts';
import type { UpstreamFailure } from '../../src/spec/model.ts';
import { type Counter, LIMITS } from '../../src/spec/shared-state.ts';
import { MemoryState } from '../../src/stores/memory-state.ts';
import { flatPrice } from '../support/prices.ts';
import { feature, hit, KEY, NO_LIMITS, retrieverOf, runtimeOf } from '../support/runtime-fixture.ts';
import { type Behaviour, ScriptedModel } from '../support/scripted-model.ts';

const HELLO: Behaviour = { kind: 'answer', afterMs: 10, text: 'Hello to you.' };
const failing = (failure: UpstreamFailure, text?: string): Behaviour => ({
	kind: 'fail',
	afterMs: 10,
	failure,
	...(text === undefined ? {} : { text }),
});

type Ended = { readonly answer: Answer | null; readonly error: PlimsollError | null; readonly streamed: string };

/** Sends one request and moves virtual time until it has ended. */
async function ask(
	clock: VirtualClock,
	runtime: Runtime,
	options: {
		model?: string;
		stream?: boolean;
		leaveAfterMs?: number;
		parameters?: Record<string, unknown>;
		key?: string;
	} = {},
): Promise<Ended> {
	let streamed = '';
	const sink: AnswerSink = {
		chunk({ text }) {
			streamed += text;
		},
	};
	const context = runtime.open();
	let ended: Ended | null = null;
	const running = runtime
		.admit(context, { kind: 'authorization', header: `Bearer ${options.key ?? KEY}`, scope: 'invoke' })
		.then(() =>
			runtime.chat(context, {
				model: options.model ?? 'greet',
				messages: [{ role: 'user', content: 'Hello?' }],
				variables: {},
				parameters: options.parameters ?? {},
				sink: options.stream ? sink : null,
				user: 'ada',
			}),
		)
		.then(
			(answer) => {
				ended = { answer, error: null, streamed };
			},
			(error: PlimsollError) => {
				ended = { answer: null, error, streamed };
			},
		);
	if (options.leaveAfterMs !== undefined) {
		await clock.advance(options.leaveAfterMs);
		context.clientLeft();
	}
	for (let ms = 0; ended === null && ms < 60_000; ms += 100) await clock.advance(100);
	await running;
	if (ended === null) throw new Error('the request did not end within a virtual minute');
	return ended;
}

describe('the life of a request', () => {
	it('answers, and the trace alone says what produced the answer', async () => {
		const clock = new VirtualClock();
		const model = new ScriptedModel(clock, [HELLO]);
		const { runtime, traces } = runtimeOf(clock, [feature({ retrieval: {} }, { route: [model] })], {
			retriever: retrieverOf([hit(1, 'Say hello.'), hit(2, 'Be kind.')]),
		});
		const { answer } = await ask(clock, runtime);
		expect(answer).toMatchObject({ text: 'Hello to you.', upstream: 'test/primary', degraded: null });
		expect(traces.traces).toHaveLength(1);
		expect(traces.last).toMatchObject({
			tenant_id: 'acme',
			feature: 'greet',
			release: 'ffffffffffff',
			prompt_name: 'greet',
			prompt_version: '1.0.0',
			upstream: 'test/primary',
			model_name: 'scripted-1-served',
			provider_fingerprint: 'fp',
			retrieval_generation: 'docs-g1',
			retrieval_doc_ids: ['chunk-1', 'chunk-2'],
			tokens_in: 10,
			tokens_out: 5,
			cost_usd_micros: 30,
			cost_source: 'reported',
			retries: 0,
			outcome: 'ok',
			error_code: null,
		});
		expect(traces.last.steps.map(({ stage }) => stage)).toEqual([
			'admit',
			'assign',
			'route',
			'retrieve',
			'assemble',
			'generate',
			'guard',
			'respond',
		]);
		expect(traces.last.user_id_hash).not.toContain('ada');
	});

	it('asks again after a server error, once, and the answer is not degraded', async () => {
		const clock = new VirtualClock();
		const model = new ScriptedModel(clock, [failing('server_error'), HELLO]);
		const { runtime, traces } = runtimeOf(clock, [feature({}, { route: [model] })]);
		expect((await ask(clock, runtime)).answer?.degraded).toBeNull();
		expect(traces.last).toMatchObject({ retries: 1, outcome: 'ok' });
		expect(traces.last.steps.find(({ stage }) => stage === 'generate')?.attempts.map(({ outcome }) => outcome)).toEqual(
			['server_error', 'ok'],
		);
	});

	it('fails over a silent upstream after its first-token time-out and says that it did', async () => {
		const clock = new VirtualClock();
		const silent = new ScriptedModel(clock, [{ kind: 'silent' }]);
		const second = new ScriptedModel(clock, [HELLO], { name: 'test/second' });
		const { runtime, traces } = runtimeOf(clock, [feature({}, { route: [silent, second] })]);
		expect(await ask(clock, runtime)).toMatchObject({
			answer: { upstream: 'test/second', degraded: 'upstream_timeout: fail_over' },
		});
		expect(silent.calls).toBe(1);
		expect(traces.last.outcome).toBe('degraded');
	});

	it('never routes around a content filter', async () => {
		const clock = new VirtualClock();
		const filtered = new ScriptedModel(clock, [failing('content_filter')]);
		const second = new ScriptedModel(clock, [HELLO], { name: 'test/second' });
		const { runtime } = runtimeOf(clock, [feature({}, { route: [filtered, second] })]);
		expect((await ask(clock, runtime)).error?.code).toBe('upstream_content_filtered');
		expect(second.calls).toBe(0);
	});

	it('ends a stream that was cut with an error, never as a success and never from the start again', async () => {
		const clock = new VirtualClock();
		const cut = new ScriptedModel(clock, [failing('cut', 'Hello to'), HELLO]);
		const { runtime, traces } = runtimeOf(clock, [
			feature({ onFailure: { stream_broken: { action: 'retry' } } }, { route: [cut] }),
		]);
		expect(await ask(clock, runtime, { stream: true })).toMatchObject({
			streamed: 'Hello to',
			error: { code: 'upstream_stream_cut' },
		});
		expect(cut.calls).toBe(1);
		expect(traces.last).toMatchObject({ outcome: 'failed', cost_source: 'estimated' });
		expect(traces.last.cost_usd_micros).toBeGreaterThan(0);
	});

	it.each(['fail_over', 'retry'] as const)(
		'answers every request of a long outage from the next upstream (%s), and asks the dead one again only within the retry budget',
		async (action) => {
			const clock = new VirtualClock();
			const down = new ScriptedModel(clock, [failing('connect')]);
			const second = new ScriptedModel(clock, [HELLO], { name: 'test/second' });
			const { runtime } = runtimeOf(clock, [
				feature({ onFailure: { upstream_outage: { action } } }, { route: [down, second] }),
			]);
			const requests = 100;
			for (let i = 0; i < requests; i++) {
				expect((await ask(clock, runtime)).answer?.degraded).toBe('upstream_outage: fail_over');
			}
			expect(second.calls).toBe(requests);
			expect(down.calls).toBeLessThanOrEqual(requests + 10 + requests / 5);
			expect(down.calls > requests).toBe(action === 'retry');
		},
	);

	it('asks a dead upstream again only as often as the retry budget allows when nobody else can answer', async () => {
		const clock = new VirtualClock();
		const down = new ScriptedModel(clock, [failing('connect')]);
		const { runtime } = runtimeOf(clock, [feature({}, { route: [down] })]);
		for (let i = 0; i < 100; i++) expect((await ask(clock, runtime)).error?.code).toBe('upstream_unavailable');
		expect(down.calls).toBeLessThanOrEqual(100 + 10 + 20);
	});

	it('starts a cut stream again when nothing of it has left the house', async () => {
		const clock = new VirtualClock();
		const cut = new ScriptedModel(clock, [failing('cut', 'Hello to'), HELLO]);
		const { runtime } = runtimeOf(clock, [
			feature({ stream: 'buffered', onFailure: { stream_broken: { action: 'retry' } } }, { route: [cut] }),
		]);
		expect(await ask(clock, runtime, { stream: true })).toMatchObject({ streamed: 'Hello to you.', error: null });
	});

	it('answers with the declared text, marked degraded, where the contract says fall back', async () => {
		const clock = new VirtualClock();
		const down = new ScriptedModel(clock, [failing('connect')]);
		const { runtime, traces } = runtimeOf(clock, [
			feature({ onFailure: { upstream_outage: { action: 'fall_back', answer: 'Back soon.' } } }, { route: [down] }),
		]);
		expect(await ask(clock, runtime, { stream: true })).toMatchObject({
			streamed: 'Back soon.',
			answer: { text: 'Back soon.', upstream: null, degraded: 'upstream_outage: fall_back' },
		});
		expect(traces.last.outcome).toBe('degraded');
	});

	it('stops the upstream when the client leaves, and the trace says so', async () => {
		const clock = new VirtualClock();
		const slow = new ScriptedModel(clock, [{ kind: 'answer', afterMs: 4000, text: 'late' }]);
		const { runtime, traces } = runtimeOf(clock, [feature({}, { route: [slow] })]);
		expect((await ask(clock, runtime, { leaveAfterMs: 500 })).error?.code).toBe('client_closed');
		expect(slow.requests[0]?.signal.aborted).toBe(true);
		expect(traces.last).toMatchObject({ outcome: 'cancelled', error_code: 'client_closed' });
	});

	it('refuses a call that could cost more than the cap, and calls nobody', async () => {
		const clock = new VirtualClock();
		const model = new ScriptedModel(clock, [HELLO]);
		const { runtime, traces } = runtimeOf(clock, [feature({ budget: { costMicrosMax: 300 } }, { route: [model] })]);
		expect((await ask(clock, runtime)).error?.code).toBe('budget_cost_exceeded');
		expect(model.calls).toBe(0);
		expect(traces.last.cost_usd_micros).toBe(0);
		expect((await ask(clock, runtime, { parameters: { max_tokens: 20 } })).error).toBeNull();
	});

	it('refuses a parameter by name unless the contract lets clients set it', async () => {
		const clock = new VirtualClock();
		const model = new ScriptedModel(clock, [HELLO]);
		const { runtime } = runtimeOf(clock, [feature({ models: { clientParameters: ['top_p'] } }, { route: [model] })]);
		expect((await ask(clock, runtime, { parameters: { temperature: 2 } })).error).toMatchObject({
			code: 'parameter_unsupported',
			param: 'temperature',
		});
		await ask(clock, runtime, { parameters: { top_p: 0.5, max_tokens: 7 } });
		expect(model.requests[0]?.parameters).toEqual({ top_p: 0.5, max_tokens: 7 });
	});

	it('ends within the deadline when retrieval hangs', async () => {
		const clock = new VirtualClock();
		const model = new ScriptedModel(clock, [HELLO]);
		const { runtime, traces } = runtimeOf(clock, [feature({ retrieval: {} }, { route: [model] })], {
			retriever: retrieverOf([], () => new Promise(() => {})),
		});
		expect((await ask(clock, runtime)).error?.code).toBe('retrieval_failed');
		expect(traces.last.latency_ms).toBe(3000);
	});

	it('tells the operator in the trace, and not the client, why retrieval failed', async () => {
		const clock = new VirtualClock();
		const model = new ScriptedModel(clock, [HELLO]);
		const internal = `the vector leg failed: ${'x'.repeat(1000)}`;
		const { runtime, traces } = runtimeOf(clock, [feature({ retrieval: {} }, { route: [model] })], {
			retriever: retrieverOf([], async () => {
				throw new PlimsollError('retrieval_failed', 'The search in docs failed.', { internal });
			}),
		});
		expect((await ask(clock, runtime)).error?.message).toBe('The search in docs failed.');
		const step = traces.last.steps.find(({ stage }) => stage === 'retrieve');
		expect(step).toMatchObject({ error_code: 'retrieval_failed', detail: { reason: internal.slice(0, 300) } });
	});

	it('follows the floor’s policy when retrieval finds too little', async () => {
		const clock = new VirtualClock();
		const model = new ScriptedModel(clock, [HELLO]);
		const strict = feature({ retrieval: { hitsMin: 2 } }, { route: [model] });
		const { runtime } = runtimeOf(clock, [strict], { retriever: retrieverOf([hit(1, 'alone')]) });
		expect((await ask(clock, runtime)).error?.code).toBe('retrieval_empty');
		expect(model.calls).toBe(0);
	});

	it('withholds an answer that a guard refused, and escalates where the contract says so', async () => {
		const clock = new VirtualClock();
		const polite: Guard = {
			name: 'polite',
			check: (answer) =>
				answer.includes('please')
					? { guard: 'polite', verdict: 'pass', reason: null }
					: { guard: 'polite', verdict: 'fail', reason: 'it does not say please' },
		};
		const rude = new ScriptedModel(clock, [HELLO]);
		const kind = new ScriptedModel(clock, [{ ...HELLO, text: 'Hello, please.' }], { name: 'test/strong' });
		const strict = feature({}, { route: [rude], guards: [polite] });
		expect((await ask(clock, runtimeOf(clock, [strict]).runtime)).error?.code).toBe('guard_rejected');

		const apology = feature(
			{ onFailure: { invalid_output: { action: 'fall_back', answer: 'Sorry.' } } },
			{ route: [rude], guards: [polite] },
		);
		// What the withheld answer cost is not hidden behind the fixed one.
		expect((await ask(clock, runtimeOf(clock, [apology]).runtime)).answer).toMatchObject({
			text: 'Sorry.',
			usage: { tokensIn: 10, tokensOut: 5 },
		});

		const lenient = feature(
			{ onFailure: { invalid_output: { action: 'escalate' } } },
			{ route: [rude], escalateTo: kind, guards: [polite] },
		);
		const { runtime, traces } = runtimeOf(clock, [lenient]);
		expect((await ask(clock, runtime)).answer?.text).toBe('Hello, please.');
		expect(traces.last).toMatchObject({ escalated_from: 'test/primary', upstream: 'test/strong' });
		expect(traces.last.guard_verdicts.map(({ verdict }) => verdict)).toEqual(['fail', 'pass']);
	});

	it('asks again after a guard under the same caps: attempts, cost and retries are the request’s', async () => {
		const clock = new VirtualClock();
		const never: Guard = {
			name: 'never',
			check: () => ({ guard: 'never', verdict: 'fail', reason: 'it never passes' }),
		};
		const again = { onFailure: { invalid_output: { action: 'retry' } } } as const;
		const flaky = new ScriptedModel(clock, [failing('connect'), HELLO]);
		const counted = runtimeOf(clock, [feature(again, { route: [flaky], guards: [never] })]);
		expect((await ask(clock, counted.runtime)).error?.code).toBe('guard_rejected');
		expect(flaky.calls).toBe(3);
		expect(counted.traces.last).toMatchObject({ retries: 2 });
		const attempts = counted.traces.last.steps.map((step) => step.attempts.map(({ seq }) => seq));
		expect(attempts.filter((seqs) => seqs.length > 0)).toEqual([[0, 1], [0]]);

		const dear = new ScriptedModel(clock, [HELLO]);
		// 5 tokens in and at most 100 out: one call fits, a second one on top of what the first cost does not.
		const worst = 5 + 4 * 100;
		const capped = runtimeOf(clock, [
			feature({ ...again, budget: { costMicrosMax: worst } }, { route: [dear], guards: [never] }),
		]);
		expect((await ask(clock, capped.runtime)).error?.code).toBe('budget_cost_exceeded');
		expect(dear.calls).toBe(1);
		expect(capped.traces.last.cost_usd_micros).toBeGreaterThan(0);
		expect(capped.traces.last.cost_usd_micros).toBeLessThanOrEqual(worst);
	});

	it('follows the policy for an exceeded budget when the call could cost too much', async () => {
		const clock = new VirtualClock();
		const dear = new ScriptedModel(clock, [HELLO]);
		const free = new ScriptedModel(clock, [HELLO], {
			name: 'test/free',
			price: flatPrice('free', 0, 0),
		});
		const budget = { costMicrosMax: 1 };
		const fallBack = { onFailure: { budget_exceeded: { action: 'fall_back', answer: 'Too dear.' } } } as const;
		const first = runtimeOf(clock, [feature({ budget, ...fallBack }, { route: [dear] })]);
		expect(await ask(clock, first.runtime)).toMatchObject({
			answer: { text: 'Too dear.', degraded: 'budget_exceeded: fall_back' },
		});
		const escalate = { onFailure: { budget_exceeded: { action: 'escalate' } } } as const;
		const second = runtimeOf(clock, [feature({ budget, ...escalate }, { route: [dear], escalateTo: free })]);
		expect((await ask(clock, second.runtime)).answer?.upstream).toBe('test/free');
		const third = runtimeOf(clock, [feature({ budget, ...escalate }, { route: [dear], escalateTo: dear })]);
		expect((await ask(clock, third.runtime)).error?.code).toBe('budget_cost_exceeded');
		expect(dear.calls).toBe(0);
	});

	it('turns away the request above the cap, and lets the next in when one has left', async () => {
		const clock = new VirtualClock();
		const model = new ScriptedModel(clock, [HELLO]);
		const { runtime, traces } = runtimeOf(clock, [feature({}, { route: [model] })], {
			admission: { concurrentRequestsMax: 1 },
		});
		const first = runtime.open();
		await runtime.admit(first, { kind: 'in_process', tenantId: 'acme' });
		expect((await ask(clock, runtime)).error).toMatchObject({ code: 'concurrency_exceeded', retryAfterMs: 1000 });
		first.end(null);
		expect((await ask(clock, runtime)).error).toBeNull();
		expect(traces.traces.map(({ outcome }) => outcome)).toEqual(['refused', 'ok', 'ok']);
	});

	it.each([
		['no key', ''],
		['a wrong secret', `plim_${'a'.repeat(12)}_${'c'.repeat(52)}`],
		['an unknown id', `plim_${'z'.repeat(12)}_${'b'.repeat(52)}`],
		['nonsense', 'sk-1234'],
	])('lets nobody in with %s, and calls no upstream', async (_, key) => {
		const clock = new VirtualClock();
		const model = new ScriptedModel(clock, [HELLO]);
		const { runtime, traces } = runtimeOf(clock, [feature({}, { route: [model] })]);
		expect((await ask(clock, runtime, { key })).error?.category).toBe('unauthenticated');
		expect(model.calls).toBe(0);
		expect(runtime.inside).toBe(0);
		expect(traces.last.tenant_id).toBeNull();
	});
});

/** Limits over every scope, wide enough for one request. */
const WIDE = [
	{ limit: 'requests_per_minute', max: 100 },
	{ limit: 'tokens_per_minute', max: 1_000_000 },
	{ limit: 'concurrent_requests', max: 1 },
	{ limit: 'cost_usd_per_day', max: 1_000_000 },
	{ limit: 'cost_usd_per_month', max: 1_000_000 },
] as const;
const LIMITED: LimitTable = {
	...NO_LIMITS,
	tenants: {
		acme: {
			...NO_LIMITS.standard,
			organisation: 'globex',
			tenant: WIDE,
			keys: { test: WIDE },
			features: { greet: WIDE },
			eachUser: WIDE,
		},
	},
	organisations: { globex: WIDE },
};
const EVERYTHING: Counter[] = ['organisation:globex', 'tenant', `key:${'a'.repeat(12)}`, 'feature:greet'].flatMap(
	(scope) => LIMITS.map((limit) => ({ scope, limit })),
);

describe('invariants under faults', () => {
	const anyBehaviour: fc.Arbitrary<Behaviour> = fc.oneof(
		fc.record({
			kind: fc.constant('answer' as const),
			afterMs: fc.nat(12_000),
			text: fc.constantFrom('Hello.', 'Hello to you, too.'),
			usage: fc.boolean(),
		}),
		fc.record({
			kind: fc.constant('fail' as const),
			afterMs: fc.nat(12_000),
			failure: fc.constantFrom<UpstreamFailure[]>(
				'connect',
				'server_error',
				'rate_limited',
				'cut',
				'nonsense',
				'content_filter',
			),
			text: fc.constantFrom('', 'Hel'),
		}),
		fc.constant({ kind: 'silent' as const }),
	);
	const anyAction = (situation: keyof typeof FAILURE_POLICIES): fc.Arbitrary<FailureAction> =>
		fc
			.constantFrom(...FAILURE_POLICIES[situation])
			.map(
				(action): FailureAction =>
					action === 'fall_back' || action === 'ask_back' || action === 'abstain'
						? { action, answer: 'Sorry.' }
						: { action },
			);

	it('every request ends in time with one outcome, one trace, one released place, bounded attempts, cost below the cap and nothing left reserved', async () => {
		await fc.assert(
			fc.asyncProperty(
				fc.record({
					primary: fc.array(anyBehaviour, { minLength: 1, maxLength: 4 }),
					second: fc.array(anyBehaviour, { minLength: 1, maxLength: 4 }),
					attemptsMax: fc.integer({ min: 1, max: 4 }),
					costMicrosMax: fc.option(fc.integer({ min: 300, max: 2000 })),
					stream: fc.boolean(),
					buffered: fc.boolean(),
					leaveAfterMs: fc.option(fc.nat(15_000), { nil: undefined }),
					timeout: anyAction('upstream_timeout'),
					outage: anyAction('upstream_outage'),
					quota: anyAction('upstream_quota'),
					broken: anyAction('stream_broken'),
					seed: fc.nat(),
				}),
				async (plan) => {
					const clock = new VirtualClock();
					const models = [
						new ScriptedModel(clock, plan.primary),
						new ScriptedModel(clock, plan.second, { name: 'test/second' }),
					];
					const tested = feature(
						{
							stream: plan.buffered ? 'buffered' : 'immediate',
							budget: { costMicrosMax: plan.costMicrosMax },
							models: { attemptsMax: plan.attemptsMax },
							onFailure: {
								upstream_timeout: plan.timeout,
								upstream_outage: plan.outage,
								upstream_quota: plan.quota,
								stream_broken: plan.broken,
							},
						},
						{ route: models },
					);
					const sharedState = new MemoryState();
					const { runtime, traces } = runtimeOf(clock, [tested], { seed: plan.seed, limits: LIMITED, sharedState });
					const { leaveAfterMs } = plan;
					const { answer, error } = await ask(clock, runtime, {
						stream: plan.stream,
						...(leaveAfterMs === undefined ? {} : { leaveAfterMs }),
					});
					const held = await sharedState.usage('acme', EVERYTHING, clock.now());
					expect(held.map(({ reserved }) => reserved)).toEqual(EVERYTHING.map(() => 0));
					const cost = held.find((_, at) => EVERYTHING[at]?.limit === 'cost_usd_per_month')?.settled;
					expect(cost).toBe(traces.last.cost_usd_micros);
					await clock.advance(60_000);

					expect([answer, error].filter((one) => one !== null)).toHaveLength(1);
					expect(traces.traces).toHaveLength(1);
					expect(runtime.inside).toBe(0);
					expect(clock.pending).toBe(0);
					expect(traces.last.latency_ms).toBeLessThanOrEqual(10_000);
					expect((models[0]?.calls ?? 0) + (models[1]?.calls ?? 0)).toBeLessThanOrEqual(plan.attemptsMax);
					if (plan.costMicrosMax !== null) expect(traces.last.cost_usd_micros).toBeLessThanOrEqual(plan.costMicrosMax);
					if (answer) expect(answer.text).toMatch(/^(Hello\.|Hello to you, too\.|Sorry\.)$/);
					if (answer?.text === 'Sorry.') expect(traces.last.outcome).toBe('degraded');
					expect(error instanceof PlimsollError ? error.code : 'none').not.toBe('internal_error');
				},
			),
			{ numRuns: 500 },
		);
	});
});
