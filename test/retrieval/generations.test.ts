import { readdir, rm } from 'node:fs/promises';
import path from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { systemClock } from '../../src/base/clock.ts';
import type { Check } from '../../src/retrieval/verification.ts';
import { chunkerConfig } from '../support/chunker-config.ts';
import {
	BUILTIN,
	collection,
	folderSource,
	openRetrievalFixture,
	type RetrievalFixture,
	retrievalConfig,
} from '../support/retrieval-fixture.ts';

const PAGES = { 'a.md': '# Oak\n\nThe oak is a tree.', 'b.md': '# Flax\n\nFlax becomes linen.' };

const opened: RetrievalFixture[] = [];
afterEach(async () => {
	for (const fixture of opened.splice(0)) await fixture.close();
});

const pages = (dir: string) => retrievalConfig([collection([folderSource(dir)], { generations: { keep: 3 } })]);

async function open(options: { checks?: readonly Check[]; configure?: typeof pages } = {}): Promise<RetrievalFixture> {
	const fixture = await openRetrievalFixture(options.configure ?? pages, systemClock, options);
	opened.push(fixture);
	await fixture.write(PAGES);
	return fixture;
}

const { signal } = new AbortController();
const order = { collection: 'docs', actor: 'key:k1', why: 'on purpose', signal };

/** Fails while a document says so. */
const noBadWord: Check = {
	name: 'no_bad_word',
	overrulable: true,
	async run({ search }) {
		const { hits } = await search({ query: 'asbestos', k: 1, mode: null, filter: null, signal: null });
		const passed = hits.length === 0;
		return { passed, message: passed ? 'clean' : 'asbestos is found', detail: { hits: hits.length } };
	},
};

describe('a generation whose check fails', () => {
	it('is refused by name while the old one serves, stays the same when the sources do, and goes live by hand', async () => {
		const fixture = await open({ checks: [noBadWord] });
		const { index } = fixture.retrieval;
		const { generation: first } = await fixture.ingest();
		await fixture.write({ 'c.md': 'Roofs of asbestos.' });
		const refused = await fixture.ingest();
		expect(refused).toMatchObject({
			generation: first,
			promoted: false,
			refused: { generation: expect.stringMatching(/^docs-g2-[0-9a-f]{8}$/), verification: { passed: false } },
		});
		expect(refused.refused?.verification.checks.filter(({ passed }) => !passed)).toMatchObject([
			{ check: 'no_bad_word', message: 'asbestos is found', overrulable: true },
		]);
		expect(await fixture.search('asbestos')).toMatchObject({ generation: first, hits: [] });
		expect(fixture.alerts.get('index_refused:docs')).toMatchObject({
			severity: 'ticket',
			message: expect.stringMatching(
				/docs-g2-.* was refused, and docs-g1-.* keeps serving: no_bad_word: asbestos is found/,
			),
			detail: { live: first, checks: 'no_bad_word' },
		});
		expect((await fixture.records.listRuns('docs', 1))[0]?.outcome).toBe('refused');
		const again = await fixture.ingest();
		expect(again.refused?.generation).toBe(refused.refused?.generation);
		expect((await index.list('docs')).generations.map(({ state }) => state)).toEqual(['refused', 'live']);

		const generation = refused.refused?.generation ?? '';
		expect(await index.promote({ ...order, generation })).toMatchObject({
			kind: 'overrule',
			from: first,
			to: generation,
		});
		expect(await fixture.search('asbestos')).toMatchObject({ generation, hits: [{ documentId: 'c.md' }] });
		expect(fixture.alerts.has('index_refused:docs')).toBe(false);
		const { generations, moves } = await index.list('docs');
		expect(generations.map(({ state }) => state)).toEqual(['live', 'retired']);
		expect(moves[0]).toMatchObject({ kind: 'overrule', actor: 'key:k1', why: 'on purpose' });
		expect(await fixture.records.listAudit(1)).toMatchObject([{ action: 'generation_promoted', subject: 'docs' }]);
		expect(await fixture.ingest()).toMatchObject({ generation, promoted: false, refused: null });
		await fixture.restart();
		expect(await fixture.search('asbestos')).toMatchObject({ generation });
	});

	it('leaves nothing live when it is the first, and pages somebody', async () => {
		const fixture = await open({ checks: [noBadWord] });
		await fixture.write({ 'c.md': 'Roofs of asbestos.' });
		expect(await fixture.ingest()).toMatchObject({ generation: null, promoted: false });
		await expect(fixture.search('oak')).rejects.toMatchObject({ code: 'index_not_ready' });
		expect(fixture.alerts.get('index_refused:docs')).toMatchObject({ severity: 'page' });
		await rm(path.join(fixture.dir, 'c.md'));
		expect(await fixture.ingest()).toMatchObject({ promoted: true, generation: expect.stringMatching(/^docs-g2-/) });
		expect(fixture.alerts.size).toBe(0);
	});

	it('fails by its name when the check itself does', async () => {
		const broken: Check = { ...noBadWord, name: 'broken', run: () => Promise.reject(new Error('no such query')) };
		const fixture = await open({ checks: [broken] });
		const { refused } = await fixture.ingest();
		expect(refused?.verification.checks.at(-1)).toMatchObject({
			check: 'broken',
			message: 'The check broken could not be made: no such query',
		});
	});
});

