import OpenAI from 'openai';
import type {
	Response as OpenAIResponse,
	ResponseCreateParams,
	ResponseStreamEvent,
} from 'openai/resources/responses/responses';
import { afterEach, describe, expect, it } from 'vitest';
import { systemClock } from '../../src/base/clock.ts';
import { openSqliteIdempotency } from '../../src/stores/sqlite-idempotency.ts';
import { type RunningGateway, startGateway } from '../support/gateway-fixture.ts';
import { feature, hit, KEY, retrieverOf } from '../support/runtime-fixture.ts';
import { dataUrl, IMAGES_37_BY_21 } from '../support/tiny-images.ts';

/** What the double says unless told otherwise. */
const TEXT = 'The load line of a ship shows how much it may carry in each season and sea.';
const BARE = 'test/primary';
const ASK = { input: 'What is a load line?' };
const TOOLS = ['weigh', 'measure'].map((name) => ({
	type: 'function' as const,
	name,
	description: `To ${name} a ship`,
	parameters: { type: 'object', properties: { ship: { type: 'string' } }, required: ['ship'] },
	strict: true,
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
			feature({ feature: 'tooled', models: { clientParameters: ['tools'] } }, { route: [model] }),
		],
		retriever: retrieverOf([hit(1, 'A load line is a mark.')]),
		...options,
	});
	const client = new OpenAI({ baseURL: `${gateway.url}/v1`, apiKey: KEY, maxRetries: 0 });
	const sent = () => JSON.parse(gateway?.double.bodies.at(-1) ?? '{}');
	return { client, gateway, sent };
}

async function eventsOf(stream: AsyncIterable<ResponseStreamEvent>): Promise<ResponseStreamEvent[]> {
	const events: ResponseStreamEvent[] = [];
	for await (const event of stream) events.push(event);
	return events;
}

/** The response with which a stream ended. */
function lastOf(events: readonly ResponseStreamEvent[]): OpenAIResponse {
	const last = events.at(-1);
	if (last?.type !== 'response.completed' && last?.type !== 'response.incomplete')
		throw new Error(`ended by ${last?.type}`);
	return last.response;
}

const withoutTimes = ({ id, created_at, output, ...rest }: OpenAIResponse) => ({
	...rest,
	output: output.map(({ id: _, ...item }) => item),
});

