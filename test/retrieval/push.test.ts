import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import fc from 'fast-check';
import { afterEach, describe, expect, it } from 'vitest';
import type { PushInput } from '../../src/spec/push.ts';
import { document, ORDER, openPushFixture, outcomes, pushSource } from '../support/push-fixture.ts';
import {
	collection,
	folderSource,
	ingestion,
	type RetrievalFixture,
	retrievalConfig,
} from '../support/retrieval-fixture.ts';

let fixture: RetrievalFixture;
afterEach(() => fixture.close());

const push = (documents: readonly PushInput[], more = {}) =>
	fixture.retrieval.push.push({ ...ORDER, documents, ...more });
const found = async (query: string) => (await fixture.search(query)).hits.map(({ documentId }) => documentId);

describe('documents that are pushed', () => {
	it('are found once the order is done, with ids of any kind, and read by their format', async () => {
		fixture = await openPushFixture();
		const ids = ['a/b/../c', 'ä 😀', 'x'.repeat(1_024), 'folder/'];
		const receipt = await push([
			...ids.map((id, at) => document(id, `The oak number ${at}.`)),
			document('page', '<html><title>Linen</title><p>Flax becomes linen.</p></html>', { format: 'html' }),
		]);
		expect(receipt).toMatchObject({ isDone: true, problem: null, source: 'sent' });
		expect(outcomes(receipt)).toEqual([...ids, 'page'].map((id) => [id, 'new', 'live']));
		expect((await found('oak')).sort()).toEqual([...ids].sort());
		expect((await fixture.search('linen')).hits[0]).toMatchObject({ title: 'Linen', text: 'Flax becomes linen.' });
	});

	it('are stored and no more where nobody waits, and the run is told by its id', async () => {
		fixture = await openPushFixture({}, () => [pushSource({ batchMs: 600_000 })]);
		const { runId, isDone, results } = await push([document('a', 'The oak.')], { waitMs: 0 });
		expect([isDone, results[0]?.state?.state]).toEqual([false, 'pending']);
		expect(await fixture.retrieval.push.run('docs', runId ?? '')).toMatchObject({ state: 'queued', generation: null });
		const joined = await push([document('b', 'The flax.')], { waitMs: 0 });
		expect(joined.runId).toBe(runId);
		await expect(fixture.retrieval.push.run('docs', 'run_other')).rejects.toMatchObject({ code: 'run_not_found' });
	});

	it('are not written and not read again when they are sent as they were', async () => {
		fixture = await openPushFixture();
		const first = await push([document('a', 'The oak.', { fields: { product: 'tree' } })]);
		expect(await fixture.retrieval.push.run('docs', first.runId ?? '')).toMatchObject({ state: 'succeeded' });
		const again = await push([document('a', 'The oak.', { fields: { product: 'tree' } })]);
		expect(again).toMatchObject({ runId: null, isDone: true });
		expect(outcomes(again)).toEqual([['a', 'unchanged', 'live']]);
		expect(outcomes(await push([document('a', 'The oak.', { fields: { product: 'wood' } })]))).toEqual([
			['a', 'changed', 'live'],
		]);
		expect(await found('oak')).toEqual(['a']);
	});

	it('are each refused for itself, with a reason that names it', async () => {
		fixture = await openPushFixture({}, () => [
			pushSource({ documentBytesMax: 60, storedDocumentsMax: 3, storedBytesMax: 100 }),
		]);
		const receipt = await push([
			document('twice', 'one'),
			document('twice', 'another'),
			document('same', 'equal'),
			document('same', 'equal'),
			document('empty', ' \n'),
			document('long', 'x'.repeat(61)),
			document('half \ud83d', 'x'),
			document('pdf', 'x', { format: 'pdf' }),
			document('odd', 'x', { format: 'xls' }),
			document('none', '', { text: null }),
			document('base', '', { text: null, base64: 'no base64!' }),
			document('fits', 'y'.repeat(60)),
			document('full', 'z'.repeat(40)),
		]);
		expect(outcomes(receipt)).toEqual([
			['twice', 'refused', 'duplicate_id'],
			['twice', 'refused', 'duplicate_id'],
			['same', 'new', 'live'],
			['same', 'unchanged', 'live'],
			['empty', 'refused', 'empty'],
			['long', 'refused', 'too_large'],
			['half \ud83d', 'refused', 'malformed'],
			['pdf', 'refused', 'malformed'],
			['odd', 'refused', 'malformed'],
			['none', 'refused', 'malformed'],
			['base', 'refused', 'malformed'],
			['fits', 'new', 'live'],
			['full', 'refused', 'storage_full'],
		]);
		expect(await fixture.records.pushed.total({ collection: 'docs', source: 'sent' })).toEqual({
			documents: 2,
			bytes: 65,
		});
	});

	it('that do not fit are quarantined with their reasons, and a good version of before is kept', async () => {
		const rules = { documents: { fields: { product: { type: 'text', required: true } } } };
		fixture = await openPushFixture({ ingestion: ingestion(rules) });
		const first = await push([
			document('a', 'The oak.', { fields: { product: 'tree' } }),
			document('b', 'The flax.'),
			document('c', '%PDF-1.7', { text: null, base64: Buffer.from('no pdf').toString('base64'), format: 'pdf' }),
		]);
		expect(outcomes(first)).toEqual([
			['a', 'new', 'live'],
			['b', 'new', 'quarantined'],
			['c', 'new', 'failed'],
		]);
		expect(first.results[1]?.state?.reasons.join()).toMatch(/product/);
		const second = await push([document('a', 'The willow.')]);
		expect(second.results[0]?.state).toMatchObject({ state: 'quarantined', kept: true });
		expect(await found('oak')).toEqual(['a']);
		const { documents } = await fixture.retrieval.push.list({ ...ORDER, after: null, limit: 10 });
		expect(documents.map(({ id, state }) => [id, state])).toEqual([
			['a', 'quarantined'],
			['b', 'quarantined'],
			['c', 'failed'],
		]);
	});

	it('leave the index when they are deleted, down to the last one', async () => {
		fixture = await openPushFixture();
		await push([document('a', 'The oak.'), document('b', 'The flax.')]);
		const first = await fixture.retrieval.push.remove({ ...ORDER, ids: ['a', 'nothing'] });
		expect(outcomes(first)).toEqual([
			['a', 'deleted', null],
			['nothing', 'absent', null],
		]);
		expect(first.isDone).toBe(true);
		expect([await found('oak'), await found('flax')]).toEqual([[], ['b']]);
		expect((await fixture.retrieval.push.remove({ ...ORDER, ids: ['b'] })).problem).toBeNull();
		expect(await found('flax')).toEqual([]);
		await push([document('c', 'The willow.')]);
		expect(await found('willow')).toEqual(['c']);
	});

	it('are brought in without asking the other sources of the collection, whose documents stay', async () => {
		fixture = await openPushFixture({}, (dir) => [folderSource(dir), pushSource()]);
		await fixture.write({ 'a.md': 'The oak.' });
		await fixture.ingest();
		await fixture.write({ 'a.md': 'The willow.', 'b.md': 'The birch.' });
		await push([document('sent', 'The flax.')]);
		expect([await found('oak'), await found('willow birch'), await found('flax')]).toEqual([['a.md'], [], ['sent']]);
		await fixture.ingest();
		expect((await found('willow birch')).sort()).toEqual(['a.md', 'b.md']);
		expect(await found('flax')).toEqual(['sent']);
	});

	it('wait for a source of kind push that is named where there are several', async () => {
		fixture = await openPushFixture({}, () => [pushSource(), pushSource({ name: 'other' })]);
		await expect(push([document('a', 'x')])).rejects.toMatchObject({ code: 'push_source_unknown' });
		await expect(push([document('a', 'x')], { source: 'others' })).rejects.toThrow(/it has sent, other/);
		expect(await push([document('a', 'x')], { source: 'other' })).toMatchObject({ source: 'other', isDone: true });
		expect(await push([document('a', 'y')], { source: 'sent' })).toMatchObject({ source: 'sent', isDone: true });
	});

	it('of one tenant are neither seen, replaced nor deleted in the name of another', async () => {
		const rules = { documents: { fields: { tenant: { type: 'text' } } } };
		const access = { tenantField: 'tenant', sharedTenant: null, readersField: null, everyone: 'everyone' };
		fixture = await openPushFixture({ access, ingestion: ingestion(rules) });
		const acme = await push([document('a', 'The oak.')], { tenant: 'acme' });
		expect(outcomes(acme)).toEqual([['a', 'new', 'live']]);
		const beta = await push(
			[
				document('a', 'The flax.'),
				document('b', 'The flax.', { fields: { tenant: 'acme' } }),
				document('c', 'The flax.'),
			],
			{ tenant: 'beta' },
		);
		expect(outcomes(beta)).toEqual([
			['a', 'refused', 'other_tenant'],
			['b', 'refused', 'other_tenant'],
			['c', 'new', 'live'],
		]);
		const asBeta = { ...ORDER, tenant: 'beta' };
		expect((await fixture.retrieval.push.list({ ...asBeta, after: null, limit: 9 })).documents).toMatchObject([
			{ id: 'c' },
		]);
		await expect(fixture.retrieval.push.find({ ...asBeta, id: 'a' })).rejects.toMatchObject({
			code: 'document_not_found',
		});
		expect(outcomes(await fixture.retrieval.push.remove({ ...asBeta, ids: ['a'] }))).toEqual([['a', 'absent', null]]);
		const seen = async (tenantId: string) => {
			const caller = { tenantId, user: null, groups: [] };
			const request = { collection: 'docs', query: 'oak flax', k: 9, mode: null, filter: null, signal: null, caller };
			return (await fixture.retrieval.retriever.search(request)).hits.map(({ documentId }) => documentId);
		};
		expect([await seen('acme'), await seen('beta')]).toEqual([['a'], ['c']]);
	});
});

