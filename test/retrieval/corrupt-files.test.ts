import { readdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import {
	collection,
	folderSource,
	openRetrievalFixture,
	type RetrievalFixture,
	retrievalConfig,
} from '../support/retrieval-fixture.ts';

let fixture: RetrievalFixture;
afterEach(() => fixture.close());

const { signal } = new AbortController();

async function built(): Promise<string> {
	fixture = await openRetrievalFixture((dir) => retrievalConfig([collection([folderSource(dir)])]));
	await fixture.write({ 'oak.md': 'The oak is a tree.', 'flax.md': 'Flax becomes linen.' });
	const { generation } = await fixture.ingest();
	if (generation === null) throw new Error('nothing is live');
	return generation;
}

/** The files of the table below one of its folders, the largest first. */
async function filesIn(part: string): Promise<{ file: string; bytes: Buffer }[]> {
	const index = path.join(fixture.root, 'index');
	const entries = await readdir(index, { recursive: true, withFileTypes: true });
	const files = entries.filter((entry) => entry.isFile() && entry.parentPath.includes(`${path.sep}${part}`));
	const read = files.map(async ({ parentPath, name }) => {
		const file = path.join(parentPath, name);
		return { file, bytes: await readFile(file) };
	});
	return (await Promise.all(read)).sort((a, b) => b.bytes.length - a.bytes.length);
}

async function recovers(): Promise<void> {
	expect([...fixture.alerts.keys()]).toEqual(['index_damaged:docs']);
	await expect(fixture.search('oak')).rejects.toMatchObject({ code: 'index_not_ready' });
	expect(await fixture.ingest()).toMatchObject({ promoted: true, refused: null, sources: [{ new: 2 }] });
	expect([...fixture.alerts.keys()]).toEqual([]);
	expect((await fixture.search('oak', { k: 1 })).hits).toMatchObject([{ text: 'The oak is a tree.' }]);
}

describe('files of the live index', () => {
	it.each(['data', '_versions', '_indices'])('that were cut in half below %s are found at the start', async (part) => {
		await built();
		await fixture.retrieval.close();
		for (const { file, bytes } of await filesIn(part)) await writeFile(file, bytes.subarray(0, bytes.length / 2));
		await fixture.restart();
		await recovers();
	});

	it('with one other letter are found by a verification, whatever still can be read', async () => {
		const generation = await built();
		const verify = () => fixture.retrieval.index.verify('docs', generation, signal);
		expect(await verify()).toMatchObject({ passed: true });
		await fixture.retrieval.close();
		const [data] = await filesIn('data');
		if (!data) throw new Error('there is no data');
		const { file, bytes } = data;
		const at = bytes.indexOf('The oak is a tree.');
		expect(at).toBeGreaterThan(0);
		bytes.write('e', at + 'The '.length);
		await writeFile(file, bytes);
		await fixture.restart();
		// Nothing is missing: a search finds the other text.
		expect((await fixture.search('tree', { k: 1 })).hits).toMatchObject([{ text: 'The eak is a tree.' }]);
		const report = await verify();
		expect(report.checks.filter(({ passed }) => !passed)).toMatchObject([
			{ check: 'damage', overrulable: false, message: expect.stringContaining('something changed its files') },
		]);
		await recovers();
	});
	it('that changed in a document which a run does not touch are not taken for what was verified', async () => {
		await built();
		await fixture.retrieval.close();
		for (const { file, bytes } of await filesIn('data')) {
			bytes.write('e', bytes.indexOf('The oak is a tree.') + 'The '.length);
			await writeFile(file, bytes);
		}
		await fixture.restart();
		await fixture.write({ 'flax.md': 'Flax becomes rope.' });
		const { generation } = await fixture.ingest();
		const [live] = await fixture.records.generations.live();
		expect(live?.verification?.checks[0]).toMatchObject({ check: 'damage', detail: { since: expect.anything() } });
		expect(await fixture.retrieval.index.verify('docs', generation ?? '', signal)).toMatchObject({ passed: false });
		await recovers();
	});
});
