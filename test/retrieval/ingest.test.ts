import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdir, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, describe, expect, it } from 'vitest';
import { type Clock, systemClock } from '../../src/base/clock.ts';
import { PROBE_COUNT } from '../../src/retrieval/embedding/probes.ts';
import { chunkerConfig } from '../support/chunker-config.ts';
import { openAiEmbedder } from '../support/embedder-fixture.ts';
import { answerJson, startEmbeddingServer } from '../support/embedding-server.ts';
import {
	BUILTIN,
	collection,
	folderSource,
	jsonlSource,
	openRetrievalFixture,
	RECORD_FILE,
	type RetrievalFixture,
	retrievalConfig,
} from '../support/retrieval-fixture.ts';

const PAGES = {
	'budgets.md': '# Budgets\n\nA budget caps tokens, time and money.',
	'guards.md': '# Guards\n\nA guard checks the answer.',
	'sub/caches.txt': 'A cache remembers answers.',
};

let fixture: RetrievalFixture;
const cleanups: (() => Promise<void>)[] = [];

async function open(configure: Parameters<typeof openRetrievalFixture>[0], clock?: Clock): Promise<void> {
	fixture = await openRetrievalFixture(configure, clock);
	cleanups.push(() => fixture.close());
}

afterEach(async () => {
	for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

/** Its wall time can be put forward. */
function movableClock() {
	let ahead = 0;
	const clock: Clock = { ...systemClock, now: () => systemClock.now() + ahead };
	return { clock, forward: (ms: number) => (ahead += ms) };
}

const pages = (dir: string) => retrievalConfig([collection([folderSource(dir)])]);

describe('a run', () => {
	it('reports what it did, and a second one finds nothing to do', async () => {
		await open(pages);
		await fixture.write(PAGES);
		const first = await fixture.ingest();
		expect(first).toMatchObject({
			collection: 'docs',
			promoted: true,
			sources: [{ source: 'pages', seen: 3, new: 3, changed: 0, unchanged: 0, deleted: 0, failed: [], chunks: 3 }],
		});
		expect(first.generation).toMatch(/^docs-g1-[0-9a-f]{8}$/);
		const second = await fixture.ingest();
		expect(second).toMatchObject({
			generation: first.generation,
			promoted: false,
			sources: [{ seen: 3, new: 0, changed: 0, unchanged: 3, deleted: 0, chunks: 0, tokens: 0 }],
		});
		expect(fixture.retrieval.retriever.status()).toEqual([
			{ collection: 'docs', generation: first.generation, documents: 3, chunks: 3 },
		]);
	});

	it('brings new, changed and deleted documents into the next generation', async () => {
		await open(pages);
		await fixture.write(PAGES);
		await fixture.ingest();
		await fixture.write({
			'guards.md': '# Guards\n\nA guard judges every reply.',
			'new.md': '# Drills\n\nA drill rehearses a fault.',
		});
		await rm(path.join(fixture.dir, 'budgets.md'));
		const report = await fixture.ingest();
		expect(report.generation).toMatch(/^docs-g2-/);
		expect(report.sources).toMatchObject([{ seen: 3, new: 1, changed: 1, unchanged: 1, deleted: 1, chunks: 2 }]);
		expect((await fixture.search('drill')).hits[0]?.documentId).toBe('new.md');
		expect((await fixture.search('judges')).hits[0]?.documentId).toBe('guards.md');
		expect((await fixture.search('checks')).hits).toEqual([]);
		expect((await fixture.search('budget money')).hits).toEqual([]);
	});

	it('scores as an index that was built at once', async () => {
		await open((dir) =>
			retrievalConfig([collection([folderSource(dir)]), collection([folderSource(dir)], { name: 'fresh' })]),
		);
		for (let page = 0; page < 30; page++) {
			await fixture.write({ [`p${page}.md`]: `# Page ${page}\n\nword${page % 7} common ${'filler '.repeat(page)}` });
			if (page % 10 === 9) await fixture.ingest();
		}
		await fixture.write({ 'p3.md': '# Page three\n\nword3 word3 common, now changed' });
		await rm(path.join(fixture.dir, 'p5.md'));
		await fixture.ingest();
		await fixture.ingest('fresh');
		for (const query of ['word3 common', 'changed', 'filler word6', 'page']) {
			const scores = async (name: string) =>
				(await fixture.search(query, { k: 50, collection: name })).hits.map((hit) => [hit.documentId, hit.score]);
			expect(await scores('docs')).toEqual(await scores('fresh'));
		}
	});

	it('counts each document that cannot be read, and goes on', async () => {
		await open(pages);
		await fixture.write({
			...PAGES,
			'latin.md': Buffer.from([0x63, 0x61, 0x66, 0xe9]),
			'image.md': Buffer.from([0x89, 0x50, 0x4e, 0x47, 0]),
			'broken.pdf': '%PDF-1.7 but not really',
			'empty.md': '',
			'huge.md': 'x'.repeat(1_000_001),
		});
		const [source] = (await fixture.ingest()).sources;
		expect(source).toMatchObject({ seen: 8, new: 3 });
		expect(Object.fromEntries(source?.failed.map(({ document, reason }) => [document, reason]) ?? [])).toEqual({
			'latin.md': 'not valid UTF-8, and no other encoding is likely: save it as UTF-8',
			'image.md': 'not text: it holds NUL bytes',
			'broken.pdf': expect.stringMatching(/^a broken PDF: /),
			'empty.md': 'it has no text',
			'huge.md': '1000001 bytes, larger than file_bytes_max (1000000 bytes)',
		});
	});

	it('keeps the last good version of a document that fails now', async () => {
		await open(pages);
		await fixture.write(PAGES);
		await fixture.ingest();
		await fixture.write({ 'guards.md': Buffer.from([0xff, 0xfe]) });
		const report = await fixture.ingest();
		expect(report).toMatchObject({
			promoted: false,
			sources: [{ seen: 3, unchanged: 2, deleted: 0, failed: [{ document: 'guards.md' }] }],
		});
		expect((await fixture.search('guard')).hits[0]?.documentId).toBe('guards.md');
	});

	it('takes the first of two documents with one id and counts the other', async () => {
		await open((dir) => retrievalConfig([collection([jsonlSource(path.join(dir, 'all.jsonl'))])]));
		await fixture.write({ 'all.jsonl': '{"id":"a","text":"first wins"}\n{"id":"a","text":"second loses"}' });
		expect((await fixture.ingest()).sources).toMatchObject([
			{
				seen: 2,
				new: 1,
				failed: [{ document: 'a', reason: 'its id was used before in this source; the first one counts' }],
			},
		]);
		expect((await fixture.search('wins')).hits).toHaveLength(1);
		expect((await fixture.search('loses')).hits).toHaveLength(0);
	});

	it('keeps documents of two sources apart that share an id', async () => {
		await open((dir) =>
			retrievalConfig([
				collection([
					folderSource(path.join(dir, 'one'), { name: 'one' }),
					folderSource(path.join(dir, 'two'), { name: 'two' }),
				]),
			]),
		);
		await fixture.write({ 'one/a.md': 'shared name, first', 'two/a.md': "shared name, second's" });
		await fixture.ingest();
		expect((await fixture.search('shared')).hits.map(({ source }) => source).sort()).toEqual(['one', 'two']);
	});

	it('removes the documents of a source that left the configuration, and says how many', async () => {
		const two = (dir: string) => [
			folderSource(path.join(dir, 'one'), { name: 'one' }),
			folderSource(path.join(dir, 'two'), { name: "t'wo" }),
		];
		await open((dir) => retrievalConfig([collection(two(dir))]));
		await fixture.write({ 'one/a.md': 'kept', "two/b'b.md": 'dropped' });
		await fixture.ingest();
		await fixture.retrieval.update(retrievalConfig([collection(two(fixture.dir).slice(0, 1))]));
		expect((await fixture.ingest()).sources).toMatchObject([
			{ source: 'one', unchanged: 1 },
			{ source: "t'wo", seen: 0, deleted: 1 },
		]);
		expect((await fixture.search('dropped')).hits).toEqual([]);
	});
});

describe('a live generation', () => {
	it('serves until the new one is whole', async () => {
		await open(pages);
		await fixture.write(PAGES);
		const first = await fixture.ingest();
		await fixture.write({ 'guards.md': '# Guards\n\nEntirely different words.' });
		const during: string[] = [];
		let searches = Promise.resolve();
		const look = async () => {
			const { generation, hits } = await fixture.search('guard checks');
			during.push(`${generation} ${hits[0]?.documentId}`);
		};
		const second = await fixture.retrieval.ingester.ingest('docs', {
			signal: new AbortController().signal,
			onProgress: ({ phase, done }) => {
				if (phase !== 'index' || done === 0) searches = searches.then(look);
			},
		});
		await searches;
		expect(new Set(during)).toEqual(new Set([`${first.generation} guards.md`]));
		expect((await fixture.search('different words')).generation).toBe(second.generation);
	});

	it('survives a source that is missing, and one that is empty', async () => {
		await open(pages);
		await fixture.write(PAGES);
		const { generation } = await fixture.ingest();
		await rm(fixture.dir, { recursive: true });
		await expect(fixture.ingest()).rejects.toMatchObject({
			code: 'source_unusable',
			message: expect.stringContaining('it does not exist'),
		});
		await fixture.write({ 'x/.hidden': '' });
		await expect(fixture.ingest()).rejects.toMatchObject({
			code: 'source_unusable',
			message: expect.stringContaining('is empty, and the live index holds 3 documents'),
		});
		expect(await fixture.search('guard')).toMatchObject({ generation, hits: [{ documentId: 'guards.md' }] });
		expect((await fixture.records.listRuns('docs', 10)).map(({ outcome }) => outcome)).toEqual([
			'failed',
			'failed',
			'succeeded',
		]);
	});

	it('is never made of nothing', async () => {
		await open(pages);
		await expect(fixture.ingest()).rejects.toMatchObject({
			code: 'source_unusable',
			message: expect.stringContaining('its sources are empty'),
		});
		await fixture.write({ 'a.md': Buffer.from([0xff]) });
		await expect(fixture.ingest()).rejects.toMatchObject({
			message: expect.stringContaining('all 1 documents failed, e.g. a.md: not valid UTF-8'),
		});
		await expect(fixture.search('x')).rejects.toMatchObject({ code: 'index_not_ready' });
		expect(fixture.retrieval.retriever.status()).toEqual([
			{ collection: 'docs', generation: null, documents: 0, chunks: 0 },
		]);
	});

	it('is found again after a restart', async () => {
		await open(pages);
		await fixture.write(PAGES);
		const { generation } = await fixture.ingest();
		await fixture.restart();
		expect(await fixture.search('guard')).toMatchObject({ generation, hits: [{ documentId: 'guards.md' }] });
		expect(await fixture.ingest()).toMatchObject({ generation, promoted: false });
	});

	it('keeps as many before it as it should, and older ones while a request may use them', async () => {
		const { clock, forward } = movableClock();
		await open(pages, clock);
		const counts: number[] = [];
		for (let run = 0; run < 6; run++) {
			forward(run < 2 ? 0 : 3_600_000);
			await fixture.write({ 'a.md': `run number ${run}` });
			await fixture.ingest();
			const [table] = await readdir(path.join(fixture.root, 'index'));
			counts.push((await readdir(path.join(fixture.root, 'index', table ?? '', '_versions'))).length);
		}
		expect(counts.at(-1)).toBe(counts.at(-2));
		const records = await fixture.records.generations.list('docs', 10);
		expect(records.map(({ state, removedAt }) => [state, removedAt !== null])).toEqual([
			['live', false],
			['retired', false],
			...Array.from({ length: 4 }, () => ['retired', true]),
		]);
		expect((await fixture.search('number')).hits[0]?.text).toBe('run number 5');
	});

	it('that is damaged leaves only its own collection not ready, until the next run', async () => {
		await open((dir) =>
			retrievalConfig([collection([folderSource(dir)]), collection([folderSource(dir)], { name: 'other' })]),
		);
		await fixture.write(PAGES);
		await fixture.ingest();
		await fixture.ingest('other');
		const folder = path.join(fixture.root, 'index');
		const table = (await readdir(folder)).find((name) => name.startsWith('docs-')) ?? '';
		await rm(path.join(folder, table, 'data'), { recursive: true });
		await fixture.restart();
		await expect(fixture.search('guard')).rejects.toMatchObject({
			code: 'index_not_ready',
			message: expect.stringContaining('damaged'),
		});
		expect(fixture.warnings).toHaveLength(1);
		expect([...fixture.alerts.keys()]).toEqual(['index_damaged:docs']);
		expect((await fixture.search('guard', { collection: 'other' })).hits).toHaveLength(1);
		expect(await fixture.ingest()).toMatchObject({ promoted: true });
		expect([...fixture.alerts.keys()]).toEqual([]);
		expect((await fixture.search('guard')).hits).toHaveLength(1);
	});

	describe.each([
		{
			damage: 'overwritten',
			strike: async (table: string) => {
				for (const entry of await readdir(table, { recursive: true, withFileTypes: true })) {
					if (entry.isFile()) await writeFile(path.join(entry.parentPath, entry.name), 'rubbish');
				}
			},
		},
		{ damage: 'deleted', strike: (table: string) => rm(table, { recursive: true }) },
	])('whose files are $damage while it is served', ({ damage, strike }) => {
		const folder = () => path.join(fixture.root, 'index');
		const readiness = () => fixture.retrieval.retriever.status().map(({ generation }) => generation !== null);

		async function struck(): Promise<void> {
			await open((dir) =>
				retrievalConfig([collection([folderSource(dir)]), collection([folderSource(dir)], { name: 'other' })]),
			);
			await fixture.write(PAGES);
			await fixture.ingest();
			await fixture.ingest('other');
			expect((await fixture.search('guard')).hits).toHaveLength(1);
			const table = (await readdir(folder())).find((name) => name.startsWith('docs-')) ?? '';
			await strike(path.join(folder(), table));
		}

		async function rebuilt(): Promise<void> {
			expect(await fixture.ingest()).toMatchObject({ promoted: true, sources: [{ new: 3, chunks: 3 }] });
			expect(readiness()).toEqual([true, true]);
			expect((await fixture.search('guard')).hits).toHaveLength(1);
			const aside = (await readdir(folder())).filter((name) => name.includes('.unusable-'));
			expect(aside).toHaveLength(damage === 'overwritten' ? 1 : 0);
			expect(fixture.warnings.at(-1)).toContain(aside[0] ?? 'is gone and is built anew');
			expect((await fixture.search('guard', { collection: 'other' })).hits).toHaveLength(1);
			expect(await fixture.ingest()).toMatchObject({ promoted: false });
			await fixture.restart();
			expect((await fixture.search('guard')).hits).toHaveLength(1);
		}

		it('is not ready once a search met the damage, and the next run builds it anew', async () => {
			await struck();
			await expect(fixture.search('guard')).rejects.toMatchObject({
				code: 'index_not_ready',
				message: expect.stringContaining('is damaged; plimsoll ingest docs builds a new one'),
			});
			expect(readiness()).toEqual([false, true]);
			await rebuilt();
		});

		it('is built anew by a run that meets the damage first', async () => {
			await struck();
			await rebuilt();
		});
	});
});

describe('runs of one collection', () => {
	it('wait for each other', async () => {
		await open(pages);
		await fixture.write(PAGES);
		const [first, second] = await Promise.all([fixture.ingest(), fixture.ingest()]);
		expect([first.promoted, second.promoted]).toEqual([true, false]);
	});

	it('refuse to pile up', async () => {
		await open(pages);
		await fixture.write(PAGES);
		const results = await Promise.allSettled(Array.from({ length: 12 }, () => fixture.ingest()));
		expect(results.filter(({ status }) => status === 'rejected')).toHaveLength(3);
	});

	it('end when their signal aborts, and the next one takes over', async () => {
		await open(pages);
		await fixture.write(PAGES);
		const controller = new AbortController();
		const cancelled = fixture.retrieval.ingester.ingest('docs', {
			signal: controller.signal,
			onProgress: () => controller.abort(new Error('stop now')),
		});
		await expect(cancelled).rejects.toThrow('stop now');
		expect(await fixture.ingest()).toMatchObject({ promoted: true });
		expect((await fixture.records.listRuns('docs', 10)).map(({ outcome }) => outcome)).toEqual([
			'succeeded',
			'cancelled',
		]);
	});

	it('that a dead process left running are marked as failed', async () => {
		await open(pages);
		await fixture.records.putRun({
			id: 'run_x',
			collection: 'docs',
			startedAt: 1,
			endedAt: null,
			outcome: 'running',
			report: null,
			error: null,
		});
		await fixture.restart();
		expect(await fixture.records.listRuns('docs', 1)).toMatchObject([
			{ id: 'run_x', outcome: 'failed', error: 'the process ended before the run did' },
		]);
	});
});

describe('a change of embedder or chunker', () => {
	it('builds a new index beside the old one, which serves meanwhile by words', async () => {
		const config = (dir: string, dimensions: number) =>
			retrievalConfig([collection([folderSource(dir)], { embedder: 'builtin' })], [{ ...BUILTIN, dimensions }]);
		await open((dir) => config(dir, 64));
		await fixture.write(PAGES);
		await fixture.ingest();
		await fixture.retrieval.update(config(fixture.dir, 128));
		const between = await fixture.search('guard');
		expect(between.hits[0]).toMatchObject({ documentId: 'guards.md', vectorScore: null });
		expect(between.degraded).toMatch(
			/the live index of docs was built with another embedder than the one configured: .* plimsoll ingest docs builds a new one/i,
		);
		expect(await fixture.ingest()).toMatchObject({ promoted: true, sources: [{ new: 3, unchanged: 0 }] });
		const after = await fixture.search('guard');
		expect(after.degraded).toBeNull();
		expect(after.hits[0]).toMatchObject({ documentId: 'guards.md', vectorScore: expect.any(Number) });
	});

	it('leaves no more than the live table and the one before', async () => {
		const { clock, forward } = movableClock();
		await open(pages, clock);
		await fixture.write(PAGES);
		for (const tokensMax of [100, 110, 120, 130]) {
			await fixture.retrieval.update(
				retrievalConfig([
					collection([folderSource(fixture.dir)], { chunker: chunkerConfig({ tokensMax, tokensMin: 5 }) }),
				]),
			);
			forward(3_600_000);
			await fixture.ingest();
		}
		expect(await readdir(path.join(fixture.root, 'index'))).toHaveLength(2);
		expect((await fixture.search('guard')).hits).toHaveLength(1);
	});
});

it('a collection that is added while running can be ingested and searched', async () => {
	await open(() => retrievalConfig([]));
	await fixture.write(PAGES);
	await expect(fixture.search('guard')).rejects.toMatchObject({ code: 'collection_not_found' });
	await fixture.retrieval.update(pages(fixture.dir));
	await fixture.ingest();
	expect((await fixture.search('guard')).hits).toHaveLength(1);
});

describe('a process killed in the middle of a run', () => {
	it('leaves the old generation serving, and the next run embeds only what is missing', async () => {
		const server = await startEmbeddingServer();
		cleanups.push(() => server.close());
		const embedder = openAiEmbedder(server.url, { batchMax: 128 });
		const config = (dir: string) => collection([jsonlSource(path.join(dir, 'all.jsonl'))], { embedder: 'remote' });
		await open((dir) => retrievalConfig([config(dir)], [embedder]));
		const file = path.join(fixture.dir, 'all.jsonl');
		await writeFile(file, '{"id":"old","text":"the old generation"}');
		const { generation } = await fixture.ingest();

		const lines = Array.from({ length: 1_400 }, (_, line) =>
			JSON.stringify({ id: `d${line}`, text: `document number ${line}` }),
		);
		await writeFile(file, lines.join('\n'));
		server.texts.length = 0;
		const script = fileURLToPath(new URL('../support/ingest-child.ts', import.meta.url));
		const child = spawn(process.execPath, [script], { stdio: ['pipe', 'ignore', 'ignore'] });
		/** A few texts are embedded twice, to see that vectors come in order. */
		const numbered = () => new Set(server.texts.filter((text) => text.startsWith('document number'))).size;
		// The third batch of 512 chunks is never answered: the first two are on disk when the process dies.
		server.answer = (response, body) => {
			if (numbered() > 1_024) child.kill('SIGKILL');
			else answerJson(response, body);
		};
		child.stdin.write(
			`${JSON.stringify({ root: fixture.root, records: path.join(fixture.root, RECORD_FILE), collection: config(fixture.dir), embedder })}\n`,
		);
		expect(await once(child, 'exit')).toEqual([null, 'SIGKILL']);

		server.answer = answerJson;
		await fixture.restart();
		expect(await fixture.search('old')).toMatchObject({ generation, hits: [{ documentId: 'old' }] });
		server.texts.length = 0;
		const report = await fixture.ingest();
		expect(report).toMatchObject({
			promoted: true,
			sources: [{ seen: 1_400, new: 1_400, unchanged: 0, deleted: 1, chunks: 1_400 - 1_024 }],
		});
		expect(numbered()).toBe(1_400 - 1_024);
		// The embedder is measured before and after.
		expect(server.texts.length).toBeLessThan(2 * PROBE_COUNT + (1_400 - 1_024) * 1.02);
		expect(fixture.retrieval.retriever.status()).toMatchObject([{ documents: 1_400, chunks: 1_400 }]);
		expect((await fixture.search('number 1399', { k: 1 })).hits[0]?.documentId).toBe('d1399');
	});
});
