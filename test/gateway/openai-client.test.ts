import OpenAI from 'openai';
import { afterEach, describe, expect, it } from 'vitest';
import { type RunningGateway, startGateway } from '../support/gateway-fixture.ts';
import { feature, hit, KEY, retrieverOf } from '../support/runtime-fixture.ts';

/** What the double says unless told otherwise. */
const TEXT = 'The load line of a ship shows how much it may carry in each season and sea.';
const ASK = { messages: [{ role: 'user' as const, content: 'What is a load line?' }] };

let gateway: RunningGateway | null = null;
afterEach(async () => {
	const faults = gateway?.faults ?? [];
	await gateway?.close();
	gateway = null;
	expect(faults).toEqual([]);
});

async function start(
	options: Parameters<typeof startGateway>[0] = {},
): Promise<{ client: OpenAI; gateway: RunningGateway }> {
	gateway = await startGateway({
		features: (model) => [
			feature({ feature: 'ask' }, { route: [model] }),
			feature({ feature: 'held', stream: 'buffered', retrieval: {} }, { route: [model] }),
		],
		retriever: retrieverOf([hit(1, 'A load line is a mark.')]),
		...options,
	});
	return { client: new OpenAI({ baseURL: `${gateway.url}/v1`, apiKey: KEY, maxRetries: 0 }), gateway };
}

