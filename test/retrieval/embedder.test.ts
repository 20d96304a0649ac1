import fc from 'fast-check';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { systemClock } from '../../src/base/clock.ts';
import { createHttpClient, type HttpClient } from '../../src/base/http.ts';
import type { EmbedderConfig } from '../../src/contracts/project.ts';
import { createEmbedder } from '../../src/retrieval/embedding/embedders.ts';
import type { Embedder } from '../../src/spec/retrieval.ts';
import { answerJson, type EmbeddingServer, startEmbeddingServer } from '../support/embedding-server.ts';

let http: HttpClient;

beforeAll(() => {
	http = createHttpClient({ connectionsMax: 2, connectMs: 1_000 });
});
afterAll(() => http.close());

function make(config: EmbedderConfig): Promise<Embedder> {
	return createEmbedder(config, { http, clock: systemClock, cacheDir: '/nonexistent' });
}

function dot(a: Float32Array | undefined, b: Float32Array | undefined): number {
	return a && b ? a.reduce((sum, value, at) => sum + value * (b[at] ?? 0), 0) : Number.NaN;
}

describe('the built-in embedder', () => {
	const embed = async (...texts: string[]) =>
		(
			await (
				await make({ name: 'builtin', family: 'builtin', dimensions: 512, aliases: [] })
			).embed(texts, 'query', null)
		).vectors;

	it('gives unit vectors, the same each time', async () => {
		await fc.assert(
			fc.asyncProperty(fc.string({ unit: 'grapheme' }), async (text) => {
				const [one, two] = await embed(text, text);
				expect(one).toEqual(two);
				expect(one).toHaveLength(512);
				const length = Math.sqrt(dot(one, one));
				expect(length === 0 || Math.abs(length - 1) < 1e-5).toBe(true);
			}),
		);
	});

	it('puts other forms and misspellings of a word nearer than other words', async () => {
		const [word, form, slip, other] = await embed('configuration', 'configured', 'confguration', 'retrieval');
		expect(dot(word, form)).toBeGreaterThan(0.3);
		expect(dot(word, slip)).toBeGreaterThan(0.3);
		expect(dot(word, other)).toBeLessThan(0.15);
	});

	it('gives the zero vector for a text without content words', async () => {
		const [vector] = await embed('what is the of and?');
		expect(vector?.every((value) => value === 0)).toBe(true);
	});

	it('has not changed: a stored index depends on it', async () => {
		const [vector] = await embed('Plimsoll line');
		const set = [...(vector ?? [])].flatMap((value, at) => (value === 0 ? [] : [`${at}:${value.toFixed(3)}`]));
		expect(set.slice(0, 4)).toMatchInlineSnapshot(`
			[
			  "15:0.216",
			  "24:-0.108",
			  "54:0.108",
			  "68:0.108",
			]
		`);
	});
});

describe('an OpenAI-compatible embedder', () => {
	let server: EmbeddingServer;
	const config = (overrides: object = {}): EmbedderConfig => ({
		name: 'remote',
		family: 'openai-compatible',
		baseUrl: server.url,
		apiKey: 'sk-test',
		model: 'm',
		dimensions: 64,
		queryPrefix: 'query: ',
		documentPrefix: 'passage: ',
		batchMax: 3,
		timeoutMs: 5_000,
		aliases: [],
		price: null,
		...overrides,
	});
	const answer = (data: unknown) => {
		server.answer = (response) => response.end(JSON.stringify({ data }));
	};

	beforeAll(async () => {
		server = await startEmbeddingServer();
	});
	beforeEach(() => {
		server.answer = answerJson;
		server.texts.length = 0;
	});
	afterAll(() => server.close());

	it('sends batches with prefix and key, and returns unit vectors in order', async () => {
		const embedder = await make(config());
		const texts = Array.from({ length: 7 }, (_, at) => `text ${at}`);
		const { vectors } = await embedder.embed(texts, 'document', null);
		expect(vectors).toHaveLength(7);
		expect(server.texts).toEqual(texts.map((text) => `passage: ${text}`));
		expect(server.headers.authorization).toBe('Bearer sk-test');
		const {
			vectors: [alone],
		} = await embedder.embed(['text 5'], 'document', null);
		expect(dot(alone, vectors[5])).toBeCloseTo(1, 5);
		await embedder.embed(['x'], 'query', null);
		expect(server.texts.at(-1)).toBe('query: x');
	});

	it('puts the vectors in the order of their index, and scales them', async () => {
		answer([
			{ index: 1, embedding: [0, 2] },
			{ index: 0, embedding: [3, 4] },
		]);
		const embedder = await make(config({ dimensions: 2 }));
		const {
			vectors: [first, second],
		} = await embedder.embed(['a', 'b'], 'query', null);
		expect([...(first ?? [])].map((value) => value.toFixed(2))).toEqual(['0.60', '0.80']);
		expect([...(second ?? [])]).toEqual([0, 1]);
	});

	it.each<[string, unknown, RegExp]>([
		['too few', [{ index: 0, embedding: [1, 0] }], /1 embeddings for 2 texts/],
		[
			'an index twice',
			[
				{ index: 0, embedding: [1, 0] },
				{ index: 0, embedding: [1, 0] },
			],
			/out of range or comes twice/,
		],
		[
			'an index out of range',
			[
				{ index: 0, embedding: [1, 0] },
				{ index: 2, embedding: [1, 0] },
			],
			/out of range/,
		],
		[
			'other dimensions',
			[
				{ index: 0, embedding: [1, 0] },
				{ index: 1, embedding: [1] },
			],
			/1 dimensions, the configuration says 2/,
		],
		[
			'numbers too large',
			[
				{ index: 0, embedding: [1, 0] },
				{ index: 1, embedding: [1e39, 0] },
			],
			/not finite/,
		],
		[
			'no numbers',
			[
				{ index: 0, embedding: [1, 0] },
				{ index: 1, embedding: ['x', null] },
			],
			/not a list of embeddings/,
		],
		['nothing', null, /not a list of embeddings/],
	])('refuses an answer with %s', async (_, data, reason) => {
		answer(data);
		const embedder = await make(config({ dimensions: 2 }));
		await expect(embedder.embed(['a', 'b'], 'query', null)).rejects.toMatchObject({
			code: 'retrieval_failed',
			message: expect.stringMatching(reason),
		});
	});

	it('does not read an endless answer to its end', async () => {
		server.answer = (response) => {
			const more = () => {
				while (response.writable && response.write('0'.repeat(65_536)));
				response.once('drain', more);
			};
			more();
		};
		await expect((await make(config())).embed(['a'], 'query', null)).rejects.toMatchObject({
			message: expect.stringContaining('the answer is larger than'),
		});
	});

	it('gives up after its time-out, and keeps the key out of every message', async () => {
		server.answer = () => {};
		const failed = (await make(config({ timeoutMs: 1 }))).embed(['a'], 'query', null);
		await expect(failed).rejects.toMatchObject({
			message: 'The embedder remote did not answer as it should: no answer within 1 ms.',
		});
		server.answer = (response) => response.writeHead(401).end('bad key');
		const refused = await (await make(config())).embed(['a'], 'query', null).catch((cause: unknown) => cause);
		expect(refused).toMatchObject({ message: expect.stringContaining('status 401'), internal: 'bad key' });
		expect(JSON.stringify(refused)).not.toContain('sk-test');
	});

	it('ends with the caller’s reason when the caller leaves', async () => {
		const controller = new AbortController();
		server.answer = () => controller.abort(new Error('left'));
		await expect((await make(config())).embed(['a'], 'query', controller.signal)).rejects.toThrow('left');
	});
});
