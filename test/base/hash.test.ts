import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { sha256Of, sha256OfFiles } from '../../src/base/hash.ts';

it('of files is the one of their bytes, however large they are, and tells where one ends', async () => {
	const folder = await mkdtemp(path.join(tmpdir(), 'plimsoll-hash-'));
	onTestFinished(() => rm(folder, { recursive: true, force: true }));
	const contents = ['', 'abc', Buffer.alloc(1_048_576, 7), Buffer.alloc(2_500_001, 'plimsoll'), 'de'].map((one) =>
		Buffer.from(one),
	);
	const files = contents.map((_, at) => path.join(folder, String(at)));
	for (const [at, content] of contents.entries()) await writeFile(files[at] ?? '', content);
	expect(await sha256OfFiles(files)).toBe(sha256Of(contents));
	expect(await sha256OfFiles(files.toReversed())).not.toBe(sha256Of(contents));
	await writeFile(files[1] ?? '', 'abcd');
	await writeFile(files[4] ?? '', 'e');
	expect(await sha256OfFiles(files)).not.toBe(sha256Of(contents));
	await expect(sha256OfFiles([path.join(folder, 'none')])).rejects.toThrow('ENOENT');
});
