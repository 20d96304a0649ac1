import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { ChunkerConfig } from '../../src/contracts/collection.ts';
import { chunkDocument, chunkerIdentity, chunkIds } from '../../src/retrieval/chunkers/chunker.ts';
import { headerOf } from '../../src/retrieval/chunkers/header.ts';
import { chunkTokens } from '../../src/retrieval/chunkers/split-text.ts';
import { type DocumentText, plainText } from '../../src/retrieval/document-text.ts';
import { readCsv } from '../../src/retrieval/readers/csv-table.ts';
import { readHtml } from '../../src/retrieval/readers/html.ts';
import { readMarkdown } from '../../src/retrieval/readers/markdown.ts';
import { readCode } from '../../src/retrieval/readers/source-code.ts';
import { chunkerConfig } from '../support/chunker-config.ts';

const SMALL = { tokensMax: 40, tokensMin: 8, overlapTokens: 12 };
const CHUNKERS: [string, ChunkerConfig][] = [
	['structure', chunkerConfig({ ...SMALL, kind: 'structure' })],
	['sentences', chunkerConfig({ ...SMALL, kind: 'sentences' })],
	['sentences without overlap', chunkerConfig({ ...SMALL, kind: 'sentences', overlapTokens: 0 })],
	['tokens', chunkerConfig({ ...SMALL, kind: 'tokens' })],
	['rows', chunkerConfig({ ...SMALL, kind: 'rows' })],
	['rows, two at a time', chunkerConfig({ ...SMALL, kind: 'rows', rowsMax: 2 })],
	['code', chunkerConfig({ ...SMALL, kind: 'code' })],
	['whole', chunkerConfig({ ...SMALL, kind: 'whole' })],
];

const words = fc.stringMatching(/^[a-zäöß日本 ]{1,30}[.!?]?$/);
const sentence = fc
	.array(fc.stringMatching(/^[a-z]{1,9}$/), { minLength: 3, maxLength: 12 })
	.map((all) => `${all.join(' ')}.`);
const paragraph = fc.array(sentence, { minLength: 1, maxLength: 6 }).map((all) => all.join(' '));
const table = fc
	.array(fc.tuple(words, words), { minLength: 1, maxLength: 12 })
	.map((rows) => `| left | right |\n|---|---|\n${rows.map(([a, b]) => `| ${a} | ${b} |`).join('\n')}`);
const list = fc
	.array(words, { minLength: 1, maxLength: 8 })
	.map((items) => items.map((item) => `* ${item}`).join('\n'));
const heading = fc
	.tuple(fc.integer({ min: 1, max: 4 }), words)
	.map(([level, title]) => `${'#'.repeat(level)} ${title}`);
const odd = fc.oneof(
	fc.string({ unit: 'binary', maxLength: 80 }),
	fc.constantFrom(
		'---\ntitle: x\n---',
		'<table><tr><td>raw</table>',
		'a'.repeat(700),
		'\n\n\n',
		'😀'.repeat(60),
		'\r\n\r\n',
	),
);
const markdown = fc
	.array(fc.oneof(paragraph, table, list, heading, odd), { maxLength: 8 })
	.map((parts) => parts.join('\n\n'));
const html = fc
	.array(fc.tuple(words, words), { maxLength: 15 })
	.map(
		(rows) =>
			`<h1>Title</h1><table><caption>c</caption><tr><th>a</th><th>b</th></tr>${rows.map(([a, b]) => `<tr><td>${a}<td>${b}</tr>`).join('')}</table><p>end`,
	);
const cell = fc.oneof(words, fc.constantFrom('"a, ""quoted"" cell"', '"two\nlines"', '', '"open'));
const csv = fc
	.array(fc.array(cell, { minLength: 1, maxLength: 4 }), { maxLength: 15 })
	.map((rows) => rows.map((row) => row.join(',')).join('\r\n'));
const codeLine = fc.oneof(
	fc.constantFrom(
		'def f(x):',
		'class A:',
		'    def g(self):',
		'    return 1',
		'# comment',
		'',
		'@decorated',
		'        x = 2',
	),
	words.map((name) => `    value = "${name}"`),
	fc.constant(`long = "${'word '.repeat(120)}"`),
);
const code = fc.array(codeLine, { maxLength: 60 }).map((all) => all.join('\n'));

