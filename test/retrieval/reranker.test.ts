import { once } from 'node:events';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { createHttpClient } from '../../src/base/http.ts';
import { VirtualClock } from '../../src/base/virtual-clock.ts';
import type { HostedRerankConfig, RerankConfig } from '../../src/contracts/ranking-config.ts';
import { createHttpReranker } from '../../src/retrieval/http-reranker.ts';
import { Rerankers } from '../../src/retrieval/rerankers.ts';
import { createRetriever } from '../../src/retrieval/search.ts';
import { openFieldIndex } from '../support/field-index.ts';
import { SEARCH } from '../support/retrieval-fixture.ts';

interface Asked {
	readonly url: string;
	readonly authorization: string | undefined;
	readonly body: { query: string; documents?: string[]; texts?: string[]; model?: string };
}

/** Puts the longest text first, unless a test wants something else. */
let reply: (asked: Asked, response: ServerResponse) => void;
const seen: Asked[] = [];
const http = createHttpClient({ connectionsMax: 4, connectMs: 2_000 });
const server = createServer(async (request, response) => {
	let text = '';
	for await (const part of request) text += part;
	const asked = { url: request.url ?? '', authorization: request.headers.authorization, body: JSON.parse(text) };
	seen.push(asked);
	reply(asked, response);
});

const honest = (asked: Asked, response: ServerResponse) => {
	const texts = asked.body.documents ?? asked.body.texts ?? [];
	const isTei = asked.body.texts !== undefined;
	const scores = texts.map((text, index) =>
		isTei ? { index, score: text.length } : { index, relevance_score: text.length },
	);
	scores.reverse();
	response.end(JSON.stringify(isTei ? scores : { results: scores }));
};
const answering =
	(answer: unknown, status = 200) =>
	(_: Asked, response: ServerResponse) => {
		response.writeHead(status).end(typeof answer === 'string' ? answer : JSON.stringify(answer));
	};

let config: HostedRerankConfig;
beforeAll(async () => {
	server.listen(0, '127.0.0.1');
	await once(server, 'listening');
	const { port } = server.address() as AddressInfo;
	const baseUrl = `http://127.0.0.1:${port}/v2`;
	config = { format: 'cohere', baseUrl, model: 'rr-1', apiKey: 'k', pool: 3, timeoutMs: 60_000, costMicros: 2_000 };
});
beforeEach(() => {
	reply = honest;
	seen.length = 0;
});
afterAll(async () => {
	server.close();
	await http.close();
});

describe('a re-ranker behind an endpoint', () => {
	const ASK = { timeoutMs: 1_000, signal: null };

	it.each(['cohere', 'jina', 'tei'] as const)(
		'speaks the format of %s, and gives scores in the order of the texts',
		async (format) => {
			const reranker = createHttpReranker({ ...config, format }, { http, clock: new VirtualClock() });
			expect(await reranker.score('q', ['a', 'bbb', 'cc'], ASK)).toEqual([1, 3, 2]);
			const { url, authorization, body } = seen[0] as Asked;
			expect({ url, authorization }).toEqual({ url: '/v2/rerank', authorization: 'Bearer k' });
			const { query, model, ...rest } = body;
			expect(query).toBe('q');
			if (format === 'tei')
				expect({ model, rest }).toEqual({ model: undefined, rest: { texts: ['a', 'bbb', 'cc'], truncate: true } });
			else expect({ model, rest }).toEqual({ model: 'rr-1', rest: { documents: ['a', 'bbb', 'cc'], top_n: 3 } });
		},
	);

	it.each([
		['what is no JSON', 'oops', 'no list of scores'],
		['one score too few', { results: [{ index: 0, relevance_score: 1 }] }, '1 scores for 2 passages'],
		['an index twice', { results: [0, 0].map((index) => ({ index, relevance_score: 1 })) }, 'comes twice'],
		['an index beyond', { results: [0, 2].map((index) => ({ index, relevance_score: 1 })) }, 'out of range'],
		[
			'a score that is none',
			{ results: [0, 1].map((index) => ({ index, relevance_score: null })) },
			'no list of scores',
		],
	])('takes no order from %s', async (_, answer, message) => {
		reply = answering(answer);
		const reranker = createHttpReranker(config, { http, clock: new VirtualClock() });
		await expect(reranker.score('q', ['a', 'b'], ASK)).rejects.toThrow(message);
	});

	it('is asked once, is left alone after five failures, and asked again by a probe', async () => {
		const clock = new VirtualClock();
		const reranker = createHttpReranker(config, { http, clock });
		reply = answering('down', 503);
		for (let at = 0; at < 5; at++) await expect(reranker.score('q', ['a', 'b'], ASK)).rejects.toThrow('status 503');
		expect(seen).toHaveLength(5);
		await expect(reranker.score('q', ['a', 'b'], ASK)).rejects.toThrow('left alone');
		expect(seen).toHaveLength(5);
		reply = honest;
		await clock.advance(5_001);
		expect(await reranker.score('q', ['a', 'bb'], ASK)).toEqual([1, 2]);
	});

	it('costs its time-out and no more when it stalls', async () => {
		const clock = new VirtualClock();
		const held = Promise.withResolvers<void>();
		reply = () => held.resolve();
		const scoring = createHttpReranker(config, { http, clock }).score('q', ['a', 'b'], ASK);
		const refused = expect(scoring).rejects.toThrow('no answer within 1000 ms');
		await held.promise;
		await clock.advance(1_000);
		await refused;
	});
});

