import { once } from 'node:events';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import path from 'node:path';
import { AwsV4Signer } from 'aws4fetch';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { SourceConfig } from '../../src/contracts/collection.ts';
import { openSource } from '../../src/retrieval/sources/source.ts';
import { NO_S3, type S3Server, startS3 } from '../support/s3-server.ts';
import { ACCESS, itemsOf, summary } from '../support/source-access.ts';

const config = (overrides = {}): SourceConfig => ({
	name: 'bucket',
	kind: 's3',
	endpoint: 'http://127.0.0.1:1',
	region: 'eu-test-1',
	bucket: 'documents',
	prefix: '',
	include: ['**/*'],
	exclude: [],
	accessKeyId: 'plimsoll',
	secretAccessKey: 'not-a-secret',
	sessionToken: null,
	objectBytesMax: 10_000,
	requestTimeoutMs: 20_000,
	...overrides,
});

describe.skipIf(NO_S3 !== null)('a bucket (skipped where versitygw is not installed)', () => {
	let server: S3Server;
	const bucket = (overrides = {}) => config({ endpoint: server.endpoint, region: server.region, ...overrides });
	const put = async (key: string, body: string, headers: Record<string, string> = {}) => {
		const { accessKeyId, secretAccessKey, region } = server;
		const url = `${server.endpoint}/documents/${key.split('/').map(encodeURIComponent).join('/')}`;
		const signed = await new AwsV4Signer({
			method: 'PUT',
			url,
			body,
			headers,
			service: 's3',
			region,
			accessKeyId,
			secretAccessKey,
		}).sign();
		const { status } = await fetch(signed.url, { method: 'PUT', headers: signed.headers, body });
		expect(status).toBe(200);
	};

	beforeAll(async () => {
		server = await startS3();
		await server.makeBucket('documents');
		await server.makeBucket('large');
		await put('guide/a.md', '# A', { 'content-type': 'text/markdown; charset=utf-8', 'x-amz-meta-product': 'lamp' });
		await put('guide/ä b+c 😀.txt', 'odd name');
		await put('guide/big.txt', 'x'.repeat(20_000));
		await put('guide/image.png', 'no');
		await put('guide/skip/x.md', 'no');
		await put('other.md', '# Other');
		const large = path.join(server.folder, 'large');
		await mkdir(large, { recursive: true });
		for (let n = 0; n < 2_500; n++) await writeFile(path.join(large, `${String(n).padStart(5, '0')}.txt`), `text ${n}`);
	}, 60_000);
	afterAll(() => server.end());

	it('gives its objects below the prefix as the globs choose, with their metadata', async () => {
		const items = await itemsOf(bucket({ prefix: 'guide/', exclude: ['skip/**'] }));
		expect(summary(items)).toEqual([
			['a.md', 'a', '# A', { product: 'lamp' }],
			['big.txt', '20000 bytes, larger than object_bytes_max (10000 bytes)'],
			['image.png', 'its extension is none that is read'],
			['ä b+c 😀.txt', 'ä b+c 😀', 'odd name', {}],
		]);
		expect(items[0]).toMatchObject({
			document: { meta: { contentType: 'text/markdown', updatedAt: expect.any(Number) } },
		});
	});

	it('is listed a page at a time, without its bytes, in the order of its keys', async () => {
		const source = await openSource(bucket({ bucket: 'large' }), ACCESS, new AbortController().signal);
		const ids: string[] = [];
		for await (const item of source.items()) if ('listed' in item) ids.push(item.listed.id);
		expect(ids).toHaveLength(2_500);
		expect(ids).toEqual([...ids].sort());
	});

	it('gives an object another version when its bytes change, and the same when it is sent again', async () => {
		const version = async () => {
			const source = await openSource(bucket({ include: ['other.md'] }), ACCESS, new AbortController().signal);
			for await (const item of source.items()) if ('listed' in item) return item.listed.version;
			return null;
		};
		const before = await version();
		await put('other.md', '# Other');
		expect(await version()).toBe(before);
		await put('other.md', '# Others');
		expect(await version()).not.toBe(before);
	});

	it('counts an object that was removed after it was listed', async () => {
		await put('gone/a.md', 'x');
		const source = await openSource(bucket({ prefix: 'gone/' }), ACCESS, new AbortController().signal);
		await rm(path.join(server.folder, 'documents/gone/a.md'));
		for await (const item of source.items()) {
			if (!('listed' in item)) throw new Error('nothing was listed');
			expect(await item.listed.load(new AbortController().signal)).toEqual({
				failed: { document: 'a.md', reason: 'it was removed after it was listed' },
			});
		}
	});

	it.each([
		['of another name', { bucket: 'nothing' }, /404 NoSuchBucket/],
		['with a wrong secret', { secretAccessKey: 'wrong' }, /403 SignatureDoesNotMatch/],
		['with an unknown key', { accessKeyId: 'nobody' }, /the store answered 40[0-9] \w+/],
	])('%s cannot be used', async (_, overrides, message) => {
		await expect(itemsOf(bucket(overrides))).rejects.toMatchObject({
			code: 'source_unusable',
			message: expect.stringMatching(message),
		});
	});
});

