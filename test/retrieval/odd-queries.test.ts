import { afterAll, beforeAll, expect, it } from 'vitest';
import { type FieldIndex, openFieldIndex } from '../support/field-index.ts';

let index: FieldIndex;
beforeAll(async () => {
	const documents = ['the load line mark', 'the draught of a hull'].map((text, at) => ({
		id: `d${at}`,
		text,
		fields: {},
	}));
	index = await openFieldIndex(documents, new Map());
});
afterAll(() => index.close());

const ask = { collection: 'docs', k: 5, filter: null, signal: null };

it.each([
	['empty', ''],
	['white space', ' \n\t '],
	['stop words alone', 'the of and is to'],
	['operators alone', 'AND OR NOT && || ! ( ) { } [ ] ^ ~ * ? : \\ /'],
	['quotes alone', '"""\'\'\'“”'],
	['an open quote and bracket', '"load (line'],
	['a field query of other engines', 'body:load AND chunk_id:* OR 1=1; DROP TABLE docs --'],
	['100 kB of words', 'load line '.repeat(10_000)],
	['100 kB of one letter', 'x'.repeat(100_000)],
	['lone surrogates and control characters', '\ud800 load \udfff \u0000\u0007'],
	['emoji and combining marks', '🚢 l̷o̷a̷d̷ ﷽'],
])('a query that is %s is searched and never a fault, on any leg', async (_, query) => {
	for (const mode of ['lexical', 'vector', 'hybrid'] as const) {
		const { hits, degraded } = await index.retriever.search({ ...ask, query, mode });
		expect(hits.length).toBeLessThanOrEqual(2);
		expect(degraded).toBe(query.length > 8_192 ? 'only the first 8192 characters of the query were used' : null);
		if (mode === 'lexical')
			expect(hits.length > 0, query).toBe(/load/.test(query.slice(0, 8_192)) && !query.startsWith('x'));
	}
});

it.each([0, -1, 1.5, 1_001, Number.NaN, Number.POSITIVE_INFINITY])('k of %d is refused', async (k) => {
	await expect(index.retriever.search({ ...ask, query: 'load', mode: null, k })).rejects.toMatchObject({
		code: 'request_invalid',
		param: 'k',
	});
});
