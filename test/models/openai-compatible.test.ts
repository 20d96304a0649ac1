import { type AddressInfo, createServer } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { systemClock } from '../../src/base/clock.ts';
import { VirtualClock } from '../../src/base/virtual-clock.ts';
import { createOpenAiCompatibleModel } from '../../src/models/openai-compatible/model.ts';
import {
	type AttemptTimeouts,
	type CompletionChunk,
	type Model,
	type ModelRequest,
	UpstreamError,
	type UpstreamFailure,
} from '../../src/spec/model.ts';
import {
	type DoubleOptions,
	type Fault,
	type Plan,
	seededPlans,
	startUpstreamDouble,
} from '../support/upstream-double.ts';

const KEY = 'sk-secret-0123456789';
const TIMEOUTS: AttemptTimeouts = { connectMs: 2000, firstTokenMs: 10_000, idleMs: 5000, totalMs: 30_000 };
const TEXT = 'The load line of a ship shows how much it may carry in each season and sea.';

const open: { close(): Promise<void> }[] = [];
afterEach(async () => {
	for (const thing of open.splice(0).reverse()) await thing.close();
});

function modelAt(baseUrl: string, clock = systemClock as VirtualClock | typeof systemClock, connectionsMax = 8): Model {
	const model = createOpenAiCompatibleModel({
		upstream: {
			name: 'double/default',
			provider: 'double',
			model: 'double-1',
			contextTokensMax: 8192,
			tokensOutMax: 1024,
			tokensOutParameter: 'max_tokens',
			tokenizer: 'o200k_base',
			sideEffects: false,
			continuesTurn: false,
			timeouts: TIMEOUTS,
			price: null,
		},
		baseUrl,
		apiKey: KEY,
		connectionsMax,
		clock,
	});
	open.push(model);
	return model;
}

async function start(options: DoubleOptions & { modelClock?: VirtualClock; connectionsMax?: number } = {}) {
	const double = await startUpstreamDouble({ record: true, ...options });
	open.push(double);
	return { double, model: modelAt(double.url, options.modelClock ?? systemClock, options.connectionsMax) };
}

function request(more: Partial<ModelRequest> = {}): ModelRequest {
	return {
		messages: [{ role: 'user', content: 'What does a load line show?' }],
		parameters: {},
		grounding: null,
		signal: new AbortController().signal,
		timeouts: TIMEOUTS,
		...more,
	};
}

async function collect(chunks: AsyncIterable<CompletionChunk>): Promise<CompletionChunk[]> {
	const list: CompletionChunk[] = [];
	for await (const chunk of chunks) list.push(chunk);
	return list;
}

type Mode = 'plain' | 'stream';
const MODES: readonly Mode[] = ['plain', 'stream'];

/** The text of a whole answer. */
async function ask(model: Model, mode: Mode, more: Partial<ModelRequest> = {}): Promise<string> {
	if (mode === 'plain') return (await model.complete(request(more))).text;
	return (await collect(await model.stream(request(more)))).map((chunk) => chunk.text).join('');
}

async function failure(answer: Promise<unknown>): Promise<UpstreamError> {
	const error = await answer.then(
		(value) => expect.unreachable(`answered ${JSON.stringify(value)?.slice(0, 200)}`),
		(thrown: UpstreamError) => thrown,
	);
	expect(error.name).toBe('UpstreamError');
	expect(error.upstream).toBe('double/default');
	return error;
}