it('equal inputs have one hash, on any machine and in any order; other inputs have another', async () => {
	const [one, two] = [await open(), await open()];
	await two.write({ '0.md': 'first' });
	await two.ingest();
	await rm(path.join(two.dir, '0.md'));
	const hashOf = async (fixture: RetrievalFixture) => (await fixture.ingest()).generation?.slice(-8);
	const hash = await hashOf(one);
	expect(await hashOf(two)).toBe(hash);
	await one.write({ 'a.md': '# Oak\n\nThe oak is a bush.' });
	expect(await hashOf(one)).not.toBe(hash);
	await one.write(PAGES);
	expect(await hashOf(one)).toBe(hash);
	const chunker = chunkerConfig({ tokensMax: 150, tokensMin: 20 });
	await one.retrieval.update(retrievalConfig([collection([folderSource(one.dir)], { chunker })]));
	expect(await hashOf(one)).not.toBe(hash);
});

describe('a rollback', () => {
	it('goes back at once, and the same content does not come back by itself', async () => {
		const fixture = await open();
		const { index } = fixture.retrieval;
		const { generation: first } = await fixture.ingest();
		await fixture.write({ 'a.md': '# Oak\n\nThe oak is a bush.' });
		const { generation: second } = await fixture.ingest();
		const moved = await index.rollBack({ ...order, generation: null });
		expect(moved).toMatchObject({ kind: 'rollback', from: second, to: first });
		expect(await fixture.search('oak')).toMatchObject({
			generation: first,
			hits: [{ text: expect.stringMatching(/tree/) }],
		});
		const again = await fixture.ingest();
		expect(again).toMatchObject({ generation: first, promoted: false });
		expect(again.refused?.verification.checks.at(-1)).toMatchObject({
			check: 'rolled_back',
			message: expect.stringMatching(/key:k1 rolled it back \(on purpose\)/),
		});
		await fixture.write({ 'a.md': '# Oak\n\nThe oak is a mighty tree.' });
		expect(await fixture.ingest()).toMatchObject({ promoted: true });
		expect((await index.list('docs')).moves.map(({ kind }) => kind)).toEqual([
			'promotion',
			'rollback',
			'promotion',
			'promotion',
		]);
	});

	it('and forward again lifts the ban', async () => {
		const fixture = await open();
		const { index } = fixture.retrieval;
		await fixture.ingest();
		await fixture.write({ 'a.md': '# Oak\n\nThe oak is a bush.' });
		const { generation } = await fixture.ingest();
		await index.rollBack({ ...order, generation: null });
		await index.promote({ ...order, generation: 'g2' });
		expect(await fixture.ingest()).toMatchObject({ generation, promoted: false, refused: null });
	});

	it('is refused without an earlier generation, to one that never was live, and to one that is gone', async () => {
		const fixture = await open();
		const { index } = fixture.retrieval;
		const { generation } = await fixture.ingest();
		await expect(index.rollBack({ ...order, generation: null })).rejects.toMatchObject({ code: 'generation_refused' });
		await expect(index.rollBack({ ...order, generation })).rejects.toMatchObject({
			message: expect.stringMatching(/is live/),
		});
		await expect(index.show('docs', 'docs-g8')).rejects.toMatchObject({ code: 'generation_not_found' });
		await fixture.write({ 'a.md': 'changed' });
		await fixture.ingest();
		const [record] = (await index.list('docs')).generations.slice(-1);
		if (record) await fixture.records.generations.put({ ...record, removedAt: 1 });
		await expect(index.rollBack({ ...order, generation })).rejects.toMatchObject({
			message: expect.stringMatching(/rows were removed/),
		});
	});
});

describe('a generation that is verified', () => {
	it('keeps what it became meanwhile: retired by a run, or live again', async () => {
		const during: (() => Promise<unknown>)[] = [];
		const meanwhile: Check = {
			name: 'meanwhile',
			overrulable: true,
			async run() {
				await during.pop()?.();
				return { passed: true, message: 'done', detail: {} };
			},
		};
		const fixture = await open({ checks: [meanwhile] });
		const { index } = fixture.retrieval;
		const { generation: first } = await fixture.ingest();
		const states = async () =>
			(await index.list('docs')).generations.map(({ state, verifiedAt }) => [state, verifiedAt]);
		await fixture.write({ 'c.md': 'Hemp becomes rope.' });
		during.push(() => fixture.ingest());
		const { at } = await index.verify('docs', first ?? '', signal);
		expect(await states()).toEqual([
			['live', expect.any(Number)],
			['retired', at],
		]);
		during.push(() => index.rollBack({ ...order, generation: null }));
		const again = await index.verify('docs', first ?? '', signal);
		expect(await states()).toEqual([
			['retired', expect.any(Number)],
			['live', again.at],
		]);
	});
});

