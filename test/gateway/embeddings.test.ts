import OpenAI from 'openai';
import { describe, expect, it, onTestFinished } from 'vitest';
import { embedderPool, type OpenAiEmbedderConfig, openAiEmbedder } from '../support/embedder-fixture.ts';
import { startGateway } from '../support/gateway-fixture.ts';
import { type EmbedderFixture, KEY, keyRecord, NO_LIMITS, UNLIMITED } from '../support/runtime-fixture.ts';
import { type DoubleOptions, startUpstreamDouble } from '../support/upstream-double.ts';

const PRICE = { version: 'v1', inputMicrosPerMillion: 20_000 };

/** A gateway with an embedder behind the double and one in process. */
async function start(
	options: Omit<Parameters<typeof startGateway>[0], 'embedders'> & {
		hosted?: Partial<OpenAiEmbedderConfig>;
		double?: DoubleOptions;
		price?: typeof PRICE | null;
	} = {},
) {
	const { hosted, double: plan, price = PRICE, ...rest } = options;
	const provider = await startUpstreamDouble({ record: true, ...plan });
	const hostedConfig = openAiEmbedder(provider.url, {
		name: 'hosted',
		apiKey: 'sk-embed-secret',
		model: 'double-embed',
		queryPrefix: 'query: ',
		documentPrefix: 'passage: ',
		batchMax: 2,
		timeoutMs: 5_000,
		concurrencyMax: 1,
		price,
		...hosted,
	});
	const pool = await embedderPool([hostedConfig, { name: 'words', family: 'builtin', dimensions: 32, aliases: [] }]);
	const target = (name: string, dimensions: number, cost: typeof PRICE | null) => ({
		name,
		provider: 'test',
		model: `model-of-${name}`,
		dimensions,
		price: cost,
	});
	const embedders: EmbedderFixture = {
		source: pool,
		targets: [
			{ names: ['hosted', 'text-embedding-3-small'], target: target('hosted', 64, price) },
			{ names: ['words'], target: target('words', 32, { version: 'in-process', inputMicrosPerMillion: 0 }) },
		],
	};
	const gateway = await startGateway({ ...rest, embedders });
	onTestFinished(async () => {
		await gateway.close();
		await pool.close();
		await provider.close();
	});
	const client = new OpenAI({ baseURL: `${gateway.url}/v1`, apiKey: KEY, maxRetries: 0 });
	return { gateway, provider, client, url: provider.url };
}

const reckoned = (vector: readonly number[]) => vector.map((value) => value.toFixed(5));

