import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { seededRandom } from '../../src/base/random.ts';
import { VirtualClock } from '../../src/base/virtual-clock.ts';
import type { FailureAction } from '../../src/contracts/release.ts';
import type { Answer } from '../../src/runtime/request.ts';
import type { Patience, RequestContext } from '../../src/runtime/request-context.ts';
import type { Runtime } from '../../src/runtime/runtime.ts';
import type { PlimsollError } from '../../src/spec/errors.ts';
import type { Guard } from '../../src/spec/guard.ts';
import type { UpstreamFailure } from '../../src/spec/model.ts';
import { BREAKER, feature, NO_LIMITS, runtimeOf, UNLIMITED } from '../support/runtime-fixture.ts';
import { type Behaviour, ScriptedModel } from '../support/scripted-model.ts';

const HELLO: Behaviour = { kind: 'answer', afterMs: 10, text: 'Hello to you.' };
const failing = (failure: UpstreamFailure, retryAfterMs?: number): Behaviour => ({
	kind: 'fail',
	afterMs: 10,
	failure,
	...(retryAfterMs === undefined ? {} : { retryAfterMs }),
});

interface Ended {
	readonly answer: Answer | null;
	readonly error: PlimsollError | null;
}

interface Ask {
	readonly tenant?: string;
	readonly feature?: string;
	readonly clientRetries?: number;
	readonly patience?: Patience;
	readonly onOpen?: (context: RequestContext) => void;
}

/** Sends a request; virtual time must move for it to end. */
async function ask(runtime: Runtime, { tenant = 'acme', patience, onOpen, ...how }: Ask = {}): Promise<Ended> {
	const context = runtime.open();
	context.trace.client_retries = how.clientRetries ?? 0;
	if (patience) context.patience = patience;
	onOpen?.(context);
	try {
		await runtime.admit(context, { kind: 'in_process', tenantId: tenant });
		const answer = await runtime.chat(context, {
			model: how.feature ?? 'greet',
			messages: [{ role: 'user', content: 'Hello?' }],
			variables: {},
			parameters: {},
			sink: null,
			user: null,
		});
		return { answer, error: null };
	} catch (error) {
		return { answer: null, error: error as PlimsollError };
	}
}

/** The same, with the time that it takes. */
async function asked(clock: VirtualClock, runtime: Runtime, how: Ask = {}): Promise<Ended> {
	let ended: Ended | null = null;
	const running = ask(runtime, how).then((result) => {
		ended = result;
	});
	for (let ms = 0; ended === null && ms < 60_000; ms += 10) await clock.advance(10);
	await running;
	if (ended === null) throw new Error('the request did not end within a virtual minute');
	return ended;
}

const both = (...names: string[]) => new Map(names.map((name) => [name, BREAKER]));

/** A primary that is down while told so, and a second that is well. */
function pair(clock: VirtualClock, change: Parameters<typeof feature>[0] = {}) {
	let down = false;
	const primary = new ScriptedModel(clock, () => (down ? failing('server_error') : HELLO));
	const second = new ScriptedModel(clock, [HELLO], { name: 'test/second' });
	const { runtime, traces } = runtimeOf(clock, [feature(change, { route: [primary, second] })], {
		breakers: both('test/primary', 'test/second'),
	});
	return {
		primary,
		second,
		runtime,
		traces,
		setDown: (is: boolean) => {
			down = is;
		},
	};
}

function generateStep(traces: ReturnType<typeof runtimeOf>['traces']) {
	return traces.last.steps.find(({ stage }) => stage === 'generate');
}

