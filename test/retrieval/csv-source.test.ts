import { mkdtemp, open, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { csvSource } from '../support/retrieval-fixture.ts';
import { itemsOf, summary } from '../support/source-access.ts';

let dir: string;
let file: string;

beforeEach(async () => {
	dir = await mkdtemp(path.join(tmpdir(), 'plimsoll-csv-'));
	file = path.join(dir, 'all.csv');
});
afterEach(() => rm(dir, { recursive: true, force: true }));

const config = (stated = {}) => csvSource(file, { titleColumn: 'title', recordBytesMax: 1_000, ...stated });

describe('a CSV source', () => {
	it('gives a document for each record, with the other columns as fields', async () => {
		await writeFile(file, '\ufeffid,title,text,product\r\n1,First,"one, ""two""\nthree",lamp\r\n\r\nä/b 😀,,x,\r\n');
		expect(summary(await itemsOf(config()))).toEqual([
			['1', 'First', 'one, "two"\nthree', { title: 'First', product: 'lamp' }],
			['ä/b 😀', 'ä/b 😀', 'x', { title: '', product: '' }],
		]);
	});

	it('counts records that are too long, too short or without an id, and goes on', async () => {
		await writeFile(file, `id,title,text\n1,a,${'x'.repeat(2_000)}\n2,only\n,no id,x\n4,d,fine\n`);
		expect(summary(await itemsOf(config())).sort()).toEqual([
			['4', 'd', 'fine', { title: 'd' }],
			['line 2', 'longer than record_bytes_max (1000 bytes)'],
			['line 3', 'it has not as many cells as there are columns'],
			['line 4', 'the column id is not an id (text of 1 to 1,024 characters, or a number)'],
		]);
	});

	it('is read in the encoding that is stated, and refused when it is in another', async () => {
		await writeFile(file, Buffer.from('id;title;text\n1;é;Straße\n', 'latin1'));
		const stated = { delimiter: ';', encoding: 'windows-1252' };
		expect(summary(await itemsOf(config(stated)))).toEqual([['1', 'é', 'Straße', { title: 'é' }]]);
		await expect(itemsOf(config({ delimiter: ';' }))).rejects.toMatchObject({
			code: 'source_unusable',
			message: expect.stringContaining('it is not valid utf-8: state its encoding'),
		});
	});

	it.each([
		['is missing', null, /it does not exist/],
		['has no such column', 'id,body\n1,x\n', /has no column text; it has id, body/],
		['ends in an open quote', 'id,title,text\n1,a,"open\n', /Quote Not Closed/],
	])('that %s fails as a whole', async (_, content, message) => {
		if (content !== null) await writeFile(file, content);
		await expect(itemsOf(config())).rejects.toMatchObject({
			code: 'source_unusable',
			message: expect.stringMatching(message),
		});
	});

	it('of any size is read in bounded memory', async () => {
		const out = await open(file, 'w');
		await out.write('id,title,text\n');
		const block = Array.from({ length: 1_000 }, () => `same,t,${'x'.repeat(500)}\n`).join('');
		for (let n = 0; n < 100; n++) await out.write(block);
		await out.close();
		let records = 0;
		let peak = 0;
		const { openSource } = await import('../../src/retrieval/sources/source.ts');
		const { ACCESS } = await import('../support/source-access.ts');
		const before = process.memoryUsage().rss;
		for await (const item of (await openSource(config(), ACCESS, new AbortController().signal)).items()) {
			if ('document' in item && ++records % 5_000 === 0) peak = Math.max(peak, process.memoryUsage().rss - before);
		}
		expect(records).toBe(100_000);
		expect(peak).toBeLessThan(200_000_000);
	});
});
