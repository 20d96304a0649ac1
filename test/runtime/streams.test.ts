import { describe, expect, it } from 'vitest';
import { VirtualClock } from '../../src/base/virtual-clock.ts';
import { createGuards } from '../../src/guards/guards.ts';
import type { Answer } from '../../src/runtime/request.ts';
import type { PlimsollError } from '../../src/spec/errors.ts';
import type { CompletionChunk, Upstream } from '../../src/spec/model.ts';
import { BREAKER, contract, feature, runtimeOf } from '../support/runtime-fixture.ts';
import { type Script, ScriptedModel } from '../support/scripted-model.ts';

const CONTINUE = { onFailure: { stream_broken: { action: 'continue' } } } as const;

interface Ended {
	readonly answer: Answer | null;
	readonly error: PlimsollError | null;
	/** What the client got. */
	readonly seen: string;
	readonly chunks: readonly CompletionChunk[];
}

function setUp(change: Parameters<typeof feature>[0], ...scripts: (readonly [Script, Partial<Upstream>?])[]) {
	const clock = new VirtualClock();
	const models = scripts.map(
		([script, upstream], at) => new ScriptedModel(clock, script, { name: `test/${at}`, ...upstream }),
	);
	const guards = createGuards(contract(change).guards);
	const { runtime, traces } = runtimeOf(clock, [feature(change, { route: models, guards })], {
		breakers: new Map(models.map(({ upstream }) => [upstream.name, BREAKER])),
	});
	const ask = async (): Promise<Ended> => {
		const chunks: CompletionChunk[] = [];
		const context = runtime.open();
		const running = (async () => {
			await runtime.admit(context, { kind: 'in_process', tenantId: 'acme' });
			return runtime.chat(context, {
				model: 'greet',
				messages: [{ role: 'user', content: 'Hello?' }],
				variables: {},
				parameters: {},
				sink: {
					chunk: (chunk) => {
						chunks.push(chunk);
					},
				},
				user: null,
			});
		})();
		let ended: { answer: Answer | null; error: PlimsollError | null } | null = null;
		const watched = running.then(
			(answer) => {
				ended = { answer, error: null };
			},
			(error: PlimsollError) => {
				ended = { answer: null, error };
			},
		);
		for (let ms = 0; ended === null && ms < 60_000; ms += 10) await clock.advance(10);
		await watched;
		if (ended === null) throw new Error('the request did not end within a virtual minute');
		return { ...(ended as Omit<Ended, 'seen' | 'chunks'>), seen: chunks.map(({ text }) => text).join(''), chunks };
	};
	return { clock, models, traces, ask };
}

const cut = (text: string) => [{ kind: 'fail', afterMs: 10, failure: 'cut', text }] as const;
const says = (text: string) => [{ kind: 'answer', afterMs: 10, text }] as const;
const CONTINUES = { continuesTurn: true };

function attempts(traces: ReturnType<typeof setUp>['traces']) {
	return traces.last.steps.flatMap((step) => step.attempts.map(({ upstream, outcome }) => [upstream, outcome]));
}

