import { describe, expect, it } from 'vitest';
import { VirtualClock } from '../../src/base/virtual-clock.ts';
import type { Contract } from '../../src/contracts/release.ts';
import { createGuards } from '../../src/guards/guards.ts';
import type { Answer } from '../../src/runtime/request.ts';
import type { PlimsollError } from '../../src/spec/errors.ts';
import type { UpstreamFailure } from '../../src/spec/model.ts';
import { feature, KEY, runtimeOf } from '../support/runtime-fixture.ts';
import { ALONE } from '../support/schema-reading.ts';
import { type Behaviour, ScriptedModel } from '../support/scripted-model.ts';

const SCHEMA = {
	type: 'object',
	required: ['code'],
	properties: { code: { type: 'integer' } },
	additionalProperties: false,
};
const FORMAT = { type: 'json_schema', json_schema: { name: 'greet', schema: SCHEMA, strict: true } };
const STRUCTURED = {
	formats: { 'test/primary': { responseFormat: FORMAT, tokens: 30 } },
	instruction: null,
} as const;
const answering = (text: string): Behaviour => ({ kind: 'answer', afterMs: 10, text });
const failing = (failure: UpstreamFailure): Behaviour => ({ kind: 'fail', afterMs: 10, failure });
const GOOD = '{"code": 7}';
const WRONG = '{"code": "seven"}';

type Change = Parameters<typeof feature>[0];

async function ask(
	script: readonly Behaviour[],
	change: Change = {},
	{
		structured = STRUCTURED as Contract['guards']['structured'],
		stream = false,
		strong = null as Behaviour[] | null,
	} = {},
) {
	const clock = new VirtualClock();
	const model = new ScriptedModel(clock, script);
	const guards = { outputSchema: SCHEMA, structured, ...change.guards };
	const escalateTo = strong ? { escalateTo: new ScriptedModel(clock, strong, { name: 'test/strong' }) } : {};
	const made = createGuards({ reading: ALONE, citations: 'off', abstention: null, answerCharsMax: 10_000, ...guards });
	const { runtime, traces } = runtimeOf(clock, [
		feature({ ...change, guards }, { route: [model], guards: made, ...escalateTo }),
	]);
	const context = runtime.open();
	const ended: { answer: Answer | null; error: PlimsollError | null; over: boolean } = {
		answer: null,
		error: null,
		over: false,
	};
	let streamed = '';
	const collect = ({ text }: { text: string }) => {
		streamed += text;
	};
	const running = runtime
		.admit(context, { kind: 'authorization', header: `Bearer ${KEY}`, scope: 'invoke' })
		.then(() =>
			runtime.chat(context, {
				model: 'greet',
				messages: [{ role: 'user', content: 'Which code?' }],
				variables: {},
				parameters: {},
				sink: stream ? { chunk: collect } : null,
				user: null,
			}),
		)
		.then(
			(answer) => {
				Object.assign(ended, { answer, over: true });
			},
			(error: PlimsollError) => {
				Object.assign(ended, { error, over: true });
			},
		);
	for (let ms = 0; !ended.over && ms < 60_000; ms += 100) await clock.advance(100);
	await running;
	return { answer: ended.answer, error: ended.error, model, streamed, trace: traces.last };
}

describe('a contract with an output schema', () => {
	it('holds its upstream to the schema, and counts the schema before it spends', async () => {
		const { model, answer } = await ask([answering(GOOD)]);
		expect(answer?.text).toBe(GOOD);
		expect(model.requests[0]?.parameters).toMatchObject({ response_format: FORMAT, max_tokens: 100 });

		// 5 tokens of prompt, 30 of schema, 100 out at four times the price: one micro-dollar less does not do.
		const capped = (costMicrosMax: number) => ask([answering(GOOD)], { budget: { costMicrosMax } });
		expect((await capped(435)).error).toBeNull();
		expect((await capped(434)).error?.code).toBe('budget_cost_exceeded');
	});

	it('leaves alone what the contract sets itself, and upstreams that take no schema', async () => {
		const own = { response_format: { type: 'json_object' } };
		const { model } = await ask([answering(GOOD)], { models: { parameters: own } });
		expect(model.requests[0]?.parameters).toMatchObject(own);
		const asked = await ask([answering(GOOD)], {}, { structured: { formats: {}, instruction: 'Answer with JSON.' } });
		expect(asked.model.requests[0]?.parameters).not.toHaveProperty('response_format');
	});

	it('repairs what is not quite JSON, and the trace says so', async () => {
		const { answer, model, trace } = await ask([answering("```json\n{'code': 7,}\n```")]);
		expect(answer).toMatchObject({ text: '{"code": 7}', raw: null });
		expect(model.calls).toBe(1);
		expect(trace.guard_verdicts.at(-1)).toEqual({ guard: 'schema', verdict: 'pass', reason: null, repaired: 'syntax' });
		expect(trace.steps.find(({ stage }) => stage === 'guard')?.detail).toMatchObject({ repaired: 'syntax' });
	});

	it('does not repair an answer that was cut at its token limit', async () => {
		// The finish reason of a scripted model is `stop`; what broke off is known from its brackets alone.
		const { error, model } = await ask([answering('{"code": 7')]);
		expect(error?.code).toBe('guard_rejected');
		expect(model.calls).toBe(2);
	});
});

