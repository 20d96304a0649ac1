import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { VirtualClock } from '../../src/base/virtual-clock.ts';
import { IMAGE_LIMITS } from '../../src/contracts/image-limits.ts';
import { SDK_FAMILIES } from '../../src/models/ai-sdk/families.ts';
import { type CompletionChunk, type Model, type ModelRequest, UpstreamError } from '../../src/spec/model.ts';
import { collect, FAMILIES, KEY, modelRequest, startFamily } from '../support/family-fixture.ts';
import { COUNTS, type ErrorName, TEXT } from '../support/vendor-formats.ts';

const TOOLS = ['look_up', 'weigh'].map((name) => ({
	type: 'function',
	function: {
		name,
		description: `To ${name}.`,
		parameters: { type: 'object', properties: { ship: { type: 'string' } }, required: ['ship'] },
	},
}));
const CALLS = [
	{ id: 'call_1', name: 'look_up', args: { ship: 'Great Eastern' } },
	{ id: 'call_2', name: 'weigh', args: { ship: 'Vasa' } },
];
const SCHEMA = {
	type: 'object',
	properties: { mark: { type: 'string' } },
	required: ['mark'],
	additionalProperties: false,
};
const PNG = 'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==';

const MODES = ['plain', 'stream'] as const;

async function ask(model: Model, mode: (typeof MODES)[number], more: Partial<ModelRequest> = {}) {
	const request = modelRequest(more);
	if (mode === 'plain') return model.complete(request);
	const chunks = await collect(await model.stream(request));
	const last = chunks.at(-1) as CompletionChunk;
	return {
		text: chunks.map((chunk) => chunk.text).join(''),
		finishReason: last.finishReason,
		toolCalls: assembled(chunks),
		usage: last.usage,
		served: last.served,
	};
}

interface Call {
	id: string;
	type: string;
	function: { name: string; arguments: string };
}

/** As OpenAI's clients put streamed tool calls together. */
function assembled(chunks: readonly CompletionChunk[]): Call[] | null {
	const calls: Call[] = [];
	for (const delta of chunks.flatMap((chunk) => (chunk.toolCalls ?? []) as (Partial<Call> & { index: number })[])) {
		const { index, function: piece, ...first } = delta;
		const call = calls[index];
		if (call) call.function.arguments += piece?.arguments ?? '';
		else calls[index] = { ...first, function: { ...piece } } as Call;
	}
	return calls.length > 0 ? calls : null;
}

async function failure(answer: Promise<unknown>): Promise<UpstreamError> {
	const error = await answer.then(
		(value) => expect.fail(`answered ${JSON.stringify(value)}`),
		(thrown: unknown) => thrown,
	);
	expect(error).toBeInstanceOf(UpstreamError);
	return error as UpstreamError;
}

const KINDS: Readonly<Record<ErrorName, string>> = {
	rate_limited: 'rate_limited',
	quota: 'quota',
	overloaded: 'server_error',
	server_error: 'server_error',
	bad_request: 'bad_request',
	context_length: 'context_length',
	authentication: 'authentication',
};

it('every family behind a package is held to the same cases', () => {
	expect(Object.keys(FAMILIES).sort()).toEqual(Object.keys(SDK_FAMILIES).sort());
});

