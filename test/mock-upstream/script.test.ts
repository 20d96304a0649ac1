import { readFile } from 'node:fs/promises';
import fc from 'fast-check';
import { describe, expect, it, test } from 'vitest';
import { stringify } from 'yaml';
import { systemClock } from '../../src/base/clock.ts';
import { VirtualClock } from '../../src/base/virtual-clock.ts';
import type { Asked } from '../../src/mock-upstream/asked.ts';
import { delayMs } from '../../src/mock-upstream/delay.ts';
import type { Plan } from '../../src/mock-upstream/plan.ts';
import { type Route, routeOf } from '../../src/mock-upstream/routes.ts';
import { NO_SCRIPT, parseScript, readScript } from '../../src/mock-upstream/script.ts';
import { ScriptPlanner } from '../../src/mock-upstream/script-planner.ts';
import { type RawScript, scriptSchema } from '../../src/mock-upstream/script-schema.ts';
import type { PlannedRequest } from '../../src/mock-upstream/upstream-double.ts';
import { formatProblem } from '../../src/spec/problem.ts';

function script(text: string): RawScript {
	const checked = parseScript({ file: 'faults.yaml', text });
	if (!checked.ok) throw new Error(checked.problems.map(formatProblem).join('\n'));
	return checked.value;
}

function problems(text: string): string[] {
	return parseScript({ file: 'faults.yaml', text }).problems.map(formatProblem);
}

const chat = routeOf('POST', '/v1/chat/completions', { headers: {}, models: [] }) as Route;
const messages = routeOf('POST', '/v1/messages', { headers: {}, models: [] }) as Route;

function asks(more: Partial<Asked> = {}, of: Partial<PlannedRequest> = {}): PlannedRequest {
	const asked = {
		...chat.format.read({ model: 'm', messages: [{ role: 'user', content: 'Hello there' }] }, ''),
		...more,
	};
	return { route: chat, asked, key: null, ...of };
}

/** What goes wrong with so many requests in a row. */
function faultsOf(planner: ScriptPlanner, count: number, request = asks()): (string | undefined)[] {
	return Array.from({ length: count }, () => planner.plan(request).plan.fault);
}