describe('an outage', () => {
	it('costs the failing upstream a probe each interval, its users nothing, and ends within two probe intervals', async () => {
		const clock = new VirtualClock();
		const { primary, runtime, setDown } = pair(clock);
		const endings: Promise<Ended>[] = [];
		const sendFor = async (ms: number) => {
			for (let at = 0; at < ms; at += 100) {
				endings.push(ask(runtime));
				await clock.advance(100);
			}
		};
		await sendFor(5000);
		setDown(true);
		const before = primary.calls;
		await sendFor(60_000);
		// Five failures open it; then one probe each interval, which is not retried.
		expect(primary.calls - before).toBeLessThanOrEqual(5 + 2 + 60_000 / BREAKER.probeIntervalMs);
		setDown(false);
		await sendFor(2 * BREAKER.probeIntervalMs);
		const healed = primary.calls;
		await sendFor(5000);
		expect(primary.calls - healed).toBe(50);
		await clock.advance(10_000);
		for (const { answer } of await Promise.all(endings)) expect(answer?.text).toBe('Hello to you.');
	});

	it('that flaps under little traffic is answered throughout, and the primary is back within 30 s', async () => {
		const clock = new VirtualClock();
		const { primary, runtime, setDown } = pair(clock);
		setDown(true);
		const attemptsAt: number[] = [];
		const send = async () => {
			const before = primary.calls;
			expect((await asked(clock, runtime)).answer?.text).toBe('Hello to you.');
			for (let n = before; n < primary.calls; n++) attemptsAt.push(clock.monotonic());
			await clock.advance(4000 - (clock.monotonic() % 4000));
		};
		for (let n = 0; n < 15; n++) await send();
		setDown(false);
		const openAttempts = attemptsAt.slice(BREAKER.failuresInARow);
		const gaps = openAttempts.slice(1).map((at, n) => at - (openAttempts[n] ?? 0));
		for (const gap of gaps) expect(gap).toBeGreaterThanOrEqual(BREAKER.probeIntervalMs);
		const healedAt = clock.monotonic();
		let back: string | null = null;
		while (back !== 'test/primary') {
			back = (await asked(clock, runtime)).answer?.upstream ?? null;
			expect(clock.monotonic() - healedAt).toBeLessThan(30_000);
			await clock.advance(4000);
		}
	});

	it('is told in the trace: who was passed over and until when, without an attempt', async () => {
		const clock = new VirtualClock();
		const { primary, runtime, traces, setDown } = pair(clock, { models: { attemptsMax: 1 } });
		setDown(true);
		for (let n = 0; n < 5; n++) await asked(clock, runtime);
		expect(primary.calls).toBe(5);
		const context = pair(clock);
		expect(context.primary.calls).toBe(0);
		await asked(clock, runtime);
		expect(generateStep(traces)).toMatchObject({
			detail: { skipped: expect.stringMatching(/^test\/primary \(open until \d{4}-.*Z\)$/) },
		});
	});

	it('of every upstream is refused at once, with the time to the next probe, and costs nobody an attempt', async () => {
		const clock = new VirtualClock();
		const down = new ScriptedModel(clock, [failing('connect')]);
		const { runtime, traces } = runtimeOf(clock, [feature({}, { route: [down] })], { breakers: both('test/primary') });
		while (down.calls < BREAKER.failuresInARow) await asked(clock, runtime);
		const calls = down.calls;
		const openedAt = clock.monotonic();
		await clock.advance(1000);
		const { error } = await asked(clock, runtime);
		expect(error).toMatchObject({ code: 'upstream_unavailable', message: expect.stringContaining('test/primary') });
		const wait = error?.retryAfterMs ?? 0;
		expect(wait).toBeGreaterThan(0);
		expect(wait).toBeLessThanOrEqual(BREAKER.probeIntervalMs - 1000);
		expect(traces.last).toMatchObject({ outcome: 'failed', latency_ms: 0, retries: 0 });
		expect(down.calls).toBe(calls);
		expect(clock.monotonic()).toBeGreaterThan(openedAt);
	});

	it('of every upstream is answered with the fixed text where the contract says so', async () => {
		const clock = new VirtualClock();
		const down = new ScriptedModel(clock, [failing('connect')]);
		const fallBack: FailureAction = { action: 'fall_back', answer: 'Back soon.' };
		const { runtime } = runtimeOf(clock, [feature({ onFailure: { upstream_outage: fallBack } }, { route: [down] })], {
			breakers: both('test/primary'),
		});
		for (let n = 0; n < 20; n++) {
			expect((await asked(clock, runtime)).answer).toMatchObject({
				text: 'Back soon.',
				degraded: 'upstream_outage: fall_back',
			});
		}
		expect(down.calls).toBe(BREAKER.failuresInARow);
	});
});

