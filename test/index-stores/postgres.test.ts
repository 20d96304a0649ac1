import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { CAPABILITIES } from '../../scripts/reference/index-store-capabilities.ts';
import { PostgresStore } from '../../src/index-stores/postgres/store.ts';
import { type PostgresServer, startPostgres } from '../support/pglite-server.ts';
import { chunksOf, indexStoreSuite, row, SHAPE } from './index-store.suite.ts';
import { lifecycleSuite } from './lifecycle.suite.ts';

const SCHEMA = 'plimsoll_index';
const START_MS = 300_000;

let server: PostgresServer;
beforeAll(async () => {
	server = await startPostgres();
}, START_MS);
afterAll(() => server.end());

function place(url = server.url) {
	return { url, schema: SCHEMA, connectionsMax: 4, connectTimeoutMs: 20_000, buildTimeoutMs: 600_000 };
}

async function opened() {
	const store = new PostgresStore(place());
	await store.open();
	return store;
}

const dropTexts = (table: string) =>
	server.exec(`DO $$ DECLARE one text; BEGIN
		FOR one IN SELECT format('${SCHEMA}.text_%s_%s', id, v.version) FROM ${SCHEMA}.tables t
			JOIN ${SCHEMA}.versions v ON v.table_id = t.id WHERE name = '${table}'
		LOOP EXECUTE 'DROP TABLE ' || one; END LOOP; END $$`);
const dropSchema = () => server.exec(`DROP SCHEMA ${SCHEMA} CASCADE`);

indexStoreSuite('PostgreSQL', CAPABILITIES.PostgreSQL, async () => {
	const store = await opened();
	return {
		store,
		config: { kind: 'postgres', ...place() },
		harm: dropTexts,
		end: async () => {
			store.close();
			await dropSchema();
		},
	};
});

lifecycleSuite('PostgreSQL', async () => {
	return { config: { kind: 'postgres', ...place() }, harm: dropTexts, end: dropSchema };
});

/** Passes bytes on until it is told to keep them: a network that lost somebody without a word. */
async function stallingProxy(to: URL) {
	let stalled = false;
	const sockets = new Set<Socket>();
	const proxy = createServer((client) => {
		const upstream = connect(Number(to.port), to.hostname);
		for (const socket of [client, upstream]) sockets.add(socket.on('error', () => {}));
		client.on('data', (bytes) => stalled || upstream.write(bytes)).on('close', () => upstream.destroy());
		upstream.on('data', (bytes) => stalled || client.write(bytes)).on('close', () => client.destroy());
	}).listen(0, '127.0.0.1');
	await once(proxy, 'listening');
	const address = proxy.address();
	const url = new URL(to);
	if (address !== null && typeof address === 'object') url.port = String(address.port);
	return {
		url: url.href,
		stall: () => {
			stalled = true;
		},
		cut: () => {
			for (const socket of sockets) socket.destroy();
			proxy.close();
		},
	};
}

describe('an index in PostgreSQL', () => {
	it('gives a search up in time when nobody answers, and takes neither that nor a lost connection for damage', async () => {
		const proxy = await stallingProxy(new URL(server.url));
		const store = new PostgresStore(place(proxy.url));
		await store.open();
		const writer = await store.writer(SHAPE);
		await writer.write([], [row('a', 'guard')]);
		const reader = await store.reader({ table: SHAPE.table, version: (await writer.seal([])).version });
		const ask = { limit: 5, filter: null, timeoutMs: 50 };
		proxy.stall();
		const late = await reader.lexical('guard', ask).catch((cause: unknown) => cause);
		expect(String(late)).toContain('timeout');
		expect(store.isDamage(late)).toBe(false);
		proxy.cut();
		const lost = await reader
			.vector(new Float32Array([1, 0]), { ...ask, exact: true })
			.catch((cause: unknown) => cause);
		expect(lost).toBeInstanceOf(Error);
		expect(store.isDamage(lost)).toBe(false);
		await expect(writer.write([], [row('b', 'guard')])).rejects.toMatchObject({
			code: 'storage_failed',
			message: expect.stringContaining('the database does not answer'),
		});
		store.close();
	});

	it('finds values that look like SQL, and nothing else', async () => {
		const store = await opened();
		const evil = `x'; DROP SCHEMA ${SCHEMA} CASCADE; --`;
		const writer = await store.writer(SHAPE);
		await writer.write([], [row(evil, `guard ${evil}`, { fields: { product: evil, groups: [evil, '{"a",b}'] } })]);
		const { version } = await writer.seal([]);
		const reader = await store.reader({ table: SHAPE.table, version });
		for (const filter of [
			{ field: 'product', is: 'equal', value: evil } as const,
			{ field: 'groups', is: 'any_label', values: ['{"a",b}'] } as const,
		]) {
			const found = await reader.lexical(evil, { limit: 5, filter, timeoutMs: 5_000 });
			expect(await chunksOf(reader, found)).toEqual([`${evil}#0`]);
		}
		await expect(
			reader.lexical('guard', { limit: 5, filter: { field: "p' OR true --", is: 'present' }, timeoutMs: 5_000 }),
		).rejects.toThrow('the index has no field');
		await server.exec(`DROP SCHEMA ${SCHEMA} CASCADE`);
		store.close();
	});

	it('says that the database does not let it in', async () => {
		const store = new PostgresStore({ ...place('postgres://127.0.0.1:1/none'), connectTimeoutMs: 500 });
		await expect(store.open()).rejects.toMatchObject({ code: 'storage_failed' });
		store.close();
	});
});
