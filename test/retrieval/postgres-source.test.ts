import { Client } from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { SourceConfig } from '../../src/contracts/collection.ts';
import { openSource } from '../../src/retrieval/sources/source.ts';
import { NO_POSTGRES, type PostgresServer, startPostgres } from '../support/postgres-server.ts';
import { ACCESS, itemsOf, summary } from '../support/source-access.ts';

describe.skipIf(NO_POSTGRES !== null)('a query to PostgreSQL (skipped where postgresql is not installed)', () => {
	let server: PostgresServer;
	let admin: Client;

	beforeAll(async () => {
		server = await startPostgres();
		admin = new Client(server.url);
		admin.on('error', () => {});
		await admin.connect();
		await admin.query(`
			create table articles (id bigint primary key, title text, body text, tags text[], updated_at timestamptz, views int, price numeric, extra jsonb);
			insert into articles values
				(1, 'First', 'one', '{a,b}', '2024-02-29T12:00:00Z', 7, 1.50, '{"author": {"name": "Ann"}}'),
				(2, null, 'two', null, '1601-01-01T00:00:00Z', null, null, null),
				(3, 'Third', null, null, null, null, null, null);
			create table many as select n as id, repeat('x', 1000) as body from generate_series(1, 50000) as n;
		`);
	}, 60_000);
	afterAll(async () => {
		await admin.end();
		await server.end();
	});

	const config = (overrides = {}): SourceConfig => ({
		name: 'shop',
		kind: 'postgres',
		url: server.url,
		query: 'select * from articles order by id;',
		idColumn: 'id',
		textColumn: 'body',
		titleColumn: 'title',
		format: 'text',
		connectTimeoutMs: 5_000,
		statementTimeoutMs: 20_000,
		rowBytesMax: 1_048_576,
		...overrides,
	});

	it('gives a document for each row, with the other columns as fields', async () => {
		const items = await itemsOf(config());
		expect(summary(items)).toEqual([
			[
				'1',
				'First',
				'one',
				{
					title: 'First',
					tags: ['a', 'b'],
					updated_at: '2024-02-29T12:00:00.000Z',
					views: 7,
					price: '1.50',
					'extra.author.name': 'Ann',
				},
			],
			['2', '2', 'two', { updated_at: '1601-01-01T00:00:00.000Z' }],
			['3', 'the column body is not text'],
		]);
		expect(items[0]).toMatchObject({ document: { meta: { updatedAt: Date.UTC(2024, 1, 29, 12) } } });
		expect(items[1]).toMatchObject({ document: { meta: { updatedAt: Date.UTC(1601, 0, 1) } } });
	});

	it('fetches rows as they are wanted, and lets go of the connection when no more are', async () => {
		const source = await openSource(
			config({ query: 'select id, body from many', titleColumn: null }),
			ACCESS,
			new AbortController().signal,
		);
		let rows = 0;
		for await (const item of source.items()) if ('document' in item && ++rows === 250) break;
		expect(rows).toBe(250);
		const { rows: open } = await admin.query(
			`select count(*)::int as n from pg_stat_activity where application_name = 'plimsoll'`,
		);
		expect(open).toEqual([{ n: 0 }]);
	});

	it('reads 50,000 rows in bounded memory', async () => {
		const source = await openSource(
			config({ query: 'select id, body from many', titleColumn: null }),
			ACCESS,
			new AbortController().signal,
		);
		const before = process.memoryUsage().rss;
		let rows = 0;
		let peak = 0;
		for await (const item of source.items())
			if ('document' in item && ++rows % 5_000 === 0) peak = Math.max(peak, process.memoryUsage().rss - before);
		expect(rows).toBe(50_000);
		expect(peak).toBeLessThan(200_000_000);
	});

	it('leaves a row out that is larger than it may be, whatever column makes it so, and the others come in their order', async () => {
		const query = `
			select 1 as id, 'a' as title, repeat('x', 900) as body, null::jsonb as more, null::bytea as raw, null::int[] as list
			union all select 2, 'b', repeat('x', 1200), null, null, null
			union all select 3, 'c', 'c', jsonb_build_object('key', repeat('y', 1200)), null, null
			union all select 4, 'd', 'd', null, decode(repeat('ab', 600), 'hex'), null
			union all select 5, 'e', 'e', null, null, array(select generate_series(1, 400))
			union all select 6, repeat('f', 1200), 'f', null, null, null
			union all select 7, 'g', repeat('ä', 600), null, null, null
			union all select 8, 'h', null, null, null, null
			order by id desc -- the last first`;
		const items = await itemsOf(config({ query, rowBytesMax: 1_000 }));
		const told = items.map((item) =>
			'failed' in item ? [item.failed.document, item.failed.reason] : item.document.id,
		);
		const large = (id: number) => [
			String(id),
			expect.stringMatching(/^\d+ bytes, larger than row_bytes_max \(1000 bytes\)$/),
		];
		expect(told).toEqual([
			['8', 'the column body is not text'],
			large(7),
			large(6),
			large(5),
			large(4),
			large(3),
			large(2),
			'1',
		]);
	});

	it('names a row by its place when its id is what is too large, and takes two columns of one name', async () => {
		const query = `select repeat('i', 2000) as id, 'x' as body union all select 'ok', 'y'`;
		const items = await itemsOf(config({ query, titleColumn: null, rowBytesMax: 500 }));
		expect(items).toMatchObject([{ failed: { document: 'row 1' } }, { document: { id: 'ok' } }]);
		const twice = `select 'a' as id, 'first' as body, 'second' as body`;
		expect(summary(await itemsOf(config({ query: twice, titleColumn: null })))).toEqual([['a', 'a', 'second', {}]]);
	});

	it('does not hold, and is not sent, what a row has too much of', async () => {
		await admin.query(
			`create table large as select n as id, repeat('x', 10 + 60000000 * (n % 2)) as body from generate_series(1, 6) as n`,
		);
		const query = 'select * from large order by id';
		const source = await openSource(config({ query, titleColumn: null }), ACCESS, new AbortController().signal);
		const before = process.memoryUsage().rss;
		let [documents, failed, peak] = [0, 0, 0];
		for await (const item of source.items()) {
			if ('document' in item) documents++;
			else failed++;
			peak = Math.max(peak, process.memoryUsage().rss - before);
		}
		expect([documents, failed]).toEqual([3, 3]);
		expect(peak).toBeLessThan(60_000_000);
	});

	it.each([
		['writes', `with gone as (delete from articles returning *) select * from gone`, /read-only|data-modifying/],
		['is no SQL', 'selekt 1', /syntax error/],
		['gives no such column', 'select 1 as id', /gives no column body; it gives id/],
	])('that %s is refused before anything is read', async (_, query, message) => {
		await expect(openSource(config({ query }), ACCESS, new AbortController().signal)).rejects.toMatchObject({
			code: 'source_unusable',
			message: expect.stringMatching(message),
		});
		expect((await admin.query('select count(*)::int as n from articles')).rows).toEqual([{ n: 3 }]);
	});

	it('ends at its statement time-out, and when its signal aborts', async () => {
		const slow = `select id, body, title from articles where pg_sleep(case when id = 2 then 30 else 0 end) is not null`;
		await expect(itemsOf(config({ query: slow, statementTimeoutMs: 300 }))).rejects.toMatchObject({
			code: 'source_unusable',
			message: expect.stringContaining('statement timeout'),
		});
		const ends = new AbortController();
		const source = await openSource(config({ query: slow }), ACCESS, ends.signal);
		const reading = (async () => {
			for await (const item of source.items()) if ('document' in item) ends.abort(new Error('enough'));
		})();
		ACCESS.clock.after(200, () => ends.abort(new Error('enough')));
		await expect(reading).rejects.toThrow('enough');
	});

	it('fails as a whole when the server breaks off in the middle', async () => {
		const source = await openSource(
			config({ query: 'select id, body from many', titleColumn: null }),
			ACCESS,
			new AbortController().signal,
		);
		const reading = (async () => {
			let rows = 0;
			for await (const item of source.items()) {
				if ('document' in item && ++rows === 200) {
					await admin.query(
						`select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'plimsoll'`,
					);
				}
			}
		})();
		await expect(reading).rejects.toMatchObject({ code: 'source_unusable' });
	});

	it('names the server and not the password when it cannot be reached', async () => {
		const url = 'postgres://plimsoll:hunter2@127.0.0.1:1/none';
		const refused = await itemsOf(config({ url })).catch((cause: unknown) => cause);
		expect(refused).toMatchObject({ code: 'source_unusable', message: expect.stringContaining('127.0.0.1:1/none') });
		expect(String(refused)).not.toContain('hunter2');
	});
});