describe('a healthy upstream', () => {
	it('answers plain with text, finish reason, usage, who served, and its own JSON', async () => {
		const { model } = await start();
		const completion = await model.complete(request());
		expect(completion).toMatchObject({
			text: TEXT,
			finishReason: 'stop',
			toolCalls: null,
			usage: { tokensIn: 20, tokensOut: 17, tokensCached: 4, tokensReasoning: 0, source: 'reported' },
			served: { model: 'double-1', responseId: 'chatcmpl-double', fingerprint: 'fp_double' },
			confidence: null,
		});
		expect(JSON.parse(completion.raw ?? '')).toMatchObject({ object: 'chat.completion' });
	});

	it('streams the same text, with one finish reason, the usage after it, and who served once', async () => {
		const { model } = await start();
		const chunks = await collect(await model.stream(request()));
		expect(chunks.map((chunk) => chunk.text).join('')).toBe(TEXT);
		expect(chunks.filter((chunk) => chunk.finishReason !== null).map((chunk) => chunk.finishReason)).toEqual(['stop']);
		expect(chunks.at(-1)).toMatchObject({
			finishReason: null,
			usage: { tokensIn: 20, tokensOut: 17, tokensCached: 4 },
		});
		expect(chunks.filter((chunk) => chunk.served !== null)).toHaveLength(1);
		for (const chunk of chunks) expect(JSON.parse(chunk.raw ?? '')).toMatchObject({ object: 'chat.completion.chunk' });
	});

	it('tells of the limits that it has left and of its region, plain and streamed, for the trace', async () => {
		const headers = {
			'x-ratelimit-remaining-requests': '59',
			'x-ratelimit-reset-tokens': '6m0s',
			'x-ms-region': 'Sweden Central',
			'x-other': '1',
		};
		const { model } = await start({ plan: { headers } });
		const details = {
			...{ 'x-ratelimit-remaining-requests': '59', 'x-ratelimit-reset-tokens': '6m0s' },
			region: 'Sweden Central',
		};
		expect((await model.complete(request())).served.details).toEqual(details);
		const served = (await collect(await model.stream(request()))).flatMap((chunk) => chunk.served ?? []);
		expect(served.map((one) => one.details)).toEqual([details]);
	});

	it('tells of its limits also where its stream names neither a model nor an answer', async () => {
		const event = { choices: [{ index: 0, delta: { content: 'Hello.' }, finish_reason: 'stop' }] };
		const body = `data: ${JSON.stringify(event)}\n\ndata: [DONE]\n\n`;
		const head = 'HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nx-ratelimit-remaining-requests: 59';
		const server = createServer((socket) =>
			socket.once('data', () => socket.end(`${head}\r\ncontent-length: ${body.length}\r\n\r\n${body}`)),
		);
		await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
		open.push({ close: () => new Promise((resolve) => server.close(() => resolve())) });
		const model = modelAt(`http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`);
		const [chunk] = await collect(await model.stream(request()));
		expect(chunk?.served).toMatchObject({ model: null, details: { 'x-ratelimit-remaining-requests': '59' } });
	});

	it('gets parameters as they are, and model, messages and stream as we say', async () => {
		const { double, model } = await start();
		const parameters = {
			temperature: 0,
			seed: 7,
			vendor_extension: { deep: [1, null] },
			model: 'other',
			stream: 'maybe',
		};
		await ask(model, 'plain', { parameters });
		await ask(model, 'stream', { parameters });
		const [plain, stream] = double.bodies.map((body) => JSON.parse(body));
		const messages = request().messages;
		const sent = { temperature: 0, seed: 7, vendor_extension: { deep: [1, null] }, model: 'double-1', messages };
		expect(plain).toEqual({ ...sent, stream: false });
		expect(stream).toEqual({ ...sent, stream: true, stream_options: { include_usage: true } });
	});

	it('keeps its connections for the next call, also after streams', async () => {
		const { double, model } = await start({ connectionsMax: 1 });
		for (const mode of [...MODES, ...MODES]) await ask(model, mode);
		expect(double.connections).toBe(1);
	});

	it('serves many at once over no more connections than allowed', async () => {
		const { double, model } = await start({ connectionsMax: 3, plan: { latencyMs: 1 } });
		const texts = await Promise.all(Array.from({ length: 30 }, (_, i) => ask(model, i % 2 ? 'plain' : 'stream')));
		expect(new Set(texts)).toEqual(new Set([TEXT]));
		expect(double.inFlightMax).toBeLessThanOrEqual(3);
	});
});