describe('a probe', () => {
	/** A runtime whose only upstream is open, with a probe due. */
	async function probeDue(script: () => Behaviour, limits = NO_LIMITS) {
		const clock = new VirtualClock();
		const model = new ScriptedModel(clock, script);
		const features = [feature({}, { route: [model] })];
		const { runtime, traces } = runtimeOf(clock, features, { breakers: both('test/primary'), limits });
		while (model.calls < BREAKER.failuresInARow) await asked(clock, runtime);
		await clock.advance(BREAKER.probeIntervalMs);
		return { clock, model, runtime, traces };
	}

	it('is made by one of a hundred concurrent requests', async () => {
		let down = true;
		const { clock, model, runtime } = await probeDue(() => (down ? failing('connect') : HELLO));
		down = false;
		const before = model.calls;
		const endings = Array.from({ length: 100 }, () => ask(runtime));
		await clock.advance(1000);
		const answered = (await Promise.all(endings)).filter(({ answer }) => answer !== null);
		expect(answered).toHaveLength(1);
		expect(model.calls - before).toBe(1);
		expect((await asked(clock, runtime)).error).toBeNull();
	});

	it('that limits refuse before it is sent leaves its turn to whoever comes next', async () => {
		let behaviour: Behaviour = failing('connect');
		const poor = { ...UNLIMITED, tenant: [{ limit: 'tokens_per_minute' as const, max: 1 }] };
		const { clock, runtime } = await probeDue(() => behaviour, { ...NO_LIMITS, tenants: { poor } });
		behaviour = HELLO;
		expect((await asked(clock, runtime, { tenant: 'poor' })).error?.code).toBe('request_above_limit');
		expect((await asked(clock, runtime)).error).toBeNull();
	});

	it('whose client leaves does not wedge the breaker', async () => {
		let behaviour: Behaviour = failing('connect');
		const { clock, model, runtime } = await probeDue(() => behaviour);
		behaviour = { kind: 'silent' };
		let probe: RequestContext | null = null;
		const leaving = ask(runtime, {
			onOpen: (context) => {
				probe = context;
			},
		});
		await clock.advance(100);
		(probe as RequestContext | null)?.clientLeft();
		expect((await leaving).error?.code).toBe('client_closed');
		behaviour = HELLO;
		expect((await asked(clock, runtime)).error?.code).toBe('upstream_unavailable');
		await clock.advance(BREAKER.probeIntervalMs);
		expect((await asked(clock, runtime)).error).toBeNull();
		expect(model.calls).toBe(BREAKER.failuresInARow + 2);
	});
});

describe('a provider that refuses for its limits', () => {
	const quota = (action: 'retry' | 'fail_over') => ({ onFailure: { upstream_quota: { action } } }) as const;

	it('is waited for where the contract says retry and the deadline allows it', async () => {
		const clock = new VirtualClock();
		const limited = new ScriptedModel(clock, [failing('rate_limited', 3000), HELLO]);
		const { runtime } = runtimeOf(clock, [feature(quota('retry'), { route: [limited] })], {
			breakers: both('test/primary'),
		});
		expect((await asked(clock, runtime)).answer).toMatchObject({ upstream: 'test/primary', degraded: null });
		expect(clock.monotonic()).toBeGreaterThanOrEqual(3000);
	});

	it('is left for the next upstream when the deadline does not allow to wait, and by everyone until its time is over', async () => {
		const clock = new VirtualClock();
		const limited = new ScriptedModel(clock, [failing('rate_limited', 30_000), HELLO]);
		const second = new ScriptedModel(clock, [HELLO], { name: 'test/second' });
		const { runtime, traces } = runtimeOf(clock, [feature(quota('retry'), { route: [limited, second] })], {
			breakers: both('test/primary', 'test/second'),
		});
		for (let n = 0; n < 3; n++) {
			expect((await asked(clock, runtime)).answer?.degraded).toBe('upstream_quota: fail_over');
		}
		expect(limited.calls).toBe(1);
		expect(generateStep(traces)?.detail.skipped).toMatch(/quota/);
		await clock.advance(30_000);
		expect((await asked(clock, runtime)).answer?.upstream).toBe('test/primary');
	});
});

