import { execFile } from 'node:child_process';
import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';
import { expect, it } from 'vitest';
import { NO_S3, startS3 } from '../support/s3-server.ts';
import type { LargeDocumentsResult } from './fixtures/large-documents.ts';

const SCRIPT = path.join(import.meta.dirname, 'fixtures/large-documents.ts');

it.skipIf(NO_S3 !== null)(
	'documents of 500 MB in a folder, a line, a table and a bucket are refused by name and take no memory (skipped where versitygw is not installed)',
	async () => {
		const server = await startS3();
		await mkdir(path.join(server.folder, 'large'));
		const { endpoint, region, accessKeyId, secretAccessKey } = server;
		const place = { name: 'bucket', kind: 's3', bucket: 'large', prefix: '', endpoint, region, accessKeyId };
		const rest = {
			include: ['**/*'],
			exclude: [],
			sessionToken: null,
			objectBytesMax: 100_000,
			requestTimeoutMs: 20_000,
		};
		const s3 = JSON.stringify({ ...place, ...rest, secretAccessKey });
		const args = ['--max-old-space-size=64', SCRIPT, s3, path.join(server.folder, 'large')];
		const { stdout } = await promisify(execFile)(process.execPath, args, { maxBuffer: 10_000_000 });
		await server.end();
		const { report, quarantine, csv, hits, peakMb }: LargeDocumentsResult = JSON.parse(stdout);
		expect(report).toMatchObject({ promoted: true });
		expect(report.sources.map(({ source, seen, failures }) => [source, seen, failures])).toEqual([
			['pages', 2, 1],
			['lines', 3, 1],
			['bucket', 2, 1],
		]);
		expect(quarantine.map(({ source, document, reasons }) => [source, document, ...reasons])).toEqual([
			['bucket', 'huge.md', '500000000 bytes, larger than object_bytes_max (100000 bytes)'],
			['lines', 'line 2', 'longer than line_bytes_max (100000 bytes)'],
			['pages', 'huge.md', '500000000 bytes, larger than file_bytes_max (1000000 bytes)'],
		]);
		expect([...hits].sort()).toEqual(['a', 'b', 'small.md', 'small.md']);
		// Where a record of CSV without an end ends is not known: nothing behind it is taken for deleted.
		expect(csv).toMatchObject({
			code: 'source_unusable',
			message: expect.stringMatching(/all\.csv cannot be used: the record that begins at line 3 does not end/),
		});
		expect(peakMb[1] - peakMb[0]).toBeLessThan(200);
	},
);
