import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Clock, systemClock } from '../../src/base/clock.ts';
import { openAiEmbedder } from '../support/embedder-fixture.ts';
import { answerJson, type EmbeddingServer, startEmbeddingServer } from '../support/embedding-server.ts';
import {
	collection,
	folderSource,
	openRetrievalFixture,
	type RetrievalFixture,
	retrievalConfig,
	SEARCH,
} from '../support/retrieval-fixture.ts';

/** Real time, whose timers a test can fire early. */
class FiringClock implements Clock {
	readonly waiting: { ms: number; run: () => void }[] = [];
	readonly now = () => systemClock.now();
	readonly monotonic = () => systemClock.monotonic();

	after(ms: number, run: () => void): () => void {
		const timer = { ms, run };
		const forget = () => {
			const at = this.waiting.indexOf(timer);
			if (at !== -1) this.waiting.splice(at, 1);
		};
		this.waiting.push(timer);
		const cancel = systemClock.after(ms, () => {
			forget();
			run();
		});
		return () => {
			forget();
			cancel();
		};
	}
}

const LEG_MS = 60_000;
const clock = new FiringClock();
let server: EmbeddingServer;
let fixture: RetrievalFixture;

const settings = (dir: string, vectorWeight = 0.5) => {
	const embedder = openAiEmbedder(server.url, { batchMax: 16, timeoutMs: 120_000 });
	const timeouts = { timeoutMs: LEG_MS, lexicalTimeoutMs: LEG_MS, vectorTimeoutMs: LEG_MS };
	const search = { ...SEARCH, vectorWeight, candidates: 50, ...timeouts };
	return retrievalConfig(
		[
			collection([folderSource(dir)], { embedder: 'remote', search }),
			collection([folderSource(dir)], { name: 'words', search }),
		],
		[embedder],
	);
};

beforeAll(async () => {
	server = await startEmbeddingServer();
	fixture = await openRetrievalFixture(settings, clock);
	await fixture.write({
		'budgets.md': '# Budgets\n\nA budget caps tokens, time and money. Naïve café.',
		'guards.md': '# Guards\n\nA guard checks the answer.',
		'same-c.md': 'identical words here',
		'same-d.md': 'identical words here',
	});
	await fixture.ingest();
	await fixture.ingest('words');
});

afterAll(async () => {
	await fixture.close();
	await server.close();
});

describe('the modes', () => {
	it('hybrid runs both legs, lexical and vector one, and each says what it did', async () => {
		const hybrid = await fixture.search('guard');
		expect(hybrid).toMatchObject({
			mode: 'hybrid',
			degraded: null,
			lexicalMs: expect.any(Number),
			vectorMs: expect.any(Number),
		});
		expect(hybrid.hits[0]).toMatchObject({
			documentId: 'guards.md',
			rank: 1,
			score: 1,
			lexicalScore: expect.any(Number),
			vectorScore: expect.any(Number),
		});
		const lexical = await fixture.search('guard', { mode: 'lexical' });
		expect(lexical).toMatchObject({
			mode: 'lexical',
			vectorMs: null,
			hits: [{ documentId: 'guards.md', vectorScore: null }],
		});
		expect(lexical.hits[0]?.score).toBe(lexical.hits[0]?.lexicalScore);
		expect(await fixture.search('guard', { mode: 'vector' })).toMatchObject({ mode: 'vector', lexicalMs: null });
	});

	it('a vector weight of 0 is BM25 alone: nothing is embedded', async () => {
		await fixture.retrieval.update(settings(fixture.dir, 0));
		const asked = server.texts.length;
		expect(await fixture.search('guard')).toMatchObject({ mode: 'lexical', vectorMs: null, degraded: null });
		expect(server.texts).toHaveLength(asked);
		await fixture.retrieval.update(settings(fixture.dir));
	});

	it('without an embedder there is no vector search, and hybrid is lexical and says so', async () => {
		await expect(fixture.search('guard', { collection: 'words', mode: 'vector' })).rejects.toMatchObject({
			code: 'request_invalid',
			param: 'mode',
		});
		expect(await fixture.search('guard', { collection: 'words', mode: 'hybrid' })).toMatchObject({
			mode: 'lexical',
			degraded: 'words has no embedder: the search was lexical',
		});
		expect(await fixture.search('guard', { collection: 'words' })).toMatchObject({ mode: 'lexical', degraded: null });
	});

	it('a collection that does not exist is named with the nearest that does', async () => {
		await expect(fixture.search('x', { collection: 'doc' })).rejects.toMatchObject({
			code: 'collection_not_found',
			message: 'No collection is called doc. Did you mean docs?',
		});
	});

	it.each([0, -1, 1.5, 1_001, Number.NaN])('k = %s is refused', async (k) => {
		await expect(fixture.search('x', { k })).rejects.toMatchObject({ code: 'request_invalid', param: 'k' });
	});
});