describe('a stream that breaks in the middle of a sentence', () => {
	it('is continued by another upstream from what the client has, which sees one answer', async () => {
		const { models, traces, ask } = setUp(
			CONTINUE,
			[cut('The line shows ')],
			[says('Anew: no.')],
			[says(' how much a ship may carry.'), CONTINUES],
		);
		const { answer, seen } = await ask();
		expect(seen).toBe('The line shows how much a ship may carry.');
		expect(answer).toMatchObject({ text: seen, upstream: 'test/2', degraded: 'stream_broken: continue' });
		expect(models.map(({ calls }) => calls)).toEqual([1, 0, 1]);
		const { messages, continues, parameters } = models[2]?.requests[0] ?? {};
		expect(messages?.at(-1)).toEqual({ role: 'assistant', content: 'The line shows' });
		expect(continues).toBe(true);
		expect(parameters?.max_tokens).toBe(100 - 3);
		expect(attempts(traces)).toEqual([
			['test/0', 'cut'],
			['test/2', 'ok'],
		]);
	});

	it('costs what both upstreams cost, and counts what both counted', async () => {
		const { traces, ask } = setUp(CONTINUE, [cut('The line shows ')], [says('it.'), CONTINUES]);
		const { answer } = await ask();
		const [first, second] = traces.last.steps.flatMap((step) => step.attempts);
		expect(first?.cost_usd_micros).toBeGreaterThan(0);
		expect(traces.last.cost_usd_micros).toBe((first?.cost_usd_micros ?? 0) + (second?.cost_usd_micros ?? 0));
		expect(traces.last.tokens_out).toBe((first?.tokens_out ?? 0) + (second?.tokens_out ?? 0));
		expect(answer?.usage).toMatchObject({ tokensOut: traces.last.tokens_out, source: 'estimated' });
	});

	it.each(['timeout_idle', 'server_error', 'nonsense'] as const)('is continued also after %s', async (failure) => {
		const { ask } = setUp(
			CONTINUE,
			[[{ kind: 'fail', afterMs: 10, failure, text: 'The line ' }]],
			[says('shows it.'), CONTINUES],
		);
		expect((await ask()).seen).toBe('The line shows it.');
	});

	it('ends with its own error where the one that should go on refuses to, whose error nobody sees', async () => {
		for (const failure of ['bad_request', 'authentication', 'connect'] as const) {
			const { ask, traces } = setUp(
				CONTINUE,
				[cut('The line ')],
				[[{ kind: 'fail', afterMs: 10, failure }], CONTINUES],
			);
			const { error, seen } = await ask();
			expect(error).toMatchObject({ code: 'upstream_stream_cut', message: expect.not.stringContaining(failure) });
			expect(seen).toBe('The line ');
			expect(attempts(traces)).toEqual([
				['test/0', 'cut'],
				['test/1', failure],
			]);
		}
	});

	it('goes on to the one after, when the first that should continue refuses or breaks too', async () => {
		const { ask } = setUp(
			CONTINUE,
			[cut('The line ')],
			[[{ kind: 'fail', afterMs: 10, failure: 'bad_request' }], CONTINUES],
			[says('shows it.'), CONTINUES],
		);
		expect((await ask()).seen).toBe('The line shows it.');
		const again = setUp(CONTINUE, [cut('One ')], [cut('two '), CONTINUES], [says('three.'), CONTINUES]);
		expect((await again.ask()).seen).toBe('One two three.');
	});

	it('ends with its own error where going on could pass the cost cap, whatever the policy for that', async () => {
		const { models, ask } = setUp(
			{
				budget: { costMicrosMax: 500 },
				onFailure: { ...CONTINUE.onFailure, budget_exceeded: { action: 'fall_back', answer: 'Too dear.' } },
			},
			[cut('The line shows how much it may carry, how much it may carry, how much it may carry. '.repeat(5))],
			[says('it.'), CONTINUES],
		);
		expect((await ask()).error?.code).toBe('upstream_stream_cut');
		expect(models[1]?.calls).toBe(0);
	});

	it('is never continued past a content filter', async () => {
		const filtered = [{ kind: 'fail', afterMs: 10, failure: 'content_filter' }] as const;
		const { models, ask } = setUp(CONTINUE, [cut('The ')], [filtered, CONTINUES], [says('line.'), CONTINUES]);
		expect((await ask()).error?.code).toBe('upstream_content_filtered');
		expect(models[2]?.calls).toBe(0);
	});

	it('ends with a typed error where nobody continues, or the contract says so', async () => {
		const closed = setUp({}, [cut('The ')], [says('line.'), CONTINUES]);
		expect((await closed.ask()).error?.code).toBe('upstream_stream_cut');
		const alone = setUp(CONTINUE, [cut('The ')], [says('line.')]);
		expect((await alone.ask()).error?.code).toBe('upstream_stream_cut');
	});

	it('starts anew where the client has seen nothing', async () => {
		const { models, ask } = setUp({ ...CONTINUE, stream: 'buffered' }, [[...cut('The '), ...says('The line.')]]);
		expect((await ask()).seen).toBe('The line.');
		expect(models[0]?.requests.at(-1)?.messages).toHaveLength(1);
	});
});

describe('a held stream', () => {
	const HELD = { stream: 'held', streamWindowChars: 16, guards: { citations: 'valid' } } as const;
	const LONG = 'The load line of a ship shows how much it may carry in each season and sea.';

	it('comes in parts, each after it was looked at, and as a whole is what the model said', async () => {
		const { ask } = setUp(HELD, [says(LONG)]);
		const { seen, chunks, answer } = await ask();
		expect(seen).toBe(LONG);
		expect(answer?.text).toBe(LONG);
		expect(chunks.length).toBeGreaterThan(2);
		expect(chunks.at(-1)?.finishReason).toBe('stop');
	});

	it('never shows what a guard finds within the window, ends with its error, and cancels the upstream', async () => {
		const text = `${LONG} So says [7]. ${LONG}`;
		const { ask, traces } = setUp(HELD, [says(text)]);
		const { error, seen } = await ask();
		expect(error).toMatchObject({ code: 'guard_rejected', message: expect.stringContaining('[7]') });
		expect(seen).not.toContain('[7]');
		expect(LONG.startsWith(seen.slice(0, LONG.length))).toBe(true);
		expect(traces.last.guard_verdicts).toMatchObject([{ guard: 'citations', verdict: 'fail' }]);
		expect(traces.last.tokens_out).toBeLessThan(30);
	});

	it('is answered in another way, as the contract says, where nothing was shown yet', async () => {
		const bad = `See [7]. ${LONG}`;
		const fallBack = setUp(
			{ ...HELD, onFailure: { invalid_output: { action: 'fall_back', answer: 'Ask a person.' } } },
			[says(bad)],
		);
		expect((await fallBack.ask()).seen).toBe('Ask a person.');
		const retried = setUp({ ...HELD, onFailure: { invalid_output: { action: 'retry' } } }, [
			[...says(bad), ...says(LONG)],
		]);
		expect((await retried.ask()).seen).toBe(LONG);
	});

	it('keeps back its end until the whole has passed', async () => {
		const { ask } = setUp({ ...HELD, guards: { citations: 'required' } }, [says(LONG)]);
		const { error, seen } = await ask();
		expect(error?.code).toBe('guard_rejected');
		expect(LONG.length - seen.length).toBeGreaterThanOrEqual(16);
	});

	it('is continued from what was shown, when it breaks', async () => {
		const { models, ask } = setUp({ ...HELD, ...CONTINUE }, [cut(LONG)], [says('…'), CONTINUES]);
		const { seen } = await ask();
		const beginning = models[1]?.requests[0]?.messages.at(-1)?.content as string;
		expect(LONG.startsWith(beginning)).toBe(true);
		expect(beginning.length).toBeLessThanOrEqual(LONG.length - 16);
		expect(seen.trimEnd()).toContain(`${beginning}`);
		expect(seen.endsWith('…')).toBe(true);
	});
});