describe('a search with a re-ranker', () => {
	const documents = ['hull', 'hull and mast', 'hull, mast and keel of the ship', 'hull paint'].map((text, at) => ({
		id: `d${at}`,
		text,
		fields: {},
	}));
	const open = (rerank: RerankConfig) =>
		openFieldIndex(documents, new Map(), {
			config: { embedder: null, search: { ...SEARCH, rerank } },
			make: (parts) =>
				createRetriever({
					...parts,
					rerankers: new Rerankers({ http, clock: parts.clock, cacheDir: '', warn: () => {} }),
				}),
		});
	const ask = { collection: 'docs', query: 'hull', k: 2, mode: null, filter: null, signal: null };

	it('orders the pool anew, and says what that cost', async () => {
		const index = await open({ ...config, pool: 4 });
		const { hits, rerank, degraded } = await index.retriever.search(ask);
		expect(hits.map(({ documentId, rank }) => [documentId, rank])).toEqual([
			['d2', 1],
			['d1', 2],
		]);
		expect(hits[0]?.rerankScore).toBeGreaterThan(20);
		expect(rerank).toMatchObject({ model: 'rr-1', failure: null, costMicros: 2_000 });
		expect(degraded).toBeNull();
		await index.close();
	});

	it('keeps the fused order where the re-ranker fails, marked degraded, and costs nothing', async () => {
		const index = await open({ ...config, pool: 4 });
		reply = answering('down', 500);
		const { hits, rerank, degraded } = await index.retriever.search(ask);
		expect(hits.map(({ documentId }) => documentId)[0]).toBe('d0');
		expect(degraded).toBe('the re-ranker failed: status 500');
		expect(rerank?.costMicros).toBe(0);
		await index.close();
	});

	it('takes what timed out, or gave no order, for billed', async () => {
		const index = await open({ ...config, pool: 4 });
		reply = answering('oops');
		const { rerank } = await index.retriever.search(ask);
		expect(rerank).toMatchObject({ failure: 'its answer is no list of scores', costMicros: 2_000 });
		await index.close();
	});

	it('is not asked where nobody pays for it', async () => {
		const index = await open({ ...config, pool: 4 });
		const payer = { begin: () => Promise.reject(new Error('nothing is left')) };
		const { hits, rerank, degraded } = await index.retriever.search({ ...ask, payer });
		expect(hits.map(({ documentId }) => documentId)[0]).toBe('d0');
		expect(rerank).toMatchObject({ failure: 'nothing is left', costMicros: 0 });
		expect(degraded).toBe('the re-ranker failed: nothing is left');
		expect(seen).toEqual([]);
		await index.close();
	});

	it('orders equal scores at a leg’s cut by chunk id, in whatever order they were written', async () => {
		const same = Array.from({ length: 12 }, (_, at) => ({
			id: `s${String(at).padStart(2, '0')}`,
			text: 'equal words here',
			fields: {},
		}));
		for (const written of [same, [...same].reverse(), [...same.slice(6), ...same.slice(0, 6)]]) {
			const config = { search: { ...SEARCH, candidates: 3 } };
			const index = await openFieldIndex(written, new Map(), { config });
			const { hits } = await index.retriever.search({ ...ask, query: 'equal words', k: 3 });
			expect(hits.map(({ documentId }) => documentId)).toEqual(['s00', 's01', 's02']);
			await index.close();
		}
	});
});
