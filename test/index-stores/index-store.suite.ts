import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Capabilities } from '../../scripts/reference/index-store-capabilities.ts';
import { seededRandom } from '../../src/base/random.ts';
import { PlimsollError } from '../../src/spec/errors.ts';
import type {
	Candidate,
	ChunkSummary,
	IndexReader,
	IndexRow,
	IndexStore,
	TableShape,
} from '../../src/spec/index-store.ts';
import type { FieldValue, Filter } from '../../src/spec/retrieval.ts';
import { CHILD_TABLE, CHUNKS_EACH, openPlace, type SharedPlace } from '../support/index-writing-child.ts';
import { bm25, cosine } from './ranking-model.ts';

export const SHAPE: TableShape = {
	table: 'docs-a',
	dimensions: 2,
	fields: new Map([
		['product', 'text'],
		['price', 'number'],
		['public', 'boolean'],
		['updated', 'time'],
		['groups', 'labels'],
		['_own', 'text'],
	]),
};
const ASK = { limit: 10, filter: null, timeoutMs: 5_000 };

export function row(
	documentId: string,
	text: string,
	options: { angle?: number; fields?: Record<string, FieldValue> } = {},
) {
	const { angle = 0, fields = {} } = options;
	const vector = new Float32Array([Math.cos(angle), Math.sin(angle)]);
	const passage = { source: 'manual', title: 'T', headingPath: ['A', "it's"], start: 0, end: text.length };
	const all = { product: null, price: null, public: null, updated: null, groups: null, ...fields };
	const own = { _own: `own of ${documentId}` };
	const made = { chunkId: `${documentId}#0`, documentId, text, body: `T\n\n${text}`, textAt: 3, ordinal: 0, tokens: 2 };
	return { ...passage, ...made, contentHash: `hash of ${text}`, vector, fields: { ...all, ...own } } satisfies IndexRow;
}

async function all<T>(batches: AsyncIterable<readonly T[]>): Promise<T[]> {
	const list: T[] = [];
	for await (const batch of batches) list.push(...batch);
	return list;
}

/** Of a first chunk, all that is told of it. */
function told({ document, ...chunk }: ChunkSummary) {
	if (!document) throw new Error('it is not the first of its document');
	const { source, documentId, contentHash, names } = document;
	const fields = Object.fromEntries(names.map((name) => [name, document.field(name)]));
	expect(names.filter((name) => document.has(name))).toEqual(names.filter((name) => fields[name] !== null));
	return { ...chunk, document: { source, documentId, contentHash, fields } };
}

/** The chunks behind what a leg found, in its order. */
export async function chunksOf(reader: IndexReader, found: readonly Candidate[]): Promise<(string | undefined)[]> {
	const rows = found.map(({ row: one }) => one);
	const passages = await reader.passages(rows, 5_000);
	return rows.map((one) => passages.get(one)?.chunkId);
}

/** An engine under test: open and empty. */
interface Opened {
	readonly store: IndexStore;
	/** The same, for another process. */
	readonly config: SharedPlace;
	/** Takes from a table what its readers need, as a disk or a person could. */
	harm(table: string): Promise<void>;
	end(): Promise<void>;
}

const CHILD = join(import.meta.dirname, '../support/index-writing-child.ts');
const SLOW_MS = 300_000;
/** Neither stop words nor changed by stemming. */
const WORDS = ['alpha', 'bravo', 'delta', 'kilo', 'lima', 'oscar', 'tango', 'zulu'];