describe('a client', () => {
	it('in a hurry does not make an upstream look ill', async () => {
		const clock = new VirtualClock();
		const slow = new ScriptedModel(clock, [{ kind: 'answer', afterMs: 2000, text: 'Hello.' }]);
		const { runtime } = runtimeOf(clock, [feature({}, { route: [slow] })], { breakers: both('test/primary') });
		const hurry = { patience: { deadlineMs: 300, beginMs: null } };
		for (let n = 0; n < 20; n++) {
			expect((await asked(clock, runtime, hurry)).error?.category).toBe('deadline_exceeded');
		}
		expect((await asked(clock, runtime)).error).toBeNull();
	});

	it('may shorten the deadline and never lengthen it', async () => {
		const clock = new VirtualClock();
		const silent = new ScriptedModel(clock, [{ kind: 'silent' }]);
		const { runtime, traces } = runtimeOf(clock, [
			feature({ onFailure: { upstream_timeout: { action: 'fail_closed' } } }, { route: [silent] }),
		]);
		for (const [patience, mostMs] of [
			[{ deadlineMs: 400, beginMs: null }, 400],
			[{ deadlineMs: null, beginMs: 600 }, 600],
			[{ deadlineMs: 900_000, beginMs: 900_000 }, 10_000],
		] as const) {
			await asked(clock, runtime, { patience });
			expect(traces.last.latency_ms).toBeLessThanOrEqual(mostMs);
			expect(traces.last.steps.find(({ stage }) => stage === 'assign')?.detail.deadline_ms).toBe(mostMs);
		}
	});

	it('that sends again earns no retry', async () => {
		const clock = new VirtualClock();
		const down = new ScriptedModel(clock, [failing('server_error')]);
		const { runtime } = runtimeOf(clock, [feature({}, { route: [down] })], {
			retries: { ratio: 1, floor: 0, tenantFloor: 0, tenantsMax: 10 },
		});
		for (let n = 0; n < 10; n++) await asked(clock, runtime, { clientRetries: 1 });
		expect(down.calls).toBe(10);
		await asked(clock, runtime);
		expect(down.calls).toBe(12);
	});

	it('whose limits refuse its call earns no retry', async () => {
		const clock = new VirtualClock();
		const down = new ScriptedModel(clock, [failing('server_error')]);
		const { runtime } = runtimeOf(clock, [feature({}, { route: [down] })], {
			retries: { ratio: 0.5, floor: 0, tenantFloor: 10, tenantsMax: 10 },
			limits: { ...NO_LIMITS, tenants: { poor: { ...UNLIMITED, tenant: [{ limit: 'tokens_per_minute', max: 1 }] } } },
		});
		for (let n = 0; n < 10; n++) {
			expect((await asked(clock, runtime, { tenant: 'poor' })).error?.code).toBe('request_above_limit');
		}
		await asked(clock, runtime);
		expect(down.calls).toBe(1);
		await asked(clock, runtime);
		expect(down.calls).toBe(3);
	});

	it('is told how long to stay away when the retry budget is spent, and may come back at once when it is not', async () => {
		const clock = new VirtualClock();
		const down = new ScriptedModel(clock, [failing('server_error')]);
		const { runtime } = runtimeOf(clock, [feature({}, { route: [down] })], {
			retries: { ratio: 0, floor: 2, tenantFloor: 5, tenantsMax: 10 },
		});
		expect((await asked(clock, runtime)).error?.retryAfterMs).toBeNull();
		const { error } = await asked(clock, runtime);
		expect(error?.retryAfterMs).toBeGreaterThanOrEqual(1000);
		expect(error?.retryAfterMs).toBeLessThanOrEqual(2000);
	});
});