describe('a purge', () => {
	/** Every file below a folder that holds the text somewhere. */
	async function holding(folder: string, text: string): Promise<string[]> {
		const files = await readdir(folder, { recursive: true, withFileTypes: true });
		const names = files.filter((file) => file.isFile()).map((file) => path.join(file.parentPath, file.name));
		const hits: string[] = [];
		for (const name of names) if ((await readFile(name)).includes(text)) hits.push(path.relative(folder, name));
		return hits;
	}
	const onPurged = async () => {};

	it('leaves no byte of a document in the data folder, not of what was deleted before either, and nothing to roll back to', async () => {
		const rules = { documents: { fields: { product: { type: 'text', one_of: ['tree'] } } } };
		fixture = await openPushFixture({ generations: { keep: 5 }, ingestion: ingestion(rules) });
		const many = Array.from({ length: 40 }, (_, at) => document(`other-${at}`, `Flax number ${at} becomes linen.`));
		const secret = 'Xq7Zk2Vw9Jt4';
		const odd = document(`odd-${secret}`, 'The birch.', { fields: { product: `not-${secret}` } });
		await push([...many, document(`id-${secret}`, `The oak of ${secret} stands.`, { title: `Title ${secret}` }), odd]);
		await push([document('other-0', 'Flax number zero.'), document('gone', `Deleted ${secret} long ago.`)]);
		await fixture.retrieval.push.remove({ ...ORDER, ids: ['gone'] });
		expect((await fixture.records.generations.list('docs', 10)).length).toBe(3);
		expect((await holding(fixture.root, secret)).map((file) => file.split(path.sep)[0])).toContain('index');
		const ids = [`id-${secret}`, `odd-${secret}`, 'gone'];
		const receipt = await fixture.retrieval.push.purge({ ...ORDER, ids, onPurged });
		expect(receipt).toMatchObject({ purged: 2, isDone: true, problem: null });
		expect(await holding(fixture.root, secret)).toEqual([]);
		expect(
			(await fixture.records.generations.list('docs', 10)).filter(({ removedAt }) => removedAt === null),
		).toMatchObject([{ state: 'live', documents: 40 }]);
		expect(await found('oak')).toEqual([]);
		expect((await found('zero')).at(0)).toBe('other-0');
		await fixture.restart();
		expect((await found('zero')).at(0)).toBe('other-0');
		expect((await push([document(`id-${secret}`, 'The oak is back.')])).isDone).toBe(true);
		expect(await found('oak')).toEqual([`id-${secret}`]);
	});

	it('of a whole source leaves the documents of the others', async () => {
		fixture = await openPushFixture({}, (dir) => [folderSource(dir), pushSource()]);
		await fixture.write({ 'a.md': 'The oak.' });
		await push([document('sent', 'The flax of Xq7Zk2Vw9Jt4.')]);
		expect(await fixture.retrieval.push.purge({ ...ORDER, ids: null, onPurged })).toMatchObject({
			purged: 1,
			isDone: true,
		});
		expect([await found('flax'), await found('oak')]).toEqual([[], ['a.md']]);
		expect(await holding(fixture.root, 'Xq7Zk2Vw9Jt4')).toEqual([]);
	});

	const secret = 'Xq7Zk2Vw9Jt4';
	const stored = async () =>
		(await fixture.retrieval.push.stored()).map(({ collection: name, source, documents, isConfigured }) => {
			return [name, source, documents, isConfigured];
		});

	it('reaches a source that left the configuration, and what is left over is told until then', async () => {
		fixture = await openPushFixture({}, (dir) => [folderSource(dir), pushSource(), pushSource({ name: 'other' })]);
		await fixture.write({ 'a.md': 'The oak.' });
		await push([document('kept', 'The birch.')], { source: 'other' });
		await push([document(`id-${secret}`, `The flax of ${secret}.`)], { source: 'sent' });
		expect(await stored()).toEqual([
			['docs', 'other', 1, true],
			['docs', 'sent', 1, true],
		]);
		const without = [folderSource(fixture.dir), pushSource({ name: 'other' })];
		await fixture.retrieval.update(retrievalConfig([collection(without)]));
		expect(await stored()).toEqual([
			['docs', 'other', 1, true],
			['docs', 'sent', 1, false],
		]);
		await expect(push([document('a', 'x')], { source: 'sent' })).rejects.toMatchObject({ code: 'push_source_unknown' });
		// Without a name it is the one that is configured.
		expect(await fixture.retrieval.push.purge({ ...ORDER, ids: ['no'], onPurged })).toMatchObject({ source: 'other' });
		const receipt = await fixture.retrieval.push.purge({ ...ORDER, source: 'sent', ids: null, onPurged });
		expect(receipt).toMatchObject({ source: 'sent', purged: 1, isDone: true, problem: null });
		expect(await holding(fixture.root, secret)).toEqual([]);
		expect(await stored()).toEqual([['docs', 'other', 1, true]]);
		expect([await found('flax'), await found('birch'), await found('oak')]).toEqual([[], ['kept'], ['a.md']]);
		await expect(fixture.retrieval.push.purge({ ...ORDER, source: 'sent', ids: null, onPurged })).rejects.toMatchObject(
			{ code: 'push_source_unknown' },
		);
	});

	it('of a collection that left the configuration takes all of its index, which can be made again', async () => {
		const sources = () => [pushSource(), pushSource({ name: 'other' })];
		fixture = await openPushFixture({}, sources);
		await push([document('b', `The birch of ${secret}.`)], { source: 'other' });
		await push([document('a', `The flax of ${secret}.`)], { source: 'sent' });
		await push([document('a', 'The flax.')], { source: 'sent' });
		const away = { ...collection([folderSource(fixture.dir)]), name: 'wiki' };
		await fixture.retrieval.update(retrievalConfig([away]));
		await fixture.write({ 'w.md': 'The willow.' });
		await fixture.ingest('wiki');
		const purge = (more: object) =>
			fixture.retrieval.push.purge({ ...ORDER, source: 'other', ids: null, onPurged, ...more });
		await expect(purge({ ids: ['b'] })).rejects.toMatchObject({ code: 'request_invalid' });
		await expect(purge({ source: null })).rejects.toThrow('name one of other, sent');
		await expect(purge({ source: 'none' })).rejects.toMatchObject({ code: 'collection_not_found' });
		expect((await holding(fixture.root, secret)).map((file) => file.split(path.sep)[0])).toContain('index');
		const audited: unknown[] = [];
		const told = async (...of: unknown[]) => void audited.push(of);
		expect(await purge({ onPurged: told })).toEqual({
			...{ source: 'other', runId: null, isDone: true, problem: null, purged: 1 },
		});
		expect(audited).toEqual([['other', 1]]);
		expect(await holding(fixture.root, secret)).toEqual([]);
		expect(await stored()).toEqual([['docs', 'sent', 1, false]]);
		expect((await fixture.search('willow', { collection: 'wiki' })).hits).toHaveLength(1);
		// The rest comes back with its collection.
		await fixture.restart(retrievalConfig([collection(sources())]));
		expect(fixture.warnings).toEqual([]);
		await fixture.ingest();
		expect([await found('flax'), await found('birch')]).toEqual([['a'], []]);
		await push([document('b', 'The birch is back.')], { source: 'other' });
		expect(await found('birch')).toEqual(['b']);
	});

	it('that is not finished is told of a collection that left, and finished', async () => {
		fixture = await openPushFixture();
		await push([document('a', `The flax of ${secret}.`)]);
		await fixture.records.pushed.purge({ collection: 'docs', source: 'sent' }, null);
		await fixture.retrieval.update(retrievalConfig([]));
		expect(await stored()).toEqual([['docs', 'sent', 0, false]]);
		expect(await fixture.retrieval.push.purge({ ...ORDER, ids: null, onPurged })).toMatchObject({ isDone: true });
		expect([await stored(), await holding(fixture.root, secret)]).toEqual([[], []]);
	});

	it('that could not be told to the audit of a collection that left can be asked for again', async () => {
		fixture = await openPushFixture();
		await push([document('a', `The flax of ${secret}.`)]);
		await fixture.retrieval.update(retrievalConfig([]));
		const purge = (told: (source: string, purged: number) => Promise<void>) =>
			fixture.retrieval.push.purge({ ...ORDER, ids: null, onPurged: told });
		await expect(purge(() => Promise.reject(new Error('no space left')))).rejects.toThrow('no space left');
		expect(await stored()).toEqual([['docs', 'sent', 0, false]]);
		const audited: unknown[] = [];
		expect(await purge(async (...of) => void audited.push(of))).toMatchObject({ isDone: true });
		expect([audited, await stored()]).toEqual([[['sent', 0]], []]);
	});

	it('that a stop cut short is finished by the next run', async () => {
		fixture = await openPushFixture({}, () => [pushSource({ batchMs: 0 })]);
		await push([document('a', 'The oak of Xq7Zk2Vw9Jt4.'), document('b', 'The flax.')]);
		await fixture.records.pushed.purge({ collection: 'docs', source: 'sent' }, ['a']);
		await fixture.restart();
		expect(await found('oak')).toEqual(['a']);
		await fixture.ingest();
		expect(await found('oak')).toEqual([]);
		expect(await holding(fixture.root, 'Xq7Zk2Vw9Jt4')).toEqual([]);
		expect(await fixture.records.pushed.mark('docs')).toMatchObject({ purging: false });
	});
});