/** What every engine promises. */
export function indexStoreSuite(name: string, can: Capabilities, open: () => Promise<Opened>) {
	describe(`an index in ${name}`, () => {
		let opened: Opened;
		let store: IndexStore;
		beforeEach(async () => {
			opened = await open();
			({ store } = opened);
		}, SLOW_MS);
		afterEach(() => opened.end());

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
				row("b'/☂", 'the breaker opens', {
					angle: 1,
					fields: { public: true, updated: 1_700_000_000_000, groups: [] },
				}),
			];
			const reader = await written(rows);
			expect(reader.chunks).toBe(2);
			expect(await chunksOf(reader, await reader.lexical('guards', ASK))).toEqual(['a#0']);
			const near = await reader.vector(new Float32Array([1, 0]), { ...ASK, exact: true });
			expect(await chunksOf(reader, near)).toEqual(['a#0', "b'/☂#0"]);
			expect(near[0]?.score).toBeCloseTo(Math.cos(0.1), 5);
			const passages = await reader.passages(
				near.map(({ row: found }) => found),
				5_000,
			);
			for (const [at, { contentHash, vector, body, textAt, fields: stored, ...passage }] of rows.entries()) {
				const { _own, ...fields } = stored;
				expect(passages.get(near[at]?.row ?? '')).toEqual({ ...passage, fields });
			}
			const opening = await reader.openings([{ source: 'manual', documentId: "b'/☂" }], {
				chunks: 1,
				timeoutMs: 5_000,
			});
			expect(opening).toEqual([passages.get(near[1]?.row ?? '')]);
			expect(await reader.openings([], { chunks: 1, timeoutMs: 5_000 })).toEqual([]);
			expect(await reader.openings(rows, { chunks: 0, timeoutMs: 5_000 })).toEqual([]);
			expect((await all(reader.documents())).map(({ documentId }) => documentId).sort()).toEqual(['a', "b'/☂"]);
			const summaries = [];
			for await (const batch of reader.summaries()) summaries.push(...batch.map(told));
			const expected = rows.map(({ source, documentId, contentHash, ordinal, tokens, fields }) => {
				return { source, ordinal, tokens, document: { source, documentId, contentHash, fields } };
			});
			expect(summaries.sort((a, b) => (a.document.documentId < b.document.documentId ? -1 : 1))).toEqual(expected);
			expect((await reader.readEverything()).rows).toBe(2);
			expect(await reader.readDocuments(rows)).toEqual(await reader.readEverything());
			expect((await reader.readDocuments(rows.slice(1))).rows).toBe(1);
			expect((await reader.readDocuments([])).rows).toBe(0);
			const stopped = AbortSignal.abort(new Error('the server stops'));
			await expect(reader.readEverything(stopped)).rejects.toThrow('the server stops');
			await expect(reader.readDocuments(rows, stopped)).rejects.toThrow('the server stops');
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
			const ids = async (found: readonly Candidate[]) =>
				(await chunksOf(reader, found)).map((id) => id?.slice(0, 1)).sort();
			expect(await ids(await reader.lexical('guard', { ...ASK, filter }))).toEqual(expected);
			for (const exact of [true, false]) {
				expect(await ids(await reader.vector(new Float32Array([1, 0]), { ...ASK, filter, exact }))).toEqual(expected);
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
			expect((await chunksOf(reader, await reader.lexical('guard', ASK))).sort()).toEqual(['a#0', 'b#0']);
			expect(await chunksOf(next, await next.lexical('guard', ASK))).toEqual(['c#0']);
			const documents = await all(writer.documents());
			expect(documents).toContainEqual({ source: 'manual', documentId: 'a', contentHash: 'hash of breaker' });
			expect(documents).toHaveLength(2);
			writer.close();
		});

		it('is the same after its rows were written anew and the versions before it were erased', async () => {
			const reader = await written([row('a', 'guard'), row('b', 'breaker'), row('c', 'guard')]);
			const writer = await store.writer(SHAPE);
			await writer.remove([{ source: 'manual', documentId: 'c' }]);
			await writer.rewrite();
			const { version, chunks } = await writer.seal([reader.place.version]);
			expect(chunks).toBe(2);
			expect((await chunksOf(reader, await reader.lexical('guard', ASK))).sort()).toEqual(['a#0', 'c#0']);
			const next = await store.reader({ table: SHAPE.table, version });
			await writer.seal([version], { erase: true });
			for (const one of [next, await store.reader({ table: SHAPE.table, version })]) {
				expect((await chunksOf(one, await one.lexical('guard breaker', ASK))).sort()).toEqual(['a#0', 'b#0']);
				expect(await one.vector(new Float32Array([1, 0]), { ...ASK, exact: true })).toHaveLength(2);
			}
			await store.forgetCaches();
			await expect(store.reader(reader.place)).rejects.toThrow();
			writer.close();
		});

		it('lists, drops and sets tables aside', async () => {
			await written([row('a', 'guard')]);
			expect(await store.tables('docs-')).toEqual(['docs-a']);
			expect(await store.tables('other-')).toEqual([]);
			expect((await store.setAside('docs-a', 0)) !== null).toBe(can.keepsSetAside);
			expect(await store.tables('docs-')).toEqual([]);
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

		it('keeps any Unicode and its offsets', async () => {
			const texts = [
				'naïve café ☂ guard',
				'👩‍👩‍👧 guard \u{10FFFF}',
				'שלום עולם guard',
				'警备 guard',
				'half \uD800 guard \0 nul',
			];
			const rows = texts.map((text, at) => row(`é/${at}`, text, { fields: { product: text, groups: [text] } }));
			const reader = await written(rows);
			const found = await reader.lexical('guard', ASK);
			expect((await chunksOf(reader, found)).sort()).toEqual(rows.map(({ chunkId }) => chunkId).sort());
			expect(await chunksOf(reader, await reader.lexical('NAIVE', ASK))).toEqual(['é/0#0']);
			const passages = await reader.passages(
				found.map(({ row: one }) => one),
				5_000,
			);
			const textOf = new Map([...passages.values()].map(({ chunkId, text }) => [chunkId, text]));
			for (const [at, text] of texts.entries()) {
				const kept = textOf.get(`é/${at}#0`);
				expect(kept).toHaveLength(text.length);
				if (at < 4) expect(kept).toBe(text);
				const filter: Filter = { field: 'product', is: 'equal', value: text };
				expect(await chunksOf(reader, await reader.lexical('guard', { ...ASK, filter }))).toEqual([`é/${at}#0`]);
			}
		});

		it.each(['', ' ', '"', '((', 'a AND OR NOT', '*:*', "'; --", '\\', '\0', 'the of', 'x'.repeat(8_000), '\uD800'])(
			'takes the query %j for words alone',
			async (query) => {
				const reader = await written([row('a', 'guard')]);
				expect(await reader.lexical(query, ASK)).toEqual([]);
			},
		);

		it('gives chunks with equal scores, and the same ones in the same order each time', async () => {
			const reader = await written(Array.from({ length: 40 }, (_, at) => row(`d${at}`, 'guard')));
			const ask = async () => {
				const lexical = await reader.lexical('guard', ASK);
				const vector = await reader.vector(new Float32Array([1, 0]), { ...ASK, exact: false });
				return [lexical, vector].map((found) => found.map(({ row: one }) => one));
			};
			const first = await ask();
			expect(first.map((rows) => new Set(rows).size)).toEqual([10, 10]);
			for (let again = 0; again < 5; again++) expect(await ask()).toEqual(first);
		});

		it('holds a batch whole or not at all, whenever its process is killed', { timeout: SLOW_MS }, async () => {
			const child = spawn(process.execPath, [CHILD, JSON.stringify(opened.config)], {
				stdio: ['ignore', 'pipe', 'inherit'],
			});
			const acknowledged: string[] = [];
			let batches = 0;
			for await (const line of createInterface(child.stdout)) {
				acknowledged.push(...line.split(' '));
				if (++batches === 3) child.kill('SIGKILL');
			}
			if (child.signalCode === null && child.exitCode === null) await once(child, 'exit');
			expect(batches).toBeGreaterThanOrEqual(3);
			const other = openPlace(opened.config);
			await other.open();
			const writer = await other.writer(CHILD_TABLE);
			const kept = (await all(writer.documents())).map(({ documentId }) => documentId);
			const { version, chunks } = await writer.seal([]);
			expect(new Set(kept).size).toBe(kept.length);
			expect(kept).toEqual(expect.arrayContaining(acknowledged));
			expect(kept.length % 40).toBe(0);
			expect(chunks).toBe(kept.length * CHUNKS_EACH);
			const reader = await other.reader({ table: CHILD_TABLE.table, version });
			expect((await reader.readEverything()).rows).toBe(chunks);
			reader.close();
			other.close();
		});

		it('refuses the second of two writers, and keeps no document twice', async () => {
			const replaced = [{ source: 'manual', documentId: 'a' }];
			const [one, two] = [await store.writer(SHAPE), await store.writer(SHAPE)];
			await one.write([], [row('a', 'guard')]);
			const conflict = { code: 'index_conflict' };
			expect(store.isDamage(new PlimsollError('index_conflict', 'changed meanwhile'))).toBe(false);
			await expect(two.write(replaced, [row('a', 'breaker')])).rejects.toMatchObject(conflict);
			await expect(two.remove(replaced)).rejects.toMatchObject(conflict);
			await expect(two.seal([])).rejects.toMatchObject(conflict);
			for (let round = 0; round < 5; round++) {
				const racing = [await store.writer(SHAPE), await store.writer(SHAPE)];
				const ends = await Promise.allSettled(racing.map((writer) => writer.write(replaced, [row('a', 'breaker')])));
				for (const end of ends) if (end.status === 'rejected') expect(end.reason).toMatchObject(conflict);
				const next = await store.writer(SHAPE);
				expect((await all(next.documents())).length).toBeLessThanOrEqual(1);
			}
			const last = await store.writer(SHAPE);
			await last.write(replaced, [row('a', 'guard')]);
			expect((await last.seal([])).chunks).toBe(1);
		});

		it('tells damage from everything else', async () => {
			const reader = await written([row('a', 'guard')]);
			expect(store.isDamage(new Error('it holds 1 chunks, its manifest says 2'))).toBe(true);
			await opened.harm(SHAPE.table);
			const thrown = await store
				.freshReader(reader.place)
				.then((fresh) => fresh.readEverything())
				.catch((cause: unknown) => cause);
			expect(thrown).toBeInstanceOf(Error);
			expect(store.isDamage(thrown)).toBe(true);
		});

		it('scores as its formula says, over documents that come and go', { timeout: SLOW_MS }, async () => {
			const text = fc.array(fc.constantFrom(...WORDS), { minLength: 1, maxLength: 30 });
			const angle = fc.double({ min: 0, max: 6, noNaN: true });
			const corpus = fc.array(fc.record({ words: text, angle, drop: fc.boolean() }), { minLength: 2, maxLength: 25 });
			const query = fc.uniqueArray(fc.constantFrom(...WORDS), { minLength: 1, maxLength: 3 });
			let round = 0;
			const check = fc.asyncProperty(corpus, corpus, query, angle, async (before, after, words, towards) => {
				const shape = { ...SHAPE, table: `model-${round++}` };
				const made = (prefix: string, items: typeof before) =>
					items.map((item, at) => ({
						...item,
						row: {
							...row(`${prefix}${at}`, item.words.join(' '), item),
							title: '',
							body: item.words.join(' '),
							textAt: 0,
						},
					}));
				const [old, added] = [made('o', before), made('n', after)];
				const writer = await store.writer(shape);
				await writer.write(
					[],
					old.map((item) => item.row),
				);
				const first = await writer.seal([]);
				await writer.write(
					old.filter(({ drop }) => drop).map((item) => item.row),
					added.map((item) => item.row),
				);
				const second = await writer.seal([first.version]);
				for (const [version, live] of [
					[first.version, old],
					[second.version, [...old.filter(({ drop }) => !drop), ...added]],
				] as const) {
					const reader = await store.reader({ table: shape.table, version });
					const ask = { limit: 100, filter: null, timeoutMs: 20_000 };
					const found = await reader.lexical(words.join(' '), ask);
					const ids = await chunksOf(reader, found);
					const lexical = new Map(found.map(({ score }, at) => [ids[at], score]));
					const expected = bm25(
						live.map((item) => ({ id: item.row.chunkId, words: item.words })),
						words,
						store.lexical,
					);
					expect([...lexical.keys()].sort()).toEqual([...expected.keys()].sort());
					for (const [id, score] of expected) {
						expect(Math.abs((lexical.get(id) ?? 0) / score - 1)).toBeLessThanOrEqual(can.lexicalError);
					}
					const direction = new Float32Array([Math.cos(towards), Math.sin(towards)]);
					const vector = await reader.vector(direction, { ...ask, exact: true });
					expect(vector).toHaveLength(live.length);
					const near = await chunksOf(reader, vector);
					for (const [at, { score }] of vector.entries()) {
						const own = live.find((item) => item.row.chunkId === near[at])?.row.vector;
						expect(score).toBeCloseTo(own ? cosine(own, direction) : Number.NaN, 4);
					}
					expect(vector.map(({ score }) => score)).toEqual(vector.map(({ score }) => score).sort((a, b) => b - a));
					reader.close();
				}
				writer.close();
				await store.drop(shape.table);
			});
			await fc.assert(check, { numRuns: 12, seed: 20_261_129 });
		});

		it('finds in 10,000 chunks what an exact search finds, also after more came', { timeout: SLOW_MS }, async () => {
			const random = seededRandom(7);
			const shape: TableShape = { ...SHAPE, table: 'many-a', dimensions: 16 };
			const unit = () => {
				const values = Float32Array.from({ length: 16 }, () => random.next() - 0.5);
				const length = Math.hypot(...values);
				return values.map((value) => value / length);
			};
			const make = (from: number, count: number) =>
				Array.from({ length: count }, (_, at) => ({
					...row(`d${from + at}`, `${WORDS[at % 8]} ${at % 100 === 0 ? 'rare' : 'common'}`, {
						fields: { price: at % 50 },
					}),
					vector: unit(),
				}));
			const writer = await store.writer(shape);
			for (let from = 0; from < 10_000; from += 2_500) await writer.write([], make(from, 2_500));
			const first = await writer.seal([]);
			await writer.write([], make(10_000, 500));
			const second = await writer.seal([first.version]);
			expect([first.chunks, second.chunks]).toEqual([10_000, 10_500]);
			const reader = await store.reader({ table: shape.table, version: second.version });
			const filter: Filter = { field: 'price', is: 'equal', value: 7 };
			for (const asked of [null, filter]) {
				let [found, wanted, tail] = [0, 0, 0];
				for (let query = 0; query < 20; query++) {
					const [vector, ask] = [unit(), { limit: 50, filter: asked, timeoutMs: 60_000 }];
					const exact = await reader.vector(vector, { ...ask, exact: true });
					const near = await reader.vector(vector, { ...ask, exact: false });
					const rows = new Set(near.map(({ row: one }) => one));
					wanted += exact.length;
					found += exact.filter(({ row: one }) => rows.has(one)).length;
					tail += (await chunksOf(reader, near)).filter((id) => /^d10\d{3}#/.test(id ?? '')).length;
				}
				expect(wanted).toBe(20 * 50);
				expect(found / wanted).toBeGreaterThanOrEqual(0.95);
				expect(tail).toBeGreaterThan(0);
			}
			expect(await reader.lexical('rare', { limit: 1_000, filter: null, timeoutMs: 60_000 })).toHaveLength(105);
			expect((await all(reader.documents())).length).toBe(10_500);
			expect((await reader.readEverything()).rows).toBe(10_500);
		});
	});
}
