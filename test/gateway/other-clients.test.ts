import { createAnthropic } from '@ai-sdk/anthropic';
import { createOpenAI } from '@ai-sdk/openai';
import { ChatOpenAI, OpenAIEmbeddings } from '@langchain/openai';
import { embedMany, generateText, isStepCount, jsonSchema, Output, streamText, tool } from 'ai';
import { describe, expect, it, onTestFinished } from 'vitest';
import { createBuiltinEmbedder } from '../../src/retrieval/embedding/builtin-embedder.ts';
import { startGateway } from '../support/gateway-fixture.ts';
import { feature, KEY } from '../support/runtime-fixture.ts';
import type { Plan } from '../support/upstream-double.ts';

/** The names of features are no models that the AI SDK knows, which it would say again and again. */
Object.assign(globalThis, { AI_SDK_LOG_WARNINGS: false });

/** What the double says unless told otherwise. */
const TEXT = 'The load line of a ship shows how much it may carry in each season and sea.';
const BARE = 'test/primary';
const SHIP = {
	type: 'object',
	properties: { ship: { type: 'string' } },
	required: ['ship'],
	additionalProperties: false,
} as const;

async function start(plan: Plan = {}) {
	const words = { name: 'words', provider: 'builtin', model: 'words', dimensions: 8, price: null };
	const gateway = await startGateway({
		features: (model) => [feature({ feature: 'ask' }, { route: [model] })],
		embedders: {
			source: { get: async () => createBuiltinEmbedder(8) },
			targets: [{ names: ['words'], target: words }],
		},
		upstream: { plan },
	});
	onTestFinished(() => gateway.close());
	const baseURL = `${gateway.url}/v1`;
	const openai = createOpenAI({ baseURL, apiKey: KEY });
	const anthropic = createAnthropic({ baseURL, apiKey: KEY });
	const models = {
		chat: (name: string) => openai.chat(name),
		responses: (name: string) => openai.responses(name),
		messages: (name: string) => anthropic(name),
	};
	return { gateway, baseURL, openai, models };
}

describe.each(['chat', 'responses', 'messages'] as const)('the AI SDK over %s', (surface) => {
	it.each(['ask', BARE])('gets text of %s, whole and streamed', async (name) => {
		const { models } = await start();
		const ask = { model: models[surface](name), prompt: 'What is a load line?', maxRetries: 0 };
		const { text, finishReason, usage } = await generateText(ask);
		expect({ text, finishReason }).toEqual({ text: TEXT, finishReason: 'stop' });
		expect(usage).toMatchObject({ inputTokens: 20, outputTokens: 17 });
		const stream = streamText(ask);
		let streamed = '';
		for await (const piece of stream.textStream) streamed += piece;
		expect(streamed).toBe(TEXT);
		expect(await stream.finishReason).toBe('stop');
		expect(await stream.usage).toMatchObject({ inputTokens: 20, outputTokens: 17 });
	});

	it('calls tools, whole and streamed, and gives back what they said', async () => {
		const { gateway, models } = await start();
		const asked: unknown[] = [];
		const weigh = tool({
			description: 'Weighs a ship',
			inputSchema: jsonSchema<{ ship: string }>(SHIP),
			execute: async (input) => {
				asked.push(input);
				return '1200 t';
			},
		});
		const ask = {
			model: models[surface](BARE),
			prompt: 'How heavy?',
			tools: { weigh },
			stopWhen: isStepCount(2),
			maxRetries: 0,
			// Nothing is stored, so that items cannot be referred to.
			providerOptions: { openai: { store: false } },
		};
		expect((await generateText(ask)).text).toBe(TEXT);
		expect(await streamText(ask).text).toBe(TEXT);
		expect(asked).toEqual([{ ship: expect.any(String) }, { ship: expect.any(String) }]);
		expect(gateway.double.requests).toBe(4);
		const { messages } = JSON.parse(gateway.double.bodies.at(-1) ?? '{}');
		expect(messages.map(({ role }: { role: string }) => role)).toEqual(['user', 'assistant', 'tool']);
		expect(messages[2].content).toContain('1200 t');
	});

	it('gets an object of a schema', async () => {
		const { models } = await start();
		const output = Output.object({ schema: jsonSchema<{ ship: string }>(SHIP) });
		const answer = await generateText({ model: models[surface](BARE), prompt: 'Which?', output, maxRetries: 0 });
		expect(answer.output).toEqual({ ship: expect.any(String) });
	});

	it('cancels the upstream when it aborts, plain and streamed', async () => {
		const { gateway, models } = await start({ fault: 'silent' });
		const plain = new AbortController();
		const ask = { model: models[surface](BARE), prompt: 'a', maxRetries: 0 };
		const refused = expect(generateText({ ...ask, abortSignal: plain.signal })).rejects.toThrow(/abort/i);
		await gateway.double.arrived(1);
		plain.abort();
		await refused;
		await gateway.double.aborted(1);
		gateway.double.next({ gapMs: 200, chunks: 15 });
		const streamed = new AbortController();
		const stream = streamText({ ...ask, abortSignal: streamed.signal });
		for await (const _ of stream.textStream) streamed.abort();
		await gateway.double.aborted(2);
	});

	it('never gets a cut stream as a whole one', async () => {
		const { models } = await start({ fault: 'cut' });
		const errors: unknown[] = [];
		const stream = streamText({
			model: models[surface](BARE),
			prompt: 'a',
			maxRetries: 0,
			onError: ({ error }) => void errors.push(error),
		});
		await stream.consumeStream();
		expect(errors.length).toBeGreaterThan(0);
		expect(await Promise.resolve(stream.finishReason).catch(() => 'error')).toBe('error');
	});
});