describe('a store with the API of S3', () => {
	const listing = (keys: readonly string[], next: string | null) =>
		`<ListBucketResult><Name>documents</Name><IsTruncated>${next !== null}</IsTruncated>${next ? `<NextContinuationToken>${next}</NextContinuationToken>` : ''}${keys.map((key) => `<Contents><Key>${key}</Key><ETag>"e"</ETag><Size>1</Size></Contents>`).join('')}</ListBucketResult>`;

	async function serve(
		answer: (url: URL, nth: number) => [number, string],
	): Promise<{ endpoint: string; asked: string[] }> {
		const asked: string[] = [];
		const server = createServer((request, response) => {
			const url = new URL(request.url ?? '/', 'http://x');
			asked.push(url.pathname);
			const [status, body] = answer(url, asked.length);
			response.writeHead(status).end(body);
		}).listen(0, '127.0.0.1');
		await once(server, 'listening');
		cleanup.push(() => server.close());
		return { endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, asked };
	}
	const cleanup: (() => void)[] = [];
	afterAll(() => {
		for (const run of cleanup) run();
	});
	const expired: [number, string] = [400, '<Error><Code>ExpiredToken</Code></Error>'];

	it('whose credentials expire in the middle ends the run with that reason, while listing and while reading', async () => {
		const listed = await serve((url) =>
			url.searchParams.has('continuation-token') ? expired : [200, listing(['a.md'], 'more')],
		);
		const read = await serve((url) =>
			url.searchParams.has('list-type')
				? [200, listing(['a.md', 'b.md'], null)]
				: url.pathname.endsWith('a.md')
					? [200, 'a']
					: expired,
		);
		for (const { endpoint } of [listed, read]) {
			await expect(itemsOf(config({ endpoint }))).rejects.toMatchObject({
				code: 'source_unusable',
				message: expect.stringContaining('the credentials have expired'),
			});
		}
	});

	it('that is busy is asked again, and a single object that stays refused is counted', async () => {
		const { endpoint, asked } = await serve((url, nth) =>
			url.searchParams.has('list-type')
				? nth === 1
					? [503, 'SlowDown']
					: [200, listing(['a.md'], null)]
				: [403, '<Error><Code>AccessDenied</Code></Error>'],
		);
		expect(summary(await itemsOf(config({ endpoint })))).toEqual([['a.md', 'the store answered 403 AccessDenied']]);
		expect(asked).toEqual(['/documents', '/documents', '/documents/a.md']);
	});

	it.each([
		['an error page', '<html>welcome</html>'],
		['half a listing', listing(['a.md'], null).slice(0, -20)],
		['a page that says it goes on and not where', listing(['a.md'], null).replace('false', 'true')],
	])('that answers a listing with %s is not an empty bucket', async (_, body) => {
		const { endpoint } = await serve(() => [200, body]);
		await expect(itemsOf(config({ endpoint }))).rejects.toMatchObject({
			code: 'source_unusable',
			message: expect.stringContaining('the answer to a listing is none'),
		});
	});

	it('that lists the same page for ever is not followed', async () => {
		const { endpoint } = await serve(() => [200, listing(['a.png'], 'again')]);
		await expect(itemsOf(config({ endpoint }))).rejects.toMatchObject({
			message: expect.stringContaining('the same page of its listing twice'),
		});
	});
});
