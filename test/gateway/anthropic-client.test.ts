import Anthropic from '@anthropic-ai/sdk';
import { afterEach, describe, expect, it } from 'vitest';
import { systemClock } from '../../src/base/clock.ts';
import { openSqliteIdempotency } from '../../src/stores/sqlite-idempotency.ts';
import { type RunningGateway, startGateway } from '../support/gateway-fixture.ts';
import { feature, hit, KEY, retrieverOf } from '../support/runtime-fixture.ts';
import { dataUrl, IMAGES_37_BY_21 } from '../support/tiny-images.ts';

/** What the double says unless told otherwise. */
const TEXT = 'The load line of a ship shows how much it may carry in each season and sea.';
const BARE = 'test/primary';
const ASK = { max_tokens: 100, messages: [{ role: 'user' as const, content: 'What is a load line?' }] };
const TOOLS: Anthropic.Tool[] = ['weigh', 'measure'].map((name) => ({
	name,
	description: `To ${name} a ship`,
	input_schema: { type: 'object', properties: { ship: { type: 'string' } }, required: ['ship'] },
}));

let gateway: RunningGateway | null = null;
afterEach(async () => {
	const faults = gateway?.faults ?? [];
	await gateway?.close();
	gateway = null;
	expect(faults).toEqual([]);
});

async function start(options: Parameters<typeof startGateway>[0] = {}) {
	gateway = await startGateway({
		features: (model) => [
			feature({ feature: 'ask' }, { route: [model] }),
			feature({ feature: 'held', stream: 'buffered', retrieval: {} }, { route: [model] }),
			feature({ feature: 'tooled', models: { clientParameters: ['tools', 'temperature'] } }, { route: [model] }),
		],
		retriever: retrieverOf([hit(1, 'A load line is a mark.')]),
		...options,
	});
	const client = new Anthropic({ baseURL: gateway.url, apiKey: KEY, maxRetries: 0 });
	const sent = () => JSON.parse(gateway?.double.bodies.at(-1) ?? '{}');
	return { client, gateway, sent };
}

/** Members of the API that the client's types have no more. */
const SAMPLING: object = { temperature: 0.5, top_p: 0.9 };

const typesOf = (events: readonly Anthropic.RawMessageStreamEvent[]) => events.map(({ type }) => type);

async function eventsOf(stream: AsyncIterable<Anthropic.RawMessageStreamEvent>) {
	const events: Anthropic.RawMessageStreamEvent[] = [];
	for await (const event of stream) events.push(event);
	return events;
}