describe('POST /v1/embeddings through the official openai client', () => {
	it('gets vectors in order, by name and by alias, in both encodings, with the provider’s usage', async () => {
		const { client, gateway, provider } = await start();
		const input = ['a load line', 'a hull of oak', 'salt'];
		const plain = await client.embeddings.create({ model: 'hosted', input, encoding_format: 'float' });
		// Without a format the client asks for base64 and decodes it.
		const encoded = await client.embeddings.create({ model: 'text-embedding-3-small', input });
		expect(plain.data.map(({ index }) => index)).toEqual([0, 1, 2]);
		expect(encoded.model).toBe('text-embedding-3-small');
		for (const [index, { embedding }] of plain.data.entries()) {
			expect(embedding).toHaveLength(64);
			expect(Math.hypot(...embedding)).toBeCloseTo(1, 5);
			expect(reckoned(encoded.data[index]?.embedding ?? [])).toEqual(reckoned(embedding));
		}
		expect(plain.usage).toEqual({ prompt_tokens: 8, total_tokens: 8 });
		expect(provider.bodies.map((body) => JSON.parse(body).input)).toEqual([
			input.slice(0, 2),
			input.slice(2),
			input.slice(0, 2),
			input.slice(2),
		]);
		expect(gateway.traces.traces).toHaveLength(2);
		expect(gateway.traces.last).toMatchObject({
			outcome: 'ok',
			upstream: 'hosted',
			model_name: 'model-of-hosted',
			tokens_in: 8,
			tokens_out: 0,
			cost_usd_micros: 2,
			cost_source: 'reported',
			price_version: 'v1',
			feature: null,
		});
		expect(gateway.traces.last.steps.map(({ stage }) => stage)).toEqual(['admit', 'assign', 'generate']);
		expect(gateway.traces.last.steps.at(-1)?.attempts).toMatchObject([
			{ upstream: 'hosted', outcome: 'ok', tokens_in: 7, cost_usd_micros: 1 },
			{ upstream: 'hosted', outcome: 'ok', tokens_in: 1, cost_usd_micros: 1 },
		]);
	});

	it('embeds in process for nothing, counts the tokens itself, and says that it did', async () => {
		const { client, gateway } = await start();
		const { data, usage } = await client.embeddings.create({ model: 'words', input: 'Plimsoll line', dimensions: 32 });
		expect(data[0]?.embedding).toHaveLength(32);
		expect(usage.total_tokens).toBeGreaterThan(1);
		expect(gateway.traces.last).toMatchObject({
			cost_usd_micros: 0,
			cost_source: 'estimated',
			tokens_in: usage.total_tokens,
		});
	});

	it('sends texts as they are, and with a prefix only for an input_type', async () => {
		const { gateway, provider } = await start();
		for (const input_type of [undefined, 'query', 'document']) {
			const body = JSON.stringify({ model: 'hosted', input: 'hull', input_type });
			const headers = { authorization: `Bearer ${KEY}`, 'content-type': 'application/json' };
			expect((await fetch(`${gateway.url}/v1/embeddings`, { method: 'POST', headers, body })).status).toBe(200);
		}
		expect(provider.bodies.flatMap((body) => JSON.parse(body).input)).toEqual(['hull', 'query: hull', 'passage: hull']);
	});

	it.each([
		['tokens', { input: [1, 2, 3] }, 'input[0]'],
		['lists of tokens', { input: [[1], [2]] }, 'input[0]'],
		['an empty text', { input: ['a', ''] }, 'input[1]'],
		['nothing', { input: [] }, 'input'],
		['too many texts', { input: Array(2_049).fill('a') }, 'input'],
		['other dimensions', { input: 'a', dimensions: 8 }, 'dimensions'],
		['another encoding', { input: 'a', encoding_format: 'int8' }, 'encoding_format'],
		['an unknown parameter', { input: 'a', truncate: true }, 'truncate'],
	])('is refused %s by name', async (_, ask, param) => {
		const { client, provider } = await start();
		const asked = client.embeddings.create({ model: 'hosted', ...ask } as OpenAI.EmbeddingCreateParams);
		await expect(asked).rejects.toMatchObject({ constructor: OpenAI.BadRequestError, param });
		expect(provider.requests).toBe(0);
	});

	it('hears which names there are, and that an upstream is no embedder', async () => {
		const { client } = await start();
		const ask = (model: string) => client.embeddings.create({ model, input: 'a' });
		await expect(ask('hosed')).rejects.toMatchObject({
			code: 'model_not_found',
			message: expect.stringContaining('Did you mean "hosted"?'),
		});
		await expect(ask('test/primary')).rejects.toMatchObject({ message: expect.stringContaining('makes answers') });
		const { data } = await client.models.list();
		expect(data.map(({ id }) => id)).toEqual(['test/primary', 'hosted', 'text-embedding-3-small', 'words']);
	});

	it('holds a key to what it may call, by the embedder’s name', async () => {
		const { client } = await start({ keys: [keyRecord({ features: ['hosted'] })] });
		expect((await client.models.list()).data.map(({ id }) => id)).toEqual(['hosted', 'text-embedding-3-small']);
		await client.embeddings.create({ model: 'text-embedding-3-small', input: 'a' });
		for (const model of ['words', 'nowhere']) {
			await expect(client.embeddings.create({ model, input: 'a' })).rejects.toMatchObject({
				code: 'feature_not_allowed',
			});
		}
	});

	it.each([
		[401, 'upstream_rejected', 0],
		[429, 'upstream_rate_limited', 0],
		[500, 'upstream_unavailable', 0],
	])('gets our code for a provider’s %i, asked once and charged nothing', async (status, code, cost) => {
		const plan = { status, error: { message: 'no' }, headers: { 'retry-after': '7' } };
		const { client, gateway, provider } = await start({ double: { plan } });
		const thrown: unknown = await client.embeddings
			.create({ model: 'hosted', input: 'a' })
			.catch((error: unknown) => error);
		expect(thrown).toMatchObject({ code });
		expect(JSON.stringify(thrown)).not.toContain('sk-embed-secret');
		expect(provider.requests).toBe(1);
		expect(gateway.traces.last).toMatchObject({ error_code: code, cost_usd_micros: cost });
	});

	it('is not told where an embedder stands that cannot be reached; the trace is', async () => {
		const { client, gateway, provider, url } = await start();
		await provider.close();
		const place = new URL(url).host;
		await expect(client.embeddings.create({ model: 'hosted', input: 'a' })).rejects.toMatchObject({
			code: 'upstream_unavailable',
			message: expect.not.stringContaining(place),
		});
		expect(gateway.traces.last.steps.at(-1)?.attempts[0]?.error).toContain(place);
	});

	it('cancels the provider’s call when it leaves, and pays what it may have used', async () => {
		const { client, gateway, provider } = await start({ double: { plan: { fault: 'silent' } }, price: null });
		const abort = new AbortController();
		const asked = client.embeddings.create({ model: 'hosted', input: 'a' }, { signal: abort.signal });
		const refused = expect(asked).rejects.toThrow(OpenAI.APIUserAbortError);
		await provider.arrived(1);
		abort.abort();
		await refused;
		await provider.aborted();
		await expect.poll(() => gateway.traces.traces.length).toBe(1);
		expect(gateway.traces.last).toMatchObject({ outcome: 'cancelled', cost_usd_micros: 1, cost_source: 'estimated' });
	});

	it('is held to limits on tokens: reserved before the call, settled by what was reported', async () => {
		const tenant = [{ limit: 'tokens_per_minute' as const, max: 12 }];
		const { client, provider } = await start({ limits: { ...NO_LIMITS, standard: { ...UNLIMITED, tenant } } });
		const ask = () => client.embeddings.create({ model: 'hosted', input: 'one two three four five' }).withResponse();
		const { response } = await ask();
		expect(response.headers.get('x-ratelimit-remaining-tokens')).toBe('7');
		await ask();
		await expect(ask()).rejects.toMatchObject({ code: 'rate_limited' });
		expect(provider.requests).toBe(2);
	});
});