describe('an answer that does not fit', () => {
	it('is asked for once more with the reason, which counts as an attempt', async () => {
		const { answer, model, trace } = await ask([answering(WRONG), answering(GOOD)]);
		expect(answer?.text).toBe(GOOD);
		expect(model.requests[1]?.messages.slice(1)).toEqual([
			{ role: 'assistant', content: WRONG },
			{ role: 'user', content: expect.stringContaining('/code must be integer') },
		]);
		expect(model.requests[1]?.parameters).toMatchObject({ response_format: FORMAT });
		expect(trace).toMatchObject({ retries: 1, outcome: 'ok', degraded: false });
		const kinds = trace.steps.flatMap((step) => step.attempts.map(({ kind }) => kind));
		expect(kinds).toEqual(['first', 're_ask']);
		expect(trace.guard_verdicts.filter(({ guard }) => guard === 'schema').map(({ verdict }) => verdict)).toEqual([
			'fail',
			'pass',
		]);
	});

	it('is asked for again only once, and then the contract’s policy decides', async () => {
		const closed = await ask([answering(WRONG)]);
		expect(closed.error?.code).toBe('guard_rejected');
		expect(closed.model.calls).toBe(2);
		const fixed = { onFailure: { invalid_output: { action: 'fall_back', answer: '{"code": 0}' } } } as const;
		const fallen = await ask([answering(WRONG)], fixed);
		expect(fallen.answer).toMatchObject({ text: '{"code": 0}', degraded: 'invalid_output: fall_back' });
		const escalated = await ask(
			[answering(WRONG)],
			{ onFailure: { invalid_output: { action: 'escalate' } } },
			{ strong: [answering(GOOD)] },
		);
		expect(escalated.answer).toMatchObject({ text: GOOD, upstream: 'test/strong' });
		expect(escalated.model.calls).toBe(2);
	});

	it('is judged by the first answer when asking again fails', async () => {
		const fixed = { onFailure: { invalid_output: { action: 'fall_back', answer: '{"code": 0}' } } } as const;
		const { answer, model } = await ask([answering(WRONG), failing('server_error')], fixed);
		expect(answer?.degraded).toBe('invalid_output: fall_back');
		expect(model.calls).toBe(2);
	});

	it('is not asked for elsewhere when the content filter refuses the second time', async () => {
		const { error, model } = await ask(
			[answering(WRONG), failing('content_filter')],
			{ onFailure: { invalid_output: { action: 'escalate' } } },
			{ strong: [answering(GOOD)] },
		);
		expect(error?.code).toBe('upstream_content_filtered');
		expect(model.calls).toBe(2);
	});

	it.each<[string, Change]>([
		['attempts', { models: { attemptsMax: 1 } }],
		// What the first cost, 10 + 5 × 4, leaves less than a second call could cost.
		['money', { budget: { costMicrosMax: 450 } }],
		['room in the prompt', { budget: { tokensInMax: 20 } }],
		['time', { budget: { deadlineMs: 110 } }],
	])('is not asked for again without %s', async (_what, change) => {
		const { error, model } = await ask([answering(WRONG)], change);
		expect(error?.code).toBe('guard_rejected');
		expect(model.calls).toBe(1);
	});

	it('is shown again only when it is not too long', async () => {
		const long = JSON.stringify({ code: 'x'.repeat(8_000) });
		const { model } = await ask([answering(long), answering(GOOD)]);
		expect(model.requests[1]?.messages.slice(1)).toEqual([
			{ role: 'user', content: expect.stringMatching(/^An earlier answer could not be used: .{1,300}$/) },
		]);
	});

	it('is neither repaired nor asked for again once a client has seen it, or where the contract wants neither', async () => {
		const seen = await ask([answering("{'code': 7}")], { stream: 'immediate' }, { stream: true });
		expect(seen).toMatchObject({ error: { code: 'guard_rejected' }, streamed: "{'code': 7}" });
		expect(seen.model.calls).toBe(1);
		const off = await ask([answering("{'code': 7}")], {}, { structured: null });
		expect(off.error?.code).toBe('guard_rejected');
		expect(off.model.calls).toBe(1);
	});
});
