import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { chunkDocument, chunkIds } from '../../src/retrieval/chunkers/chunker.ts';
import { chunkTokens } from '../../src/retrieval/chunkers/split-text.ts';
import { type DocumentText, plainText } from '../../src/retrieval/document-text.ts';
import { readHtml } from '../../src/retrieval/readers/html.ts';
import { readMarkdown } from '../../src/retrieval/readers/markdown.ts';
import { chunkerConfig } from '../support/chunker-config.ts';

const STRUCTURE = chunkerConfig({ tokensMax: 40, tokensMin: 10 });
const WHOLE = chunkerConfig({ kind: 'whole', tokensMax: 40 });

const words = fc.stringMatching(/^[a-zäöß日本 ]{1,30}[.!?]?$/);
const paragraph = fc.array(words, { minLength: 1, maxLength: 12 }).map((all) => all.join(' '));
const block = fc.oneof(
	paragraph,
	fc.tuple(fc.integer({ min: 1, max: 4 }), words).map(([level, title]) => `${'#'.repeat(level)} ${title}`),
	fc.array(words, { minLength: 1, maxLength: 12 }).map((all) => `\`\`\`js\n${all.join('\n')}\n\`\`\``),
	fc.array(words, { minLength: 1, maxLength: 12 }).map((all) => all.map((item) => `* ${item}`).join('\n')),
	fc
		.array(words, { minLength: 1, maxLength: 12 })
		.map((all) => `| a | b |\n|---|---|\n${all.map((cell) => `| ${cell} | 1 |`).join('\n')}`),
	paragraph.map((text) => `> ${text}\n>\n> * one\n> * two`),
	fc.string({ unit: 'binary', maxLength: 80 }),
	fc.constantFrom(
		'---\ntitle: x\n---',
		'<div>raw</div>',
		'[link]: http://x.y',
		'a'.repeat(700),
		'\n\n\n',
		'😀'.repeat(60),
		'1. a\n   1. b\n\n      para',
	),
);
const markdown = fc.array(block, { maxLength: 10 }).map((blocks) => blocks.join('\n\n'));
const document: fc.Arbitrary<DocumentText> = fc.oneof(
	markdown.map((text) => readMarkdown(text, 'file')),
	markdown.map((text) => plainText(text, 'file')),
	fc
		.array(
			fc.oneof(
				words,
				fc.constantFrom(
					'<h1>',
					'</h1>',
					'<p>',
					'<pre>',
					'</pre>',
					'<ul><li>',
					'</ul>',
					'<table><tr><td>',
					'</td></tr></table>',
					'<br>',
					'&amp;',
				),
			),
			{ maxLength: 40 },
		)
		.map((parts) => readHtml(parts.join(''), 'file')),
);

/** Every UTF-16 unit that is not white space. */
function inked(text: string): number[] {
	return [...text.matchAll(/\S/g)].map(({ index }) => index);
}

describe.each([
	['structure', STRUCTURE],
	['whole', WHOLE],
])('the %s chunker', (_, config) => {
	it('loses no character, overlaps nowhere, and its offsets give its text', () => {
		fc.assert(
			fc.property(document, (read) => {
				const chunks = chunkDocument(read, config);
				const covered = new Set<number>();
				let last = 0;
				for (const { start, end, text } of chunks) {
					expect(text).toBe(read.text.slice(start, end));
					expect(start).toBeGreaterThanOrEqual(last);
					last = end;
					for (let at = start; at < end; at++) covered.add(at);
				}
				expect(inked(read.text).filter((at) => at >= read.bodyStart && !covered.has(at))).toEqual([]);
			}),
			{ numRuns: 300 },
		);
	});

	it('keeps every chunk at or below tokens_max, counts it rightly and numbers it in order', () => {
		fc.assert(
			fc.property(document, (read) => {
				chunkDocument(read, config).forEach((chunk, index) => {
					expect(chunk.tokens).toBe(chunkTokens(chunk.text));
					expect(chunk.tokens).toBeLessThanOrEqual(config.tokensMax);
					expect(chunk.ordinal).toBe(index);
				});
			}),
			{ numRuns: 200 },
		);
	});

	it('gives the same chunks and distinct ids each time', () => {
		fc.assert(
			fc.property(document, (read) => {
				const chunks = chunkDocument(read, config);
				expect(chunkDocument(read, config)).toEqual(chunks);
				const ids = chunkIds('pages', 'a.md', chunks);
				expect(new Set(ids).size).toBe(ids.length);
			}),
			{ numRuns: 50 },
		);
	});

	it('never halves a character', () => {
		const read = plainText('😀'.repeat(500), '');
		for (const { text } of chunkDocument(read, config)) expect(text.isWellFormed()).toBe(true);
	});
});