describe('the official @anthropic-ai/sdk', () => {
	it.each(['ask', 'held', BARE])(
		'gets the whole answer of %s, with usage that leaves cached tokens out of the input',
		async (model) => {
			const { client, gateway } = await start();
			const { data, response, request_id } = await client.messages.create({ model, ...ASK }).withResponse();
			expect(data).toMatchObject({
				type: 'message',
				role: 'assistant',
				content: [{ type: 'text', text: TEXT }],
				stop_reason: 'end_turn',
				usage: { input_tokens: 16, cache_read_input_tokens: 4, cache_creation_input_tokens: 0, output_tokens: 17 },
			});
			expect(request_id).toBe(gateway.traces.last.request_id);
			expect(response.headers.get('x-plimsoll-upstream')).toBe(BARE);
			expect(gateway.traces.last).toMatchObject({ outcome: 'ok', tokens_in: 20, tokens_cached: 4, streamed: false });
		},
	);

	it.each(['ask', 'held', BARE])('gets the stream of %s as Anthropic’s events, in order', async (model) => {
		const { client, gateway } = await start();
		const events = await eventsOf(await client.messages.create({ model, ...ASK, stream: true }));
		const inner = Array<string>(typesOf(events).filter((type) => type === 'content_block_delta').length);
		expect(inner.length).toBeGreaterThan(0);
		expect(typesOf(events)).toEqual([
			'message_start',
			'content_block_start',
			...inner.fill('content_block_delta'),
			'content_block_stop',
			'message_delta',
			'message_stop',
		]);
		const message = await client.messages.stream({ model, ...ASK }).finalMessage();
		expect(message).toMatchObject({
			content: [{ type: 'text', text: TEXT }],
			stop_reason: 'end_turn',
			usage: { input_tokens: 16, cache_read_input_tokens: 4, output_tokens: 17 },
		});
		expect(gateway.traces.last).toMatchObject({ outcome: 'ok', streamed: true });
	});

	it('counts what the cache took and what was thought beside the rest', async () => {
		const usage = {
			prompt_tokens: 1000,
			completion_tokens: 50,
			total_tokens: 1050,
			prompt_tokens_details: { cached_tokens: 600, cache_write_tokens: 300 },
			completion_tokens_details: { reasoning_tokens: 20 },
		};
		const { client } = await start({ upstream: { plan: { usage } } });
		const { usage: said } = await client.messages.create({ model: BARE, ...ASK });
		expect(said).toEqual({
			input_tokens: 100,
			cache_read_input_tokens: 600,
			cache_creation_input_tokens: 300,
			output_tokens: 50,
			output_tokens_details: { thinking_tokens: 20 },
		});
	});

	it('asks the upstream in OpenAI’s words for all that it can say in Anthropic’s', async () => {
		const { client, sent } = await start();
		await client.messages.create({
			model: BARE,
			max_tokens: 50,
			system: [
				{ type: 'text', text: 'Be brief.' },
				{ type: 'text', text: 'Be kind.' },
			],
			...SAMPLING,
			stop_sequences: ['END'],
			metadata: { user_id: 'u1' },
			tools: TOOLS,
			tool_choice: { type: 'tool', name: 'weigh', disable_parallel_tool_use: true },
			output_config: { effort: 'low', format: { type: 'json_schema', schema: { type: 'object' } } },
			messages: [
				{
					role: 'user',
					content: [
						{ type: 'text', text: 'Look:' },
						{ type: 'image', source: { type: 'base64', media_type: 'image/png', data: IMAGES_37_BY_21.png } },
						{ type: 'image', source: { type: 'url', url: 'https://example.test/a.png' } },
						{ type: 'document', source: { type: 'base64', media_type: 'application/pdf', data: 'aGk=' } },
					],
				},
				{
					role: 'assistant',
					content: [
						{ type: 'text', text: 'I weigh.' },
						{ type: 'tool_use', id: 'c1', name: 'weigh', input: { ship: 'Vasa' } },
						{ type: 'tool_use', id: 'c2', name: 'weigh', input: { ship: 'Wasa' } },
					],
				},
				{
					role: 'user',
					content: [
						{ type: 'tool_result', tool_use_id: 'c1', content: '1200 t' },
						{ type: 'tool_result', tool_use_id: 'c2', content: [{ type: 'text', text: 'sunk' }], is_error: true },
						{ type: 'text', text: 'And now?' },
					],
				},
			],
		});
		const call = (id: string, ship: string) => ({
			id,
			type: 'function',
			function: { name: 'weigh', arguments: JSON.stringify({ ship }) },
		});
		expect(sent()).toEqual({
			model: 'double-1',
			stream: false,
			max_tokens: 50,
			temperature: 0.5,
			top_p: 0.9,
			stop: ['END'],
			reasoning_effort: 'low',
			parallel_tool_calls: false,
			tool_choice: { type: 'function', function: { name: 'weigh' } },
			tools: TOOLS.map(({ name, description, input_schema: parameters }) => ({
				type: 'function',
				function: { name, description, parameters },
			})),
			response_format: {
				type: 'json_schema',
				json_schema: { name: 'answer', strict: true, schema: { type: 'object' } },
			},
			messages: [
				{
					role: 'system',
					content: [
						{ type: 'text', text: 'Be brief.' },
						{ type: 'text', text: 'Be kind.' },
					],
				},
				{
					role: 'user',
					content: [
						{ type: 'text', text: 'Look:' },
						{ type: 'image_url', image_url: { url: dataUrl(IMAGES_37_BY_21.png) } },
						{ type: 'image_url', image_url: { url: 'https://example.test/a.png' } },
						{ type: 'file', file: { filename: 'document.pdf', file_data: 'data:application/pdf;base64,aGk=' } },
					],
				},
				{ role: 'assistant', content: 'I weigh.', tool_calls: [call('c1', 'Vasa'), call('c2', 'Wasa')] },
				{ role: 'tool', tool_call_id: 'c1', content: '1200 t' },
				{ role: 'tool', tool_call_id: 'c2', content: 'Error: sunk' },
				{ role: 'user', content: 'And now?' },
			],
		});
	});

	it('gets an object of a schema, whole and streamed', async () => {
		const { client } = await start({ upstream: { plan: {} } });
		const schema = {
			...{ type: 'object', properties: { mark: { type: 'string' } }, required: ['mark'] },
			additionalProperties: false,
		};
		const ask = { model: BARE, ...ASK, output_config: { format: { type: 'json_schema' as const, schema } } };
		for (const { content } of [await client.messages.create(ask), await client.messages.stream(ask).finalMessage()]) {
			const [block] = content;
			expect(JSON.parse(block?.type === 'text' ? block.text : '')).toEqual({ mark: expect.any(String) });
		}
	});

	it('gets parallel calls of tools, whole and streamed', async () => {
		const { client } = await start({ upstream: { plan: { text: 'I look.', toolCalls: 2 } } });
		const ask = { model: BARE, ...ASK, tools: TOOLS };
		const calls = [
			{ type: 'tool_use', name: 'weigh', input: { ship: expect.any(String) } },
			{ type: 'tool_use', name: 'measure', input: { ship: expect.any(String) } },
		];
		const expected = { content: [{ type: 'text', text: 'I look.' }, ...calls], stop_reason: 'tool_use' };
		expect(await client.messages.create(ask)).toMatchObject(expected);
		expect(await client.messages.stream(ask).finalMessage()).toMatchObject(expected);
	});

	it.each(['interleaved_tool_calls', 'duplicate_tool_calls'] as const)(
		'puts a stream’s %s one after the other',
		async (fault) => {
			const { client } = await start({ upstream: { plan: { fault } } });
			const events = await eventsOf(await client.messages.create({ model: BARE, ...ASK, tools: TOOLS, stream: true }));
			const open = new Set<number>();
			for (const event of events) {
				if (event.type === 'content_block_start') {
					expect(open.size).toBe(0);
					open.add(event.index);
				}
				if (event.type === 'content_block_delta') expect([...open]).toEqual([event.index]);
				if (event.type === 'content_block_stop') expect(open.delete(event.index)).toBe(true);
			}
			const { content } = await client.messages.stream({ model: BARE, ...ASK, tools: TOOLS }).finalMessage();
			expect(content).toMatchObject([
				{ name: 'weigh', input: { ship: expect.any(String) } },
				{ name: 'measure', input: { ship: expect.any(String) } },
			]);
		},
	);

	it('is told of a call whose arguments are no JSON by an error, and of one that broke off at the output limit in its words', async () => {
		const { client } = await start({ upstream: { plan: { fault: 'broken_tool_arguments' } } });
		const ask = { model: BARE, ...ASK, tools: TOOLS };
		await expect(client.messages.create(ask)).rejects.toMatchObject({ status: 502, message: /no JSON object/ });
		await expect(client.messages.stream(ask).finalMessage()).rejects.toThrow(/no JSON object/);
		const cut = { fault: 'broken_tool_arguments', finishReason: 'length' } as const;
		const limited = (await start({ upstream: { plan: cut } })).client;
		expect(await limited.messages.create(ask)).toMatchObject({
			content: [{ type: 'tool_use', input: { INVALID_JSON: expect.stringContaining('{') } }],
			stop_reason: 'max_tokens',
		});
	});

	it('gets a feature’s calls of tools where its contract lets clients bring tools', async () => {
		const { client } = await start({ upstream: { plan: { toolCalls: 2 } } });
		const ask = { model: 'tooled', ...ASK, tools: TOOLS };
		const expected = { content: [{ name: 'weigh' }, { name: 'measure' }], stop_reason: 'tool_use' };
		expect(await client.messages.create(ask)).toMatchObject(expected);
		expect(await client.messages.stream(ask).finalMessage()).toMatchObject(expected);
		await expect(client.messages.create({ ...ask, model: 'ask' })).rejects.toMatchObject({
			errorCode: 'parameter_unsupported',
		});
	});

	it.each([
		['length', 'max_tokens'],
		['content_filter', 'refusal'],
		['abort', 'abort'],
	])('is told that an answer ended by %s, and never that its turn is over', async (finishReason, expected) => {
		const { client } = await start({ upstream: { plan: { finishReason } } });
		expect((await client.messages.create({ model: BARE, ...ASK })).stop_reason).toBe(expected);
		expect((await client.messages.stream({ model: BARE, ...ASK }).finalMessage()).stop_reason).toBe(expected);
	});

	it('counts tokens without asking anybody, of an upstream and of a feature', async () => {
		const { client, gateway } = await start();
		const { messages } = ASK;
		const short = await client.messages.countTokens({ model: BARE, messages });
		const long = await client.messages.countTokens({
			model: BARE,
			messages,
			system: 'Be brief. '.repeat(50),
			tools: TOOLS,
		});
		expect(short.input_tokens).toBeGreaterThan(5);
		expect(long.input_tokens).toBeGreaterThan(short.input_tokens + 100);
		expect((await client.messages.countTokens({ model: 'ask', messages })).input_tokens).toBe(5);
		expect(gateway.double.requests).toBe(0);
		expect(gateway.traces.last).toMatchObject({ outcome: 'ok', feature: 'ask', cost_usd_micros: 0 });
		await expect(client.messages.countTokens({ model: 'nobody', messages })).rejects.toMatchObject({ status: 404 });
	});

	it.each([
		['a kind of thinking', { thinking: { type: 'hard' } }, 'thinking.type'],
		['a server’s tool', { tools: [{ type: 'web_search_20250305', name: 'web_search' }] }, 'tools[0]'],
		['a member of a tool', { tools: [{ ...TOOLS[0], defer_loading: true }] }, 'tools[0].defer_loading'],
		['an unknown parameter', { container: 'c1' }, 'container'],
		['a service tier', { service_tier: 'standard_only' }, 'service_tier'],
		[
			'a file by id',
			{ messages: [{ role: 'user', content: [{ type: 'image', source: { type: 'file', file_id: 'f' } }] }] },
			'messages[0].content[0].source.type',
		],
		[
			'citations',
			{ messages: [{ role: 'user', content: [{ type: 'text', text: 'a', citations: [{}] }] }] },
			'messages[0].content[0].citations',
		],
		[
			'a thought without its signature',
			{
				messages: [
					{ role: 'user', content: 'a' },
					{ role: 'assistant', content: [{ type: 'thinking', thinking: 'b' }] },
					{ role: 'user', content: 'c' },
				],
			},
			'messages[1].content[0].signature',
		],
		[
			'an image of a tool',
			{
				messages: [
					{ role: 'user', content: [{ type: 'tool_result', tool_use_id: 'c', content: [{ type: 'image' }] }] },
				],
			},
			'messages[0].content[0].content[0]',
		],
		[
			'text before results',
			{
				messages: [
					{
						role: 'user',
						content: [
							{ type: 'text', text: 'a' },
							{ type: 'tool_result', tool_use_id: 'c' },
						],
					},
				],
			},
			'messages[0].content[1]',
		],
		['no cap', { max_tokens: undefined }, 'max_tokens'],
		['no messages', { messages: [] }, 'messages'],
	])('is refused %s by name', async (_, change, param) => {
		const { client, gateway } = await start();
		const asked = client.messages.create({
			model: BARE,
			...ASK,
			...change,
		} as Anthropic.MessageCreateParamsNonStreaming);
		await expect(asked).rejects.toMatchObject({
			constructor: Anthropic.BadRequestError,
			error: {
				type: 'error',
				error: { type: 'invalid_request_error', param, message: expect.stringContaining(param) },
			},
		});
		expect(gateway.double.requests).toBe(0);
	});

	it('is refused by a feature in the client’s own words', async () => {
		const { client } = await start();
		const refusalOf = (change: object) =>
			client.messages
				.create({ model: 'ask', ...ASK, ...change })
				.then(() => null)
				.catch((error: InstanceType<typeof Anthropic.APIError>) => error.error);
		expect(await refusalOf({ system: 'Be brief.' })).toMatchObject({ error: { param: 'system' } });
		expect(await refusalOf({ stop_sequences: ['x'] })).toMatchObject({
			error: { param: 'stop_sequences', message: expect.stringContaining('list "stop" under') },
		});
		const content = [{ type: 'tool_result', tool_use_id: 'c', content: 'x' }];
		const messages = [...ASK.messages, { role: 'assistant', content: 'a' }, { role: 'user', content }];
		expect(await refusalOf({ messages })).toMatchObject({ error: { param: 'messages[2].role' } });
	});

	it('is told what was not passed on, and so is the trace', async () => {
		const { client, gateway, sent } = await start();
		const cache_control = { type: 'ephemeral' as const };
		const system = [{ type: 'text' as const, text: 'Be brief.', cache_control }];
		for (const stream of [false, true]) {
			const { response } = await client.messages.create({ model: BARE, ...ASK, system, stream }).withResponse();
			await response.text().catch(() => '');
			expect(response.headers.get('x-plimsoll-ignored')).toBe('cache_control');
		}
		expect(JSON.stringify(sent())).not.toContain('cache_control');
		expect(gateway.traces.last.steps.find(({ stage }) => stage === 'route')?.detail.ignored).toBe('cache_control');
	});

	it('gets its own error types with our codes, and a key in either header lets it in', async () => {
		const { client, gateway } = await start();
		const { url: baseURL } = gateway;
		const bearer = new Anthropic({ baseURL, apiKey: null, authToken: KEY, maxRetries: 0 });
		expect((await bearer.messages.create({ model: 'ask', ...ASK })).content).toHaveLength(1);
		const defaultHeaders = { 'x-api-key': 'sk-ant-other' };
		const both = new Anthropic({ baseURL, apiKey: null, authToken: KEY, maxRetries: 0, defaultHeaders });
		expect((await both.messages.create({ model: 'ask', ...ASK })).content).toHaveLength(1);
		const stranger = new Anthropic({ baseURL, apiKey: 'sk-ant-wrong', maxRetries: 0 });
		await expect(stranger.messages.create({ model: 'ask', ...ASK })).rejects.toMatchObject({
			constructor: Anthropic.AuthenticationError,
			type: 'authentication_error',
			errorCode: 'key_invalid',
		});
		await expect(client.messages.create({ model: 'aks', ...ASK })).rejects.toMatchObject({
			constructor: Anthropic.NotFoundError,
			type: 'not_found_error',
			errorCode: 'model_not_found',
			requestID: expect.stringMatching(/^req_/),
		});
	});

	it('does not come back when it is told not to', async () => {
		const { gateway } = await start({
			upstream: { plan: { status: 429, error: { message: 'slow down' }, headers: { 'retry-after': '7' } } },
		});
		const eager = new Anthropic({ baseURL: gateway.url, apiKey: KEY, maxRetries: 4 });
		await expect(eager.messages.create({ model: 'ask', ...ASK })).rejects.toMatchObject({
			constructor: Anthropic.RateLimitError,
			type: 'rate_limit_error',
			errorCode: 'upstream_rate_limited',
		});
		expect(gateway.double.requests).toBe(1);
	});

	it.each(['ask', BARE])('gets an error, and no message_stop, from a stream of %s that was cut', async (model) => {
		const { client, gateway } = await start({ upstream: { plan: { fault: 'cut' } } });
		const events: string[] = [];
		const reading = (async () => {
			for await (const { type } of await client.messages.create({ model, ...ASK, stream: true })) events.push(type);
		})();
		await expect(reading).rejects.toMatchObject({ type: 'api_error', errorCode: 'upstream_stream_cut' });
		expect(events).toContain('content_block_delta');
		expect(events).not.toContain('message_delta');
		expect(gateway.traces.last).toMatchObject({ outcome: 'failed', error_code: 'upstream_stream_cut' });
	});

	it.each(['ask', BARE])(
		'cancels the upstream when it leaves %s, plain and in the middle of a stream',
		async (model) => {
			const { client, gateway } = await start({ upstream: { plan: { gapMs: 200, chunks: 15 } } });
			const stream = await client.messages.create({ model, ...ASK, stream: true });
			for await (const { type } of stream) if (type === 'content_block_delta') break;
			stream.controller.abort();
			await gateway.double.aborted();
			gateway.double.next({ fault: 'silent' });
			const abort = new AbortController();
			const asked = client.messages.create({ model, ...ASK }, { signal: abort.signal });
			const refused = expect(asked).rejects.toThrow(Anthropic.APIUserAbortError);
			await gateway.double.arrived(2);
			abort.abort();
			await refused;
			await gateway.double.aborted(2);
			await expect.poll(() => gateway.traces.traces.map(({ outcome }) => outcome)).toEqual(['cancelled', 'cancelled']);
		},
	);

	it('gets the same stream again for the same key, and an error in its own shape for another body', async () => {
		const bounds = { recordsMax: 100, bytesMax: 1_000_000 };
		const keyed = await openSqliteIdempotency(':memory:', { bounds, clock: systemClock });
		const { client, gateway } = await start({ keyed });
		const options = { headers: { 'idempotency-key': 'k1' } };
		const read = async () => {
			const response = await client.messages.create({ model: BARE, ...ASK, stream: true }, options).asResponse();
			return { text: await response.text(), replayed: response.headers.get('idempotency-replayed') };
		};
		const first = await read();
		expect(first.text).toMatch(/event: message_stop\ndata: {"type":"message_stop"}\n\n$/);
		expect(await read()).toEqual({ text: first.text, replayed: 'true' });
		expect(gateway.double.requests).toBe(1);
		await expect(client.messages.create({ model: 'ask', ...ASK }, options)).rejects.toMatchObject({
			error: { type: 'error', error: { code: 'idempotency_key_reused' } },
		});
		await keyed.close();
	});
});