const document: fc.Arbitrary<DocumentText> = fc.oneof(
	markdown.map((text) => readMarkdown(text, 'file')),
	markdown.map((text) => plainText(text, 'file')),
	html.map((text) => readHtml(text, 'file')),
	csv.map((text) => readCsv(text, 'file')),
	code.map((text) => readCode(text, 'a.py', 'file')),
	fc.string({ unit: 'binary', maxLength: 400 }).map((text) => readCode(text, 'a.ts', 'file')),
);

describe.each(CHUNKERS)('the chunker %s', (_, config) => {
	const overlaps = ['sentences', 'tokens'].includes(config.kind) && config.overlapTokens > 0;

	it('loses no text, and its offsets give its text, in order', () => {
		fc.assert(
			fc.property(document, (read) => {
				const chunks = chunkDocument(read, config);
				let covered = read.bodyStart;
				let start = -1;
				for (const chunk of chunks) {
					expect(chunk.text).toBe(read.text.slice(chunk.start, chunk.end));
					expect(chunk.text.trim()).not.toBe('');
					expect(chunk.start).toBeGreaterThan(start);
					if (!overlaps) expect(chunk.start).toBeGreaterThanOrEqual(covered);
					if (chunk.start > covered) expect(read.text.slice(covered, chunk.start).trim()).toBe('');
					expect(chunk.end).toBeGreaterThan(covered);
					start = chunk.start;
					covered = chunk.end;
				}
				expect(read.text.slice(covered).trim()).toBe('');
			}),
			{ numRuns: 150 },
		);
	});

	it('keeps within tokens_max, counts rightly and repeats no more than overlap_tokens', () => {
		fc.assert(
			fc.property(document, (read) => {
				const chunks = chunkDocument(read, config);
				chunks.forEach((chunk, index) => {
					expect(chunk.tokens).toBe(chunkTokens(chunk.text));
					expect(chunk.tokens).toBeLessThanOrEqual(config.tokensMax);
					expect(chunk.ordinal).toBe(index);
					const before = chunks[index - 1];
					if (!before || before.end <= chunk.start) return;
					expect(chunkTokens(read.text.slice(chunk.start, before.end))).toBeLessThanOrEqual(config.overlapTokens);
				});
			}),
			{ numRuns: 100 },
		);
	});

	it('gives the same chunks and distinct ids each time', () => {
		fc.assert(
			fc.property(document, (read) => {
				const chunks = chunkDocument(read, config);
				expect(chunkDocument(read, config)).toEqual(chunks);
				const ids = chunkIds('pages', 'a', chunks);
				expect(new Set(ids).size).toBe(ids.length);
			}),
			{ numRuns: 40 },
		);
	});

	it('gives the chunks of a section the same ids whatever is done to another section', () => {
		const long = fc.array(sentence, { minLength: 3, maxLength: 12 }).map((all) => all.join(' '));
		const body = fc.oneof(
			long,
			fc.tuple(long, table).map((parts) => parts.join('\n\n')),
		);
		const sections = fc.array(body, { minLength: 2, maxLength: 5 });
		// A document in one piece is another document after an edit.
		if (config.kind === 'whole') return;
		fc.assert(
			fc.property(sections, body, fc.nat(), (bodies, edit, where) => {
				const at = where % bodies.length;
				const idsOf = (all: readonly string[]) => {
					const read = readMarkdown(all.map((one, n) => `# Section ${n}\n\n${one}`).join('\n\n'), 'file');
					const chunks = chunkDocument(read, config);
					const ids = chunkIds('pages', 'a', chunks);
					return ids.filter((_id, index) => chunks[index]?.headingPath[0] !== `Section ${at}`);
				};
				expect(idsOf(bodies.with(at, edit))).toEqual(idsOf(bodies));
			}),
			{ numRuns: 60 },
		);
	});
});

describe('the chunker of sentences', () => {
	it('fills windows with whole sentences and repeats whole ones', () => {
		const all = Array.from({ length: 20 }, (_, n) => `Sentence number ${n} says something.`);
		const config = chunkerConfig({ kind: 'sentences', tokensMax: 24, tokensMin: 0, overlapTokens: 8 });
		const chunks = chunkDocument(plainText(all.join(' '), 'file'), config);
		for (const { text } of chunks) expect(text).toMatch(/^(Sentence number \d+ says something\. ?)+$/);
		chunks.slice(1).forEach(({ text }, index) => {
			expect(
				chunks[index]?.text.endsWith(text.split('. ')[0] ?? '?') ||
					chunks[index]?.text.includes(`${text.split('. ')[0]}.`),
			).toBe(true);
		});
	});
});