describe('the words of a query', () => {
	it.each([
		'',
		'   ',
		'the of and',
		'"',
		'"(((',
		'a AND (b OR',
		'field:value^2~',
		'\\',
		'*',
		'?',
		'-',
		'+foo -bar',
		'/.*/',
		'[1 TO 2}',
		'\u0000',
		'\ud800',
		'日本語',
		'😀',
		"'; DROP TABLE x; --",
		'$x{}',
		'%',
		'AND',
		'NOT',
		'a'.repeat(5_000),
	])('are never a syntax error: %j', async (query) => {
		const { degraded } = await fixture.search(query, { collection: 'words' });
		expect(degraded).toBeNull();
		await expect(fixture.search(query)).resolves.toMatchObject({ generation: expect.any(String) });
	});

	it('are cut when there are too many, and the result says so', async () => {
		const { hits, degraded } = await fixture.search(`guard ${'padding '.repeat(12_500)}`, { collection: 'words' });
		expect(hits[0]?.documentId).toBe('guards.md');
		expect(degraded).toBe('only the first 8192 characters of the query were used');
	});

	it('match without accents, in any case and in other forms of the word', async () => {
		for (const query of ['naive', 'CAFE', 'budgeting', 'capped']) {
			expect((await fixture.search(query, { collection: 'words' })).hits[0]?.documentId).toBe('budgets.md');
		}
	});

	it('rank equal documents by chunk id', async () => {
		const { hits } = await fixture.search('identical', { collection: 'words' });
		expect(hits.map(({ chunkId }) => chunkId)).toEqual(hits.map(({ chunkId }) => chunkId).toSorted());
		expect(hits.map(({ rank }) => rank)).toEqual([1, 2]);
	});
});

let words = 0;
/** A word that no query had before: vectors of queries are remembered. */
const fresh = () => `zyx${words++}`;

describe('a vector leg that does not answer', () => {
	it.each<[string, EmbeddingServer['answer'], RegExp]>([
		[
			'fails',
			(response) => response.writeHead(503).end('{"error":"secret detail"}'),
			/^the vector leg failed: The embedder remote did not answer as it should: status 503\.$/,
		],
		['talks nonsense', (response) => response.end('<html>'), /something else than a list of embeddings/],
		['hangs up', (response) => response.destroy(), /^the vector leg failed: /],
	])('leaves the lexical one to answer, degraded: it %s', async (_, answer, reason) => {
		server.answer = answer;
		const result = await fixture.search(`guard ${fresh()}`);
		server.answer = answerJson;
		expect(result).toMatchObject({ mode: 'hybrid', hits: [{ documentId: 'guards.md', vectorScore: null }] });
		expect(result.degraded).toMatch(reason);
	});

	it('in time is given up', async () => {
		server.answer = () => {
			const legs = clock.waiting.filter(({ ms }) => ms === LEG_MS);
			legs.at(-1)?.run();
		};
		const result = await fixture.search(`guard ${fresh()}`);
		server.answer = answerJson;
		expect(result).toMatchObject({
			hits: [{ documentId: 'guards.md' }],
			degraded: `the vector leg failed: no answer within ${LEG_MS} ms`,
		});
	});

	it('fails a search that asked for vectors alone, without its inner detail in the message', async () => {
		server.answer = (response) => response.writeHead(500).end();
		await expect(fixture.search(`guard ${fresh()}`, { mode: 'vector' })).rejects.toMatchObject({
			code: 'retrieval_failed',
			message: 'The search in docs failed.',
			internal: expect.stringContaining('status 500'),
		});
		server.answer = answerJson;
	});
});

it('a search whose caller left ends with the caller’s reason', async () => {
	const controller = new AbortController();
	server.answer = () => controller.abort(new Error('left'));
	const search = fixture.retrieval.retriever.search({
		collection: 'docs',
		query: `guard ${fresh()}`,
		k: 3,
		mode: null,
		filter: null,
		signal: controller.signal,
	});
	await expect(search).rejects.toThrow('left');
	server.answer = answerJson;
});

it('searches leave no timer behind', async () => {
	await fixture.search('guard');
	expect(clock.waiting).toEqual([]);
});
