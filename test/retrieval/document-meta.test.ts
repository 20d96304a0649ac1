import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { readInstant } from '../../src/base/instant.ts';
import { mergeMeta, metaOf, NO_META } from '../../src/retrieval/document-meta.ts';
import { plainText } from '../../src/retrieval/document-text.ts';
import { readHtml } from '../../src/retrieval/readers/html.ts';
import { readPdf } from '../../src/retrieval/readers/pdf.ts';
import { readDocument } from '../../src/retrieval/readers/read-document.ts';
import { chunkerConfig } from '../support/chunker-config.ts';
import { tinyPdf } from '../support/tiny-pdf.ts';

const CHUNKER = chunkerConfig({ tokensMin: 10 });
const markdown = (text: string, meta = NO_META) =>
	readDocument({ id: 'a.md', format: 'markdown', bytes: Buffer.from(text), title: 'a', meta }, CHUNKER);

describe('front matter', () => {
	it('gives fields, language, last change and address, and is not indexed as text', async () => {
		const text = [
			'---',
			'title: Limits',
			'lang: de_AT',
			'updated: 2024-02-29',
			'url: https://example.org/limits',
			'tags: [a, b]',
			'author: {name: Ann, since: 2019}',
			'draft: false',
			'reviewer: null',
			'---',
			'# Body',
			'words',
		].join('\n');
		const { title, meta, chunks } = await markdown(text);
		expect(title).toBe('Limits');
		expect(meta).toEqual({
			fields: {
				lang: 'de_AT',
				updated: '2024-02-29',
				url: 'https://example.org/limits',
				tags: ['a', 'b'],
				'author.name': 'Ann',
				'author.since': 2019,
				draft: false,
			},
			language: 'de-at',
			updatedAt: Date.UTC(2024, 1, 29),
			contentType: null,
			url: 'https://example.org/limits',
			marks: [],
		});
		expect(chunks.map((chunk) => chunk.text)).toEqual(['# Body\nwords']);
		expect(chunks[0]?.start).toBe(text.indexOf('# Body'));
	});

	it('that is not valid YAML gives no fields, marks the document, and is still no text', async () => {
		const { meta, chunks } = await markdown('---\ntitle: one: two: [\n---\nwords');
		expect(meta).toMatchObject({ fields: {}, marks: ['front_matter_unreadable'] });
		expect(chunks.map(({ text }) => text)).toEqual(['words']);
	});

	it('is not what stands between two rules', async () => {
		const { meta, chunks } = await markdown('---\nA sentence, and another.\n---\nwords');
		expect(meta).toEqual(NO_META);
		expect(chunks[0]?.text).toContain('A sentence');
	});

	it('may be empty, and may be all there is', async () => {
		expect((await markdown('---\n---\nwords')).chunks[0]?.text).toBe('words');
		await expect(markdown('---\ntitle: x\n---\n')).rejects.toThrow('it has no text');
	});

	it('full of aliases of aliases is not expanded', async () => {
		const levels = Array.from({ length: 12 }, (_, n) => `a${n + 1}: &a${n + 1} [${`*a${n},`.repeat(9)}]`);
		const { meta } = await markdown(`---\na0: &a0 x\n${levels.join('\n')}\n---\nwords`);
		expect(meta.marks).toEqual(['front_matter_unreadable']);
	});
});

describe('what a page states', () => {
	it('is read from its meta elements, its language and its canonical link', () => {
		const { meta } = readHtml(
			`<html lang="pt-BR"><head><link rel="canonical" href="https://example.org/p"><meta name="Author" content="Ann">
			<meta property="article:modified_time" content="2023-05-06T07:08:09+02:00"><meta name="author" content="Second"></head>text`,
			'page',
		);
		expect(meta).toMatchObject({
			fields: { lang: 'pt-BR', canonical: 'https://example.org/p', author: 'Ann' },
			language: 'pt-br',
			url: 'https://example.org/p',
			updatedAt: Date.UTC(2023, 4, 6, 5, 8, 9),
		});
	});
});

describe('what a PDF states', () => {
	it('is read from its information dictionary', async () => {
		const pdf = tinyPdf(['words'], 'T', "/Author (Ann) /CreationDate (D:20200102030405+01'00') /ModDate (D:20210102)");
		expect((await readPdf(pdf, 'file')).meta).toMatchObject({
			fields: { author: 'Ann', created: '2020-01-02T02:04:05.000Z' },
			updatedAt: Date.UTC(2021, 0, 2),
		});
	});
});

describe('the fields of a document', () => {
	it('keep within their bounds, and say when something did not fit', () => {
		const many = metaOf(Object.fromEntries(Array.from({ length: 500 }, (_, n) => [`f${n}`, n])));
		expect(Object.keys(many.fields)).toHaveLength(100);
		expect(many.marks).toEqual(['fields_cut']);
		expect(metaOf({ long: 'x'.repeat(10_000) })).toMatchObject({
			fields: { long: 'x'.repeat(4_000) },
			marks: ['fields_cut'],
		});
		expect(metaOf({ a: { b: { c: { d: { e: 1 } } } } })).toMatchObject({ fields: {}, marks: ['fields_cut'] });
	});

	it('are plain values, whatever JSON came in, and no name reaches a prototype', () => {
		fc.assert(
			fc.property(fc.jsonValue(), (stated) => {
				for (const value of Object.values(metaOf(stated).fields).flat()) {
					expect(['string', 'number', 'boolean']).toContain(typeof value);
				}
			}),
		);
		expect(Object.getPrototypeOf(metaOf(JSON.parse('{"__proto__":{"x":1},"__proto__":"y"}')).fields)).toBe(
			Object.prototype,
		);
	});

	it('of the source win over those that the document states of itself', async () => {
		const { meta } = await markdown('---\ntenant: theirs\ncolour: red\n---\nwords', metaOf({ tenant: 'ours' }));
		expect(meta.fields).toEqual({ tenant: 'ours', colour: 'red' });
		expect(mergeMeta(metaOf({}, { updatedAt: 5 }), metaOf({ updated: '1970-01-01' })).updatedAt).toBe(0);
	});

	it('are none for plain text', () => {
		expect(plainText('---\ntitle: x\n---\n', 'file').meta).toEqual(NO_META);
	});
});

describe('an instant', () => {
	it.each([
		['1601-01-01', Date.UTC(1601, 0, 1)],
		['1601-01-01T00:00:00Z', Date.UTC(1601, 0, 1)],
		['2024-02-29 23:59', Date.UTC(2024, 1, 29, 23, 59)],
		['2024-02-29T23:59:59.5+0200', Date.UTC(2024, 1, 29, 21, 59, 59, 500)],
		['2024-02', Date.UTC(2024, 1, 1)],
		['Wed, 21 Oct 2015 07:28:00 GMT', Date.UTC(2015, 9, 21, 7, 28)],
		['2023-02-29', null],
		['2024-13-01', null],
		['yesterday', null],
		['5', null],
		['', null],
	])('is read from %j as %j', (text, at) => {
		expect(readInstant(text)).toBe(at);
	});
});
