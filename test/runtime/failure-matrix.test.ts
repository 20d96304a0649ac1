import { beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { DIFFERENCES, MATRIX } from '../../scripts/reference/failure-matrix.ts';
import { type Clock, systemClock } from '../../src/base/clock.ts';
import { functionCall } from '../../src/base/function-call.ts';
import { VirtualClock } from '../../src/base/virtual-clock.ts';
import { FAILURE_POLICIES, type FailureAction, type FailureSituation } from '../../src/contracts/release.ts';
import { createGuards } from '../../src/guards/guards.ts';
import type { Plan } from '../../src/mock-upstream/plan.ts';
import { startUpstreamDouble } from '../../src/mock-upstream/upstream-double.ts';
import { createModel } from '../../src/models/create-model.ts';
import type { BreakerTable } from '../../src/policy/breakers.ts';
import { FAILURES } from '../../src/policy/failure-table.ts';
import type { Answer } from '../../src/runtime/request.ts';
import type { RequestContext } from '../../src/runtime/request-context.ts';
import type { Runtime } from '../../src/runtime/runtime.ts';
import type { PlimsollError } from '../../src/spec/errors.ts';
import type { CompletionChunk, UpstreamFailure } from '../../src/spec/model.ts';
import { BREAKER, contract, feature, runtimeOf } from '../support/runtime-fixture.ts';
import { PRICE } from '../support/scripted-model.ts';

const TEXT = 'The load line of a ship shows how much it may carry in each season and sea.';
const MODES = ['plain', 'stream'] as const;
const NAMES = ['first', 'second'] as const;

const FAMILIES = {
	'openai-compatible': (port: number) => ({
		family: 'openai-compatible' as const,
		baseUrl: `http://127.0.0.1:${port}/v1`,
		wire: {
			chatPath: '/chat/completions',
			keyHeader: 'authorization' as const,
			streamUsage: true,
			jsonSchema: true,
			continuation: 'place' as const,
			refused: [],
			renamed: {},
		},
	}),
	anthropic: (port: number) => ({ family: 'anthropic' as const, baseUrl: `http://127.0.0.1:${port}/v1` }),
	google: (port: number) => ({ family: 'google' as const, baseUrl: `http://127.0.0.1:${port}/v1beta` }),
	vertex: (port: number) => ({
		family: 'vertex' as const,
		baseUrl: `http://127.0.0.1:${port}/v1/publishers/google`,
		project: null,
		region: 'global',
		credentials: null,
	}),
	bedrock: (port: number) => ({
		family: 'bedrock' as const,
		baseUrl: `http://127.0.0.1:${port}`,
		region: 'eu-central-1',
		signing: null,
	}),
	cohere: (port: number) => ({ family: 'cohere' as const, baseUrl: `http://127.0.0.1:${port}/v2` }),
	'ai-sdk': (port: number) => ({
		family: 'ai-sdk' as const,
		baseUrl: `http://127.0.0.1:${port}/v2`,
		package: '@ai-sdk/cohere',
		factory: 'createCohere',
		optionsName: 'cohere',
		settings: {},
	}),
};
type Family = keyof typeof FAMILIES;

const TOOLS = {
	tools: ['look_up', 'measure'].map((name) => ({
		type: 'function',
		function: { name, parameters: { type: 'object', properties: { key: { type: 'string' } }, required: ['key'] } },
	})),
};

const CALLS = ['look_up', 'measure'].map((name) => ({ name, args: '{"key":"load line"}' }));

const isByCohere = (family: Family) => family === 'cohere' || family === 'ai-sdk';

const COMMON = {
	model: 'mock-1',
	available: true,
	switchedOnBy: [],
	tokensOutMax: 1000,
	tokensOutParameter: 'max_tokens',
	tokenizer: 'o200k_base',
	timeouts: { connectMs: 20_000, firstTokenMs: 20_000, idleMs: 20_000, totalMs: 100_000 },
	sideEffects: false,
	schemaDialect: null,
	breaker: null,
	priceFrom: null,
	price: PRICE,
	apiKey: 'key-secret-0123456789',
	connectionsMax: 4,
	providerOptions: {},
} as const;

/** What a contract does that says nothing. */
const DEFAULTS = Object.fromEntries(
	Object.entries(FAILURE_POLICIES).map(([situation, [action]]) => [situation, { action }]),
) as unknown as Readonly<Record<FailureSituation, FailureAction>>;

/** A feature with its defaults, over two upstreams of one family; the second has a larger context and another vendor. */
async function start(family: Family, clock: Clock, more: { readonly breakers?: BreakerTable } = {}) {
	const doubles = [
		await startUpstreamDouble({ clock, plan: { text: TEXT } }),
		await startUpstreamDouble({ clock, plan: { text: TEXT } }),
	];
	const models = doubles.map(({ port }, at) =>
		createModel(
			{
				...COMMON,
				...FAMILIES[family](port),
				name: `${NAMES[at]}/default`,
				provider: String(NAMES[at]),
				contextTokensMax: 8000 * (at + 1),
				continuesTurn: at === 1,
			},
			{ clock },
		),
	);
	const close = async () => {
		for (const model of models) await model.close();
		for (const double of doubles) await double.close();
	};
	const change = {
		...{ onFailure: DEFAULTS, budget: { deadlineMs: 120_000, tokensOutMax: 200 } },
		models: { clientParameters: ['tools'] },
	};
	const guards = createGuards(contract(change).guards);
	const { runtime, traces } = runtimeOf(clock, [feature(change, { route: models, guards })], {
		upstreams: models,
		...more,
		retries: { ratio: 1, floor: 100, tenantFloor: 100, tenantsMax: 10 },
	});
	return { doubles, runtime, traces, close };
}

async function setUp(family: Family, clock: Clock, more: { readonly breakers?: BreakerTable } = {}) {
	const set = await start(family, clock, more);
	onTestFinished(set.close);
	return set;
}

/** Asks, while virtual time runs slowly enough for what is on the wire to arrive. */
async function ask(
	{ runtime }: { readonly runtime: Runtime },
	how: {
		clock: Clock;
		mode: (typeof MODES)[number];
		context?: RequestContext;
		model?: string;
		parameters?: Readonly<Record<string, unknown>>;
	},
) {
	const { clock, mode, context = runtime.open(), model = 'greet', parameters = {} } = how;
	let seen = '';
	const pieces: unknown[] = [];
	const sink = {
		chunk({ text, toolCalls = [] }: Pick<CompletionChunk, 'text' | 'toolCalls'>) {
			seen += text;
			pieces.push(...toolCalls);
		},
	};
	let ended: { answer: Answer | null; error: PlimsollError | null } | null = null;
	const running = (async () => {
		await runtime.admit(context, { kind: 'in_process', tenantId: 'acme' });
		return runtime.chat(context, {
			model,
			messages: [{ role: 'user', content: 'What does a load line show?' }],
			variables: {},
			parameters,
			sink: mode === 'plain' ? null : sink,
			user: null,
		});
	})().then(
		(answer) => {
			ended = { answer, error: null };
		},
		(error: PlimsollError) => {
			ended = { answer: null, error };
		},
	);
	while (ended === null && clock instanceof VirtualClock) await clock.advance(5);
	await running;
	const { answer, error } = ended as unknown as { answer: Answer | null; error: PlimsollError | null };
	const calls = callsOf(mode === 'plain' ? (answer?.toolCalls ?? []) : pieces);
	return { answer, error, text: mode === 'plain' ? (answer?.text ?? '') : seen, calls };
}

beforeAll(async () => {
	// Packages are loaded by a first call, in real time, so that no virtual time passes while they are.
	for (const family of Object.keys(FAMILIES) as Family[]) {
		const { doubles, close, runtime } = await start(family, systemClock);
		expect((await ask({ runtime }, { clock: systemClock, mode: 'plain' })).text).toBe(TEXT);
		expect(doubles[0]?.requests).toBe(1);
		await close();
	}
}, 120_000);

describe.each(Object.keys(FAMILIES) as Family[])('%s', (family) => {
	describe.each(MODES)('%s', (mode) => {
		it.each(MATRIX.map((row) => [row.what, row] as const))('%s', async (what, row) => {
			const clock = new VirtualClock();
			const set = await setUp(family, clock);
			set.doubles[0]?.next(...Array.from({ length: row.times ?? 10 }, () => ({ text: TEXT, ...row.fault })));
			const { error, text } = await ask(set, { clock, mode });
			const expected = DIFFERENCES[family]?.[what]?.[mode] ?? row[mode];

			const { last } = set.traces;
			const attempts = last.steps.flatMap((step) => step.attempts);
			const story = attempts.map(({ upstream, outcome }) => `${upstream.split('/')[0]}: ${outcome}`);
			expect({ attempts: story, result: resultOf(error, text) }).toEqual(expected);
			// Nothing is left out in silence.
			const skipped = last.steps.find(({ stage }) => stage === 'generate')?.detail.skipped_events;
			expect(skipped).toBe(expected.result === 'the answer, less an event' ? '1' : undefined);
			// Counted at the doubles, and not by whom they double for.
			for (const [at, double] of set.doubles.entries()) {
				expect(double.requests).toBe(story.filter((line) => line.startsWith(`${NAMES[at]}:`)).length);
			}
			const gap = (attempts[1]?.started_ms ?? 0) - (attempts[0]?.started_ms ?? 0) - (attempts[0]?.latency_ms ?? 0);
			if (row.waitMs !== undefined) expect(gap).toBeGreaterThanOrEqual(row.waitMs);
			for (const { outcome, cost_usd_micros: cost, time_to_first_token_ms: first } of attempts) {
				const isBilled = outcome === 'ok' || first !== null || FAILURES[outcome as UpstreamFailure].billed;
				expect(cost > 0).toBe(isBilled);
			}
			expect(last.cost_usd_micros).toBe(attempts.reduce((sum, { cost_usd_micros: cost }) => sum + cost, 0));
			while (set.doubles.some(({ inFlight }) => inFlight > 0)) await clock.advance(5);
		});
	});
});

describe.each(Object.keys(FAMILIES) as Family[])('a model of %s that calls tools badly', (family) => {
	const askBadly = async (mode: (typeof MODES)[number], fault: Plan['fault']) => {
		const clock = new VirtualClock();
		const set = await setUp(family, clock);
		set.doubles[0]?.next({ fault: fault as NonNullable<typeof fault> });
		const { error, calls } = await ask(set, { clock, mode, model: 'first/default', parameters: TOOLS });
		const attempts = set.traces.last.steps.flatMap((step) => step.attempts);
		return { set, calls, code: error?.code, attempts, outcomes: attempts.map(({ outcome }) => outcome) };
	};

	it.each(MODES)('is understood when their parts come in turns, or under one number (%s)', async (mode) => {
		for (const fault of ['interleaved_tool_calls', 'duplicate_tool_calls'] as const) {
			const { set, calls, code } = await askBadly(mode, fault);
			// Cohere's package takes the parts of calls one call after another, as Cohere sends them: it ends with an error, and no wrong call.
			const isRefused = mode === 'stream' && isByCohere(family) && fault === 'interleaved_tool_calls';
			expect(code).toBe(isRefused ? 'upstream_nonsense' : undefined);
			if (!isRefused) expect(calls).toEqual(CALLS);
			expect(set.doubles.map(({ requests }) => requests)).toEqual([1, 0]);
		}
	});

	it('is asked once more when arguments are no JSON, and both attempts are paid for', async () => {
		const { set, code, attempts, outcomes } = await askBadly('plain', 'broken_tool_arguments');
		expect({ code, outcomes }).toEqual({ code: undefined, outcomes: ['broken_call', 'ok'] });
		expect(attempts[0]?.error).toMatch(/called the tool look_up with arguments that are no JSON object.*load line/);
		// What the provider reported, though its answer is of no use.
		expect(attempts[0]?.cost_usd_micros).toBe(attempts[1]?.cost_usd_micros);
		expect(set.doubles[0]?.requests).toBe(2);
		expect(set.traces.last.cost_usd_micros).toBe(2 * (attempts[0]?.cost_usd_micros ?? 0));
	});

	it.each(MODES)('is left for the next of a feature’s route when it goes on so (%s)', async (mode) => {
		const clock = new VirtualClock();
		const set = await setUp(family, clock);
		set.doubles[0]?.next({ fault: 'broken_tool_arguments' }, { fault: 'broken_tool_arguments' });
		set.doubles[1]?.next({ toolCalls: 2 });
		const { error, answer } = await ask(set, { clock, mode, parameters: TOOLS });
		expect(error).toBeNull();
		// A feature hands calls over whole, streamed or not.
		expect(callsOf(answer?.toolCalls ?? [])).toEqual(CALLS);
		const attempts = set.traces.last.steps.flatMap((step) => step.attempts);
		expect(attempts.map(({ outcome }) => outcome)).toEqual(['broken_call', 'broken_call', 'ok']);
		expect(set.traces.last.cost_usd_micros).toBe(attempts.reduce((sum, { cost_usd_micros: cost }) => sum + cost, 0));
		expect(attempts.every(({ cost_usd_micros: cost }) => cost > 0)).toBe(true);
	});

	it('ends a stream with an error when arguments that were sent turn out to be no JSON, and never with its finish reason', async () => {
		const { set, code, outcomes } = await askBadly('stream', 'broken_tool_arguments');
		expect(code).toBe('upstream_nonsense');
		expect(outcomes).toEqual([isByCohere(family) ? 'nonsense' : 'broken_call']);
		expect(set.traces.last).toMatchObject({ outcome: 'failed', finish_reason: null });
		expect(set.traces.last.cost_usd_micros).toBeGreaterThan(0);
	});
});

describe.each(MODES)('a primary that is down for a minute (%s)', (mode) => {
	it.each(['server_error', 'reset'] as const)(
		'with %s, is asked once in each probe interval, and again within 30 s of its return; everybody is answered',
		async (fault) => {
			const clock = new VirtualClock();
			const set = await setUp('openai-compatible', clock, {
				breakers: new Map(NAMES.map((name) => [`${name}/default`, BREAKER])),
			});
			const [primary] = set.doubles;
			const downAt: number[] = [];
			const answers: { readonly at: number; readonly by: string | undefined }[] = [];
			// 20 requests 4 s apart; for the first 60 s the primary is down.
			for (let n = 0; n < 20; n++) {
				const at = clock.monotonic();
				const isDown = n < 15;
				if (isDown) primary?.next(...Array.from({ length: 5 }, () => ({ fault })));
				const before = primary?.requests ?? 0;
				const { error, text, answer } = await ask(set, { clock, mode });
				expect({ code: error?.code, text }).toEqual({ text: TEXT });
				answers.push({ at, by: answer?.upstream ?? undefined });
				const asked = (primary?.requests ?? 0) - before;
				if (isDown) downAt.push(...Array.from({ length: asked }, () => at));
				primary?.forget();
				await clock.advance(Math.max(0, 4000 * (n + 1) - clock.monotonic()));
			}
			const whileOpen = downAt.slice(BREAKER.failuresInARow);
			for (const [n, at] of whileOpen.entries()) {
				if (n > 0) expect(at - (whileOpen[n - 1] ?? 0)).toBeGreaterThanOrEqual(BREAKER.probeIntervalMs);
			}
			expect(downAt.length).toBeLessThanOrEqual(BREAKER.failuresInARow + 60_000 / BREAKER.probeIntervalMs);
			const healedAt = answers[15]?.at ?? 0;
			const back = answers.find(({ at, by }) => at >= healedAt && by === 'first/default');
			expect(back?.at).toBeLessThan(healedAt + 30_000);
			expect(answers.at(-1)?.by).toBe('first/default');
		},
	);
});

describe.each(Object.keys(FAMILIES) as Family[])('a client of %s that leaves', (family) => {
	it.each(MODES)('cancels its upstream at once (%s)', async (mode) => {
		const clock = new VirtualClock();
		const set = await setUp(family, clock);
		const [double] = set.doubles;
		double?.next(mode === 'plain' ? { fault: 'silent' } : { text: TEXT, fault: 'stall', afterChunks: 9 });
		const context = set.runtime.open();
		const asked = ask(set, { clock, mode, context });
		await double?.arrived(1);
		context.clientLeft();
		await double?.aborted(1);
		expect((await asked).error?.code).toBe('client_closed');
		expect(set.doubles.map(({ requests }) => requests)).toEqual([1, 0]);
		expect(set.traces.last.steps.flatMap((step) => step.attempts)).toMatchObject([{ outcome: 'cancelled' }]);
	});
});

/** The calls that pieces make up: another id under a number that was given already is another call. */
function callsOf(pieces: readonly unknown[]): { name: string; args: string }[] {
	const calls: { index: number | null; id: string; name: string; args: string }[] = [];
	for (const piece of pieces) {
		const { index, id, name, args } = functionCall(piece);
		const known = calls.findLast((call) => index !== null && call.index === index && (id === '' || call.id === id));
		if (known) known.args += args;
		else calls.push({ index, id, name, args });
	}
	return calls.map(({ name, args }) => ({ name, args }));
}

function resultOf(error: PlimsollError | null, text: string): string {
	if (error !== null) return `error: ${error.code}`;
	if (text === TEXT) return 'the answer';
	if (text === '') return 'an empty answer';
	// What is left out is a word or two.
	const isPart = TEXT.startsWith(text.slice(0, 8)) && TEXT.endsWith(text.slice(-5)) && text.length > TEXT.length / 2;
	return isPart ? 'the answer, less an event' : text;
}