describe('the official openai client', () => {
	it('gets a feature’s whole answer, with usage and the trace’s id', async () => {
		const { client, gateway } = await start();
		const { data, response } = await client.chat.completions.create({ model: 'ask', ...ASK }).withResponse();
		expect(data.choices[0]).toMatchObject({ message: { role: 'assistant', content: TEXT }, finish_reason: 'stop' });
		expect(data.usage).toMatchObject({ prompt_tokens: 20, completion_tokens: 17, total_tokens: 37 });
		expect(response.headers.get('x-request-id')).toBe(gateway.traces.last.request_id);
		expect(response.headers.get('x-plimsoll-upstream')).toBe('test/primary');
		expect(gateway.traces.last).toMatchObject({ outcome: 'ok', tokens_cached: 4, cost_source: 'estimated' });
	});

	it.each(['ask', 'held'])('gets the stream of the feature %s in order, with usage when asked', async (model) => {
		const { client, gateway } = await start();
		const stream = await client.chat.completions.create({
			model,
			...ASK,
			stream: true,
			stream_options: { include_usage: true },
		});
		let text = '';
		let finish: string | null = null;
		let tokens = 0;
		for await (const chunk of stream) {
			text += chunk.choices[0]?.delta.content ?? '';
			finish = chunk.choices[0]?.finish_reason ?? finish;
			tokens = chunk.usage?.total_tokens ?? tokens;
		}
		expect({ text, finish, tokens }).toEqual({ text: TEXT, finish: 'stop', tokens: 37 });
		expect(gateway.traces.last).toMatchObject({ streamed: true, outcome: 'ok' });
		expect(gateway.traces.last.time_to_first_token_ms).not.toBeNull();
	});

	it('cancels the upstream when it aborts in the middle of a stream', async () => {
		const { client, gateway } = await start({ upstream: { plan: { gapMs: 200, chunks: 15 } } });
		const stream = await client.chat.completions.create({ model: 'ask', ...ASK, stream: true });
		for await (const _ of stream) break;
		stream.controller.abort();
		await gateway.double.aborted();
		await gateway.double.idle();
		expect(gateway.double.requests).toBe(1);
		await expect.poll(() => gateway.traces.traces.length).toBe(1);
		expect(gateway.traces.last).toMatchObject({ outcome: 'cancelled', error_code: 'client_closed' });
	});

	it('cancels the upstream when it gives up waiting for a plain answer', async () => {
		const { client, gateway } = await start({ upstream: { plan: { fault: 'silent' } } });
		const abort = new AbortController();
		const asked = client.chat.completions.create({ model: 'ask', ...ASK }, { signal: abort.signal });
		const refused = expect(asked).rejects.toThrow(OpenAI.APIUserAbortError);
		await gateway.double.arrived(1);
		abort.abort();
		await refused;
		await gateway.double.aborted();
	});

	it('throws its own error types for our refusals, with our codes', async () => {
		const { client, gateway } = await start();
		const stranger = new OpenAI({ baseURL: `${gateway.url}/v1`, apiKey: 'sk-wrong', maxRetries: 0 });
		await expect(stranger.chat.completions.create({ model: 'ask', ...ASK })).rejects.toMatchObject({
			constructor: OpenAI.AuthenticationError,
			code: 'key_invalid',
		});
		await expect(client.chat.completions.create({ model: 'aks', ...ASK })).rejects.toMatchObject({
			constructor: OpenAI.NotFoundError,
			code: 'model_not_found',
			message: expect.stringContaining('Did you mean "ask"?'),
		});
		await expect(client.chat.completions.create({ model: 'test/off', ...ASK })).rejects.toMatchObject({
			code: 'model_not_found',
			message: expect.stringContaining('Set TEST_KEY to switch it on'),
		});
		await expect(client.chat.completions.create({ model: 'ask', ...ASK, temperature: 1 })).rejects.toMatchObject({
			constructor: OpenAI.BadRequestError,
			code: 'parameter_unsupported',
			param: 'temperature',
		});
		await expect(client.chat.completions.create({ model: 'ask', messages: [] })).rejects.toMatchObject({
			constructor: OpenAI.BadRequestError,
			param: 'messages',
		});
	});

	it('hears how long to wait when the provider refuses, and its own retries are switched off', async () => {
		const { gateway } = await start({
			upstream: { plan: { status: 429, error: { message: 'slow down' }, headers: { 'retry-after': '7' } } },
		});
		const eager = new OpenAI({ baseURL: `${gateway.url}/v1`, apiKey: KEY, maxRetries: 4 });
		const thrown: unknown = await eager.chat.completions
			.create({ model: 'ask', ...ASK })
			.catch((error: unknown) => error);
		expect(thrown).toBeInstanceOf(OpenAI.RateLimitError);
		const { headers } = thrown as InstanceType<typeof OpenAI.RateLimitError>;
		expect(headers?.get('retry-after')).toBe('7');
		expect(headers?.get('x-should-retry')).toBe('false');
		expect(gateway.double.requests).toBe(1);
	});

	it('is not told where an upstream stands that cannot be reached; the trace is', async () => {
		const { client, gateway } = await start();
		const place = new URL(gateway.double.url).host;
		await gateway.double.close();
		await expect(client.chat.completions.create({ model: 'ask', ...ASK })).rejects.toMatchObject({
			code: 'upstream_unavailable',
			message: expect.not.stringContaining(place),
		});
		const attempts = gateway.traces.last.steps.flatMap((step) => step.attempts);
		expect(attempts[0]).toMatchObject({ outcome: 'connect', error: expect.stringContaining(place) });
	});

	it('gets an error, not an end, from a stream that was cut', async () => {
		const { client, gateway } = await start({ upstream: { plan: { fault: 'cut' } } });
		const stream = await client.chat.completions.create({ model: 'ask', ...ASK, stream: true });
		let text = '';
		const reading = (async () => {
			for await (const chunk of stream) text += chunk.choices[0]?.delta.content ?? '';
		})();
		await expect(reading).rejects.toThrow();
		expect(TEXT.startsWith(text)).toBe(true);
		expect(gateway.traces.last).toMatchObject({ outcome: 'failed', error_code: 'upstream_stream_cut' });
	});

	it.each([
		['whole', 'buffered'],
		['streamed', 'buffered'],
		['streamed', 'immediate'],
	] as const)('gets the tool calls of a feature that allows tools, %s and %s', async (how, mode) => {
		const call = { id: 'call_1', type: 'function', function: { name: 'look_up', arguments: '{"ship":"Cutty Sark"}' } };
		const body = JSON.stringify({
			id: 'x',
			choices: [
				{ index: 0, message: { role: 'assistant', content: null, tool_calls: [call] }, finish_reason: 'tool_calls' },
			],
		});
		const { client } = await start({
			features: (model) => [
				feature({ feature: 'ask', stream: mode, models: { clientParameters: ['tools'] } }, { route: [model] }),
			],
			upstream: { plan: { body } },
		});
		const tools = [{ type: 'function' as const, function: { name: 'look_up', parameters: {} } }];
		const runner = client.chat.completions;
		const { choices } =
			how === 'streamed'
				? await runner.stream({ model: 'ask', ...ASK, tools }).finalChatCompletion()
				: await runner.create({ model: 'ask', ...ASK, tools });
		expect(choices[0]).toMatchObject({ finish_reason: 'tool_calls', message: { content: null, tool_calls: [call] } });
	});

	it('reaches a bare upstream byte for byte: parameters out, unknown members back', async () => {
		const body = JSON.stringify({
			id: 'chatcmpl-1',
			object: 'chat.completion',
			created: 1,
			model: 'double-1',
			choices: [{ index: 0, message: { role: 'assistant', content: 'Hi', novelty: [1] }, finish_reason: 'stop' }],
			usage: { prompt_tokens: 1, completion_tokens: 1, total_tokens: 2 },
			vendor_extra: { a: '😀' },
		});
		const { gateway } = await start({ upstream: { plan: { body } } });
		const sent = {
			...ASK,
			temperature: 0.3,
			logit_bias: { '50256': -100 },
			tools: [{ type: 'function', function: { name: 'look_up', parameters: { type: 'object' } } }],
			user: 'ada',
			vendor_option: { deep: [true] },
		};
		const response = await fetch(`${gateway.url}/v1/chat/completions`, {
			method: 'POST',
			headers: { authorization: `Bearer ${KEY}`, 'content-type': 'application/json' },
			body: JSON.stringify({ model: 'test/primary', ...sent }),
		});
		expect(await response.text()).toBe(body);
		expect(JSON.parse(gateway.double.bodies[0] ?? '')).toEqual({ model: 'double-1', stream: false, ...sent });
	});

	it('gets an object of a schema, whole and streamed, over chat completions and responses', async () => {
		const { client } = await start({ upstream: { plan: {} } });
		const schema = {
			...{ type: 'object', properties: { mark: { type: 'string' } }, required: ['mark'] },
			additionalProperties: false,
		};
		const response_format = {
			type: 'json_schema' as const,
			json_schema: { name: 'line', strict: true, schema },
		};
		const ask = { model: 'test/primary', ...ASK, response_format };
		const object = { mark: expect.any(String) };
		const textsOf = async () => [
			(await client.chat.completions.create(ask)).choices[0]?.message.content,
			(await client.chat.completions.stream(ask).finalChatCompletion()).choices[0]?.message.content,
		];
		for (const text of await textsOf()) expect(JSON.parse(text ?? '')).toEqual(object);
		const format = { type: 'json_schema' as const, name: 'line', strict: true, schema };
		const asked = { model: 'test/primary', input: 'What is a load line?', store: false, text: { format } };
		expect(JSON.parse((await client.responses.create(asked)).output_text)).toEqual(object);
		expect(JSON.parse((await client.responses.stream(asked).finalResponse()).output_text)).toEqual(object);
	});

	it.each(['interleaved_tool_calls', 'duplicate_tool_calls'] as const)(
		'puts a stream’s %s together as the two calls that they are',
		async (fault) => {
			const { client } = await start({ upstream: { plan: { fault } } });
			const tools = ['weigh', 'measure'].map((name) => ({
				type: 'function' as const,
				function: {
					name,
					parameters: { type: 'object', properties: { ship: { type: 'string' } }, required: ['ship'] },
				},
			}));
			const runner = client.chat.completions.stream({ model: 'test/primary', ...ASK, tools });
			const calls = (await runner.finalChatCompletion()).choices[0]?.message.tool_calls ?? [];
			expect(calls.map((call) => call.type === 'function' && call.function.name)).toEqual(['weigh', 'measure']);
			for (const call of calls) {
				expect(JSON.parse(call.type === 'function' ? call.function.arguments : '')).toEqual({
					ship: expect.any(String),
				});
			}
		},
	);

	it('is told by an error of a call whose arguments are no JSON, and never by its finish reason', async () => {
		const { client, gateway } = await start({ upstream: { plan: { fault: 'broken_tool_arguments' } } });
		const tools = [{ type: 'function' as const, function: { name: 'weigh', parameters: {} } }];
		const ask = { model: 'test/primary', ...ASK, tools };
		await expect(client.chat.completions.create(ask)).rejects.toMatchObject({ status: 502, code: 'upstream_nonsense' });
		expect(gateway.double.requests).toBe(2);
		let finish: string | null = null;
		const read = async () => {
			for await (const { choices } of await client.chat.completions.create({ ...ask, stream: true })) {
				finish = choices[0]?.finish_reason ?? finish;
			}
		};
		await expect(read()).rejects.toMatchObject({ code: 'upstream_nonsense' });
		expect(finish).toBeNull();
	});

	it('streams from a bare upstream, and lists every name in models', async () => {
		const { client } = await start();
		let text = '';
		for await (const chunk of await client.chat.completions.create({ model: 'test/primary', ...ASK, stream: true })) {
			text += chunk.choices[0]?.delta.content ?? '';
			expect(chunk.usage ?? null).toBeNull();
		}
		expect(text).toBe(TEXT);
		const names: string[] = [];
		for await (const model of client.models.list()) names.push(model.id);
		expect(names).toEqual(['ask', 'held', 'test/primary']);
		expect(await client.models.retrieve('test/primary')).toMatchObject({ id: 'test/primary', owned_by: 'test' });
		await expect(client.models.retrieve('nobody')).rejects.toMatchObject({ code: 'model_not_found' });
	});
});
