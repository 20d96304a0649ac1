import fc from 'fast-check';
import { Parser } from 'htmlparser2';
import { expect, it } from 'vitest';
import { readHtml } from '../../src/retrieval/readers/html.ts';
import { ShallowParser } from '../../src/retrieval/shallow-parser.ts';
import { parseSitemap } from '../../src/retrieval/sources/sitemap/parse-sitemap.ts';

/** What a parser tells of a page, tag by tag and text by text. */
function told(Kind: typeof Parser | typeof ShallowParser, page: string): string[] {
	const heard: string[] = [];
	const parser = new Kind(
		{
			onopentag: (name) => heard.push(`<${name}>`),
			onclosetag: (name, isImplied) => heard.push(`</${name}>${isImplied ? ' implied' : ''}`),
			ontext: (text) => heard.push(text),
		},
		{ decodeEntities: true, lowerCaseTags: true },
	);
	parser.end(page);
	return heard;
}

it('a page of usual depth is parsed as htmlparser2 does', () => {
	const names = 'div p br form li ul table tr td svg foreignObject math image title select option script hr h1'.split(
		' ',
	);
	const tag = fc
		.tuple(fc.constantFrom('<', '</'), fc.constantFrom(...names), fc.constantFrom('>', '/>', ' a="b">', ''))
		.map((parts) => parts.join(''));
	fc.assert(
		fc.property(fc.array(fc.oneof(tag, fc.constantFrom('words', ' ', '&amp;')), { maxLength: 200 }), (parts) => {
			expect(told(ShallowParser, parts.join(''))).toEqual(told(Parser, parts.join('')));
		}),
		{ numRuns: 500 },
	);
});

it('all text of a page that is nested without end is read, in its order, in time that grows with its length', () => {
	const depth = 200_000;
	for (const [open, close] of [
		['<div>', '</div>'],
		['<ul><li>', ''],
		['<font>', '</b>'],
	] as const) {
		const page = `<p>before</p>${open.repeat(depth)}inside${close.repeat(depth)}<h2>after</h2>`;
		expect(readHtml(page, 'deep').text.replace(/\s+/g, ' ')).toBe('before inside after');
	}
});

it('a sitemap that is nested without end is none, or lists what it lists', () => {
	const deep = '<a>'.repeat(200_000);
	expect(parseSitemap(deep)).toBeNull();
	const sitemap = `<urlset><url><loc>https://a.example/</loc></url>${deep}</urlset>`;
	expect(parseSitemap(sitemap)?.entries).toEqual([{ loc: 'https://a.example/', lastmod: null }]);
});
