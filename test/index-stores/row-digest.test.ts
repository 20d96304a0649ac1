import { expect, it } from 'vitest';
import { RowDigest } from '../../src/index-stores/lancedb/row-digest.ts';
import { toArrow } from '../../src/index-stores/lancedb/rows.ts';
import type { IndexRow } from '../../src/spec/index-store.ts';
import { row, SHAPE } from './index-store.suite.ts';

/** @param batches rows that come together. */
async function digestOf(...batches: readonly (readonly IndexRow[])[]): Promise<string> {
	const digest = new RowDigest();
	for (const rows of batches) for (const batch of toArrow(rows, SHAPE).batches) await digest.add(batch);
	expect(digest.rows).toBe(batches.flat().length);
	return digest.value;
}

const FIELDS = { product: 'é', price: 1, public: true, updated: 5, groups: ['one', 'two'] };
const FIRST = row('a', 'guard', { fields: FIELDS });
const REST = [row('b', 'breaker', { fields: { groups: [] } }), row('c', 'ro'.repeat(10_000)), row('d', 'moor')];

it('a digest knows neither the order of rows nor how they come in batches', async () => {
	const whole = await digestOf([FIRST, ...REST]);
	expect(await digestOf([...REST, FIRST])).toBe(whole);
	expect(await digestOf(REST.slice(0, 2), [FIRST], REST.slice(2))).toBe(whole);
});

it('a digest reads rows of a part of a batch as those of a whole one', async () => {
	const [batch] = toArrow([FIRST, ...REST], SHAPE).batches;
	const digest = new RowDigest();
	for (const part of [batch?.slice(2), batch?.slice(0, 2)]) await digest.add(part ?? expect.fail());
	expect(digest.value).toBe(await digestOf([FIRST, ...REST]));
});

const CHANGES: Readonly<Record<string, Partial<IndexRow>>> = {
	'a letter of the text': { body: `${FIRST.body.slice(0, -1)}x` },
	'a letter that moves to the next column': { source: `${FIRST.source}a`, documentId: '' },
	'a number': { tokens: FIRST.tokens + 1 },
	'one number of the vector': {
		vector: Float32Array.from(FIRST.vector ?? [], (cell, at) => (at === 0 ? cell / 2 : cell)),
	},
	'a flag': { fields: { ...FIELDS, public: false } },
	'a time that is gone': { fields: { ...FIELDS, updated: null } },
	'a text that is empty': { fields: { ...FIELDS, product: '' } },
	'a text that is gone': { fields: { ...FIELDS, product: null } },
	'labels in one': { fields: { ...FIELDS, groups: ['onetwo'] } },
	'labels in another order': { fields: { ...FIELDS, groups: ['two', 'one'] } },
	'labels that are none': { fields: { ...FIELDS, groups: [] } },
	'labels that are gone': { fields: { ...FIELDS, groups: null } },
};

it('a digest is another one after any change of a row', async () => {
	const digests = [{}, ...Object.values(CHANGES)].map((change) => digestOf([{ ...FIRST, ...change }, ...REST]));
	expect(new Set(await Promise.all(digests)).size).toBe(digests.length);
});