it('two that push and one that ingests lose nothing, in any order', async () => {
	fixture = await openPushFixture({}, (dir) => [folderSource(dir), pushSource()]);
	await fixture.write({ 'a.md': 'The oak.' });
	const expected = new Map<string, string>();
	const step = fc.record({
		first: fc.uniqueArray(fc.integer({ min: 0, max: 5 }), { maxLength: 3 }),
		second: fc.uniqueArray(fc.integer({ min: 6, max: 11 }), { maxLength: 3 }),
		deleted: fc.uniqueArray(fc.integer({ min: 0, max: 5 }), { maxLength: 2 }),
		ingests: fc.boolean(),
		waits: fc.boolean(),
	});
	let round = 0;
	await fc.assert(
		fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 3 }), async (steps) => {
			for (const { first, second, deleted, ingests, waits } of steps) {
				round++;
				const send = async (ids: readonly number[], gone: readonly number[]) => {
					const sent = ids.map((id) => ({ id: `d${id}`, text: `Pushed in round ${round} as ${id}.` }));
					const documents = sent.map(({ id, text }) => document(id, text));
					const waitMs = waits ? 60_000 : 0;
					if (documents.length > 0) await push(documents, { waitMs });
					for (const { id, text } of sent) expected.set(id, text);
					const dropped = gone.map((id) => `d${id}`);
					if (dropped.length > 0) await fixture.retrieval.push.remove({ ...ORDER, ids: dropped, waitMs });
					for (const id of dropped) expected.delete(id);
				};
				await Promise.all([send(first, deleted), send(second, []), ingests ? fixture.ingest() : null]);
			}
			// Whatever is on its way is done when one more order is.
			await push([document('last', `round ${round}`)]);
			const { hits } = await fixture.search('pushed round last', { k: 100 });
			const live = hits.flatMap(({ source, documentId, text }) => (source === 'sent' ? [[documentId, text]] : []));
			const all = [...expected, ['last', `round ${round}`]];
			expect(live.sort()).toEqual(all.sort());
		}),
		{ numRuns: 4, seed: 20261129 },
	);
}, 120_000);
