import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { IndexRow, IndexStore, TableShape } from '../../src/spec/index-store.ts';
import type { FieldValue, Filter } from '../../src/spec/retrieval.ts';

const SHAPE: TableShape = {
	table: 'docs-a',
	dimensions: 2,
	fields: new Map([
		['product', 'text'],
		['price', 'number'],
		['public', 'boolean'],
		['updated', 'time'],
		['groups', 'labels'],
	]),
};
const ASK = { limit: 10, filter: null, timeoutMs: 5_000 };

function row(documentId: string, text: string, options: { angle?: number; fields?: Record<string, FieldValue> } = {}) {
	const { angle = 0, fields = {} } = options;
	const vector = new Float32Array([Math.cos(angle), Math.sin(angle)]);
	const passage = { source: 'manual', title: 'T', headingPath: ['A', "it's"], start: 0, end: text.length };
	const all = { product: null, price: null, public: null, updated: null, groups: null, ...fields };
	const made = { chunkId: `${documentId}#0`, documentId, text, body: `T\n\n${text}`, textAt: 3, ordinal: 0, tokens: 2 };
	return { ...passage, ...made, contentHash: `hash of ${text}`, vector, fields: all } satisfies IndexRow;
}

async function all<T>(items: AsyncIterable<T>): Promise<T[]> {
	const list: T[] = [];
	for await (const item of items) list.push(item);
	return list;
}

/** What every engine promises. `open` gives a store that is open and empty. */
export function indexStoreSuite(name: string, open: () => Promise<{ store: IndexStore; end: () => Promise<void> }>) {
	describe(`an index in ${name}`, () => {
		let store: IndexStore;
		let end: () => Promise<void>;
		beforeEach(async () => {
			({ store, end } = await open());
		});
		afterEach(() => end());

		async function written(rows: readonly IndexRow[]) {
			const writer = await store.writer(SHAPE);
			await writer.write([], rows);
			const { version } = await writer.seal([]);
			writer.close();
			return store.reader({ table: SHAPE.table, version });
		}

		it('finds by words and by vectors, and gives back what was written', async () => {
			const rows = [
				row('a', 'the guard checks', { angle: 0.1, fields: { product: 'x', price: 2, groups: ['one', 'two'] } }),
				row("b'/☂", 'the breaker opens', { angle: 1, fields: { public: true, updated: 1_700_000_000_000 } }),
			];
			const reader = await written(rows);
			expect(reader.chunks).toBe(2);
			const [lexical] = await reader.lexical('guards', ASK);
			expect(lexical?.chunkId).toBe('a#0');
			const near = await reader.vector(new Float32Array([1, 0]), { ...ASK, exact: true });
			expect(near.map(({ chunkId }) => chunkId)).toEqual(['a#0', "b'/☂#0"]);
			expect(near[0]?.score).toBeCloseTo(Math.cos(0.1), 5);
			const passages = await reader.passages(
				near.map(({ row: found }) => found),
				5_000,
			);
			for (const { contentHash, vector, body, textAt, ...passage } of rows) {
				expect(passages.get(passage.chunkId)).toEqual(passage);
			}
			expect((await all(reader.documents())).map(({ documentId }) => documentId).sort()).toEqual(['a', "b'/☂"]);
			expect(await reader.readEverything()).toBe(2);
		});

		const FILTERS: [string, Filter, string[]][] = [
			['everything', { all: [] }, ['a', 'b', 'c']],
			['nothing', { any: [] }, []],
			['an equal text', { field: 'product', is: 'equal', value: "it's" }, ['a']],
			['a number between', { field: 'price', is: 'between', least: 2, most: null }, ['b']],
			['a time between', { field: 'updated', is: 'between', least: null, most: 5 }, ['a']],
			['one of', { field: 'product', is: 'one_of', values: ['y', 'z'] }, ['b']],
			['one of none', { field: 'product', is: 'one_of', values: [] }, []],
			['a flag', { field: 'public', is: 'equal', value: false }, ['b']],
			['any label', { field: 'groups', is: 'any_label', values: ['two', 'four'] }, ['a']],
			['no such label', { field: 'groups', is: 'any_label', values: [] }, []],
			['a field that is there', { field: 'groups', is: 'present' }, ['a', 'b']],
			[
				'the complement, with those that lack the field',
				{ not: { field: 'product', is: 'equal', value: 'y' } },
				['a', 'c'],
			],
			[
				'both',
				{ all: [{ field: 'price', is: 'present' }, { any: [{ field: 'public', is: 'equal', value: true }] }] },
				['a'],
			],
		];

		it.each(FILTERS)('restricts both legs to %s', async (_, filter, expected) => {
			const reader = await written([
				row('a', 'guard', { fields: { product: "it's", price: 1, public: true, updated: 5, groups: ['one', 'two'] } }),
				row('b', 'guard', { fields: { product: 'y', price: 2, public: false, updated: 6, groups: [] } }),
				row('c', 'guard'),
			]);
			const ids = (found: readonly { chunkId: string }[]) => found.map(({ chunkId }) => chunkId.slice(0, 1)).sort();
			expect(ids(await reader.lexical('guard', { ...ASK, filter }))).toEqual(expected);
			for (const exact of [true, false]) {
				expect(ids(await reader.vector(new Float32Array([1, 0]), { ...ASK, filter, exact }))).toEqual(expected);
			}
		});

		it('stays on its version, whatever is written meanwhile', async () => {
			const reader = await written([row('a', 'guard'), row('b', 'guard')]);
			const writer = await store.writer(SHAPE);
			await writer.write([{ source: 'manual', documentId: 'a' }], [row('a', 'breaker'), row('c', 'guard')]);
			await writer.remove([{ source: 'manual', documentId: 'b' }]);
			const { version, chunks } = await writer.seal([reader.place.version]);
			expect(chunks).toBe(2);
			const next = await store.reader({ table: SHAPE.table, version });
			expect((await reader.lexical('guard', ASK)).map(({ chunkId }) => chunkId).sort()).toEqual(['a#0', 'b#0']);
			expect((await next.lexical('guard', ASK)).map(({ chunkId }) => chunkId)).toEqual(['c#0']);
			const documents = await all(writer.documents());
			expect(documents).toContainEqual({ source: 'manual', documentId: 'a', contentHash: 'hash of breaker' });
			expect(documents).toHaveLength(2);
			writer.close();
		});

		it('lists, drops and sets tables aside', async () => {
			await written([row('a', 'guard')]);
			expect(await store.tables('docs-')).toEqual(['docs-a']);
			expect(await store.tables('other-')).toEqual([]);
			expect(await store.setAside('docs-a', 0)).not.toBeNull();
			expect(await store.setAside('docs-a', 0)).toBeNull();
			await written([row('a', 'guard')]);
			await store.drop('docs-a');
			expect(await store.tables('docs-')).toEqual([]);
		});

		it('refuses a version or table that is not there', async () => {
			await expect(store.reader({ table: 'docs-none', version: 1 })).rejects.toThrow();
			const { place } = await written([row('a', 'guard')]);
			await expect(store.reader({ ...place, version: 999 })).rejects.toThrow();
		});
	});
}