describe('the chunker of rows', () => {
	const rows = Array.from({ length: 9 }, (_, n) => `part-${n},${n}.50,in stock`);
	const file = `part,price,state\n${rows.join('\n')}\n`;

	it('keeps rows whole and repeats the header of the table as context, which is no part of the text', () => {
		const chunks = chunkDocument(readCsv(file, 'parts'), chunkerConfig({ kind: 'rows', rowsMax: 3 }));
		expect(chunks.map(({ text }) => text)).toEqual([
			`part,price,state\n${rows.slice(0, 3).join('\n')}`,
			rows.slice(3, 6).join('\n'),
			rows.slice(6).join('\n'),
		]);
		expect(chunks.map(({ context }) => context.trim())).toEqual(['', 'part,price,state', 'part,price,state']);
	});

	it('does so for tables in Markdown and HTML, and leaves what is around them to the structure', () => {
		const md =
			'# Parts\n\nWhat we have in stock is listed here.\n\n| part | price |\n|---|---|\n| a | 1 |\n| b | 2 |\n\nPrices may change.';
		const config = chunkerConfig({ kind: 'rows', rowsMax: 1, tokensMin: 0 });
		expect(chunkDocument(readMarkdown(md, 'f'), config).map(({ text, context }) => [text, context.trim()])).toEqual([
			['# Parts\n\nWhat we have in stock is listed here.', ''],
			['| part | price |\n|---|---|\n| a | 1 |', ''],
			['| b | 2 |', '| part | price |\n|---|---|'],
			['Prices may change.', ''],
		]);
		const page = '<table><tr><th>part<th>price</tr><tr><td>a<td>1</tr><tr><td>b<td>2</tr></table>';
		expect(chunkDocument(readHtml(page, 'f'), config).map(({ text, context }) => [text, context.trim()])).toEqual([
			['part | price\na | 1', ''],
			['b | 2', 'part | price'],
		]);
	});

	it('keeps a record whole whose cell has several lines', () => {
		const chunks = chunkDocument(
			readCsv('id,text\n1,"two\nlines"\n2,x\n', 'f'),
			chunkerConfig({ kind: 'rows', rowsMax: 1 }),
		);
		expect(chunks.map(({ text }) => text)).toEqual(['id,text\n1,"two\nlines"', '2,x']);
	});
});

describe('the structure chunker', () => {
	it('gives the pieces of a table that is cut the header as context', () => {
		const rows = Array.from({ length: 40 }, (_, n) => `| part-${n} | ${n} |`);
		const chunks = chunkDocument(
			readMarkdown(`| part | price |\n|---|---|\n${rows.join('\n')}`, 'f'),
			chunkerConfig({ tokensMax: 60 }),
		);
		expect(chunks.length).toBeGreaterThan(2);
		for (const { context } of chunks.slice(1)) expect(context.trim()).toBe('| part | price |\n|---|---|');
	});
});

