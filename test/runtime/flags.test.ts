import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { VirtualClock } from '../../src/base/virtual-clock.ts';
import type { FlagUse } from '../../src/policy/flags.ts';
import { decideFlags } from '../../src/policy/flags.ts';
import type { FeatureFlags } from '../../src/runtime/feature.ts';
import type { PlimsollError } from '../../src/spec/errors.ts';
import type { FlagAsk, FlagResult, FlagSource, FlagSubject, FlagValue } from '../../src/spec/flags.ts';
import type { PromptInput } from '../../src/spec/prompt.ts';
import { feature, KEY, plainPrompt, runtimeOf } from '../support/runtime-fixture.ts';
import { type Behaviour, ScriptedModel } from '../support/scripted-model.ts';

const HELLO: Behaviour = { kind: 'answer', afterMs: 10, text: 'Hello.' };
const BROKEN: Behaviour = { kind: 'fail', afterMs: 10, failure: 'server_error' };

/** Says what it is told to, and keeps what it was asked. */
class ToldSource implements FlagSource {
	readonly asked: { readonly asks: readonly FlagAsk[]; readonly subject: FlagSubject }[] = [];
	readonly #values: Readonly<Record<string, FlagValue | Error>>;

	constructor(values: Readonly<Record<string, FlagValue | Error>>) {
		this.#values = values;
	}

	async evaluate(asks: readonly FlagAsk[], subject: FlagSubject): Promise<readonly FlagResult[]> {
		this.asked.push({ asks, subject });
		return asks.map(({ flag, fallback }): FlagResult => {
			const value = this.#values[flag];
			if (value === undefined || value instanceof Error) {
				return { flag, value: fallback, variant: null, reason: 'ERROR', error: value?.message ?? 'no such flag' };
			}
			return { flag, value, variant: `is-${value}`, reason: 'SPLIT', error: null };
		});
	}
}

const anything = () => true;
const ENABLED: FlagUse = { flag: 'open', purpose: 'enabled', fallback: true, accepts: anything };
const ROUTE: FlagUse = {
	flag: 'route',
	purpose: 'route',
	fallback: 'default',
	accepts: (name) => name === 'default' || name === 'careful',
};
const VERSION: FlagUse = {
	flag: 'version',
	purpose: 'prompt_version',
	fallback: '1.0.0',
	accepts: (version) => version === '1.0.0' || version === '2.0.0',
};
const TONE: FlagUse = { flag: 'tone', purpose: { variable: 'tone' }, fallback: '', accepts: (tone) => tone !== 'rude' };

function setUp(
	values: Readonly<Record<string, FlagValue | Error>>,
	options: {
		uses?: readonly FlagUse[];
		script?: readonly Behaviour[];
		change?: Parameters<typeof feature>[0];
		guards?: Parameters<typeof feature>[1]['guards'];
	} = {},
) {
	const clock = new VirtualClock();
	const source = new ToldSource(values);
	const [standard, careful] = ['test/primary', 'test/careful'].map(
		(name) => new ScriptedModel(clock, options.script ?? [HELLO], { name }),
	) as [ScriptedModel, ScriptedModel];
	const inputs: PromptInput[] = [];
	const prompt = (version: string): typeof plainPrompt => ({
		...plainPrompt,
		version,
		assemble: (input, budget) => {
			inputs.push(input);
			return plainPrompt.assemble(input, budget);
		},
	});
	const flags: FeatureFlags = {
		source,
		uses: options.uses ?? [ENABLED, ROUTE, VERSION, TONE],
		routes: new Map([
			['default', [standard]],
			['careful', [careful]],
		]),
		prompts: new Map(['1.0.0', '2.0.0'].map((version) => [version, prompt(version)])),
	};
	const guards = options.guards ? { guards: options.guards } : {};
	const { runtime, traces } = runtimeOf(clock, [
		feature(options.change ?? {}, { route: [standard], flags, ...guards }),
	]);
	const ask = async (user: string | null = 'ada', variables = {}) => {
		const context = runtime.open();
		await runtime.admit(context, { kind: 'authorization', header: KEY, scope: 'invoke' });
		const messages = [{ role: 'user', content: 'Hello?' }];
		const running = runtime
			.chat(context, { model: 'greet', messages, variables, parameters: {}, sink: null, user })
			.catch((error: PlimsollError) => error);
		await clock.advance(5_000);
		return { result: await running, context, trace: traces.last };
	};
	return { ask, source, standard, careful, inputs };
}