it('the AI SDK embeds', async () => {
	const { openai } = await start();
	const { embeddings, usage } = await embedMany({
		model: openai.embedding('words'),
		values: ['a load line', 'a hull'],
		maxRetries: 0,
	});
	expect(embeddings.map((vector) => vector.length)).toEqual([8, 8]);
	expect(usage.tokens).toBeGreaterThan(0);
});

describe.each([false, true])('LangChain.js, with the Responses API: %s', (useResponsesApi) => {
	const modelOf = (baseURL: string, model: string) =>
		new ChatOpenAI({ model, apiKey: KEY, configuration: { baseURL }, maxRetries: 0, useResponsesApi });

	it.each(['ask', BARE])('gets text of %s, whole and streamed', async (name) => {
		const { baseURL } = await start();
		const model = modelOf(baseURL, name);
		const whole = await model.invoke('What is a load line?');
		expect(whole.text).toBe(TEXT);
		expect(whole.usage_metadata).toMatchObject({ input_tokens: 20, output_tokens: 17 });
		let streamed = '';
		for await (const chunk of await model.stream('What is a load line?')) streamed += chunk.text;
		expect(streamed).toBe(TEXT);
	});

	it('gets calls of tools, and an object of a schema', async () => {
		const { baseURL } = await start({ toolCalls: 1 });
		const weigh = { type: 'function', function: { name: 'weigh', description: 'Weighs', parameters: SHIP } } as const;
		const called = await modelOf(baseURL, BARE).bindTools([weigh]).invoke('How heavy?');
		expect(called.tool_calls).toMatchObject([{ name: 'weigh', args: { ship: expect.any(String) } }]);
		const structured = modelOf(baseURL, BARE).withStructuredOutput(SHIP, { name: 'ship', method: 'jsonSchema' });
		expect(await structured.invoke('Which?')).toEqual({ ship: expect.any(String) });
	});

	it('cancels the upstream when it aborts', async () => {
		const { gateway, baseURL } = await start({ fault: 'silent' });
		const abort = new AbortController();
		const refused = expect(modelOf(baseURL, BARE).invoke('a', { signal: abort.signal })).rejects.toThrow(/abort/i);
		await gateway.double.arrived(1);
		abort.abort();
		await refused;
		await gateway.double.aborted(1);
	});

	it('never gets a cut stream as a whole one', async () => {
		const { baseURL } = await start({ fault: 'cut' });
		const read = async () => {
			for await (const _ of await modelOf(baseURL, BARE).stream('a'));
		};
		await expect(read()).rejects.toThrow(/broke off/);
	});
});

it('LangChain.js embeds', async () => {
	const { baseURL } = await start();
	const embeddings = new OpenAIEmbeddings({ model: 'words', apiKey: KEY, configuration: { baseURL }, maxRetries: 0 });
	const vectors = await embeddings.embedDocuments(['a load line', 'a hull']);
	expect(vectors.map((vector) => vector.length)).toEqual([8, 8]);
	expect(await embeddings.embedQuery('hull')).toHaveLength(8);
});