const BODY = 'sk-secret-0123456789';
const STATUSES: readonly [string, Plan, UpstreamFailure][] = [
	['a rate limit', { status: 429, error: { message: 'Slow down', code: 'rate_limit_exceeded' } }, 'rate_limited'],
	['an empty account', { status: 429, error: { message: 'Pay', code: 'insufficient_quota' } }, 'quota'],
	['a bill to pay', { status: 402, error: { message: 'Insufficient Balance' } }, 'quota'],
	['a context overflow', { status: 400, error: { message: 'x', code: 'context_length_exceeded' } }, 'context_length'],
	[
		'vLLM’s context overflow',
		{ status: 400, error: { message: "This model's maximum context length is 4096 tokens." } },
		'context_length',
	],
	['a content filter', { status: 400, error: { message: 'no', code: 'content_filter' } }, 'content_filter'],
	[
		'a wrong key',
		{ status: 401, error: { message: `Incorrect API key: ${BODY}`, code: 'invalid_api_key' } },
		'authentication',
	],
	['a forbidden region', { status: 403, error: { message: 'Country not supported' } }, 'authentication'],
	['an unknown model', { status: 404, error: { message: 'no such model', code: 'model_not_found' } }, 'bad_request'],
	['an invalid parameter', { status: 400, error: { message: 'bad temperature', param: 'temperature' } }, 'bad_request'],
	['a server error', { status: 500 }, 'server_error'],
	['an overload', { status: 529, error: { message: 'Overloaded', type: 'overloaded_error' } }, 'server_error'],
	['a gateway’s HTML page', { status: 502, error: '<html><h1>502 Bad Gateway</h1></html>' }, 'server_error'],
	['a redirect', { status: 307, headers: { location: 'http://127.0.0.1:1/' } }, 'nonsense'],
];

describe.each(MODES)('an upstream that refuses (%s)', (mode) => {
	it.each(STATUSES)('with %s', async (_name, plan, kind) => {
		const { double, model } = await start({ plan });
		const error = await failure(ask(model, mode));
		expect(error).toMatchObject({ kind, status: plan.status });
		expect(error.message).not.toContain(KEY);
		expect(error.message.length).toBeLessThan(500);
		expect(double.requests).toBe(1);
	});

	it.each([
		[{ 'retry-after-ms': '1234.5', 'retry-after': '9' }, 1235],
		[{ 'retry-after': '2' }, 2000],
		[{ 'retry-after': 'Sun, 15 Jun 2025 15:06:50 GMT' }, 10_000],
		[{ 'retry-after': 'soon' }, null],
		[{}, null],
	])('tells how long to wait: %j', async (headers, retryAfterMs) => {
		const clock = new VirtualClock(Date.UTC(2025, 5, 15, 15, 6, 40));
		const { model } = await start({ plan: { status: 429, headers }, modelClock: clock });
		expect(await failure(ask(model, mode))).toMatchObject({ retryAfterMs });
	});

	it('with a message that is far too long', async () => {
		const { model } = await start({ plan: { status: 400, error: { message: 'y'.repeat(100_000) } } });
		expect((await failure(ask(model, mode))).message.length).toBeLessThan(500);
	});
});

