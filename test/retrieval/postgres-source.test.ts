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
