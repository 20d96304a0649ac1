import { chmod, mkdir, mkdtemp, open, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { SourceConfig } from '../../src/contracts/collection.ts';
import type { SourceItem } from '../../src/retrieval/source-item.ts';
import { openSource } from '../../src/retrieval/sources/source.ts';
import { csvSource, folderSource, jsonlSource } from '../support/retrieval-fixture.ts';
import { ACCESS } from '../support/source-access.ts';

let root: string;
let dir: string;

beforeEach(async () => {
	root = await mkdtemp(path.join(tmpdir(), 'plimsoll-source-'));
	dir = path.join(root, 'pages');
	await mkdir(dir);
});

afterEach(() => rm(root, { recursive: true, force: true }));

async function write(name: string, content: string | Uint8Array = `text of ${name}`): Promise<void> {
	await mkdir(path.dirname(path.join(dir, name)), { recursive: true });
	await writeFile(path.join(dir, name), content);
}

async function items(config: SourceConfig): Promise<SourceItem[]> {
	const source = await openSource(config, ACCESS, new AbortController().signal);
	const found: SourceItem[] = [];
	for await (const item of source.items()) found.push(item);
	return found;
}

async function ids(config: SourceConfig): Promise<string[]> {
	return (await items(config)).flatMap((item) => ('document' in item ? item.document.id : []));
}

async function failures(config: SourceConfig): Promise<Record<string, string>> {
	return Object.fromEntries(
		(await items(config)).flatMap((item) => ('failed' in item ? [[item.failed.document, item.failed.reason]] : [])),
	);
}

describe('a folder', () => {
	it('gives its files by relative path, sorted, as the globs choose', async () => {
		for (const name of ['z.md', 'a/b/deep.md', 'a/x.txt', 'drafts/no.md', 'image.png', '.hidden.md', '.git/config.md'])
			await write(name);
		expect(await ids(folderSource(dir, { include: ['**/*.{md,txt}'], exclude: ['drafts/**'] }))).toEqual([
			'a/b/deep.md',
			'a/x.txt',
			'z.md',
		]);
	});

	it('reads names that begin with a dot when a pattern names the dot', async () => {
		await write('.github/guide.md');
		expect(await ids(folderSource(dir, { include: ['.github/**/*.md'] }))).toEqual(['.github/guide.md']);
	});

	it('follows links to files inside, and counts links out of it, to folders, in circles and to nowhere as failures', async () => {
		await write('real.md');
		await mkdir(path.join(dir, 'sub'));
		await writeFile(path.join(root, 'secret.md'), 'not meant to be published');
		await symlink(path.join(dir, 'real.md'), path.join(dir, 'inside.md'));
		await symlink(path.join(root, 'secret.md'), path.join(dir, 'outside.md'));
		await symlink(dir, path.join(dir, 'sub', 'circle'));
		await symlink(path.join(dir, 'loop.md'), path.join(dir, 'loop.md'));
		await symlink(path.join(dir, 'gone.md'), path.join(dir, 'nowhere.md'));
		expect(await ids(folderSource(dir))).toEqual(['inside.md', 'real.md']);
		expect(await failures(folderSource(dir))).toEqual({
			'outside.md': 'a symbolic link out of the folder is not followed',
			'sub/circle': 'a symbolic link to a folder is not followed',
			'loop.md': 'a symbolic link that leads nowhere: a loop of symbolic links',
			'nowhere.md': 'a symbolic link that leads nowhere: it does not exist',
		});
	});

	it('does not read a file above file_bytes_max', async () => {
		const file = await open(path.join(dir, 'huge.md'), 'w');
		await file.truncate(200_000_000);
		await file.close();
		const before = process.memoryUsage().arrayBuffers;
		expect(await failures(folderSource(dir))).toEqual({
			'huge.md': '200000000 bytes, larger than file_bytes_max (1000000 bytes)',
		});
		expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(10_000_000);
	});

	it('counts a file of an unknown kind that the globs chose', async () => {
		await write('table.xlsx');
		await write('all.jsonl');
		expect(await failures(folderSource(dir))).toMatchObject({
			'all.jsonl': expect.stringContaining('of the kind jsonl'),
			'table.xlsx': expect.stringMatching(/^the extension is none of \.md .* and none of source code$/),
		});
	});

	it.skipIf(process.getuid?.() === 0)(
		'counts what it has no permission to read (skipped for the superuser, who may read all)',
		async () => {
			await write('closed.md');
			await write('locked/a.md');
			await chmod(path.join(dir, 'closed.md'), 0);
			await chmod(path.join(dir, 'locked'), 0);
			expect(await failures(folderSource(dir))).toEqual({
				'closed.md': 'no permission to read it',
				'locked/': 'the folder cannot be read: no permission to read it',
			});
			await chmod(path.join(dir, 'locked'), 0o700);
		},
	);

	it('that is missing, or is a file, fails with its path and the reason', async () => {
		const gone = path.join(root, 'gone');
		await expect(items(folderSource(gone))).rejects.toMatchObject({
			code: 'source_unusable',
			message: expect.stringContaining(`${gone} cannot be used: it does not exist`),
		});
		await write('file.md');
		await expect(items(folderSource(path.join(dir, 'file.md')))).rejects.toMatchObject({ code: 'source_unusable' });
	});

	it('that is empty gives nothing', async () => {
		expect(await items(folderSource(dir))).toEqual([]);
	});
});

describe('a JSONL file', () => {
	const file = () => path.join(dir, 'all.jsonl');

	it('gives id, text and title of each line, whatever the line ends', async () => {
		await write(
			'all.jsonl',
			'{"id":"a","text":"one","title":"First"}\r\n\n{"id":2,"text":"two"}\n{"id":"c","text":"three"}',
		);
		const found = await items(jsonlSource(file()));
		expect(
			found.map((item) =>
				'document' in item
					? [item.document.id, item.document.title, Buffer.from(item.document.bytes).toString()]
					: item,
			),
		).toEqual([
			['a', 'First', 'one'],
			['2', '2', 'two'],
			['c', 'c', 'three'],
		]);
	});

	it('counts each line that is too long, not JSON, not UTF-8, without id or without text, and goes on', async () => {
		const lines = [
			Buffer.from(`{"id":"long","text":"${'x'.repeat(200_000)}"}`),
			Buffer.from('{"id":"broken"'),
			Buffer.from('[1]'),
			Buffer.from([0x22, 0xff, 0x22]),
			Buffer.from('{"text":"no id"}'),
			Buffer.from('{"id":"e","text":7}'),
			Buffer.from('{"id":"good","text":"fine"}'),
		];
		await write('all.jsonl', Buffer.concat(lines.flatMap((line) => [line, Buffer.from('\n')])));
		expect(await failures(jsonlSource(file()))).toEqual({
			'line 1': 'longer than line_bytes_max (100000 bytes)',
			'line 2': 'not a JSON object',
			'line 3': 'not a JSON object',
			'line 4': 'not valid UTF-8',
			'line 5': 'the field id is not an id (text of 1 to 1,024 characters, or a number)',
			e: 'the field text is not text',
		});
		expect(await ids(jsonlSource(file()))).toEqual(['good']);
	});

	it('keeps lines whole across the blocks in which the file is read', async () => {
		const lines = Array.from({ length: 3_000 }, (_, line) =>
			JSON.stringify({ id: `d${line}`, text: `ä${'x'.repeat(line % 97)}` }),
		);
		await write('all.jsonl', lines.join('\n'));
		expect(await ids(jsonlSource(file()))).toEqual(lines.map((_, line) => `d${line}`));
	});

	it('that is missing fails with its path', async () => {
		await expect(items(jsonlSource(file()))).rejects.toMatchObject({
			code: 'source_unusable',
			message: expect.stringContaining('it does not exist'),
		});
	});
});

it('a file of many documents says how many it will be long before its end', async () => {
	const records = 30_000;
	const text = 'The hull floats in the harbour and waits for a cargo.';
	const lines = Array.from({ length: records }, (_, n) => JSON.stringify({ id: `d${n}`, text }));
	await write('all.jsonl', lines.join('\n'));
	await write('all.csv', ['id,text', ...lines.map((_, n) => `d${n},${text.repeat(2)}`)].join('\n'));
	for (const config of [jsonlSource(path.join(dir, 'all.jsonl')), csvSource(path.join(dir, 'all.csv'))]) {
		const opened = await openSource(config, ACCESS, new AbortController().signal);
		expect(opened.total).toBeNull();
		let read = 0;
		for await (const _ of opened.items()) {
			if (++read !== records * 0.9) continue;
			expect(opened.total).toBeGreaterThan(records * 0.8);
			expect(opened.total).toBeLessThan(records * 1.2);
		}
		expect(opened.total).toBe(records);
	}
});