describe.each(MODES)('an upstream that breaks (%s)', (mode) => {
	it.each<[string, Plan, UpstreamFailure]>([
		['resets before it answers', { fault: 'reset' }, 'connect'],
		['cuts its answer', { fault: 'cut' }, 'cut'],
		['cuts right after the headers', { fault: 'cut', atByte: 0 }, 'cut'],
		['sends a web page with status 200', { fault: 'html' }, 'nonsense'],
		['sends an answer without end', { fault: 'huge_body' }, 'nonsense'],
		[
			'sends an error with status 200',
			{
				body: '{"error":{"message":"busy","code":429,"type":"rate_limit"}}',
				headers: { 'content-type': 'application/json' },
			},
			'rate_limited',
		],
	])('%s', async (_name, plan, kind) => {
		const { double, model } = await start({ plan });
		expect(await failure(ask(model, mode))).toMatchObject({ kind });
		await double.idle();
	});

	it('does not speak HTTP', async () => {
		const server = createServer((socket) =>
			socket
				.on('error', () => socket.destroy())
				.resume()
				.end('220 mail.example ESMTP\r\n'),
		);
		await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
		open.push({ close: () => new Promise((resolve) => server.close(() => resolve())) });
		const { port } = server.address() as AddressInfo;
		expect(await failure(ask(modelAt(`http://127.0.0.1:${port}`), mode))).toMatchObject({ kind: 'nonsense' });
	});

	it('is unreachable, so that it is certain that it got nothing', async () => {
		expect(await failure(ask(modelAt('http://127.0.0.1:1/v1'), mode))).toMatchObject({ kind: 'connect', sent: false });
	});

	it('may send one byte at a time', async () => {
		const { model } = await start({ plan: { fault: 'slow_bytes', gapMs: 0, text: 'Größe: 10 µm 🚢' } });
		expect(await ask(model, mode)).toBe('Größe: 10 µm 🚢');
	});

	it.each([
		['as a part of the completion', { completion_tokens: 17, total_tokens: 37 }, 17],
		['beside it, as only the total tells', { completion_tokens: 5, total_tokens: 37 }, 17],
	])('counts what the model thought once, reported %s', async (_, counts, tokensOut) => {
		const { double, model } = await start();
		const completion_tokens_details = { reasoning_tokens: 12 };
		const prompt_tokens_details = { cached_tokens: 4, cache_write_tokens: 6 };
		double.next({ usage: { prompt_tokens: 20, ...counts, prompt_tokens_details, completion_tokens_details } });
		expect((await model.complete(request())).usage).toEqual({
			tokensIn: 20,
			tokensOut,
			tokensCached: 4,
			tokensCacheWritten: 6,
			tokensReasoning: 12,
			source: 'reported',
		});
	});

	it('knows what was served at batch rates by the tier that served it', async () => {
		const { double, model } = await start();
		const choices = [{ index: 0, message: { role: 'assistant', content: 'Aye.' }, finish_reason: 'stop' }];
		const usage = { prompt_tokens: 2, completion_tokens: 1 };
		for (const service_tier of ['flex', 'default']) {
			double.next({ body: JSON.stringify({ choices, usage, service_tier }) });
			expect((await model.complete(request())).usage?.batch ?? false).toBe(service_tier === 'flex');
		}
	});

	it('gives null for usage that it does not report or that contradicts itself', async () => {
		const { double, model } = await start();
		const wrong = [
			null,
			{ prompt_tokens: -1, completion_tokens: 2 },
			{ prompt_tokens: 5, completion_tokens: 2, prompt_tokens_details: { cached_tokens: 6 } },
			{ prompt_tokens: 5, completion_tokens: 2, total_tokens: 3 },
			{ prompt_tokens: '5', completion_tokens: 2 },
		];
		for (const usage of wrong) {
			double.next({ usage });
			const usages =
				mode === 'plain'
					? [(await model.complete(request())).usage]
					: (await collect(await model.stream(request()))).map((chunk) => chunk.usage);
			expect(usages.filter((one) => one !== null)).toEqual([]);
		}
	});
});

describe('the end of a stream', () => {
	it('without a finish reason is a cut, whatever else it says', async () => {
		const { model } = await start({ plan: { fault: 'no_finish_reason' } });
		expect(await failure(ask(model, 'stream'))).toMatchObject({ kind: 'cut' });
	});

	it('without [DONE] is an end', async () => {
		const { model } = await start({ plan: { fault: 'no_done' } });
		expect(await ask(model, 'stream')).toBe(TEXT);
	});

	it('is not waited for when the finish reason and the usage have come and the connection stays open', async () => {
		const clock = new VirtualClock();
		const { double, model } = await start({ plan: { fault: 'hang_at_end' }, modelClock: clock });
		expect(await ask(model, 'stream')).toBe(TEXT);
		await clock.advance(1000);
		await double.aborted();
		expect(clock.pending).toBe(0);
	});

	it('is waited for one second when only the finish reason has come', async () => {
		const clock = new VirtualClock();
		const { model } = await start({ plan: { fault: 'hang_at_end', usage: null }, modelClock: clock });
		const chunks = (await model.stream(request()))[Symbol.asyncIterator]();
		let last = await chunks.next();
		while (!last.done && last.value.finishReason === null) last = await chunks.next();
		const end = chunks.next();
		await clock.advance(1000);
		expect(await end).toEqual({ done: true, value: undefined });
	});

	it('may come with an error event, which is mapped and follows what was said before', async () => {
		const said = 'data: {"choices":[{"index":0,"delta":{"content":"Half"},"finish_reason":null}]}\n\n';
		const broken = 'data: {"error":{"message":"overloaded","type":"server_error","code":503}}\n\n';
		const { model } = await start({ plan: { body: said + broken } });
		const texts: string[] = [];
		const answer = (async () => {
			for await (const chunk of await model.stream(request())) texts.push(chunk.text);
		})();
		expect(await failure(answer)).toMatchObject({ kind: 'server_error', status: 503 });
		expect(texts).toEqual(['Half']);
	});

	it('takes Azure’s empty first event, and finishes several choices only when all have', async () => {
		const azure = 'data: {"id":"","model":"","choices":[],"prompt_filter_results":[]}\n\n';
		const choice = (index: number, text: string, reason: string | null) =>
			`data: {"choices":[{"index":${index},"delta":{"content":"${text}"},"finish_reason":${JSON.stringify(reason)}}]}\n\n`;
		const body = azure + choice(0, 'A', 'stop') + choice(1, 'B', null);
		const { double, model } = await start({ plan: { body: `${body}data: [DONE]\n\n` } });
		expect(await failure(ask(model, 'stream', { parameters: { n: 2 } }))).toMatchObject({ kind: 'cut' });
		double.next({ body: `${body}${choice(1, 'C', 'length')}data: [DONE]\n\n` });
		const chunks = await collect(await model.stream(request({ parameters: { n: 2 } })));
		expect(chunks.map((chunk) => chunk.finishReason)).toEqual([null, null, null, 'stop']);
		expect(chunks.map((chunk) => chunk.text).join('')).toBe('A');
	});
});

