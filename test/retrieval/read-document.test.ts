import { describe, expect, it } from 'vitest';
import { NO_META } from '../../src/retrieval/document-meta.ts';
import { readHtml } from '../../src/retrieval/html.ts';
import { readDocument } from '../../src/retrieval/read-document.ts';
import type { DocumentFormat } from '../../src/retrieval/source-item.ts';
import { tinyPdf } from '../support/tiny-pdf.ts';

const CHUNKER = { kind: 'structure', tokensMax: 200, tokensMin: 10 } as const;

function read(format: DocumentFormat, bytes: Uint8Array) {
	return readDocument({ id: 'x', format, bytes, title: 'file name', meta: NO_META }, CHUNKER);
}

describe('an HTML page', () => {
	it('gives blocks, rows, items and cells, without scripts, styles and menus', () => {
		const { text, title } = readHtml(
			`<html><head><title>The  page</title><style>p { color: red }</style></head><body>
			<nav><a>Home</a></nav><h1>Heading <em>one</em></h1><p>First
			paragraph &amp; more<br>next line</p><script>alert("x")</script>
			<ul><li>one</li><li>two</li></ul><table><tr><th>a</th><th>b</th></tr><tr><td>1</td><td>2</td></tr></table>
			<pre>  code\n    indented</pre><p>last</p></body></html>`,
			'file',
		);
		expect(title).toBe('The page');
		expect(text).toBe(
			'Heading one\n\nFirst paragraph & more\nnext line\n\none\ntwo\n\na | b\n1 | 2\n\n  code\n    indented\n\nlast',
		);
	});

	it('gives chunks their heading path', async () => {
		const { chunks } = await read('html', Buffer.from(`<h1>Guide</h1><h2>Part</h2><p>${'word '.repeat(60)}</p>`));
		expect(chunks[0]?.headingPath).toEqual(['Guide', 'Part']);
	});

	it.each([
		'<p>unclosed <b>bold',
		'</div></p>text',
		'<<<>>>&&;',
		'<table><td>cell',
		'<pre>a</ul></pre>b',
		'<title>only',
	])('is read leniently: %s', (source) => {
		expect(() => readHtml(source, 'file')).not.toThrow();
	});
});

describe('a PDF', () => {
	it('gives the text of its pages and its title', async () => {
		const { title, chunks } = await read('pdf', tinyPdf(['Plimsoll lines (on hulls)', 'second page'], 'Load lines'));
		expect(title).toBe('Load lines');
		expect(chunks.map(({ text }) => text).join('|')).toBe('Plimsoll lines (on hulls)\n\nsecond page');
	});

	it('that is broken is refused with the reason', async () => {
		await expect(read('pdf', Buffer.from('%PDF-1.4 broken'))).rejects.toThrow(/^a broken PDF: /);
	});

	it('without text is refused as such', async () => {
		await expect(read('pdf', tinyPdf([''], 'scan'))).rejects.toThrow('it has no text layer');
	});
});

describe('text that is not text', () => {
	it.each<[string, DocumentFormat, Uint8Array, string]>([
		['invalid UTF-8', 'markdown', Buffer.from([0x41, 0xc3, 0x28]), 'not valid UTF-8'],
		[
			'a binary with a text name',
			'markdown',
			Buffer.from([0x89, 0x50, 0x4e, 0x47, 0, 0, 0, 13]),
			'not text: it holds NUL bytes',
		],
		['an empty file', 'text', Buffer.alloc(0), 'it has no text'],
		['white space alone', 'html', Buffer.from('<p> </p>\n'), 'it has no text'],
	])('is refused: %s', async (_, format, bytes, reason) => {
		await expect(read(format, bytes)).rejects.toThrow(reason);
	});

	it('a byte order mark is not part of the text', async () => {
		const { title } = await read('markdown', Buffer.from('\ufeff# Title'));
		expect(title).toBe('Title');
	});
});
