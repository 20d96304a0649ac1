import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { seededRandom } from '../../src/base/random.ts';
import type { FieldType, FieldValue, Reader } from '../../src/spec/retrieval.ts';
import { type FieldDocument, type FieldIndex, openFieldIndex } from '../support/field-index.ts';

const FIELDS = new Map<string, FieldType>([
	['tenant', 'text'],
	['readers', 'labels'],
	['product', 'text'],
	['year', 'number'],
	['draft', 'boolean'],
	['updated', 'time'],
	['tags', 'labels'],
]);
const TENANTS = ['acme', 'beta', "o'hara", 'shared', 'everyone'];
const GROUPS = ['sales', 'legal', "it's", 'user:eve', 'everyone'];
const PRODUCTS = ['ship', 'boat', "') OR true --"];
const DOCUMENTS = documents();
const K = 1_000;

let index: FieldIndex;
beforeAll(async () => {
	const access = { tenantField: 'tenant', sharedTenant: 'shared', readersField: 'readers', everyone: 'everyone' };
	index = await openFieldIndex(DOCUMENTS, FIELDS, { config: { access } });
});
afterAll(() => index.close());

const anyCaller: fc.Arbitrary<Reader> = fc.record({
	tenantId: fc.constantFrom('acme', 'beta', "o'hara", 'nobody', "x' OR '1'='1"),
	user: fc.constantFrom(null, 'eve', 'adam'),
	groups: fc.subarray(GROUPS),
});

type Where = Readonly<Record<string, unknown>>;
const anyCondition: fc.Arbitrary<Where> = fc.oneof(
	fc.constantFrom(...TENANTS).map((equal) => ({ field: 'tenant', equal })),
	fc.subarray(TENANTS).map((one_of) => ({ field: 'tenant', one_of })),
	fc.subarray(GROUPS).map((any_label) => ({ field: 'readers', any_label })),
	fc.constantFrom(...PRODUCTS).map((equal) => ({ field: 'product', equal })),
	fc.record({ field: fc.constant('year'), from: fc.integer({ min: 2019, max: 2026 }) }),
	fc.record({ field: fc.constant('updated'), to: fc.constantFrom('2026-01-03', '2026-01-05T00:00:00Z') }),
	fc.boolean().map((equal) => ({ field: 'draft', equal })),
	fc.constantFrom(...FIELDS.keys()).chain((field) => fc.boolean().map((present) => ({ field, present }))),
);
const { filter: anyWhere } = fc.letrec<{ filter: Where }>((tie) => ({
	filter: fc.oneof(
		{ maxDepth: 3, withCrossShrink: true },
		anyCondition,
		fc.array(tie('filter'), { maxLength: 3 }).map((all) => ({ all })),
		fc.array(tie('filter'), { maxLength: 3 }).map((any) => ({ any })),
		tie('filter').map((not) => ({ not })),
	),
}));

describe('who may find what', () => {
	it('whatever is filtered by, exactly what the caller may find and the filter lets through is found, on either leg', async () => {
		await fc.assert(
			fc.asyncProperty(anyCaller, fc.option(anyWhere), async (caller, where) => {
				const expected = DOCUMENTS.filter(
					(one) => mayFind(caller, one) && (where === null || matches(where, one.fields)),
				).map(({ id }) => id);
				for (const mode of ['lexical', 'vector', 'hybrid'] as const) {
					const ask = { collection: 'docs', query: 'the hull', k: K, mode, filter: null, signal: null };
					const { hits } = await index.retriever.search({ ...ask, caller, where });
					expect(hits.map(({ documentId }) => documentId).sort(), mode).toEqual(expected.sort());
				}
			}),
			{ numRuns: 60 },
		);
	});

	it('a search without a caller is refused; the operator’s own sees everything', async () => {
		const ask = { collection: 'docs', query: 'hull', k: K, mode: 'lexical', filter: null, signal: null } as const;
		await expect(index.retriever.search(ask)).rejects.toThrow('names no caller');
		expect((await index.retriever.search({ ...ask, caller: 'operator' })).hits).toHaveLength(DOCUMENTS.length);
	});

	it('a generation that does not know who may find what is not searched', async () => {
		const access = { tenantField: 'owner', sharedTenant: null, readersField: null, everyone: 'everyone' };
		const other = await openFieldIndex(DOCUMENTS.slice(0, 2), FIELDS, { config: { access } });
		const caller = { tenantId: 'acme', user: null, groups: [] };
		const ask = { collection: 'docs', query: 'hull', k: 1, mode: null, filter: null, signal: null, caller };
		await expect(other.retriever.search(ask)).rejects.toMatchObject({
			code: 'index_not_ready',
			message: expect.stringContaining('its field owner'),
		});
		await other.close();
	});
});

/** The same, said a second time and more slowly. */
function mayFind({ tenantId, user, groups }: Reader, { fields }: FieldDocument): boolean {
	if (fields.tenant !== tenantId && fields.tenant !== 'shared') return false;
	const readers = (fields.readers ?? []) as readonly string[];
	const own = groups.filter((group) => !group.startsWith('user:'));
	return readers.some(
		(label) => label === 'everyone' || own.includes(label) || (user !== null && label === `user:${user}`),
	);
}

function matches(where: Where, fields: FieldDocument['fields']): boolean {
	if ('all' in where) return (where.all as Where[]).every((one) => matches(one, fields));
	if ('any' in where) return (where.any as Where[]).some((one) => matches(one, fields));
	if ('not' in where) return !matches(where.not as Where, fields);
	const value = fields[String(where.field)] ?? null;
	if ('present' in where) return (value !== null) === where.present;
	if (value === null) return false;
	if ('equal' in where) return value === where.equal;
	if ('one_of' in where) return (where.one_of as FieldValue[]).includes(value);
	if ('any_label' in where) return (where.any_label as string[]).some((label) => (value as string[]).includes(label));
	if ('from' in where) return Number(value) >= Number(where.from);
	return Number(value) <= Date.parse(String(where.to));
}

function documents(): FieldDocument[] {
	const random = seededRandom(11);
	const pick = <T>(from: readonly T[]) => from[Math.floor(random.next() * from.length)] as T;
	const some = <T>(from: readonly T[]) => from.filter(() => random.next() < 0.4);
	const maybe = <T>(value: T) => (random.next() < 0.85 ? value : null);
	return Array.from({ length: 120 }, (_, at) => ({
		id: `d${at}`,
		text: `The hull of ${pick(['a ship', 'a boat', 'a barge'])}, page ${at}.`,
		fields: {
			tenant: maybe(pick(TENANTS)),
			readers: maybe(some(GROUPS)),
			product: maybe(pick(PRODUCTS)),
			year: maybe(2019 + Math.floor(random.next() * 8)),
			draft: maybe(random.next() < 0.5),
			updated: maybe(Date.parse('2026-01-01') + Math.floor(random.next() * 8) * 86_400_000),
			tags: maybe(some(['a', 'b'])),
		},
	}));
}