describe('time-outs', () => {
	const cases: readonly [string, Mode, Plan, number, UpstreamFailure][] = [
		['no headers', 'plain', { fault: 'silent' }, 10_000, 'timeout_first_token'],
		['no headers', 'stream', { fault: 'silent' }, 10_000, 'timeout_first_token'],
	];
	it.each(cases)('%s in time (%s)', async (_name, mode, plan, ms, kind) => {
		const clock = new VirtualClock();
		const { double, model } = await start({ plan, modelClock: clock });
		const failed = failure(ask(model, mode));
		await double.arrived(1);
		await clock.advance(ms - 1);
		expect(double.abortedCount).toBe(0);
		await clock.advance(1);
		expect(await failed).toMatchObject({ kind });
		await double.aborted();
		expect(clock.pending).toBe(0);
	});

	/** A stream that says `first`, then is silent. */
	async function silentAfter(first: string) {
		const clock = new VirtualClock();
		const { double, model } = await start({ plan: { body: first, fault: 'hang_at_end' }, modelClock: clock });
		const chunks = (await model.stream(request()))[Symbol.asyncIterator]();
		return { clock, double, chunks };
	}

	it('keep-alive comments and a role are not a first token', async () => {
		const role = 'data: {"choices":[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null}]}\n\n';
		const { clock, double, chunks } = await silentAfter(`: keep-alive\n\n${role}`);
		expect((await chunks.next()).done).toBe(false);
		const failed = failure(chunks.next());
		await clock.advance(9_999);
		expect(double.abortedCount).toBe(0);
		await clock.advance(1);
		expect(await failed).toMatchObject({ kind: 'timeout_first_token' });
		await double.aborted();
	});

	it.each(['"content":"A"', '"reasoning_content":"Hm"', '"tool_calls":[{"index":0}]'])(
		'after a first token (%s) only silence counts',
		async (delta) => {
			const { clock, double, chunks } = await silentAfter(
				`data: {"choices":[{"index":0,"delta":{${delta}},"finish_reason":null}]}\n\n`,
			);
			await chunks.next();
			const failed = failure(chunks.next());
			await clock.advance(5000);
			expect(await failed).toMatchObject({ kind: 'timeout_idle' });
			await double.aborted();
			expect(clock.pending).toBe(0);
		},
	);

	it('the total ends a stream that never stops talking', async () => {
		const clock = new VirtualClock();
		const { double, model } = await start({ plan: { gapMs: 4000, chunks: 50 }, clock, modelClock: clock });
		const failed = failure(ask(model, 'stream'));
		await double.arrived(1);
		// Small steps, so that the bytes of each step reach the client before the next.
		let over = false;
		failed.finally(() => {
			over = true;
		});
		while (!over) await clock.advance(100);
		expect(await failed).toMatchObject({ kind: 'timeout_total' });
		expect(clock.monotonic()).toBeGreaterThanOrEqual(30_000);
		await double.aborted();
	});

	it('waiting for a free connection counts as connecting', async () => {
		const clock = new VirtualClock();
		const { double, model } = await start({ plan: { fault: 'silent' }, modelClock: clock, connectionsMax: 1 });
		const first = failure(ask(model, 'plain'));
		await double.arrived(1);
		const second = failure(ask(model, 'plain'));
		await clock.advance(2000);
		expect(await second).toMatchObject({ kind: 'timeout_connect' });
		await clock.advance(8000);
		expect(await first).toMatchObject({ kind: 'timeout_first_token' });
		expect(double.requests).toBe(1);
	});
});

