import Anthropic from '@anthropic-ai/sdk';
import { afterEach, describe, expect, it } from 'vitest';
import { type Plan, startUpstreamDouble } from '../support/upstream-double.ts';

const open: { close(): Promise<void> }[] = [];
afterEach(async () => {
	for (const thing of open.splice(0).reverse()) await thing.close();
});

async function start(plan: Plan = {}) {
	const double = await startUpstreamDouble({ plan });
	open.push(double);
	const baseURL = double.url.replace(/\/v1$/, '');
	return { double, client: new Anthropic({ baseURL, apiKey: 'sk-ant-test', maxRetries: 0 }) };
}

const ask = {
	model: 'claude-x',
	max_tokens: 100,
	messages: [{ role: 'user' as const, content: 'What is a load line?' }],
};
const tools = ['draught', 'tide'].map((name) => ({
	name,
	input_schema: { type: 'object' as const, properties: { port: { type: 'string' } } },
}));

describe('the official Anthropic client reads the double', () => {
	it('a message; what is cached is counted beside the rest', async () => {
		const counts = { tokensIn: 100, tokensOut: 20, tokensCached: 30, tokensCacheWritten: 50, tokensReasoning: 5 };
		const { client } = await start({ counts, text: 'Aye.' });
		const message = await client.messages.create(ask);
		expect(message).toMatchObject({
			type: 'message',
			role: 'assistant',
			model: 'claude-x',
			stop_reason: 'end_turn',
			content: [{ type: 'text', text: 'Aye.' }],
			usage: {
				input_tokens: 20,
				cache_read_input_tokens: 30,
				cache_creation_input_tokens: 50,
				output_tokens: 20,
				output_tokens_details: { thinking_tokens: 5 },
			},
		});
	});

	it('a stream with thinking, text and parallel tools is the same message', async () => {
		const { client } = await start({ text: 'Let me look.', toolCalls: 2 });
		const thinking = { type: 'enabled' as const, budget_tokens: 1024 };
		const plain = await client.messages.create({ ...ask, thinking, tools });
		const streamed = await client.messages.stream({ ...ask, thinking, tools }).finalMessage();
		expect(plain.content.map(({ type }) => type)).toEqual(['thinking', 'text', 'tool_use', 'tool_use']);
		expect(streamed.content).toEqual(plain.content);
		expect(streamed.stop_reason).toBe('tool_use');
		expect(streamed.usage).toMatchObject({ input_tokens: 16, cache_read_input_tokens: 4, output_tokens: 17 });
	});

	it('every type of event, in the documented order', async () => {
		const { client } = await start({ text: 'Aye aye.', thinking: 'Hm.' });
		const types = [];
		for await (const event of await client.messages.create({ ...ask, stream: true })) {
			types.push('delta' in event && 'type' in event.delta ? `${event.type}:${event.delta.type}` : event.type);
		}
		expect(types).toEqual([
			'message_start',
			'content_block_start',
			'content_block_delta:thinking_delta',
			'content_block_delta:signature_delta',
			'content_block_stop',
			'content_block_start',
			'content_block_delta:text_delta',
			'content_block_delta:text_delta',
			'content_block_stop',
			'message_delta',
			'message_stop',
		]);
	});

	it('text once the tools have answered', async () => {
		const { client } = await start();
		const message = await client.messages.create({
			...ask,
			tools,
			messages: [
				...ask.messages,
				{ role: 'assistant', content: [{ type: 'tool_use', id: 'toolu_1', name: 'tide', input: {} }] },
				{ role: 'user', content: [{ type: 'tool_result', tool_use_id: 'toolu_1', content: '3 m' }] },
			],
		});
		expect(message.content.map(({ type }) => type)).toEqual(['text']);
	});

	it.each([
		['truncated', 'max_tokens'],
		['filtered', 'refusal'],
	] as const)('%s ends with %s', async (fault, reason) => {
		const { client } = await start({ fault });
		expect((await client.messages.create(ask)).stop_reason).toBe(reason);
		expect((await client.messages.stream(ask).finalMessage()).stop_reason).toBe(reason);
	});

	it.each([
		['rate_limited', 429, 'rate_limit_error'],
		['quota', 402, 'billing_error'],
		['server_error', 500, 'api_error'],
		['overloaded', 529, 'overloaded_error'],
		['context_too_long', 400, 'invalid_request_error'],
		['authentication', 401, 'authentication_error'],
		['permission', 403, 'permission_error'],
		['model_not_found', 404, 'not_found_error'],
	] as const)('the error %s', async (fault, status, type) => {
		const { client } = await start({ fault });
		const error = await client.messages.create(ask).catch((thrown) => thrown);
		expect(error).toBeInstanceOf(Anthropic.APIError);
		expect(error).toMatchObject({ status, error: { type: 'error', error: { type } } });
	});

	it('an overload in the middle of a stream', async () => {
		const { client } = await start({ fault: 'error_in_stream' });
		await expect(client.messages.stream(ask).finalMessage()).rejects.toThrow(/overloaded_error/);
	});

	it('the count of tokens, and the list of models', async () => {
		const { client } = await start();
		expect((await client.messages.countTokens(ask)).input_tokens).toBeGreaterThan(3);
		expect((await client.models.list()).data.map(({ id }) => id)).toEqual(['mock-1', 'mock-embed']);
	});
});
