import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { CAPABILITIES } from '../../scripts/reference/index-store-capabilities.ts';
import type { ObjectStorage } from '../../src/contracts/index-store.ts';
import { LanceStore } from '../../src/index-stores/lancedb/store.ts';
import { NO_S3, type S3Server, startS3 } from '../support/s3-server.ts';
import { harmDataset } from './harm-dataset.ts';
import { indexStoreSuite, row, SHAPE } from './index-store.suite.ts';
import { lifecycleSuite } from './lifecycle.suite.ts';

let server: S3Server;
let buckets = 0;

async function storage(other: Partial<ObjectStorage> = {}): Promise<ObjectStorage> {
	const bucket = `index-${++buckets}`;
	await server.makeBucket(bucket);
	const { endpoint, region, accessKeyId, secretAccessKey } = server;
	const place = { uri: `s3://${bucket}/a/folder`, endpoint, region };
	return { ...place, accessKeyId, secretAccessKey, sessionToken: null, timeoutMs: 10_000, ...other };
}

describe.skipIf(NO_S3 !== null)(`on S3 (skipped where ${NO_S3})`, () => {
	beforeAll(async () => {
		server = await startS3();
	});
	afterAll(() => server?.end());

	indexStoreSuite('LanceDB on S3', CAPABILITIES['LanceDB on S3'], async () => {
		const place = await storage();
		const store = new LanceStore(place);
		await store.open();
		const folder = join(server.folder, new URL(place.uri).host, 'a/folder');
		return {
			store,
			config: { kind: 'lancedb', storage: place },
			harm: (table) => harmDataset(join(folder, `${table}.lance`)),
			end: async () => store.close(),
		};
	});

	lifecycleSuite('LanceDB on S3', async () => {
		const place = await storage();
		const folder = join(server.folder, new URL(place.uri).host, 'a/folder');
		return {
			config: { kind: 'lancedb', storage: place },
			harm: (table) => harmDataset(join(folder, `${table}.lance`)),
			end: async () => {},
		};
	});

	it.each([
		['a key that nobody has', { accessKeyId: 'nobody' }],
		['a wrong secret', { secretAccessKey: 'wrong' }],
		['a token that is none', { sessionToken: 'none' }],
	])('says that credentials are refused: %s', async (_, other) => {
		const store = new LanceStore(await storage(other));
		await expect(store.open()).rejects.toMatchObject({
			code: 'storage_failed',
			message: expect.stringContaining('credentials of index_store are wrong, expired or lack rights'),
		});
		store.close();
	});

	it('says that a bucket is not there', async () => {
		const store = new LanceStore(await storage({ uri: 's3://never-made/x' }));
		await expect(store.open()).rejects.toMatchObject({ code: 'storage_failed', message: /the bucket .* is not there/ });
		store.close();
	});

	it('takes neither a bucket that went away nor a server that stopped for damage', async () => {
		const place = await storage();
		const store = new LanceStore(place);
		await store.open();
		const writer = await store.writer(SHAPE);
		await writer.write([], [row('a', 'guard')]);
		const { version } = await writer.seal([]);
		const at = { table: SHAPE.table, version };
		await rm(join(server.folder, new URL(place.uri).host), { recursive: true });
		const bucketGone = await store.freshReader(at).catch((cause: unknown) => cause);
		expect(String(bucketGone)).toContain('NoSuchBucket');
		expect(store.isDamage(bucketGone)).toBe(false);
		await expect(writer.write([], [row('b', 'guard')])).rejects.toMatchObject({ code: 'storage_failed' });
		await server.kill();
		const stopped = await store.freshReader(at).catch((cause: unknown) => cause);
		expect(stopped).toBeInstanceOf(Error);
		expect(store.isDamage(stopped)).toBe(false);
		server = await server.restart();
		store.close();
	});
});
