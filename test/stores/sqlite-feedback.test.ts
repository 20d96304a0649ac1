import fc from 'fast-check';
import { expect, it } from 'vitest';
import { ratingOf } from '../../src/policy/rating.ts';
import { RATINGS } from '../../src/spec/feedback.ts';
import { RECORD_SCHEMA } from '../../src/stores/record-schema.ts';
import { ratingsAsked, SqliteFeedback } from '../../src/stores/sqlite-feedback.ts';
import { openSqliteFile } from '../../src/stores/sqlite-file.ts';
import { SqliteStatements } from '../../src/stores/sqlite-statements.ts';
import { rating } from './record-store.suite.ts';

const EVERYTHING = { tenantId: null, requestId: null, feature: null, rating: null, limit: 100 };
const asks = fc.record({
	tenantId: fc.constantFrom(null, 'acme', 'beta'),
	requestId: fc.constantFrom(null, 'req_1'),
	feature: fc.constantFrom(null, 'ask', 'none'),
	rating: fc.constantFrom(null, ...RATINGS),
	limit: fc.nat(4),
});

it('no list of ratings looks through more of them than it is made of', () => {
	const db = openSqliteFile(':memory:', RECORD_SCHEMA);
	fc.assert(
		fc.property(asks, (ask) => {
			const { sql, values } = ratingsAsked(ask);
			const plan = db
				.prepare(`EXPLAIN QUERY PLAN ${sql}`)
				.all(...values)
				.map(({ detail }) => String(detail));
			const columns = { tenant_id: ask.tenantId, feature: ask.feature, rating: ask.rating };
			const asked = Object.entries(columns).flatMap(([name, value]) => (value === null ? [] : [`${name}=?`]));
			if (ask.requestId !== null) expect(plan[0]).toMatch(/^SEARCH .*request_id=\?/);
			else if (asked.length === 0) expect(plan).toEqual(['SCAN feedback']);
			else expect(plan).toEqual([expect.stringContaining(`(${asked.join(' AND ')})`)]);
		}),
	);
	db.close();
});

it('a list has the newest that are asked for, whatever they are asked by', async () => {
	const one = fc.record({
		tenantId: fc.constantFrom('acme', 'beta'),
		requestId: fc.constantFrom('req_1', 'req_2', 'req_3'),
		rater: fc.constantFrom('v1:a', 'v1:b'),
		feature: fc.constantFrom(null, 'ask', 'sort'),
		score: fc.oneof(fc.constantFrom(0, 0.5, 1), fc.double({ min: 0, max: 1, noNaN: true })),
	});
	await fc.assert(
		fc.asyncProperty(fc.array(one, { maxLength: 20 }), asks, async (given, ask) => {
			const sql = new SqliteStatements(':memory:', RECORD_SCHEMA);
			const store = new SqliteFeedback(sql);
			const all = given.map((of) => rating(of));
			await store.put(all);
			const latest = new Map<string, (typeof all)[number]>();
			for (const each of all) {
				const key = [each.tenantId, each.requestId, each.rater].join(' ');
				latest.delete(key);
				latest.set(key, each);
			}
			const fits = [...latest.values()]
				.toReversed()
				.filter(
					(each) =>
						(ask.tenantId ?? each.tenantId) === each.tenantId &&
						(ask.requestId ?? each.requestId) === each.requestId &&
						(ask.feature ?? each.feature) === each.feature &&
						(ask.rating ?? ratingOf(each.score)) === ratingOf(each.score),
				);
			expect(await store.list(ask)).toEqual(fits.slice(0, ask.limit));
			expect(await store.list(EVERYTHING)).toHaveLength(latest.size);
			sql.close();
		}),
	);
});