describe('attempts that reach an upstream', () => {
	const picky: Guard = {
		name: 'picky',
		check: (answer) =>
			answer.includes('please')
				? { guard: 'picky', verdict: 'pass', reason: null }
				: { guard: 'picky', verdict: 'fail', reason: 'it does not say please' },
	};
	const names = ['test/a', 'test/b', 'test/c'] as const;

	/** Three upstreams in trouble by seed, behind features whose policies ask again in every way there is. */
	function stormy(clock: VirtualClock, seed: number, retries: { ratio: number; floor: number; tenantFloor: number }) {
		const random = seededRandom(seed);
		const pick = <T>(list: readonly T[]): T => list[Math.floor(random.next() * list.length)] as T;
		const kinds: readonly UpstreamFailure[] = ['connect', 'server_error', 'rate_limited', 'cut', 'bad_request'];
		const models = names.map((name) => {
			const trouble = random.next();
			return new ScriptedModel(
				clock,
				() => {
					if (random.next() < trouble) return failing(pick(kinds), random.next() < 0.3 ? 500 : undefined);
					return random.next() < 0.5 ? HELLO : { ...HELLO, text: 'Hello, please.' };
				},
				{ name },
			);
		});
		const [a, b, c] = models as [ScriptedModel, ScriptedModel, ScriptedModel];
		const again: FailureAction = { action: 'retry' };
		const over: FailureAction = { action: 'fail_over' };
		const policies = (change: Record<string, FailureAction>) => ({
			onFailure: { upstream_outage: again, upstream_quota: again, stream_broken: again, ...change },
			models: { attemptsMax: 6 },
		});
		const features = [
			feature({ feature: 'first', ...policies({ invalid_output: again }) }, { route: [a, b], guards: [picky] }),
			feature(
				{ feature: 'second', ...policies({ invalid_output: { action: 'escalate' }, stream_broken: over }) },
				{ route: [b, a, b], escalateTo: c, guards: [picky] },
			),
			feature({ feature: 'third', ...policies({ upstream_outage: over }) }, { route: [c, a, c, b] }),
		];
		const isGuarded = random.next() < 0.5;
		const { runtime, traces } = runtimeOf(clock, features, {
			seed,
			retries: { ...retries, tenantsMax: 1000 },
			breakers: isGuarded ? both(...names) : new Map(),
			admission: { concurrentRequestsMax: 1000 },
		});
		return { models, runtime, traces, random, pick };
	}

	it('are at most its requests × (1 + ratio) + floor, over retries, fail-overs, guards and escalations, for tenants too', async () => {
		const anyStorm = fc.record({
			seed: fc.nat(1_000_000),
			ratio: fc.constantFrom(0, 0.05, 0.1, 0.5),
			floor: fc.nat(10),
			tenantFloor: fc.nat(4),
		});
		await fc.assert(
			fc.asyncProperty(anyStorm, async ({ seed, ...retries }) => {
				const clock = new VirtualClock();
				const { models, runtime, traces, random, pick } = stormy(clock, seed, retries);
				const endings: Promise<Ended>[] = [];
				for (let n = 0; n < 150; n++) {
					const tenant = `tenant-${Math.floor(random.next() ** 2 * 12)}`;
					endings.push(ask(runtime, { tenant, feature: pick(['first', 'second', 'third']) }));
					if (random.next() < 0.6) await clock.advance(Math.floor(random.next() * 200));
				}
				await clock.advance(30_000);
				await Promise.all(endings);
				expect(traces.traces).toHaveLength(150);
				const perRequest = traces.traces.map(({ tenant_id, steps }) => ({
					tenant: tenant_id ?? '',
					attempts: steps.flatMap(({ attempts }) => attempts.map(({ upstream }) => upstream)),
				}));
				for (const [at, name] of names.entries()) {
					const askedBy = perRequest.filter(({ attempts }) => attempts.includes(name)).length;
					const most = askedBy * (1 + retries.ratio) + retries.floor;
					expect(models[at]?.calls).toBeLessThanOrEqual(most + 1e-6);
				}
				for (const tenant of new Set(perRequest.map((request) => request.tenant))) {
					const own = perRequest.filter((request) => request.tenant === tenant);
					const first = own.reduce((so, { attempts }) => so + new Set(attempts).size, 0);
					const all = own.reduce((so, { attempts }) => so + attempts.length, 0);
					expect(all).toBeLessThanOrEqual(first * (1 + retries.ratio) + retries.tenantFloor + 1e-6);
				}
			}),
			{ numRuns: 25 },
		);
	});
});