describe('flags of a feature', () => {
	it('choose the route, the version of the prompt and its variables, and the trace says so', async () => {
		const { ask, standard, careful, inputs } = setUp({ open: true, route: 'careful', version: '2.0.0', tone: 'warm' });
		const { result, trace, context } = await ask('ada', { tone: 'cold', other: 'kept' });
		expect(result).toMatchObject({ upstream: 'test/careful', degraded: null });
		expect([standard.calls, careful.calls]).toEqual([0, 1]);
		expect(inputs[0]?.variables).toEqual({ tone: 'warm', other: 'kept' });
		expect(trace).toMatchObject({
			variant: 'control',
			prompt_version: '2.0.0',
			outcome: 'ok',
			flags: { open: 'is-true', route: 'is-careful', version: 'is-2.0.0', tone: 'is-warm' },
			flag_reasons: { open: 'SPLIT', route: 'SPLIT', version: 'SPLIT', tone: 'SPLIT' },
		});
		const digest = context.flags?.digest ?? '';
		expect(digest).toMatch(/^[0-9a-f]{64}$/);
		expect(trace.steps.find(({ stage }) => stage === 'assign')?.detail.flags_digest).toBe(digest.slice(0, 16));
	});

	it('are told who asks: the user as named, the hash as stored', async () => {
		const { ask, source } = setUp({});
		const { trace } = await ask('ada');
		expect(source.asked[0]?.subject).toEqual({
			tenantId: 'acme',
			user: 'ada',
			userHash: trace.user_id_hash,
			feature: 'greet',
			keyId: 'a'.repeat(12),
			keyName: 'test',
			caller: 'key',
		});
	});

	it('switch the feature off, without a call to an upstream', async () => {
		const { ask, standard } = setUp({ open: false });
		const { result, trace } = await ask();
		expect(result).toMatchObject({ code: 'feature_disabled', retryable: false });
		expect(standard.calls).toBe(0);
		expect(trace).toMatchObject({ outcome: 'refused', error_code: 'feature_disabled', flags: { open: 'is-false' } });
	});

	it('switch to a fixed answer where the contract has one, marked as degraded', async () => {
		const change = { onFailure: { feature_disabled: { action: 'fall_back', answer: 'Call us.' } } } as const;
		const { ask, standard } = setUp({ open: false }, { change });
		const { result, trace } = await ask();
		expect(result).toMatchObject({ text: 'Call us.', degraded: 'feature_disabled: fall_back', upstream: null });
		expect(standard.calls).toBe(0);
		expect(trace).toMatchObject({ outcome: 'degraded', error_code: null });
	});

	it('that fail leave the contract’s own choices in force, recorded as errors', async () => {
		const { ask } = setUp({ open: new Error('down'), route: new Error('down'), version: new Error('down') });
		const { result, trace } = await ask('ada', { tone: 'cold' });
		expect(result).toMatchObject({ upstream: 'test/primary', degraded: null });
		expect(trace).toMatchObject({
			prompt_version: '1.0.0',
			flags: { open: null, route: null, version: null, tone: null },
			flag_reasons: { open: 'ERROR', route: 'ERROR', version: 'ERROR', tone: 'ERROR' },
		});
		const detail = trace.steps.find(({ stage }) => stage === 'assign')?.detail;
		expect(detail).toMatchObject({ 'flag_error.open': 'down', 'flag_error.tone': 'no such flag' });
	});

	it('with a value that the feature has nothing for count as failed', async () => {
		const { ask, inputs } = setUp({ open: true, route: 'absent', version: '9.0.0', tone: 'rude' });
		const { result, trace } = await ask('ada', { tone: 'cold' });
		expect(result).toMatchObject({ upstream: 'test/primary' });
		expect(inputs[0]?.variables).toEqual({ tone: 'cold' });
		expect(trace).toMatchObject({ prompt_version: '1.0.0', flag_reasons: { route: 'ERROR', version: 'ERROR' } });
	});

	it('are evaluated once for a request, also with retries', async () => {
		const { ask, source, standard } = setUp({}, { script: [BROKEN, HELLO] });
		const { result } = await ask();
		expect(result).toMatchObject({ text: 'Hello.' });
		expect(standard.calls).toBe(2);
		expect(source.asked).toHaveLength(1);
	});

	it('are evaluated once for a request, also when a guard asks again', async () => {
		let judged = 0;
		const picky = {
			name: 'picky',
			check: () =>
				++judged === 1
					? { guard: 'picky', verdict: 'fail' as const, reason: 'once more' }
					: { guard: 'picky', verdict: 'pass' as const, reason: null },
		};
		const change = { onFailure: { invalid_output: { action: 'retry' } } } as const;
		const { ask, source, standard } = setUp({ route: 'default' }, { guards: [picky], change });
		expect((await ask()).result).toMatchObject({ text: 'Hello.' });
		expect(standard.calls).toBe(2);
		expect(source.asked).toHaveLength(1);
	});

	it('that decide two things are asked for once', async () => {
		const { ask, source, careful } = setUp({ route: 'careful' }, { uses: [ROUTE, { ...TONE, flag: 'route' }] });
		const { context } = await ask();
		expect(source.asked[0]?.asks).toEqual([{ flag: 'route', fallback: 'default' }]);
		expect(careful.calls).toBe(1);
		expect(context.flags?.variables).toEqual({ tone: 'careful' });
	});
});