describe.each(Object.keys(FAMILIES))('the family %s', (name) => {
	const family = FAMILIES[name] as (typeof FAMILIES)[string];
	const { facts, rules } = SDK_FAMILIES[name as keyof typeof SDK_FAMILIES];

	describe.each(MODES)('%s', (mode) => {
		it('answers with text, finish reason, usage and who served', async () => {
			const { double, model } = await startFamily(family);
			double.next({ text: TEXT });
			const answer = await ask(model, mode);
			expect(answer).toMatchObject({ text: TEXT, finishReason: 'stop', toolCalls: null });
			expect(answer.usage).toMatchObject({
				tokensIn: COUNTS.input,
				tokensOut: COUNTS.output,
				tokensCached: facts.cachedTokens ? COUNTS.cached : 0,
				tokensReasoning: facts.reasoningTokens ? COUNTS.reasoning : 0,
				source: 'reported',
			});
			const { body } = double.received[0] as (typeof double.received)[number];
			expect(family.format.read(body).text).toBe('What does a load line show?');
			expect(double.received).toHaveLength(1);
		});

		it('calls tools in parallel', async () => {
			const { double, model } = await startFamily(family);
			double.next({ toolCalls: CALLS });
			const answer = await ask(model, mode, { parameters: { tools: TOOLS, tool_choice: 'auto' } });
			expect(answer.finishReason).toBe('tool_calls');
			const calls = (answer.toolCalls ?? []) as Call[];
			expect(calls.map((call) => [call.type, call.function.name, JSON.parse(call.function.arguments)])).toEqual(
				CALLS.map((call) => ['function', call.name, call.args]),
			);
			expect(new Set(calls.map((call) => call.id)).size).toBe(2);
			expect(family.format.read(double.received[0]?.body ?? {}).tools).toEqual(['look_up', 'weigh']);
		});

		it('takes a turn with tool calls and their results', async () => {
			const { double, model } = await startFamily(family);
			double.next({ text: 'Heavy.' });
			const messages = [
				{ role: 'system', content: 'Weigh ships.' },
				{ role: 'user', content: 'How heavy?' },
				{
					role: 'assistant',
					content: null,
					tool_calls: CALLS.map(({ id, name, args }) => ({
						id,
						type: 'function',
						function: { name, arguments: JSON.stringify(args) },
					})),
				},
				{ role: 'tool', tool_call_id: 'call_1', content: 'nineteen thousand tons' },
				{ role: 'tool', tool_call_id: 'call_2', content: 'twelve hundred tons' },
			];
			expect(await ask(model, mode, { messages, parameters: { tools: TOOLS } })).toMatchObject({ text: 'Heavy.' });
			const sent = JSON.stringify(double.received[0]?.body);
			for (const text of ['Weigh ships.', 'How heavy?', 'Vasa', 'nineteen thousand tons', 'twelve hundred tons']) {
				expect(sent).toContain(text);
			}
		});

		it('sends the JSON schema', async () => {
			const { double, model } = await startFamily(family);
			double.next({ text: '{"mark":"S"}' });
			const parameters = { response_format: { type: 'json_schema', json_schema: { name: 'mark', schema: SCHEMA } } };
			const answer = await ask(model, mode, { parameters });
			expect(JSON.parse(answer.text)).toEqual({ mark: 'S' });
			expect(family.format.read(double.received[0]?.body ?? {}).schema).toMatchObject({
				properties: { mark: { type: 'string' } },
			});
		});

		it('sends an image', async () => {
			const { double, model } = await startFamily(family);
			double.next({ text: TEXT });
			const image = { type: 'image_url', image_url: { url: `data:image/png;base64,${PNG}` } };
			const messages = [{ role: 'user', content: [{ type: 'text', text: 'What is this?' }, image] }];
			await ask(model, mode, { messages });
			expect(family.format.read(double.received[0]?.body ?? {})).toMatchObject({ images: 1, text: 'What is this?' });
			expect(JSON.stringify(double.received[0]?.body)).toContain(PNG);
		});

		it('says that an answer was too long', async () => {
			const { double, model } = await startFamily(family);
			double.next({ text: TEXT, finish: 'length' });
			expect(await ask(model, mode)).toMatchObject({ text: TEXT, finishReason: 'length' });
		});

		it('takes a refusal of the content filter without a word for a failure', async () => {
			const { double, model } = await startFamily(family);
			double.next({ finish: 'content_filter' });
			const error = await failure(ask(model, mode));
			expect(error.kind).toBe('content_filter');
			expect(double.received).toHaveLength(1);
		});

		it.each(Object.entries(KINDS) as [ErrorName, string][])('makes of %s the failure %s', async (planned, kind) => {
			const { double, model } = await startFamily(family);
			double.next({ error: planned });
			const error = await failure(ask(model, mode));
			expect(error.kind).toBe(kind);
			expect(error.message).toMatch(/^double\/default answered \d{3}: /);
			expect(error.message).not.toContain(KEY);
			if (planned === 'rate_limited') expect(error.retryAfterMs).toBe(7000);
			expect(double.received).toHaveLength(1);
		});

		it('reports a connection that breaks before the answer, once', async () => {
			const { double, model } = await startFamily(family);
			double.next({ fault: 'reset' });
			// What it did before it broke is not known.
			expect(await failure(ask(model, mode))).toMatchObject({ kind: 'connect', sent: true });
			expect(double.received).toHaveLength(1);
		});

		it('reports a page of a proxy as no answer', async () => {
			const { double, model } = await startFamily(family);
			double.next({ fault: 'page' });
			expect((await failure(ask(model, mode))).kind).toBe('nonsense');
		});

		it('waits for a silent upstream no longer than for the first token', async () => {
			const clock = new VirtualClock();
			const { double, model } = await startFamily(family, { clock });
			double.next({ fault: mode === 'plain' ? 'silent' : 'slow' });
			const error = failure(ask(model, mode));
			await expect.poll(() => double.received.length, { timeout: 10_000 }).toBe(1);
			await clock.advance(10_000);
			expect((await error).kind).toBe('timeout_first_token');
			await expect.poll(() => double.aborted, { timeout: 10_000 }).toBe(1);
			expect(clock.pending).toBe(0);
		});

		it('cancels the call when the client leaves', async () => {
			const { double, model } = await startFamily(family);
			double.next({ fault: 'silent' });
			const client = new AbortController();
			const error = failure(ask(model, mode, { signal: client.signal }));
			await expect.poll(() => double.received.length, { timeout: 10_000 }).toBe(1);
			client.abort();
			expect((await error).kind).toBe('cancelled');
			await expect.poll(() => double.aborted, { timeout: 10_000 }).toBe(1);
		});

		it('refuses by name what the provider does not have, and sends nothing', async () => {
			const { double, model } = await startFamily(family);
			const error = await failure(ask(model, mode, { parameters: { logit_bias: { 50256: -100 } } }));
			expect(error.kind).toBe('bad_request');
			expect(error.message).toContain('logit_bias');
			expect(double.received).toHaveLength(0);
		});
	});

	it('passes an image’s address on, or refuses it, as the manual’s table says', async () => {
		const { double, model } = await startFamily(family);
		double.next({ text: TEXT });
		const image = { type: 'image_url', image_url: { url: 'https://ships.test/vasa.png' } };
		const answer = model.complete(modelRequest({ messages: [{ role: 'user', content: [image] }] }));
		if (IMAGE_LIMITS[name as keyof typeof IMAGE_LIMITS].addresses === false) {
			expect((await failure(answer)).message).toMatch(
				/messages\[0\]\.content\[0\]\.image_url must hold the image itself/,
			);
			expect(double.received).toHaveLength(0);
		} else {
			await answer;
			expect(JSON.stringify(double.received[0]?.body)).toContain('https://ships.test/vasa.png');
		}
	});

	it('takes JSON without a schema, and one tool call at a time, as the manual’s table says', async () => {
		const { double, model } = await startFamily(family);
		const cases = [
			[{ response_format: { type: 'json_object' } }, rules.jsonObject],
			[{ tools: TOOLS, parallel_tool_calls: false }, rules.oneToolCallAtATime !== null],
			[{ seed: 7 }, !rules.refused.includes('seed')],
		] as const;
		for (const [parameters, isTaken] of cases) {
			double.next({ text: '{}' });
			const kind = await model.complete(modelRequest({ parameters })).then(
				() => 'taken',
				(error: UpstreamError) => error.kind,
			);
			expect([parameters, kind]).toEqual([parameters, isTaken ? 'taken' : 'bad_request']);
		}
	});

	it('reports a cut plain answer as cut', async () => {
		const { double, model } = await startFamily(family);
		double.next({ text: TEXT, fault: 'cut' });
		expect((await failure(model.complete(modelRequest()))).kind).toBe('cut');
	});

	it('never takes a cut stream for an answer, wherever it was cut', async () => {
		const whole = family.format.frames({ text: TEXT }).length;
		const { double, model } = await startFamily(family);
		for (let frames = 0; frames < whole; frames++) {
			double.next({ text: TEXT, fault: 'cut', frames });
			const outcome = await ask(model, 'stream').catch((error: unknown) => error);
			// What follows the finish reason is not the answer.
			if (outcome instanceof UpstreamError) expect(['cut', 'connect']).toContain(outcome.kind);
			else expect(outcome).toMatchObject({ text: TEXT, finishReason: 'stop' });
			if (frames <= 3) expect(outcome).toBeInstanceOf(UpstreamError);
		}
	});

	it('never takes a part for the whole, whatever byte was the last', async () => {
		const { double, model } = await startFamily(family);
		const size = Buffer.concat([...family.format.frames({ text: TEXT, toolCalls: CALLS })]).length;
		await fc.assert(
			fc.asyncProperty(fc.integer({ min: 1, max: size }), async (atByte) => {
				double.next({ text: TEXT, toolCalls: CALLS, fault: 'cut', atByte });
				const outcome = await ask(model, 'stream', { parameters: { tools: TOOLS } }).catch((error: unknown) => error);
				if (outcome instanceof UpstreamError) expect(['cut', 'connect']).toContain(outcome.kind);
				else expect(outcome).toMatchObject({ text: TEXT, finishReason: 'tool_calls', toolCalls: [{}, {}] });
			}),
			{ numRuns: 60 },
		);
	});

	it('gives out what came before a cut', async () => {
		const { double, model } = await startFamily(family);
		double.next({ text: TEXT, fault: 'cut', frames: 6 });
		let text = '';
		const read = async () => {
			for await (const chunk of await model.stream(modelRequest())) text += chunk.text;
		};
		expect((await failure(read())).kind).toBe('cut');
		expect(TEXT.startsWith(text)).toBe(true);
		expect(text).not.toBe('');
	});

	it('reports an upstream that falls silent in the middle', async () => {
		const clock = new VirtualClock();
		const { double, model } = await startFamily(family, { clock });
		double.next({ text: TEXT, fault: 'stall', frames: 6 });
		const chunks = (await model.stream(modelRequest()))[Symbol.asyncIterator]();
		let text = '';
		while (text === '') text += (await chunks.next()).value?.text ?? '';
		const rest = failure(
			(async () => {
				while (!(await chunks.next()).done);
			})(),
		);
		await expect.poll(() => clock.pending, { timeout: 10_000 }).toBe(1);
		let over = false;
		const done = rest.finally(() => {
			over = true;
		});
		while (!over) await clock.advance(1000);
		expect((await done).kind).toBe('timeout_idle');
		await expect.poll(() => double.aborted, { timeout: 10_000 }).toBe(1);
	});

	it('reads a stream that comes byte by byte', async () => {
		const { double, model } = await startFamily(family);
		double.next({ text: 'Größe: 10 m³, ⚓.', toolCalls: CALLS, fault: 'bytes' });
		const answer = await ask(model, 'stream', { parameters: { tools: TOOLS } });
		expect(answer).toMatchObject({ text: 'Größe: 10 m³, ⚓.', finishReason: 'tool_calls' });
		expect(answer.toolCalls).toHaveLength(2);
	});

	it('takes a plain answer to a request for a stream for nonsense, and an error in it for what it is', async () => {
		const { double, model } = await startFamily(family);
		double.next({ raw: family.format.plain({ text: TEXT }) });
		expect((await failure(ask(model, 'stream'))).kind).toBe('nonsense');
		double.next({ raw: { error: { type: 'overloaded_error', message: 'Overloaded', code: 503 } } });
		expect((await failure(ask(model, 'stream'))).kind).toBe('server_error');
	});

	it('lets a slow reader take its time, and the upstream wait', async () => {
		const clock = new VirtualClock();
		const { double, model } = await startFamily(family, { clock });
		const text = 'All of these words must have come. '.repeat(1_600);
		double.next({ text });
		const timeouts = { connectMs: 2000, firstTokenMs: 10_000, idleMs: 5000, totalMs: 3_600_000 };
		let read = '';
		let turns = 0;
		for await (const chunk of await model.stream(modelRequest({ timeouts }))) {
			read += chunk.text;
			if (turns++ % 3000 === 0) await clock.advance(60_000);
		}
		expect(read).toBe(text);
		expect(clock.monotonic()).toBeGreaterThan(200_000);
	});

	it('cancels the call when the consumer stops in the middle', async () => {
		const { double, model } = await startFamily(family);
		double.next({ text: TEXT, fault: 'stall', frames: 6 });
		for await (const chunk of await model.stream(modelRequest())) if (chunk.text !== '') break;
		await expect.poll(() => double.aborted, { timeout: 10_000 }).toBe(1);
	});

	it('finishes with the last word of the provider, though the connection stays open', async () => {
		const clock = new VirtualClock();
		const { double, model } = await startFamily(family, { clock });
		double.next({ text: TEXT, fault: 'no_end' });
		let over = false;
		const answer = ask(model, 'stream').finally(() => {
			over = true;
		});
		await expect.poll(() => double.received.length, { timeout: 10_000 }).toBe(1);
		while (!over) await clock.advance(100);
		expect(await answer).toMatchObject({ text: TEXT, finishReason: 'stop' });
		// Of a package that nothing is known of, only silence tells that it is over; the answer is whole all the same.
		expect(clock.monotonic()).toBeLessThan(name === 'ai-sdk' ? 6000 : 5000);
	});

	const errorIt = family.format.errorFrame === null ? null : it;
	errorIt?.('reports an error in the middle of a stream', async () => {
		const { double, model } = await startFamily(family);
		for (const frames of [0, 6]) {
			double.next({ text: TEXT, fault: 'error_event', frames });
			const error = await failure(ask(model, 'stream'));
			expect(['server_error', 'rate_limited']).toContain(error.kind);
		}
	});

	it('tells the limits that the provider reports in its headers', async () => {
		const { double, model } = await startFamily(family);
		const headers = { 'x-ratelimit-remaining-requests': '9', 'anthropic-ratelimit-tokens-remaining': '8', date: 'x' };
		for (const mode of MODES) {
			double.next({ text: TEXT, headers });
			expect((await ask(model, mode)).served?.details).toMatchObject({
				'x-ratelimit-remaining-requests': '9',
				'anthropic-ratelimit-tokens-remaining': '8',
			});
		}
	});

	it('keeps the connection of an answer that was read to its end', async () => {
		const { double, model } = await startFamily(family, { more: { connectionsMax: 1 } });
		for (const mode of [...MODES, ...MODES]) {
			double.next({ text: TEXT });
			await ask(model, mode);
		}
		expect(double.received).toHaveLength(4);
		expect(double.aborted).toBe(0);
	});
});