describe('the structure chunker', () => {
	const chunk = (text: string, config = STRUCTURE) => chunkDocument(readMarkdown(text, 'file'), config);

	it('gives each chunk the headings above it', () => {
		const filler = 'These are enough words to fill a chunk of their own, so that nothing is merged.';
		const chunks = chunk(
			`# Guide\n\n${filler}\n\n## Budgets\n\n${filler}\n\n### Tokens\n\n${filler}\n\n## Guards\n\n${filler}`,
		);
		expect(chunks.map(({ headingPath }) => headingPath)).toEqual([
			['Guide'],
			['Guide', 'Budgets'],
			['Guide', 'Budgets', 'Tokens'],
			['Guide', 'Guards'],
		]);
	});

	it('takes the words of a heading without its markup', () => {
		expect(chunk('# The `budget` of *one* [request](x.md)\n\ntext')[0]?.headingPath).toEqual([
			'The budget of one request',
		]);
	});

	it.each([
		['a code block', '```ts\nconst a = 1;\n\nconst b = 2;\n\nconst c = 3;\n```'],
		['a table', '| name | value |\n|---|---|\n| one | 1 |\n| two | 2 |'],
		['a list', '* first item\n* second item\n\n* third item after a blank line'],
	])('keeps %s whole when it fits', (_, text) => {
		const filler =
			'Some words in front that fill most of the chunk so that it does not fit beside them, not even nearly so. ';
		const chunks = chunk(`# Title\n\n${filler}\n\n${text}\n\n${filler}`);
		expect(chunks.filter((one) => one.text.includes(text))).toHaveLength(1);
	});

	it('cuts a code block that is too large between lines, and a list between items', () => {
		const code = Array.from({ length: 30 }, (_, line) => `const value${line} = ${line};`);
		for (const { text } of chunk(`\`\`\`\n${code.join('\n')}\n\`\`\``)) {
			for (const line of text.split('\n')) expect(['```', ...code]).toContain(line);
		}
		const items = Array.from({ length: 20 }, (_, item) => `* item ${item} has some words`);
		for (const { text } of chunk(items.join('\n'))) expect(text).toMatch(/^\* item/);
	});

	it('cuts a paragraph that is too large between sentences', () => {
		const sentences = Array.from({ length: 12 }, (_, at) => `This is sentence number ${at} of the paragraph.`);
		for (const { text } of chunk(sentences.join(' '))) expect(text).toMatch(/^This is sentence .*\.$/s);
	});

	it('does not leave a heading alone above prose that had to be cut', () => {
		const sentences = Array.from({ length: 12 }, (_, at) => `This is sentence number ${at} of the paragraph.`);
		expect(chunk(`## Alone\n\n${sentences.join(' ')}`)[0]?.text).toMatch(/^## Alone\n\nThis is sentence/);
	});

	it('merges chunks below tokens_min with their own section', () => {
		const [only, ...rest] = chunk('# Guide\n\nShort.\n\n## One\n\nShort too.\n\n## Two\n\nAnd this.');
		expect(rest).toEqual([]);
		expect(only?.headingPath).toEqual(['Guide']);
	});

	it('does not merge across two top headings', () => {
		expect(chunk('# One\n\nShort.\n\n# Two\n\nShort too.')).toHaveLength(2);
	});

	it('reads a title from front matter, else from the first top heading, else from the file', () => {
		expect(readMarkdown('---\ntitle: "From front"\n---\n# Other', 'file').title).toBe('From front');
		expect(readMarkdown('## Sub\n\n# Top', 'file').title).toBe('Top');
		expect(readMarkdown('no heading', 'file').title).toBe('file');
	});
});

describe('chunk ids', () => {
	const ids = (text: string) => {
		const chunks = chunkDocument(readMarkdown(text, 'file'), STRUCTURE);
		return chunkIds('pages', 'a.md', chunks);
	};
	const body = '# B\n\nThe second part stays as it was.';

	it('stay when text is inserted above', () => {
		expect(ids(`# A\n\nFirst.\n\n# New\n\nMore.\n\n${body}`).at(-1)).toBe(ids(`# A\n\nFirst.\n\n${body}`).at(-1));
	});

	it('differ for equal text in one document, in two documents and in two sources', () => {
		const chunks = chunkDocument(readMarkdown(body, 'file'), STRUCTURE);
		const [first] = chunks;
		if (!first) throw new Error('no chunk');
		const all = [
			...chunkIds('pages', 'a.md', [first, first]),
			...chunkIds('pages', 'b.md', [first]),
			...chunkIds('other', 'a.md', [first]),
		];
		expect(new Set(all).size).toBe(4);
	});
});