it('a feature without flags has none in its trace', async () => {
	const clock = new VirtualClock();
	const { runtime, traces } = runtimeOf(clock, [feature({}, { route: [new ScriptedModel(clock, [HELLO])] })]);
	const context = runtime.open();
	await runtime.admit(context, { kind: 'authorization', header: KEY, scope: 'invoke' });
	const messages = [{ role: 'user', content: 'Hello?' }];
	const running = runtime.chat(context, {
		model: 'greet',
		messages,
		variables: {},
		parameters: {},
		sink: null,
		user: null,
	});
	await clock.advance(100);
	await running;
	expect(context.flags).toBeNull();
	expect(traces.last).toMatchObject({ flags: {}, flag_reasons: {} });
	expect(traces.last.steps.find(({ stage }) => stage === 'assign')?.detail).not.toHaveProperty('flags_digest');
});

it('two decisions have one digest exactly when they treat the request alike', () => {
	const value = fc.record({
		open: fc.boolean(),
		route: fc.constantFrom('default', 'careful', 'absent'),
		tone: fc.constantFrom('warm', 'cold', 'rude'),
	});
	const decide = (values: Record<string, FlagValue>) =>
		decideFlags(
			[ENABLED, ROUTE, TONE],
			Object.entries(values).map(([flag, one]) => ({ flag, value: one, variant: null, reason: 'SPLIT', error: null })),
		);
	fc.assert(
		fc.property(value, value, (a, b) => {
			const [one, other] = [decide(a), decide(b)];
			const effect = ({ enabled, route, variables }: typeof one) => JSON.stringify({ enabled, route, variables });
			expect(one.digest === other.digest).toBe(effect(one) === effect(other));
			expect(Object.isFrozen(one)).toBe(true);
		}),
	);
});
