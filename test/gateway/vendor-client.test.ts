import Anthropic from '@anthropic-ai/sdk';
import OpenAI from 'openai';
import { describe, expect, it, onTestFinished } from 'vitest';
import { FAMILIES, startFamily } from '../support/family-fixture.ts';
import { startGateway } from '../support/gateway-fixture.ts';
import { feature, KEY } from '../support/runtime-fixture.ts';
import { COUNTS, TEXT } from '../support/vendor-formats.ts';

const BARE = 'double/default';
const ASK = { model: BARE, messages: [{ role: 'user' as const, content: 'What is a load line?' }] };
const TOOLS = [
	{ type: 'function' as const, function: { name: 'weigh', parameters: { type: 'object', properties: {} } } },
];

async function start(name: string) {
	const { double, model } = await startFamily(FAMILIES[name] as (typeof FAMILIES)[string]);
	const gateway = await startGateway({ model, features: () => [feature({ feature: 'ask' }, { route: [model] })] });
	onTestFinished(() => gateway.close());
	return { double, gateway, client: new OpenAI({ baseURL: `${gateway.url}/v1`, apiKey: KEY, maxRetries: 0 }) };
}

describe.each(Object.keys(FAMILIES))('the official openai client over the family %s', (name) => {
	it('gets a bare upstream’s whole answer in OpenAI’s shape', async () => {
		const { double, client, gateway } = await start(name);
		const headers = { 'x-ratelimit-remaining-requests': '9' };
		double.next({ text: TEXT, headers, toolCalls: [{ id: 'c1', name: 'weigh', args: { ship: 'Vasa' } }] });
		const answer = await client.chat.completions.create({ ...ASK, tools: TOOLS });
		expect(answer.choices[0]).toMatchObject({
			message: { role: 'assistant', content: TEXT, tool_calls: [{ type: 'function', function: { name: 'weigh' } }] },
			finish_reason: 'tool_calls',
		});
		expect(answer.usage).toMatchObject({
			prompt_tokens: COUNTS.input,
			completion_tokens: COUNTS.output,
		});
		expect(gateway.traces.last).toMatchObject({ outcome: 'ok', upstream: BARE, finish_reason: 'tool_calls' });
		const generated = gateway.traces.last.steps.find(({ stage }) => stage === 'generate');
		expect(generated?.detail).toMatchObject(headers);
	});

	it('gets a bare upstream’s stream with tool calls, and puts them together', async () => {
		const { double, client, gateway } = await start(name);
		double.next({
			text: TEXT,
			toolCalls: ['Vasa', 'Wasa'].map((ship) => ({ id: ship, name: 'weigh', args: { ship } })),
		});
		const runner = client.chat.completions.stream({ ...ASK, tools: TOOLS, stream_options: { include_usage: true } });
		const answer = await runner.finalChatCompletion();
		const [choice] = answer.choices;
		expect(choice).toMatchObject({ message: { content: TEXT }, finish_reason: 'tool_calls' });
		const calls = choice?.message.tool_calls?.map((call) => 'function' in call && JSON.parse(call.function.arguments));
		expect(calls).toEqual([{ ship: 'Vasa' }, { ship: 'Wasa' }]);
		expect(answer.usage).toMatchObject({ prompt_tokens: COUNTS.input, completion_tokens: COUNTS.output });
		expect(gateway.traces.last).toMatchObject({ outcome: 'ok', streamed: true });
	});

	it('never gets a cut stream as a whole one', async () => {
		const { double, client } = await start(name);
		double.next({ text: TEXT, fault: 'cut', frames: 6 });
		const read = async () => {
			for await (const _ of await client.chat.completions.create({ ...ASK, stream: true }));
		};
		await expect(read()).rejects.toThrow(/broke off/);
	});

	it('gets a feature’s answer, plain and streamed', async () => {
		const { double, client } = await start(name);
		double.next({ text: TEXT }, { text: TEXT });
		const plain = await client.chat.completions.create({ ...ASK, model: 'ask' });
		expect(plain.choices[0]?.message.content).toBe(TEXT);
		let text = '';
		for await (const chunk of await client.chat.completions.create({ ...ASK, model: 'ask', stream: true })) {
			text += chunk.choices[0]?.delta.content ?? '';
		}
		expect(text).toBe(TEXT);
	});

	it('answers the official @anthropic-ai/sdk as well, whole and streamed', async () => {
		const { double, gateway } = await start(name);
		const calls = ['Vasa', 'Wasa'].map((ship) => ({ id: ship, name: 'weigh', args: { ship } }));
		double.next({ text: TEXT, toolCalls: calls }, { text: TEXT, toolCalls: calls });
		const client = new Anthropic({ baseURL: gateway.url, apiKey: KEY, maxRetries: 0 });
		const tools = [{ name: 'weigh', input_schema: { type: 'object' as const, properties: {} } }];
		const ask = { ...ASK, max_tokens: 100, tools };
		const expected = {
			content: [
				{ type: 'text', text: TEXT },
				{ type: 'tool_use', input: { ship: 'Vasa' } },
				{ type: 'tool_use', input: { ship: 'Wasa' } },
			],
			stop_reason: 'tool_use',
			usage: { output_tokens: COUNTS.output },
		};
		for (const message of [await client.messages.create(ask), await client.messages.stream(ask).finalMessage()]) {
			expect(message).toMatchObject(expected);
			const {
				input_tokens: fresh,
				cache_creation_input_tokens: written,
				cache_read_input_tokens: read,
			} = message.usage;
			expect(fresh + (written ?? 0) + (read ?? 0)).toBe(COUNTS.input);
		}
	});

	it('learns which parameter the provider does not have', async () => {
		const { double, client } = await start(name);
		const asked = client.chat.completions.create({ ...ASK, logit_bias: { 1: 5 } });
		await expect(asked).rejects.toMatchObject({
			...{ status: 400, code: 'parameter_unsupported', param: 'logit_bias' },
			message: expect.stringMatching(/logit_bias is a parameter that this provider does not have/),
		});
		expect(double.received).toHaveLength(0);
	});
});
