import { generateKeyPairSync } from 'node:crypto';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, expect, it, onTestFinished } from 'vitest';
import { systemClock } from '../../src/base/clock.ts';
import type { HostedEmbedderConfig } from '../../src/contracts/embedder.ts';
import { createEmbeddingModel } from '../../src/models/create-embedding-model.ts';
import type { TextKind } from '../../src/spec/retrieval.ts';
import { embedderPool, HOSTED_DEFAULTS, openAiEmbedder } from '../support/embedder-fixture.ts';
import { embed, type Plan, startUpstreamDouble } from '../support/upstream-double.ts';

const TEXTS = ['a load line', 'the hull of a ship'];
const OPEN_AI = openAiEmbedder('').wire;

/** Where access tokens come from, as Google's do. */
async function tokenServer(): Promise<string> {
	const server = createServer((_, response) =>
		response.end(JSON.stringify({ access_token: 'ya29', expires_in: 3_600 })),
	);
	await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
	onTestFinished(() => void server.close());
	const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2_048 });
	return JSON.stringify({
		client_email: 'plimsoll@test.iam.gserviceaccount.com',
		private_key: privateKey.export({ type: 'pkcs8', format: 'pem' }),
		token_uri: `http://127.0.0.1:${(server.address() as AddressInfo).port}/token`,
	});
}

const SIGNING = { accessKeyId: 'AKID', secretAccessKey: 'aws-secret', sessionToken: null };
const common = { ...HOSTED_DEFAULTS, apiKey: 'vendor-secret', requestDimensions: true };

/** Each family as its schema makes it, the parameter that says what a text is, and what it then holds. */
const FAMILIES: readonly [
	name: string,
	config: (root: string) => HostedEmbedderConfig | Promise<HostedEmbedderConfig>,
	typeOf: (body: Record<string, unknown>) => unknown,
	types: Readonly<Record<'query' | 'document', unknown>>,
][] = [
	[
		'cohere',
		(root) => ({
			...common,
			family: 'cohere',
			baseUrl: `${root}/v2`,
			dimensions: 256,
			queryType: 'search_query',
			documentType: 'search_document',
		}),
		({ input_type }) => input_type,
		{ query: 'search_query', document: 'search_document' },
	],
	[
		'google',
		(root) => ({
			...common,
			family: 'google',
			baseUrl: `${root}/v1beta`,
			queryType: 'RETRIEVAL_QUERY',
			documentType: 'RETRIEVAL_DOCUMENT',
		}),
		({ requests }) => (requests as { taskType: unknown }[])[0]?.taskType,
		{ query: 'RETRIEVAL_QUERY', document: 'RETRIEVAL_DOCUMENT' },
	],
	[
		'vertex',
		async (root) => ({
			...{
				...common,
				family: 'vertex',
				baseUrl: `${root}/v1/projects/p/locations/l/publishers/google`,
				apiKey: null,
				project: 'p',
			},
			...{
				region: 'l',
				credentials: await tokenServer(),
				queryType: 'RETRIEVAL_QUERY',
				documentType: 'RETRIEVAL_DOCUMENT',
			},
		}),
		({ instances }) => (instances as { task_type: unknown }[])[0]?.task_type,
		{ query: 'RETRIEVAL_QUERY', document: 'RETRIEVAL_DOCUMENT' },
	],
	[
		'bedrock with Cohere',
		(root) => ({
			...{
				...common,
				family: 'bedrock',
				baseUrl: root,
				apiKey: null,
				model: 'cohere.embed-english-v3',
				region: 'eu-central-1',
			},
			...{ signing: SIGNING, queryType: 'search_query', documentType: 'search_document', dimensions: 256 },
		}),
		({ input_type }) => input_type,
		{ query: 'search_query', document: 'search_document' },
	],
	[
		'bedrock with Titan',
		(root) => ({
			...{
				...common,
				family: 'bedrock',
				baseUrl: root,
				apiKey: null,
				model: 'amazon.titan-embed-text-v2:0',
				region: 'eu-central-1',
			},
			...{ signing: SIGNING, dimensions: 256, concurrencyMax: 1 },
		}),
		() => undefined,
		{ query: undefined, document: undefined },
	],
	[
		'voyage by its preset',
		(root) => ({
			...openAiEmbedder(`${root}/v1`, { ...common, queryType: 'query', documentType: 'document' }),
			wire: { ...OPEN_AI, encodingFormat: false, dimensionsField: 'output_dimension', typeField: 'input_type' },
		}),
		({ input_type }) => input_type,
		{ query: 'query', document: 'document' },
	],
];

async function start(
	config: (typeof FAMILIES)[number][1],
	plan: Plan = {},
	overrides: Partial<HostedEmbedderConfig> = {},
) {
	const double = await startUpstreamDouble({ record: true, plan });
	const made = { ...(await config(double.url.replace(/\/v1$/, ''))), ...overrides } as HostedEmbedderConfig;
	const pool = await embedderPool([made], { random: { next: () => 0, bytes: (length) => new Uint8Array(length) } });
	onTestFinished(async () => {
		await pool.close();
		await double.close();
	});
	return { double, embedder: await pool.get('remote'), config: made };
}

