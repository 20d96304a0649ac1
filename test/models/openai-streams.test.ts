import { describe, expect, it, onTestFinished } from 'vitest';
import { systemClock } from '../../src/base/clock.ts';
import type { Continuation } from '../../src/contracts/presets.ts';
import type { Plan } from '../../src/mock-upstream/plan.ts';
import { startUpstreamDouble } from '../../src/mock-upstream/upstream-double.ts';
import { createOpenAiCompatibleModel } from '../../src/models/openai-compatible/model.ts';
import { type CompletionChunk, type Model, type ModelRequest, UpstreamError } from '../../src/spec/model.ts';

const TIMEOUTS = { connectMs: 10_000, firstTokenMs: 10_000, idleMs: 10_000, totalMs: 30_000 };
const REQUEST: ModelRequest = {
	messages: [{ role: 'user', content: 'Hello?' }],
	parameters: {},
	grounding: null,
	signal: new AbortController().signal,
	timeouts: TIMEOUTS,
};

async function start(plan: Plan, continuation: Continuation = 'place') {
	const double = await startUpstreamDouble({ record: true, plan });
	const model = createOpenAiCompatibleModel({
		upstream: {
			name: 'double/default',
			provider: 'double',
			model: 'double-1',
			contextTokensMax: 8000,
			tokensOutMax: 1000,
			tokensOutParameter: 'max_tokens',
			tokenizer: 'o200k_base',
			timeouts: TIMEOUTS,
			sideEffects: false,
			continuesTurn: true,
			price: null,
		},
		baseUrl: double.url,
		apiKey: null,
		connectionsMax: 1,
		clock: systemClock,
		wire: {
			chatPath: '/chat/completions',
			keyHeader: 'authorization',
			streamUsage: true,
			jsonSchema: true,
			continuation,
			refused: [],
			renamed: {},
		},
	});
	onTestFinished(async () => {
		await model.close();
		await double.close();
	});
	return { double, model };
}

async function collect(model: Model): Promise<CompletionChunk[]> {
	const chunks: CompletionChunk[] = [];
	for await (const chunk of await model.stream(REQUEST)) chunks.push(chunk);
	return chunks;
}

async function failure(answer: Promise<unknown>): Promise<UpstreamError> {
	const error: unknown = await answer.then(
		() => expect.unreachable('answered'),
		(thrown: unknown) => thrown,
	);
	expect(error).toBeInstanceOf(UpstreamError);
	return error as UpstreamError;
}

it.each([
	['place', [{ role: 'assistant', content: 'The' }], {}],
	['prefix', [{ role: 'assistant', content: 'The', prefix: true }], {}],
	[
		'final_message',
		[{ role: 'assistant', content: 'The' }],
		{ continue_final_message: true, add_generation_prompt: false },
	],
] as const)('asks an endpoint to go on with the last message by its %s', async (continuation, messages, more) => {
	const { double, model } = await start({}, continuation);
	await model.complete({
		...REQUEST,
		messages: [{ role: 'assistant', content: 'The' }],
		continues: true,
	});
	expect(JSON.parse(double.bodies[0] ?? '')).toEqual({ model: model.upstream.model, messages, stream: false, ...more });
});

describe('an event that cannot be read', () => {
	const event = (text: string, reason: string | null = null) =>
		`data: {"choices":[{"index":0,"delta":{"content":"${text}"},"finish_reason":${JSON.stringify(reason)}}]}\n\n`;
	const BROKEN = 'data: {"choices":[{"ind\n\n';
	const DONE = 'data: [DONE]\n\n';
	const stream = async (...events: string[]) => {
		const { model } = await start({ body: events.join('') });
		return collect(model);
	};

	it('is left out and counted where the rest is sound', async () => {
		const chunks = await stream(event('One '), BROKEN, event('three.'), event('', 'stop'), DONE);
		expect(chunks.map(({ text }) => text).join('')).toBe('One three.');
		expect(chunks.at(-1)).toMatchObject({ finishReason: 'stop', served: { details: { skipped_events: '1' } } });
	});

	it.each<[string, string[]]>([
		['no end mark follows', [event('One '), BROKEN, event('', 'stop')]],
		['no finish reason follows', [event('One '), BROKEN, DONE]],
		['the answer ends at its token limit', [event('One '), BROKEN, event('', 'length'), DONE]],
		[
			'a tool is called',
			[
				'data: {"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"function":{"name":"f"}}]}}]}\n\n',
				...[BROKEN, event('', 'stop'), DONE],
			],
		],
	])('makes the answer a cut one where %s', async (_name, events) => {
		expect(await failure(stream(...events))).toMatchObject({ kind: 'cut' });
	});

	it('is no accident when there are many, or nothing else', async () => {
		const many = Array.from({ length: 9 }, () => BROKEN);
		expect(await failure(stream(event('One '), ...many, event('', 'stop'), DONE))).toMatchObject({ kind: 'nonsense' });
		expect(await failure(stream(BROKEN))).toMatchObject({ kind: 'nonsense' });
	});

	it('breaks a plain answer', async () => {
		const { model } = await start({ fault: 'malformed_chunk' });
		expect(await failure(model.complete(REQUEST))).toMatchObject({ kind: 'nonsense' });
	});

	it('takes nothing from an answer that had its last word', async () => {
		const chunks = await stream(event('All.', 'stop'), BROKEN);
		expect(chunks.map(({ text }) => text).join('')).toBe('All.');
	});
});