describe('the chunker of code', () => {
	const config = chunkerConfig({ kind: 'code', tokensMax: 60, tokensMin: 0 });
	const first = (text: string, id: string, settings = config) =>
		chunkDocument(readCode(text, id, 'f'), settings).map((chunk) => chunk.text.split('\n')[0]?.trim());

	it.each([
		[
			'a.py',
			'import os\n\n# about f\n@cached\ndef f(x):\n    return x\n\nclass A:\n    def g(self):\n        pass\n',
			['import os', '# about f', 'class A:'],
		],
		[
			'a.ts',
			"import x from 'y';\n\n/** Doc. */\nexport async function f() {\n\treturn 1;\n}\n\nconst g = (a) => {\n\treturn a;\n};\n\nexport class B {}\n",
			["import x from 'y';", '/** Doc. */', 'const g = (a) => {', 'export class B {}'],
		],
		[
			'a.go',
			'package a\n\n// F does.\nfunc F() int {\n\treturn 1\n}\n\ntype T struct{}\n',
			['package a', '// F does.', 'type T struct{}'],
		],
		[
			'a.rs',
			'use x;\n\n#[derive(Debug)]\npub struct S;\n\nimpl S {\n    pub(crate) fn f() {}\n}\n',
			['use x;', '#[derive(Debug)]', 'impl S {'],
		],
		[
			'A.java',
			'package a;\n\npublic class A {\n    private int f() {\n        return 1;\n    }\n}\n',
			['package a;', 'public class A {'],
		],
		[
			'a.c',
			'#include <x.h>\n\nstatic int f(int a) {\n    return a;\n}\n\nvoid g(void)\n{\n}\n',
			['#include <x.h>', 'static int f(int a) {', 'void g(void)'],
		],
		['a.rb', "require 'x'\n\nmodule M\n  def f\n  end\nend\n", ["require 'x'", 'module M']],
		['a.sql', '-- people\ncreate table a (\n  id int\n);\nselect 1;\n', ['-- people', 'select 1;']],
		['a.sh', '#!/bin/sh\nset -e\n\nf() {\n  echo\n}\n', ['#!/bin/sh', 'f() {']],
	])('begins a chunk at each definition of %s, with its comments', (id, text, starts) => {
		expect(first(text, id)).toEqual(starts);
	});

	it('cuts a class that is too large into its methods, whose heading path names it', () => {
		const methods = Array.from(
			{ length: 4 },
			(_, n) => `    def method_${n}(self):\n${`        total = total + ${n}\n`.repeat(5)}`,
		);
		const chunks = chunkDocument(
			readCode(`class Account(Base):\n    """Money."""\n\n${methods.join('\n')}`, 'a.py', 'f'),
			config,
		);
		expect(chunks.map(({ text, headingPath }) => [text.split('\n')[0]?.trim(), headingPath])).toEqual([
			['class Account(Base):', []],
			...[0, 1, 2, 3].map((n) => [`def method_${n}(self):`, ['class Account(Base)']]),
		]);
	});

	it('cuts no line that fits into a chunk', () => {
		fc.assert(
			fc.property(code, (text) => {
				const lines = new Set(text.split('\n').map((line) => line.trim()));
				for (const chunk of chunkDocument(readCode(text, 'a.py', 'f'), config)) {
					for (const line of chunk.text.split('\n')) {
						const whole = lines.has(line.trim());
						const piece = [...lines].find((one) => one.includes(line.trim()) && chunkTokens(one) > config.tokensMax);
						expect(whole || piece !== undefined).toBe(true);
					}
				}
			}),
			{ numRuns: 100 },
		);
	});

	it('reads a minified file of one line in time', () => {
		const text = `function a(){return 1}`.repeat(20_000);
		const chunks = chunkDocument(readCode(text, 'a.min.js', 'f'), chunkerConfig({ kind: 'code', tokensMax: 400 }));
		const ink = (all: string) => all.replaceAll(/\s/g, '');
		expect(ink(chunks.map((chunk) => chunk.text).join(''))).toBe(ink(text));
	});
});

describe('the header of a chunk', () => {
	const chunk = {
		documentId: 'a.md',
		title: 'Guide',
		headingPath: ['Setup', 'Keys'],
		context: '',
		text: 'words',
		fields: { tags: ['x', 'y'] },
	};
	const header = (template: string, about = {}, tokensMax = 100) =>
		headerOf({ ...chunk, ...about }, { template, tokensMax });

	it('is what its template says', () => {
		expect(header('{title} › {headings}\n{field.tags}')).toBe('Guide › Setup › Keys\nx, y');
	});

	it('leaves out what the text says itself, a title that is only the id, and lines that say nothing', () => {
		const template = 'Page: {title}\n{headings}\n{context}\nabout {field.none}';
		expect(header(template, { title: 'a.md', text: 'Keys and words' })).toBe('Setup');
		expect(header('{title} › {headings}', { headingPath: [] })).toBe('Guide');
		expect(header('')).toBe('');
	});

	it('is cut at tokens_max', () => {
		expect(chunkTokens(header('{title}', { title: 'word '.repeat(500) }, 20))).toBeLessThanOrEqual(20);
	});
});

describe('the identity of a chunker', () => {
	it('changes with each setting that it uses, and with no other', () => {
		const base = chunkerConfig({ kind: 'sentences' });
		const identity = (change: Partial<ChunkerConfig>) => JSON.stringify(chunkerIdentity({ ...base, ...change }));
		const changes: Partial<ChunkerConfig>[] = [
			{},
			{ kind: 'structure' },
			{ tokensMax: 201 },
			{ tokensMin: 21 },
			{ overlapTokens: 5 },
			{ header: { ...base.header, template: '{title}' } },
			{ header: { ...base.header, tokensMax: 5 } },
		];
		expect(new Set(changes.map(identity)).size).toBe(changes.length);
		expect(identity({ rowsMax: 3 })).toBe(identity({}));
		expect(JSON.stringify(chunkerIdentity({ ...base, kind: 'whole', overlapTokens: 9 }))).toBe(
			JSON.stringify(chunkerIdentity({ ...base, kind: 'whole' })),
		);
	});
});
