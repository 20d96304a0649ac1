import fc from 'fast-check';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { EmbedderPool } from '../../src/retrieval/embedding/embedder-pool.ts';
import { EmbeddingBudget } from '../../src/retrieval/embedding/embedding-budget.ts';
import type { Embedder, EmbeddingCallReport } from '../../src/spec/embedding.ts';
import { embedderPool, type OpenAiEmbedderConfig, openAiEmbedder } from '../support/embedder-fixture.ts';
import { answerJson, type EmbeddingServer, startEmbeddingServer } from '../support/embedding-server.ts';

const pools: EmbedderPool[] = [];
afterEach(async () => {
	for (const pool of pools.splice(0)) await pool.close();
});

function dot(a: Float32Array | undefined, b: Float32Array | undefined): number {
	return a && b ? a.reduce((sum, value, at) => sum + value * (b[at] ?? 0), 0) : Number.NaN;
}

const ASK = { signal: null };
/** No back-off is longer than what the provider asks for. */
const EAGER = { next: () => 0, bytes: (length: number) => new Uint8Array(length) };

describe('the built-in embedder', () => {
	const embed = async (...texts: string[]) => {
		const pool = await embedderPool([{ name: 'builtin', family: 'builtin', dimensions: 512, aliases: [] }]);
		return (await (await pool.get('builtin')).embed(texts, 'query', ASK)).vectors;
	};

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

describe('an embedder behind an endpoint', () => {
	let server: EmbeddingServer;
	const make = async (overrides: Partial<OpenAiEmbedderConfig> = {}): Promise<Embedder> => {
		const config = openAiEmbedder(server.url, {
			apiKey: 'sk-test',
			queryPrefix: 'query: ',
			documentPrefix: 'passage: ',
			batchMax: 3,
			timeoutMs: 5_000,
			...overrides,
		});
		const pool = await embedderPool([config], { random: EAGER });
		pools.push(pool);
		return pool.get('remote');
	};
	const answer = (data: unknown, usage?: unknown) => {
		server.answer = (response) => response.end(JSON.stringify({ data, usage }));
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
		const embedder = await make({ concurrencyMax: 1 });
		const texts = Array.from({ length: 7 }, (_, at) => `text ${at}`);
		const { vectors } = await embedder.embed(texts, 'document', ASK);
		expect(vectors).toHaveLength(7);
		expect(server.texts).toEqual(texts.map((text) => `passage: ${text}`));
		expect(server.headers.authorization).toBe('Bearer sk-test');
		const [alone] = (await embedder.embed(['text 5'], 'document', ASK)).vectors;
		expect(dot(alone, vectors[5])).toBeCloseTo(1, 5);
		await embedder.embed(['x'], 'query', ASK);
		expect(server.texts.at(-1)).toBe('query: x');
	});

	it('cuts calls by tokens too, and gives a long text a call of its own', async () => {
		const sizes: number[] = [];
		server.answer = (response, body) => {
			sizes.push(JSON.parse(body).input.length);
			answerJson(response, body);
		};
		const embedder = await make({ batchMax: 64, batchTokensMax: 100, concurrencyMax: 1, documentPrefix: '' });
		const word = 'harbour ';
		await embedder.embed([word.repeat(60), word.repeat(60), word.repeat(500), word, word], 'document', ASK);
		expect(sizes).toEqual([1, 1, 1, 2]);
	});

	it('puts the vectors in the order of their index, scales them, and tells how long they were', async () => {
		answer([
			{ index: 1, embedding: [0, 2] },
			{ index: 0, embedding: [3, 4] },
		]);
		const embedder = await make({ dimensions: 2 });
		const { vectors, lengthMin, lengthMax } = await embedder.embed(['a', 'b'], 'query', ASK);
		expect([...(vectors[0] ?? [])].map((value) => value.toFixed(2))).toEqual(['0.60', '0.80']);
		expect([...(vectors[1] ?? [])]).toEqual([0, 1]);
		expect([lengthMin, lengthMax]).toEqual([2, 5]);
	});

	const first = { index: 0, embedding: [1, 0] };
	it.each<[string, unknown, RegExp]>([
		['too few', [first], /1 embeddings for 2 texts/],
		['too many', [first, { index: 1, embedding: [1, 0] }, { index: 2, embedding: [1, 0] }], /3 embeddings for 2 texts/],
		['an index twice', [first, first], /the index 0 is out of range or comes twice/],
		['an index out of range', [first, { index: 2, embedding: [1, 0] }], /the index 2 is out of range/],
		['no index', [first, { embedding: [1, 0] }], /data\[1\] does not say the index/],
		['other dimensions', [first, { index: 1, embedding: [1] }], /text 2 has 1 dimensions, the configuration says 2/],
		['numbers too large', [first, { index: 1, embedding: [1e39, 0] }], /text 2 holds a number that is not finite/],
		['no numbers', [first, { index: 1, embedding: ['x', null] }], /text 2 has x instead of number 1/],
		['a null among numbers', [first, { index: 1, embedding: [1, null] }], /text 2 has null instead of number 2/],
		[
			'a null instead of a vector',
			[
				{ index: 0, embedding: null },
				{ ...first, index: 1 },
			],
			/text 1 is null instead of a list/,
		],
		['a zero vector', [first, { index: 1, embedding: [0, 0] }], /text 2 is zero/],
		['nothing', null, /expected a list named data/],
	])('refuses an answer with %s, names the text, and makes nothing of the others', async (_, data, reason) => {
		answer(data);
		const calls: EmbeddingCallReport[] = [];
		const embedder = await make({ dimensions: 2 });
		const asked = embedder.embed(['a', 'b'], 'query', { signal: null, onCall: (call) => calls.push(call) });
		await expect(asked).rejects.toMatchObject({ code: 'retrieval_failed', message: expect.stringMatching(reason) });
		// An answer that is wrong is asked for once more, and paid for each time.
		expect(calls.map(({ outcome }) => outcome)).toEqual(['nonsense', 'nonsense']);
		expect(calls.every(({ tokens }) => tokens > 0)).toBe(true);
	});

	it.each(['NaN', 'Infinity', '-Infinity'])(
		'names the text whose embedding has %s, though that is no JSON',
		async (word) => {
			server.answer = (response) =>
				response.end(`{"data": [{"index": 0, "embedding": [1, 0]}, {"index": 1, "embedding": [${word}, 1]}]}`);
			const embedder = await make({ dimensions: 2 });
			await expect(embedder.embed(['a', 'b'], 'query', ASK)).rejects.toMatchObject({
				message: expect.stringContaining('text 2 has null instead of number 1'),
			});
		},
	);

	it('counts the position among all texts, not within the call', async () => {
		server.answer = (response, body) => {
			const { input }: { input: string[] } = JSON.parse(body);
			const data = input.map((text, index) => ({ index, embedding: text.includes('bad') ? [0, 0] : [1, 0] }));
			response.end(JSON.stringify({ data }));
		};
		const embedder = await make({ dimensions: 2 });
		await expect(embedder.embed(['a', 'b', 'c', 'd', 'bad'], 'query', ASK)).rejects.toMatchObject({
			message: expect.stringContaining('that of text 5 is zero'),
		});
	});

	it('reads the answer of a second call when the first was wrong', async () => {
		let calls = 0;
		server.answer = (response, body) => {
			if (++calls === 1) response.end('{"data": [{"index": 0, "embedding": [null]}]}');
			else answerJson(response, body);
		};
		expect((await (await make()).embed(['a'], 'query', ASK)).vectors).toHaveLength(1);
		expect(calls).toBe(2);
	});

	it('does not read an endless answer to its end', async () => {
		server.answer = (response) => {
			const more = () => {
				while (response.writable && response.write('0'.repeat(65_536)));
				response.once('drain', more);
			};
			more();
		};
		await expect((await make()).embed(['a'], 'query', ASK)).rejects.toMatchObject({
			message: expect.stringContaining('sent a body larger than'),
		});
	});

	it('gives up after its time-out, and keeps the key out of every message', async () => {
		server.answer = () => {};
		await expect((await make({ timeoutMs: 1 })).embed(['a'], 'query', ASK)).rejects.toMatchObject({
			message: expect.stringMatching(/remote (did not complete its answer|gave no connection) within 1 ms/),
		});
		server.answer = (response) => response.writeHead(401).end('bad key sk-test');
		const refused = await (await make()).embed(['a'], 'query', ASK).catch((cause: unknown) => cause);
		expect(refused).toMatchObject({
			message: expect.stringContaining('status 401'),
			internal: expect.stringContaining('bad key [key]'),
		});
		expect(JSON.stringify(refused)).not.toContain('sk-test');
	});

	it('ends with the caller’s reason when the caller leaves', async () => {
		const controller = new AbortController();
		server.answer = () => controller.abort(new Error('left'));
		const asked = (await make()).embed(['a'], 'query', { signal: controller.signal });
		await expect(asked).rejects.toThrow('left');
	});

	it.each([400, 401, 403, 404])('asks once when the provider answers %i, however patient it may be', async (status) => {
		server.answer = (response) => response.writeHead(status).end('{}');
		const embedder = await make();
		await expect(
			embedder.embed(['a'], 'document', { signal: null, run: new EmbeddingBudget(null) }),
		).rejects.toMatchObject({
			message: expect.stringContaining(`status ${status}`),
		});
		expect(server.texts).toHaveLength(1);
	});

	it.each([429, 500, 502, 503])(
		'repeats a call of an ingestion that was answered %i, and pays for it once',
		async (status) => {
			let calls = 0;
			server.answer = (response, body) => {
				if (++calls < 4) response.writeHead(status, { 'retry-after-ms': '1' }).end('{}');
				else answerJson(response, body);
			};
			const run = new EmbeddingBudget(null);
			const { vectors } = await (await make()).embed(['a b c'], 'document', { signal: null, run });
			expect(vectors).toHaveLength(1);
			expect(run.spend).toMatchObject({ calls: 1, failed: 3, texts: 1, tokens: 4 });
		},
	);

	it('repeats the call of a request once', async () => {
		server.answer = (response) => response.writeHead(503).end('{}');
		await expect((await make()).embed(['a'], 'query', ASK)).rejects.toMatchObject({ code: 'retrieval_failed' });
		expect(server.texts).toHaveLength(2);
	});

	it('fails at once, without a call, while its breaker is open', async () => {
		server.answer = (response) => response.writeHead(500).end('{}');
		const breaker = {
			...{ windowMs: 10_000, callsMin: 20, failureRate: 0.5, failuresInARow: 2, slowMs: null, slowRate: 1 },
			...{ probeIntervalMs: 60_000, quotaMsMax: 60_000 },
		};
		const embedder = await make({ breaker });
		await expect(embedder.embed(['a'], 'query', ASK)).rejects.toMatchObject({ code: 'retrieval_failed' });
		expect(server.texts).toHaveLength(2);
		await expect(embedder.embed(['a'], 'query', ASK)).rejects.toMatchObject({
			code: 'upstream_unavailable',
			message: expect.stringContaining('is left alone'),
			retryAfterMs: expect.any(Number),
		});
		expect(server.texts).toHaveLength(2);
	});

	it('adds up tokens and cost over its calls, by the provider’s count', async () => {
		const price = { version: 'v', inputMicrosPerMillion: 1_000_000 };
		const run = new EmbeddingBudget(null);
		const embedder = await make({ price, documentPrefix: '' });
		const { tokens, costMicros } = await embedder.embed(['one two', 'three', 'four', 'five six'], 'document', {
			signal: null,
			run,
		});
		expect({ tokens, costMicros }).toEqual({ tokens: 6, costMicros: 6 });
		expect(run.spend).toMatchObject({ calls: 2, texts: 4, tokens: 6, costMicros: 6, costSource: 'reported' });
	});

	it('estimates the cost where the price or the usage is unknown, and says so', async () => {
		const run = new EmbeddingBudget(null);
		await (await make()).embed(['one two'], 'document', { signal: null, run });
		expect(run.spend).toMatchObject({ costSource: 'estimated', costMicros: 2 });
		answer([{ index: 0, embedding: [1, 0] }]);
		const other = new EmbeddingBudget(null);
		const price = { version: 'v', inputMicrosPerMillion: 1_000_000 };
		await (await make({ price, dimensions: 2 })).embed(['one two'], 'document', { signal: null, run: other });
		expect(other.spend).toMatchObject({ costSource: 'estimated', tokens: 5 });
	});

	it('stops before it spends more than the cap, says how far it came, and never passes it', async () => {
		const price = { version: 'v', inputMicrosPerMillion: 1_000_000 };
		const embedder = await make({ price, documentPrefix: '' });
		const run = new EmbeddingBudget(10);
		const page = ['one two', 'three four'];
		await embedder.embed(page, 'document', { signal: null, run });
		await embedder.embed(page, 'document', { signal: null, run });
		const before = server.texts.length;
		const stopped = embedder.embed(page, 'document', { signal: null, run });
		await expect(stopped).rejects.toMatchObject({
			code: 'embedding_budget_exceeded',
			message: expect.stringMatching(/may cost \$0\.000004, and \$0\.000008 of \$0\.000010 are spent, on 4 texts/),
		});
		expect(server.texts).toHaveLength(before);
		expect(run.spend.costMicros).toBeLessThanOrEqual(10);
	});

	it('gives back what it set aside for calls that failed', async () => {
		const price = { version: 'v', inputMicrosPerMillion: 1_000_000 };
		const embedder = await make({ price, documentPrefix: '' });
		const run = new EmbeddingBudget(10);
		server.answer = (response) => response.writeHead(400).end('{}');
		for (let at = 0; at < 5; at++) {
			await expect(embedder.embed(['one two three'], 'document', { signal: null, run })).rejects.toMatchObject({
				code: 'retrieval_failed',
			});
		}
		expect(run.spend).toMatchObject({ costMicros: 0, failed: 5 });
	});
});