describe.each(FAMILIES)('an embedder of the family %s', (_, config, typeOf, types) => {
	it('gets the vectors of its texts in order, with the provider’s count, and says what the texts are', async () => {
		const { double, embedder, config: made } = await start(config);
		for (const kind of ['query', 'document'] as const) {
			double.bodies.length = 0;
			const { vectors, tokens } = await embedder.embed(TEXTS, kind, { signal: null });
			for (const [at, text] of TEXTS.entries()) {
				const expected = embed(text, made.dimensions);
				expect([...(vectors[at] ?? [])].map((value) => value.toFixed(4))).toEqual(
					[...expected].map((value) => value.toFixed(4)),
				);
			}
			expect(tokens).toBeGreaterThan(0);
			expect(typeOf(JSON.parse(double.bodies[0] ?? '{}'))).toEqual(types[kind]);
		}
		const { queryType, documentType } = embedder.identity;
		expect([queryType, documentType]).toEqual([types.query, types.document]);
	});

	it('makes one call of each try, and says a provider’s refusal in the words of all families', async () => {
		const ask = (kind: TextKind) => embedder.embed(TEXTS.slice(0, 1), kind, { signal: null });
		const limited = { fault: 'rate_limited', retryAfter: { form: 'seconds', ms: 7_000 } } as const;
		const { double, embedder } = await start(config);
		double.next({ fault: 'authentication' });
		await expect(ask('query')).rejects.toMatchObject({ cause: { kind: 'authentication' } });
		expect(double.requests).toBe(1);
		double.next({ fault: 'reset' }, { fault: 'server_error' });
		await expect(ask('query')).rejects.toMatchObject({ code: 'retrieval_failed' });
		expect(double.requests).toBe(3);
		double.next(limited);
		await expect(ask('query')).rejects.toMatchObject({
			cause: { kind: 'rate_limited', retryAfterMs: expect.any(Number) },
		});
		expect(double.requests).toBe(4);
	});

	it('gives up a provider that is silent', async () => {
		const { embedder } = await start(config, { fault: 'silent' }, { timeoutMs: 50 });
		await expect(embedder.embed(TEXTS, 'query', { signal: null })).rejects.toMatchObject({
			cause: { kind: expect.stringMatching(/^timeout/) },
		});
	});
});

describe('an answer of a family behind a package', () => {
	const nulls = (text: string) => ({ body: text });
	const [cohere, google] = FAMILIES.map(([, config]) => config);
	const vector = `[${Array(256).fill(0.1).join(',')}]`;
	const short = `[${Array(64).fill(0.1).join(',')}]`;

	it.each([
		['a null', vector.replace('0.1', 'null')],
		['NaN', vector.replace('0.1', 'NaN')],
	])('with %s names the text', async (_, broken) => {
		if (!cohere) throw new Error('no such family');
		const body = `{"embeddings": {"float": [${vector}, ${broken}]}, "meta": {"billed_units": {"input_tokens": 3}}}`;
		const { embedder } = await start(cohere, nulls(body));
		await expect(embedder.embed(TEXTS, 'document', { signal: null })).rejects.toMatchObject({
			message: expect.stringContaining('that of text 2 has null instead of number 1'),
		});
	});

	it('with one vector too few is refused whole', async () => {
		if (!google) throw new Error('no such family');
		const { embedder } = await start(google, nulls(`{"embeddings": [{"values": ${short}}]}`));
		await expect(embedder.embed(TEXTS, 'document', { signal: null })).rejects.toMatchObject({
			message: expect.stringContaining('1 embeddings for 2 texts'),
		});
	});

	it('comes from a package that is there, or the error names the command', async () => {
		const config = {
			...common,
			family: 'ai-sdk',
			baseUrl: null,
			package: '@ai-sdk/absent',
			factory: null,
			optionsName: 'absent',
			settings: {},
		} as const;
		await expect(createEmbeddingModel(config, { clock: systemClock })).rejects.toMatchObject({
			code: 'dependency_missing',
			message: expect.stringContaining('npm install --save-prod --ignore-scripts @ai-sdk/absent'),
		});
	});

	it('comes through any package that makes embedding models', async () => {
		const double = await startUpstreamDouble();
		const config: HostedEmbedderConfig = {
			...{
				...common,
				family: 'ai-sdk' as const,
				baseUrl: double.url,
				package: '@ai-sdk/openai',
				factory: 'createOpenAI',
				requestDimensions: false,
			},
			...{ optionsName: 'openai', settings: {}, model: 'text-embedding-3-small' },
		} as const;
		const pool = await embedderPool([config]);
		onTestFinished(async () => {
			await pool.close();
			await double.close();
		});
		const { vectors, tokens } = await (await pool.get('remote')).embed(TEXTS, 'document', { signal: null });
		expect(vectors.map(({ length }) => length)).toEqual([64, 64]);
		expect(tokens).toBe(8);
	});
});
