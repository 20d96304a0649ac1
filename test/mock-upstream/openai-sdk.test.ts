import OpenAI from 'openai';
import { afterEach, describe, expect, it } from 'vitest';
import { type Plan, startUpstreamDouble } from '../support/upstream-double.ts';

const open: { close(): Promise<void> }[] = [];
afterEach(async () => {
	for (const thing of open.splice(0).reverse()) await thing.close();
});

async function start(plan: Plan = {}) {
	const double = await startUpstreamDouble({ plan });
	open.push(double);
	return { double, client: new OpenAI({ baseURL: double.url, apiKey: 'sk-test', maxRetries: 0 }) };
}

const messages = [{ role: 'user' as const, content: 'What is a load line?' }];
const tool = (name: string) => ({
	type: 'function' as const,
	function: {
		name,
		parameters: { type: 'object', properties: { port: { type: 'string' }, depth: { type: 'integer', minimum: 3 } } },
	},
});
const tools = [tool('draught'), tool('tide')];
const ARGUMENTS = { port: 'load line', depth: 3 };

describe('the official openai client reads the double', () => {
	it('a plain chat completion, with cached and reasoning tokens', async () => {
		const { client } = await start({
			counts: { tokensIn: 50, tokensOut: 20, tokensCached: 30, tokensReasoning: 12 },
		});
		const answer = await client.chat.completions.create({ model: 'gpt-x', messages, reasoning_effort: 'low' });
		expect(answer.model).toBe('gpt-x');
		expect(answer.choices[0]).toMatchObject({ finish_reason: 'stop', message: { content: /load line/ } });
		expect(answer.usage).toMatchObject({
			prompt_tokens: 50,
			completion_tokens: 20,
			total_tokens: 70,
			prompt_tokens_details: { cached_tokens: 30 },
			completion_tokens_details: { reasoning_tokens: 12 },
		});
	});

	it('a stream, with usage only where it is asked for', async () => {
		const { client } = await start();
		const plain = (await client.chat.completions.create({ model: 'gpt-x', messages })).choices[0]?.message.content;
		for (const include_usage of [true, false]) {
			const ask = { model: 'gpt-x', messages, stream: true, stream_options: { include_usage } } as const;
			const chunks = [];
			for await (const chunk of await client.chat.completions.create(ask)) chunks.push(chunk);
			expect(chunks.map((chunk) => chunk.choices[0]?.delta.content ?? '').join('')).toBe(plain);
			expect(chunks.filter((chunk) => chunk.usage)).toHaveLength(include_usage ? 1 : 0);
			expect(chunks.flatMap((chunk) => chunk.choices[0]?.finish_reason ?? [])).toEqual(['stop']);
		}
	});

	it('parallel tool calls, plain and streamed the same', async () => {
		const { client } = await start({ toolCalls: 2 });
		const plain = await client.chat.completions.create({ model: 'gpt-x', messages, tools });
		const streamed = await client.chat.completions.stream({ model: 'gpt-x', messages, tools }).finalChatCompletion();
		for (const { choices } of [plain, streamed]) {
			expect(choices[0]?.finish_reason).toBe('tool_calls');
			const calls = choices[0]?.message.tool_calls?.map((call) => ('function' in call ? call.function : null));
			expect(calls?.map((call) => call?.name)).toEqual(['draught', 'tide']);
			expect(calls?.map((call) => JSON.parse(call?.arguments ?? ''))).toEqual([ARGUMENTS, ARGUMENTS]);
		}
	});

	it('one call where parallel ones are off or one is named, and text once the tools have answered', async () => {
		const { client } = await start({ toolCalls: 2 });
		const ask = { model: 'gpt-x', messages, tools };
		const called = async (more: object) =>
			(await client.chat.completions.create({ ...ask, ...more })).choices[0]?.message.tool_calls?.map((call) =>
				'function' in call ? call.function.name : null,
			);
		expect(await called({ parallel_tool_calls: false })).toEqual(['draught']);
		expect(await called({ tool_choice: { type: 'function', function: { name: 'tide' } } })).toEqual(['tide', 'tide']);
		expect(await called({ tool_choice: 'none' })).toBeUndefined();
		const answered = [...messages, { role: 'tool', tool_call_id: 'call_double-0', content: '{"m":3}' }];
		expect(await called({ messages: answered })).toBeUndefined();
	});

	it('an answer that fits its JSON schema', async () => {
		const { client } = await start();
		const schema = {
			type: 'object',
			properties: { kind: { enum: ['summer', 'winter'] }, marks: { type: 'array', items: { $ref: '#/$defs/mark' } } },
			required: ['kind', 'marks'],
			$defs: { mark: { type: 'object', properties: { mm: { type: 'number', minimum: 25 } }, required: ['mm'] } },
		};
		const answer = await client.chat.completions.create({
			model: 'gpt-x',
			messages,
			response_format: { type: 'json_schema', json_schema: { name: 'line', schema, strict: true } },
		});
		expect(JSON.parse(answer.choices[0]?.message.content ?? '')).toEqual({ kind: 'summer', marks: [{ mm: 25 }] });
	});

	it('a response of the responses API, plain and streamed the same', async () => {
		const { client } = await start({ thinking: 'Hm.', toolCalls: 2, text: 'Aye.' });
		const ask = {
			model: 'gpt-x',
			input: 'What is a load line?',
			tools: tools.map(({ function: { name, parameters } }) => ({
				type: 'function' as const,
				name,
				parameters,
				strict: false,
			})),
		};
		const plain = await client.responses.create(ask);
		const streamed = await client.responses.stream(ask).finalResponse();
		for (const response of [plain, streamed]) {
			expect(response.status).toBe('completed');
			expect(response.output_text).toBe('Aye.');
			expect(response.output.map(({ type }) => type)).toEqual([
				'reasoning',
				'message',
				'function_call',
				'function_call',
			]);
			expect(response.usage).toMatchObject({ input_tokens: 20, input_tokens_details: { cached_tokens: 4 } });
		}
		expect(streamed.output).toEqual(plain.output.map((item) => expect.objectContaining({ id: item.id })));
	});

	it('embeddings, and the list of models', async () => {
		const { client } = await start();
		const { data, usage } = await client.embeddings.create({
			model: 'e',
			input: ['load line', 'hull'],
			dimensions: 16,
		});
		expect(data.map((one) => one.embedding.length)).toEqual([16, 16]);
		expect(usage.total_tokens).toBe(3);
		expect((await client.models.list()).data.map(({ id }) => id)).toEqual(['mock-1', 'mock-embed']);
		expect((await client.models.retrieve('other')).id).toBe('other');
	});

	it.each([
		['rate_limited', OpenAI.RateLimitError, 'rate_limit_exceeded'],
		['quota', OpenAI.RateLimitError, 'insufficient_quota'],
		['server_error', OpenAI.InternalServerError, null],
		['context_too_long', OpenAI.BadRequestError, 'context_length_exceeded'],
		['content_filter', OpenAI.BadRequestError, 'content_filter'],
		['bad_request', OpenAI.BadRequestError, null],
		['authentication', OpenAI.AuthenticationError, 'invalid_api_key'],
		['permission', OpenAI.PermissionDeniedError, 'model_not_allowed'],
		['model_not_found', OpenAI.NotFoundError, 'model_not_found'],
	] as const)('the error %s', async (fault, type, code) => {
		const { client } = await start({ fault });
		for (const stream of [false, true]) {
			const error = await client.chat.completions
				.create({ model: 'gpt-x', messages, stream })
				.catch((thrown) => thrown);
			expect(error).toBeInstanceOf(type);
			expect(error.code).toBe(code);
		}
	});

	it('an error in the middle of a stream', async () => {
		const { client } = await start({ fault: 'error_in_stream', afterChunks: 3 });
		const stream = await client.chat.completions.create({ model: 'gpt-x', messages, stream: true });
		const read = async () => {
			for await (const _ of stream);
		};
		await expect(read()).rejects.toThrow(/overloaded/);
	});

	it('a request that is none', async () => {
		const { client } = await start();
		const wrong = client.chat.completions.create({ model: 'gpt-x', messages: [] });
		await expect(wrong).rejects.toThrow(/'messages': expected at least one element/);
	});
});
