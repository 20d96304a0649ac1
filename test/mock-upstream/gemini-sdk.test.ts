import { ApiError, GoogleGenAI } from '@google/genai';
import { afterEach, describe, expect, it } from 'vitest';
import { type Plan, startUpstreamDouble } from '../support/upstream-double.ts';

const open: { close(): Promise<void> }[] = [];
afterEach(async () => {
	for (const thing of open.splice(0).reverse()) await thing.close();
});

async function start(plan: Plan = {}) {
	const double = await startUpstreamDouble({ plan });
	open.push(double);
	const baseUrl = double.url.replace(/\/v1$/, '');
	return { double, client: new GoogleGenAI({ apiKey: 'test', httpOptions: { baseUrl } }) };
}

const ask = { model: 'gemini-x', contents: 'What is a load line?' };
const functionDeclarations = ['draught', 'tide'].map((name) => ({
	name,
	parametersJsonSchema: { type: 'object', properties: { port: { type: 'string' } } },
}));

describe('the official Google client reads the double', () => {
	it('an answer; what was thought is counted beside the candidates', async () => {
		const counts = { tokensIn: 100, tokensOut: 20, tokensCached: 30, tokensReasoning: 5 };
		const { client } = await start({ counts, text: 'Aye.' });
		const response = await client.models.generateContent(ask);
		expect(response.text).toBe('Aye.');
		expect(response.modelVersion).toBe('gemini-x');
		expect(response.candidates?.[0]?.finishReason).toBe('STOP');
		expect(response.usageMetadata).toMatchObject({
			promptTokenCount: 100,
			cachedContentTokenCount: 30,
			candidatesTokenCount: 15,
			thoughtsTokenCount: 5,
			totalTokenCount: 120,
		});
	});

	it('a stream of the same text, with the reason at its end', async () => {
		const { client } = await start();
		const whole = (await client.models.generateContent(ask)).text;
		const chunks = [];
		for await (const chunk of await client.models.generateContentStream(ask)) chunks.push(chunk);
		expect(chunks.length).toBeGreaterThan(3);
		expect(chunks.map((chunk) => chunk.text ?? '').join('')).toBe(whole);
		expect(chunks.flatMap((chunk) => chunk.candidates?.[0]?.finishReason ?? [])).toEqual(['STOP']);
	});

	it('parallel function calls, plain and streamed the same', async () => {
		const { client } = await start({ toolCalls: 2 });
		const config = { tools: [{ functionDeclarations }] };
		const plain = await client.models.generateContent({ ...ask, config });
		const streamed = [];
		for await (const chunk of await client.models.generateContentStream({ ...ask, config })) {
			streamed.push(...(chunk.functionCalls ?? []));
		}
		expect(plain.functionCalls?.map(({ name, args }) => ({ name, args }))).toEqual([
			{ name: 'draught', args: { port: 'load line' } },
			{ name: 'tide', args: { port: 'load line' } },
		]);
		expect(streamed).toEqual(plain.functionCalls);
	});

	it('thoughts where they are asked for, and JSON by a schema', async () => {
		const { client } = await start();
		const thought = await client.models.generateContent({
			...ask,
			config: { thinkingConfig: { includeThoughts: true } },
		});
		expect(thought.candidates?.[0]?.content?.parts?.map((part) => part.thought ?? false)).toEqual([true, false]);
		const responseJsonSchema = { type: 'object', properties: { depth: { type: 'integer', minimum: 7 } } };
		const config = { responseMimeType: 'application/json', responseJsonSchema };
		expect(JSON.parse((await client.models.generateContent({ ...ask, config })).text ?? '')).toEqual({ depth: 7 });
	});

	it('an answer and a prompt that the filter stopped', async () => {
		const filtered = await (await start({ fault: 'filtered' })).client.models.generateContent(ask);
		expect(filtered.candidates?.[0]?.finishReason).toBe('SAFETY');
		const { client } = await start({ fault: 'content_filter' });
		const refused = await client.models.generateContent(ask);
		expect(refused.candidates).toBeUndefined();
		expect(refused.promptFeedback?.blockReason).toBe('SAFETY');
		for await (const chunk of await client.models.generateContentStream(ask)) {
			expect(chunk.promptFeedback?.blockReason).toBe('SAFETY');
		}
	});

	it.each([
		['rate_limited', 429, 'RESOURCE_EXHAUSTED'],
		['quota', 429, 'QuotaFailure'],
		['server_error', 500, 'INTERNAL'],
		['overloaded', 503, 'UNAVAILABLE'],
		['context_too_long', 400, 'exceeds the maximum number of tokens'],
		['authentication', 400, 'API_KEY_INVALID'],
		['permission', 403, 'PERMISSION_DENIED'],
		['model_not_found', 404, 'NOT_FOUND'],
	] as const)('the error %s', async (fault, status, said) => {
		const { client } = await start({ fault });
		const error = await client.models.generateContent(ask).catch((thrown) => thrown);
		expect(error).toBeInstanceOf(ApiError);
		expect(error.status).toBe(status);
		expect(error.message).toContain(said);
	});

	it('when to come back, in the body of the error', async () => {
		const { client } = await start({ fault: 'rate_limited', retryAfter: { form: 'seconds', ms: 2_500 } });
		const error = await client.models.generateContent(ask).catch((thrown) => thrown);
		expect(error.message).toContain('"retryDelay":"2.5s"');
	});

	it('embeddings, the count of tokens, and the list of models', async () => {
		const { client } = await start();
		const { embeddings } = await client.models.embedContent({
			model: 'e',
			contents: ['load line', 'hull'],
			config: { outputDimensionality: 16 },
		});
		expect(embeddings?.map(({ values }) => values?.length)).toEqual([16, 16]);
		expect((await client.models.countTokens(ask)).totalTokens).toBeGreaterThan(3);
		const names = [];
		for await (const model of await client.models.list()) names.push(model.name);
		expect(names).toEqual(['models/mock-1', 'models/mock-embed']);
	});
});