describe('a script is refused with the place of what is wrong', () => {
	test.each([
		['rulez: {}', /^faults\.yaml:1:1: rulez: unknown key \(expected .*; did you mean rules\?\)$/],
		['rules:\n  a:\n    fault: {kind: cutt}', /^faults\.yaml:3:\d+: rules\.a\.fault.*cut/],
		[
			'rules:\n  a:\n    fault: {kind: cut, at_bite: 3}',
			/^faults\.yaml:3:24: rules\.a\.fault\.at_bite: unknown key .*did you mean at_byte/,
		],
		[
			'rules: {a: {fault: {kind: cut, at_byte: -1}}}',
			/^faults\.yaml:1:41: rules\.a\.fault\.at_byte: found -1 \(expected an integer from 0/,
		],
		['rules: {a: {share: 1.5}}', /rules\.a\.share: found 1\.5 \(expected a number from 0 to 1\)/],
		['rules: {A b: {}}', /^faults\.yaml:1:9: .*is not a valid name/],
		[
			'latency: {ms: 5, p50_ms: 3, p99_ms: 9}',
			/^faults\.yaml:1:10: latency: says a delay twice: keep one of ms and p50_ms/,
		],
		['latency: {min_ms: 5}', /latency: min_ms needs max_ms too/],
		['latency: {min_ms: 5, max_ms: 4}', /latency: min_ms is above max_ms/],
		['latency: {}', /latency: says no delay/],
		['rules: {a: {first_token: {ms: 5, over_s: 3}}}', /rules\.a\.first_token: over_s has no meaning beside ms/],
		['rules: {a: {when: {from_s: 5, until_s: 5}}}', /until_s \(5\) is not after from_s \(5\): the rule never holds/],
		['rules: {a: {when: {from_s: 60, every_s: 60}}}', /from_s \(60\) is beyond every_s \(60\): the rule never holds/],
		['rules: {a: {when: {from_request: 3, until_request: 2}}}', /until_request \(2\) is not after from_request \(3\)/],
		['seed: 1\nseed: 2', /^faults\.yaml:2:1: seed: this key stands here twice/],
		['- cut', /is not a mapping of keys to values/],
		['rules: [', /is not valid YAML/],
	])('%j', (text, said) => {
		expect(problems(text).join('\n')).toMatch(said);
	});

	it('unless it says nothing', () => {
		expect(script('# all is well\n')).toEqual(NO_SCRIPT);
	});

	it('and so is a file that is not there', async () => {
		expect((await readScript('/no/such/faults.yaml')).problems[0]?.message).toBe('does not exist');
	});
});

test('any script is refused with a place in it, or runs', async () => {
	const { default: example } = await import('../../schemas/mock-upstream.schema.json', { with: { type: 'json' } });
	const keys = [...JSON.stringify(example).matchAll(/"([a-z_]+)":\{"(?:description|type|anyOf|default)/g)].map(
		(m) => m[1] ?? '',
	);
	const value: fc.Arbitrary<unknown> = fc.letrec((tie) => ({
		any: fc.oneof(
			{ depthSize: 'small' },
			fc.constantFrom<unknown>(0, 1, 100, -1, 0.5, true, null, 'cut', 'chat', 'stall'),
			fc.array(tie('any'), { maxLength: 3 }),
			fc.dictionary(fc.constantFrom('kind', 'rules', 'a', ...keys), tie('any'), { maxKeys: 5 }),
		),
	})).any;
	const sound = fc.record(
		{
			seed: fc.nat(),
			latency: fc.record({ ms: fc.nat(50) }),
			limits: fc.record({ requests_per_minute: fc.integer({ min: 1, max: 100 }) }, { requiredKeys: [] }),
			rules: fc.dictionary(
				fc.stringMatching(/^[a-z]{1,8}$/),
				fc.record(
					{
						share: fc.double({ min: 0, max: 1, noNaN: true }),
						when: fc.record({ stream: fc.boolean(), every_s: fc.integer({ min: 1, max: 100 }) }, { requiredKeys: [] }),
						fault: fc.constantFrom({ kind: 'cut' }, { kind: 'reset' }, { kind: 'rate_limited', retry_after: 'date' }),
					},
					{ requiredKeys: [] },
				),
			),
		},
		{ requiredKeys: [] },
	);
	let ran = 0;
	fc.assert(
		fc.property(fc.oneof(sound, fc.dictionary(fc.constantFrom('rules', ...keys), value, { maxKeys: 4 })), (tree) => {
			const checked = parseScript({ file: 'faults.yaml', text: stringify(tree) });
			if (!checked.ok) {
				for (const { line, column } of checked.problems)
					expect([line, column]).toEqual([expect.any(Number), expect.any(Number)]);
				return;
			}
			ran++;
			const planner = new ScriptPlanner(checked.value, checked.value.seed, new VirtualClock());
			for (let i = 0; i < 5; i++) expect(planner.plan(asks({ stream: i % 2 === 0 })).plan.id).toHaveLength(24);
		}),
		{ numRuns: 300 },
	);
	expect(ran).toBeGreaterThan(50);
});

describe('the plans of a script', () => {
	const flaky = script(
		'latency: {p50_ms: 300, p99_ms: 2000, spike_share: 0.1, spike_ms: 5000}\nrules:\n  a: {share: 0.3, fault: {kind: reset}}\n  b: {share: 0.3, fault: {kind: cut}}',
	);
	const plans = (seed: number): Plan[] => {
		const planner = new ScriptPlanner(flaky, seed, new VirtualClock());
		return Array.from({ length: 200 }, () => planner.plan(asks()).plan);
	};

	it('are the same for the same seed, and others for another', () => {
		expect(plans(7)).toEqual(plans(7));
		expect(plans(7).map(({ fault }) => fault)).not.toEqual(plans(8).map(({ fault }) => fault));
	});

	it('begin anew after a reset', () => {
		const planner = new ScriptPlanner(flaky, 7, new VirtualClock());
		const before = faultsOf(planner, 50);
		planner.reset();
		expect(faultsOf(planner, 50)).toEqual(before);
	});

	it('strike the share that they say, the first rule first', () => {
		const struck = plans(7).map(({ rule }) => rule);
		const share = (name: string) => struck.filter((rule) => rule === name).length / struck.length;
		expect(share('a')).toBeCloseTo(0.3, 1);
		expect(share('b')).toBeCloseTo(0.3 * 0.7, 1);
	});

	it('flap on a schedule', async () => {
		const clock = new VirtualClock();
		const planner = new ScriptPlanner(
			script('rules: {down: {when: {every_s: 60, until_s: 20}, fault: {kind: reset}}}'),
			1,
			clock,
		);
		const seen = [];
		for (let second = 0; second < 120; second += 10) {
			seen.push(planner.plan(asks()).plan.fault ?? 'up');
			await clock.advance(10_000);
		}
		const minute = ['reset', 'reset', 'up', 'up', 'up', 'up'];
		expect(seen).toEqual([...minute, ...minute]);
	});

	it('count the requests that they are about, and no others', () => {
		const twice =
			'rules: {first: {when: {routes: [messages], models: [claude-*], until_request: 2}, fault: {kind: overloaded}}}';
		const planner = new ScriptPlanner(script(twice), 1, systemClock);
		expect(faultsOf(planner, 3)).toEqual([undefined, undefined, undefined]);
		expect(faultsOf(planner, 1, asks({ model: 'gpt' }, { route: messages }))).toEqual([undefined]);
		const claude = asks({ model: 'claude-x' }, { route: messages });
		expect(faultsOf(planner, 4, claude)).toEqual(['overloaded', 'overloaded', undefined, undefined]);
	});

	it('strike every third request, streams alone, or the holder of one key', () => {
		const text =
			'rules:\n  third: {when: {every_requests: 3, from_request: 3, keys: [k]}, fault: {kind: silent}}\n  stream: {when: {stream: true}, fault: {kind: cut}}';
		const planner = new ScriptPlanner(script(text), 1, systemClock);
		expect(faultsOf(planner, 6, asks({}, { key: 'k' }))).toEqual([
			undefined,
			undefined,
			'silent',
			undefined,
			undefined,
			'silent',
		]);
		expect(faultsOf(planner, 2, asks({ stream: true }))).toEqual(['cut', 'cut']);
		expect(faultsOf(planner, 3)).toEqual([undefined, undefined, undefined]);
	});

	it('say what is left of a key’s limits, and refuse what is above them until it is there again', async () => {
		const clock = new VirtualClock();
		const text =
			'limits: {requests_per_minute: 2}\nkeys: {rich: {requests_per_minute: 100, tokens_per_minute: 60}}\nanswer: {tokens_in: 10, tokens_out: 20}';
		const planner = new ScriptPlanner(script(text), 1, clock);
		expect(faultsOf(planner, 3, asks({}, { key: 'poor' }))).toEqual([undefined, undefined, 'rate_limited']);
		const refused = planner.plan(asks({}, { key: 'poor' }));
		expect(refused).toEqual({
			plan: { id: expect.any(String), fault: 'rate_limited', retryAfter: { form: 'seconds', ms: 30_000 } },
			limits: [{ limit: 'requests', max: 2, left: 0, resetMs: 60_000 }],
		});
		await clock.advance(30_000);
		expect(faultsOf(planner, 2, asks({}, { key: 'poor' }))).toEqual([undefined, 'rate_limited']);
		expect(faultsOf(planner, 3, asks({}, { key: 'rich' }))).toEqual([undefined, undefined, 'rate_limited']);
	});

	it('refuse unknown callers where keys are required', () => {
		const planner = new ScriptPlanner(script('keys_required: true\nkeys: {k: {}}'), 1, systemClock);
		expect(faultsOf(planner, 1)).toEqual(['authentication']);
		expect(faultsOf(planner, 1, asks({}, { key: 'constructor' }))).toEqual(['authentication']);
		expect(faultsOf(planner, 1, asks({}, { key: 'k' }))).toEqual([undefined]);
	});
});

describe('a delay', () => {
	const delay = (text: string) => script(`latency: ${text}`).latency;
	const drawn = (text: string, elapsedMs = 0): number[] => {
		const planner = delay(text);
		return Array.from({ length: 2_000 }, (_, i) => {
			const draw = (n: number) => ((i * 3 + n) * 0.618_033_988_7) % 1;
			return delayMs(planner, { draws: [draw(0), (i * 0.754_877_666) % 1, (i * 0.569_840_29) % 1], elapsedMs });
		}).sort((a, b) => a - b);
	};

	it('is fixed, even, log-normal by its quantiles, or a ramp', () => {
		expect(new Set(drawn('{ms: 5}'))).toEqual(new Set([5]));
		const even = drawn('{min_ms: 100, max_ms: 200}');
		expect([even[0], even.at(-1)]).toEqual([100, 200]);
		expect(Math.abs((even[1_000] ?? 0) - 150)).toBeLessThan(5);
		const skewed = drawn('{p50_ms: 300, p99_ms: 2000, max_ms: 9000}');
		expect(Math.abs((skewed[1_000] ?? 0) - 300)).toBeLessThan(20);
		expect(Math.abs((skewed[1_980] ?? 0) - 2_000)).toBeLessThan(300);
		expect([0, 30_000, 60_000, 90_000].map((at) => drawn('{from_ms: 0, to_ms: 600, over_s: 60}', at)[0])).toEqual([
			0, 300, 600, 600,
		]);
	});

	it('has its share of spikes', () => {
		const spiked = drawn('{ms: 5, spike_share: 0.1, spike_ms: 1000}').filter((ms) => ms === 1_005);
		expect(Math.abs(spiked.length - 200)).toBeLessThan(10);
	});
});

test('the complete example of the reference page is a script', async () => {
	const page = await readFile(new URL('../../docs/reference/mock-upstream.md', import.meta.url), 'utf8');
	const [, example = ''] = /```yaml\n([\s\S]*?)```/.exec(page) ?? [];
	expect(problems(example)).toEqual([]);
	expect(Object.keys(script(example)).sort()).toEqual(Object.keys(scriptSchema.shape).sort());
});