describe('responses of the official openai client', () => {
	it.each(['ask', 'held', BARE])('are whole answers of %s, with usage and the trace’s id', async (model) => {
		const { client, gateway } = await start();
		const response = await client.responses.create({ model, ...ASK, metadata: { order: '1' } });
		expect(response).toMatchObject({
			object: 'response',
			status: 'completed',
			output_text: TEXT,
			error: null,
			incomplete_details: null,
			store: false,
			metadata: { order: '1' },
			usage: {
				input_tokens: 20,
				input_tokens_details: { cached_tokens: 4 },
				output_tokens: 17,
				output_tokens_details: { reasoning_tokens: 0 },
				total_tokens: 37,
			},
		});
		expect(response.id).toBe(gateway.traces.last.request_id);
		expect(gateway.traces.last).toMatchObject({ outcome: 'ok', streamed: false });
	});

	it.each(['ask', 'held', BARE])(
		'are streams of %s with numbered events that say what the whole answer says',
		async (model) => {
			const { client, gateway } = await start();
			const events = await eventsOf(await client.responses.create({ model, ...ASK, stream: true }));
			expect(events.map((event) => event.sequence_number)).toEqual(events.map((_, index) => index));
			const types = events.map(({ type }) => type);
			expect(types.filter((type) => type !== 'response.output_text.delta')).toEqual([
				'response.created',
				'response.in_progress',
				'response.output_item.added',
				'response.content_part.added',
				'response.output_text.done',
				'response.content_part.done',
				'response.output_item.done',
				'response.completed',
			]);
			const said = events.map((event) => (event.type === 'response.output_text.delta' ? event.delta : ''));
			expect(said.join('')).toBe(TEXT);
			const { output_text: _, ...plain } = await client.responses.create({ model, ...ASK });
			const { plimsoll: __, ...expected } = withoutTimes(plain as OpenAIResponse) as Record<string, unknown>;
			expect(withoutTimes(lastOf(events))).toMatchObject(expected);
			const final = await client.responses.stream({ model, ...ASK }).finalResponse();
			expect(final.output_text).toBe(TEXT);
			expect(gateway.traces.last).toMatchObject({ streamed: true, outcome: 'ok' });
		},
	);

	it('ask the upstream in the words of chat completions for all that they can say', async () => {
		const { client, sent } = await start();
		await client.responses.create({
			model: BARE,
			instructions: 'Be brief.',
			max_output_tokens: 50,
			temperature: 0.5,
			top_p: 0.9,
			parallel_tool_calls: false,
			tool_choice: { type: 'function', name: 'weigh' },
			tools: TOOLS,
			reasoning: { effort: 'low' },
			text: {
				verbosity: 'low',
				format: { type: 'json_schema', name: 'ship', schema: { type: 'object' }, strict: true },
			},
			prompt_cache_key: 'k',
			user: 'u1',
			store: false,
			include: ['reasoning.encrypted_content'],
			input: [
				{
					role: 'user',
					content: [
						{ type: 'input_text', text: 'Look:' },
						{ type: 'input_image', image_url: dataUrl(IMAGES_37_BY_21.png), detail: 'low' },
						{ type: 'input_file', filename: 'a.pdf', file_data: 'data:application/pdf;base64,aGk=' },
					],
				},
				{
					type: 'message',
					id: 'msg_1',
					status: 'completed',
					role: 'assistant',
					content: [{ type: 'output_text', text: 'I weigh.', annotations: [] }],
				},
				{ type: 'function_call', call_id: 'c1', name: 'weigh', arguments: '{"ship":"Vasa"}' },
				{ type: 'function_call', call_id: 'c2', name: 'weigh', arguments: '{"ship":"Wasa"}' },
				{ type: 'function_call_output', call_id: 'c1', output: '1200 t' },
				{ type: 'function_call_output', call_id: 'c2', output: [{ type: 'input_text', text: 'sunk' }] },
				{ role: 'developer', content: 'Be kind.' },
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
			parallel_tool_calls: false,
			prompt_cache_key: 'k',
			reasoning_effort: 'low',
			verbosity: 'low',
			tool_choice: { type: 'function', function: { name: 'weigh' } },
			tools: TOOLS.map(({ type, ...inner }) => ({ type, function: inner })),
			response_format: { type: 'json_schema', json_schema: { name: 'ship', schema: { type: 'object' }, strict: true } },
			messages: [
				{ role: 'system', content: 'Be brief.' },
				{
					role: 'user',
					content: [
						{ type: 'text', text: 'Look:' },
						{ type: 'image_url', image_url: { url: dataUrl(IMAGES_37_BY_21.png), detail: 'low' } },
						{ type: 'file', file: { filename: 'a.pdf', file_data: 'data:application/pdf;base64,aGk=' } },
					],
				},
				{ role: 'assistant', content: 'I weigh.', tool_calls: [call('c1', 'Vasa'), call('c2', 'Wasa')] },
				{ role: 'tool', tool_call_id: 'c1', content: '1200 t' },
				{ role: 'tool', tool_call_id: 'c2', content: 'sunk' },
				{ role: 'developer', content: 'Be kind.' },
			],
		});
	});

	it.each([BARE, 'tooled'])('bring parallel calls of tools from %s, whole and streamed', async (model) => {
		const { client } = await start({ upstream: { plan: { toolCalls: 2 } } });
		const ask = { model, ...ASK, tools: TOOLS };
		const plain = await client.responses.create(ask);
		expect(plain.status).toBe('completed');
		expect(plain.output).toMatchObject([
			{ type: 'function_call', name: 'weigh', call_id: expect.stringContaining('call_'), status: 'completed' },
			{ type: 'function_call', name: 'measure', call_id: expect.stringContaining('call_'), status: 'completed' },
		]);
		const final = await client.responses.stream(ask).finalResponse();
		const calls = final.output.map((item) => item.type === 'function_call' && JSON.parse(item.arguments));
		expect(calls).toEqual([{ ship: expect.any(String) }, { ship: expect.any(String) }]);
	});

	it.each(['interleaved_tool_calls', 'duplicate_tool_calls'] as const)('keep a stream’s %s apart', async (fault) => {
		const { client } = await start({ upstream: { plan: { fault } } });
		const events = await eventsOf(await client.responses.create({ model: BARE, ...ASK, tools: TOOLS, stream: true }));
		const args = new Map<string, string>();
		for (const event of events) {
			if (event.type !== 'response.function_call_arguments.delta') continue;
			args.set(event.item_id, (args.get(event.item_id) ?? '') + event.delta);
		}
		expect([...args.values()].map((text) => JSON.parse(text))).toEqual([
			{ ship: expect.any(String) },
			{ ship: expect.any(String) },
		]);
		expect(lastOf(events).output).toMatchObject([{ name: 'weigh' }, { name: 'measure' }]);
	});

	it.each([
		['length', 'max_output_tokens'],
		['content_filter', 'content_filter'],
		['abort', 'abort'],
	])('that ended by %s are incomplete, and say why', async (finishReason, reason) => {
		const { client } = await start({ upstream: { plan: { finishReason } } });
		const expected = { status: 'incomplete', incomplete_details: { reason } };
		const plain = await client.responses.create({ model: BARE, ...ASK });
		expect(plain).toMatchObject(expected);
		expect(plain.output[0]).toMatchObject({ status: 'incomplete' });
		const events = await eventsOf(await client.responses.create({ model: BARE, ...ASK, stream: true }));
		expect(events.at(-1)?.type).toBe('response.incomplete');
		expect(lastOf(events)).toMatchObject(expected);
	});

	it.each<[string, object, string]>([
		['a stored response', { previous_response_id: 'resp_1' }, 'previous_response_id'],
		['to be stored', { store: true }, 'store'],
		['a conversation', { conversation: 'conv_1' }, 'conversation'],
		['work in the background', { background: true }, 'background'],
		['truncation', { truncation: 'auto' }, 'truncation'],
		['OpenAI’s own tools', { tools: [{ type: 'web_search' }] }, 'tools[0]'],
		['a choice of them', { tool_choice: { type: 'web_search' } }, 'tool_choice.type'],
		['more in the output', { include: ['message.output_text.logprobs'] }, 'include[0]'],
		['an unknown parameter', { top_logprobs: 3 }, 'top_logprobs'],
		['a reference', { input: [{ type: 'item_reference', id: 'msg_1' }] }, 'input[0]'],
		[
			'a thought of another form',
			{ input: [{ type: 'reasoning', id: 'rs_1', summary: [{ type: 'x' }] }] },
			'input[0].summary[0].type',
		],
		[
			'a stored image',
			{ input: [{ role: 'user', content: [{ type: 'input_image', file_id: 'f' }] }] },
			'input[0].content[0].file_id',
		],
		['an unknown part', { input: [{ role: 'user', content: [{ type: 'video' }] }] }, 'input[0].content[0].type'],
		['a call without a name', { input: [{ type: 'function_call', call_id: 'c', arguments: '' }] }, 'input[0].name'],
		['nothing', { input: [] }, 'input'],
	])('are refused %s by name', async (_, change, param) => {
		const { client, gateway } = await start();
		const asked = client.responses.create({ model: BARE, ...ASK, ...change } as ResponseCreateParams);
		await expect(asked).rejects.toMatchObject({ constructor: OpenAI.BadRequestError, param });
		expect(gateway.double.requests).toBe(0);
	});

	it('are refused by a feature in the client’s own words', async () => {
		const { client } = await start();
		const refused = (change: object) => expect(client.responses.create({ model: 'ask', ...ASK, ...change })).rejects;
		await refused({ instructions: 'Be brief.' }).toMatchObject({ param: 'instructions' });
		await refused({ text: { format: { type: 'json_object' } } }).toMatchObject({ param: 'text.format' });
		await refused({
			input: [
				{ role: 'user', content: 'a' },
				{ role: 'system', content: 'b' },
			],
		}).toMatchObject({
			param: 'input[1]',
		});
	});

	it.each(['ask', BARE])('that are cut in the middle of a stream of %s fail, and never complete', async (model) => {
		const { client, gateway } = await start({ upstream: { plan: { fault: 'cut' } } });
		const events: string[] = [];
		const reading = (async () => {
			for await (const { type } of await client.responses.create({ model, ...ASK, stream: true })) events.push(type);
		})();
		await expect(reading).rejects.toMatchObject({ code: 'upstream_stream_cut' });
		expect(events.at(-1)).toBe('response.failed');
		expect(events.filter((type) => type.endsWith('.done') || type.endsWith('completed'))).toEqual([]);
		expect(gateway.traces.last).toMatchObject({ outcome: 'failed', error_code: 'upstream_stream_cut' });
	});

	it.each(['ask', BARE])(
		'cancel the upstream when their client leaves %s, plain and in the middle of a stream',
		async (model) => {
			const { client, gateway } = await start({ upstream: { plan: { gapMs: 200, chunks: 15 } } });
			const stream = await client.responses.create({ model, ...ASK, stream: true });
			for await (const { type } of stream) if (type === 'response.output_text.delta') break;
			stream.controller.abort();
			await gateway.double.aborted();
			gateway.double.next({ fault: 'silent' });
			const abort = new AbortController();
			const asked = client.responses.create({ model, ...ASK }, { signal: abort.signal });
			const refused = expect(asked).rejects.toThrow(OpenAI.APIUserAbortError);
			await gateway.double.arrived(2);
			abort.abort();
			await refused;
			await gateway.double.aborted(2);
			await expect.poll(() => gateway.traces.traces.map(({ outcome }) => outcome)).toEqual(['cancelled', 'cancelled']);
		},
	);

	it('are the same stream again for the same key', async () => {
		const bounds = { recordsMax: 100, bytesMax: 1_000_000 };
		const keyed = await openSqliteIdempotency(':memory:', { bounds, clock: systemClock });
		const { client, gateway } = await start({ keyed });
		const options = { headers: { 'idempotency-key': 'k1' } };
		const read = async () => {
			const response = await client.responses.create({ model: BARE, ...ASK, stream: true }, options).asResponse();
			return { text: await response.text(), replayed: response.headers.get('idempotency-replayed') };
		};
		const first = await read();
		expect(first.text).toContain('event: response.completed');
		expect(await read()).toEqual({ text: first.text, replayed: 'true' });
		expect(gateway.double.requests).toBe(1);
		await keyed.close();
	});
});