describe('a caller that leaves', () => {
	it.each(MODES)('before the answer (%s) closes the upstream’s connection', async (mode) => {
		const { double, model } = await start({ plan: { fault: 'silent' } });
		const left = new AbortController();
		const failed = failure(ask(model, mode, { signal: left.signal }));
		await double.arrived(1);
		left.abort(new Error('the client left'));
		expect(await failed).toMatchObject({ kind: 'cancelled' });
		await double.aborted();
	});

	it('in the middle of a stream, by the signal', async () => {
		const { double, model } = await start({
			plan: { body: `data: {"choices":[{"delta":{"content":"A"}}]}\n\n`, fault: 'hang_at_end' },
		});
		const left = new AbortController();
		const chunks = (await model.stream(request({ signal: left.signal })))[Symbol.asyncIterator]();
		await chunks.next();
		const failed = failure(chunks.next());
		left.abort(new Error('the client left'));
		expect(await failed).toMatchObject({ kind: 'cancelled' });
		await double.aborted();
	});

	it('in the middle of a stream, by ending the iteration', async () => {
		const { double, model } = await start({
			plan: { body: `data: {"choices":[{"delta":{"content":"A"}}]}\n\n`, fault: 'hang_at_end' },
		});
		for await (const chunk of await model.stream(request())) {
			expect(chunk.text).toBe('A');
			break;
		}
		await double.aborted();
	});

	it.each(MODES)('before the call (%s) reaches no upstream', async (mode) => {
		const { double, model } = await start();
		expect(await failure(ask(model, mode, { signal: AbortSignal.abort() }))).toMatchObject({ kind: 'cancelled' });
		expect(double.requests).toBe(0);
	});

	it('while waiting for a connection is forgotten, and others go on', async () => {
		const { double, model } = await start({ connectionsMax: 1 });
		double.next({ fault: 'silent' });
		const busy = new AbortController();
		const first = failure(ask(model, 'plain', { signal: busy.signal }));
		await double.arrived(1);
		const left = new AbortController();
		const second = failure(ask(model, 'plain', { signal: left.signal }));
		const third = ask(model, 'plain');
		left.abort();
		expect(await second).toMatchObject({ kind: 'cancelled' });
		busy.abort();
		await first;
		expect(await third).toBe(TEXT);
		expect(double.requests).toBe(2);
	});

	it('by closing the model, fails what is under way', async () => {
		const { double, model } = await start({ plan: { fault: 'silent' } });
		const failed = failure(ask(model, 'plain'));
		await double.arrived(1);
		await model.close();
		expect((await failed).kind).toMatch(/cancelled|connect/);
		expect(await failure(ask(model, 'plain'))).toMatchObject({ kind: 'cancelled' });
	});
});

/** Two hundred calls wait for four connections: on a busy machine longer than any of them may take by itself. */
const PATIENT = { connectMs: 60_000, firstTokenMs: 60_000, idleMs: 60_000, totalMs: 60_000 };

it('whatever mix of faults, every call ends, reaches the upstream once, and leaves nothing behind', async () => {
	const faults: Fault[] = ['reset', 'cut', 'malformed_chunk', 'no_done', 'no_finish_reason', 'html', 'slow_bytes'];
	const plans = faults.map((fault) => [1, { fault, text: 'Short.' }] as const);
	const refusals = [429, 500, 401].map((status) => [0.5, { status }] as const);
	const plan = seededPlans(42, [[6, {}], ...plans, ...refusals]);
	const { double, model } = await start({ plan, connectionsMax: 4 });
	const outcomes = await Promise.allSettled(
		Array.from({ length: 200 }, (_, i) => ask(model, i % 2 ? 'plain' : 'stream', { timeouts: PATIENT })),
	);
	for (const outcome of outcomes) {
		if (outcome.status === 'rejected') expect(outcome.reason).toBeInstanceOf(UpstreamError);
		else expect([TEXT, 'Short.']).toContain(outcome.value);
	}
	expect(new Set(outcomes.map((outcome) => outcome.status))).toEqual(new Set(['fulfilled', 'rejected']));
	expect(double.requests).toBe(200);
	await double.idle();
});