describe('what nobody can overrule', () => {
	it('keeps a damaged generation and one of another embedder from going live', async () => {
		const config = (dir: string, dimensions: number) =>
			retrievalConfig(
				[collection([folderSource(dir)], { embedder: 'builtin', generations: { keep: 3 } })],
				[{ ...BUILTIN, dimensions }],
			);
		const fixture = await open({ configure: (dir) => config(dir, 64) });
		const { index } = fixture.retrieval;
		const { generation: first } = await fixture.ingest();
		await fixture.retrieval.update(config(fixture.dir, 128));
		const { generation: second } = await fixture.ingest();
		const back = index.rollBack({ ...order, generation: null });
		await expect(back).rejects.toMatchObject({
			code: 'generation_refused',
			message: expect.stringMatching(/identity: built with/),
		});
		await fixture.retrieval.update(config(fixture.dir, 64));
		const table = (await index.show('docs', first ?? '')).table;
		await rm(path.join(fixture.root, 'index', `${table}.lance`, 'data'), { recursive: true });
		await expect(index.rollBack({ ...order, generation: null })).rejects.toMatchObject({
			message: expect.stringMatching(/damage: /),
		});
		expect((await index.verify('docs', first ?? '', signal)).passed).toBe(false);
		expect(await fixture.search('oak', { mode: 'lexical' })).toMatchObject({
			generation: second,
			hits: [{ documentId: 'a.md' }],
		});
	});
});

describe('a rebuild', () => {
	it('comes to the same content from nothing and promotes nothing, or replaces what differs', async () => {
		const fixture = await open();
		const { index, ingester } = fixture.retrieval;
		const { generation } = await fixture.ingest();
		expect(await index.estimate('docs')).toMatchObject({
			documents: 2,
			chunks: 2,
			costMicros: 0,
			tokens: expect.any(Number),
		});
		const tables = () => readdir(path.join(fixture.root, 'index'));
		const before = await tables();
		const same = await ingester.ingest('docs', { signal, fresh: true });
		expect(same).toMatchObject({ generation, promoted: false, refused: null, sources: [{ new: 2, chunks: 2 }] });
		expect(await tables()).toEqual(before);
		await fixture.write({ 'c.md': 'Hemp becomes rope.' });
		const other = await ingester.ingest('docs', { signal, fresh: true });
		expect(other).toMatchObject({ promoted: true });
		expect((await index.show('docs', other.generation ?? '')).table).toMatch(/-r\d+$/);
		// What comes later goes on in the rebuilt table.
		await fixture.write({ 'd.md': 'Jute becomes sacks.' });
		expect(await fixture.ingest()).toMatchObject({ promoted: true, sources: [{ new: 1, unchanged: 3, chunks: 1 }] });
		const diff = await index.diff('docs', generation ?? '', 'g3');
		expect(diff.documents).toEqual({
			added: {
				count: 2,
				some: [
					{ source: 'pages', document: 'c.md' },
					{ source: 'pages', document: 'd.md' },
				],
			},
			removed: { count: 0, some: [] },
			changed: { count: 0, some: [] },
			same: 2,
		});
		const settings = diff.settings.map((one) => one.path);
		expect(settings.filter((name) => !name.startsWith('statistics.'))).toEqual([
			'chunks',
			'documents',
			'sources.pages',
			'table',
		]);
		expect(settings.some((name) => name.startsWith('statistics.'))).toBe(true);
	});
});

it('gc removes what broken-off builds left, and nothing that is kept', async () => {
	const fixture = await open();
	const { ingester } = fixture.retrieval;
	await fixture.ingest();
	const left = new AbortController();
	const progress = () => left.abort(new Error('left'));
	await expect(ingester.ingest('docs', { signal: left.signal, fresh: true, onProgress: progress })).rejects.toThrow(
		'left',
	);
	await fixture.restart();
	expect((await fixture.retrieval.index.list('docs')).generations.map(({ state }) => state)).toEqual([
		'failed',
		'live',
	]);
	expect(await readdir(path.join(fixture.root, 'index'))).toHaveLength(2);
	const removed = await fixture.retrieval.index.collect('docs', signal);
	expect(removed.tables).toHaveLength(1);
	expect((await fixture.retrieval.index.list('docs')).generations.map(({ state }) => state)).toEqual(['live']);
	expect((await fixture.search('oak')).hits).toHaveLength(1);
});
