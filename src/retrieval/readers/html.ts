import { metaOf } from '../document-meta.ts';
import { type Block, type DocumentText, heading, lines, prose, table } from '../document-text.ts';
import { ShallowParser } from '../shallow-parser.ts';

/** Not content: code, styles, templates, drawings and menus. */
const SKIPPED = new Set(['script', 'style', 'noscript', 'template', 'svg', 'nav', 'iframe', 'object']);
const VOID_BREAKS = new Set(['br', 'hr']);
const LINE_BLOCKS = new Set(['pre', 'table', 'ul', 'ol', 'dl']);
const PARAGRAPHS = new Set(
	'address article aside blockquote body details dialog div fieldset figure figcaption footer form header hgroup main p section summary'.split(
		' ',
	),
);
const LINES = new Set(['tr', 'li', 'dt', 'dd', 'caption', 'option']);
const CELLS = new Set(['td', 'th']);
const HEADING = /^h([1-6])$/;

/** The readable text of a page: blocks separated by blank lines, rows and items by line ends, cells by ` | `. Lenient as browsers are. */
export function readHtml(source: string, fallbackTitle: string): DocumentText {
	const writer = new PageWriter();
	const stated = new PageStatements();
	const parser = new ShallowParser(
		{
			onopentag: (name, attributes) => {
				writer.open(name);
				stated.see(name, attributes);
			},
			onclosetag: (name) => writer.close(name),
			ontext: (text) => writer.write(text),
		},
		{ decodeEntities: true, lowerCaseTags: true },
	);
	parser.end(source);
	return {
		...writer.finish(fallbackTitle),
		bodyStart: 0,
		syntax: null,
		meta: metaOf(Object.fromEntries(stated.found)),
	};
}

/** What a page states of itself: `<meta>`, `<html lang>`, `<link rel=canonical>`. The first of two counts. */
class PageStatements {
	readonly found = new Map<string, string>();

	see(tag: string, attributes: Readonly<Record<string, string>>): void {
		if (tag === 'html') this.#state('lang', attributes.lang);
		else if (tag === 'link' && attributes.rel?.toLowerCase() === 'canonical') this.#state('canonical', attributes.href);
		else if (tag === 'meta') {
			this.#state(attributes.name ?? attributes.property ?? attributes['http-equiv'] ?? '', attributes.content);
		}
	}

	#state(stated: string, value: string | undefined): void {
		const name = stated.trim().toLowerCase();
		if (name && value?.trim() && !this.found.has(name)) this.found.set(name, value.trim());
	}
}

class PageWriter {
	#text = '';
	#title = '';
	#inTitle = false;
	#skipDepth = 0;
	#preDepth = 0;
	/** Depth inside lists and tables, which stay one block. */
	#lineBlockDepth = 0;
	#blockStart = 0;
	/** White space seen and not yet written. */
	#gap: '' | ' ' | '\n' | '\n\n' = '';
	#cellPending = false;
	/** The table that is being read, at the outermost level. */
	#table: PageTable | null = null;
	readonly #blocks: Block[] = [];

	open(name: string): void {
		if (SKIPPED.has(name)) this.#skipDepth++;
		if (this.#skipDepth > 0) return;
		if (name === 'title' && !this.#title) this.#inTitle = true;
		else if (VOID_BREAKS.has(name)) this.#gap = widest(this.#gap, '\n');
		else if (HEADING.test(name)) this.#endBlock();
		else if (LINE_BLOCKS.has(name)) {
			if (this.#lineBlockDepth++ === 0) {
				this.#endBlock();
				this.#table = name === 'table' ? new PageTable() : null;
			} else this.#gap = widest(this.#gap, '\n');
			if (name === 'pre') this.#preDepth++;
		} else if (PARAGRAPHS.has(name)) this.#paragraph();
		else if (LINES.has(name)) this.#gap = widest(this.#gap, '\n');
		this.#table?.open(name);
	}

	close(name: string): void {
		if (SKIPPED.has(name) && this.#skipDepth > 0) this.#skipDepth--;
		if (this.#skipDepth > 0) return;
		if (name === 'title') this.#inTitle = false;
		const level = HEADING.exec(name)?.[1];
		if (level) this.#endBlock(Number(level));
		else if (LINE_BLOCKS.has(name) && this.#lineBlockDepth > 0) {
			if (name === 'pre') this.#preDepth--;
			if (--this.#lineBlockDepth === 0) this.#endBlock(0, true);
		} else if (PARAGRAPHS.has(name)) this.#paragraph();
		else if (LINES.has(name)) {
			this.#gap = widest(this.#gap, '\n');
			this.#cellPending = false;
		} else if (CELLS.has(name)) this.#cellPending = true;
	}

	write(text: string): void {
		if (this.#skipDepth > 0) return;
		if (this.#inTitle) {
			this.#title += text;
			return;
		}
		if (this.#preDepth > 0) {
			this.#append(text.replaceAll('\r\n', '\n'));
			return;
		}
		if (/^\s/.test(text)) this.#gap = widest(this.#gap, ' ');
		const words = text.trim();
		if (!words) return;
		this.#append(words.replace(/\s+/g, ' '));
		if (/\s$/.test(text)) this.#gap = ' ';
	}

	finish(fallbackTitle: string): Pick<DocumentText, 'title' | 'text' | 'blocks'> {
		this.#endBlock();
		const first = this.#blocks.find((block) => block.level === 1)?.heading;
		return {
			title: this.#title.replace(/\s+/g, ' ').trim() || first || fallbackTitle,
			text: this.#text,
			blocks: this.#blocks,
		};
	}

	#append(text: string): void {
		if (this.#cellPending) this.#gap = ' ';
		if (this.#text && this.#text.length >= this.#blockStart) this.#text += this.#gap;
		if (this.#cellPending) this.#text += '| ';
		this.#cellPending = false;
		this.#gap = '';
		this.#table?.write(this.#text.length);
		this.#text += text;
	}

	#paragraph(): void {
		if (this.#lineBlockDepth > 0) this.#gap = widest(this.#gap, '\n');
		else this.#endBlock();
	}

	#endBlock(level = 0, asLines = false): void {
		const start = this.#blockStart;
		const end = this.#text.length;
		if (end > start && this.#text.slice(start).trim()) {
			this.#blocks.push(
				level > 0
					? heading(start, end, level, this.#text.slice(start))
					: asLines
						? (this.#table?.finish(start, end) ?? lines(start, end))
						: prose(start, end),
			);
			this.#blockStart = end;
			this.#gap = '\n\n';
		}
		this.#cellPending = false;
		this.#table = null;
	}
}

/** Where the rows of a table begin in the text, and whether the first of them names the columns. */
class PageTable {
	readonly #starts: number[] = [];
	#rowPending = false;
	#rows = 0;
	#firstCells = '';

	open(name: string): void {
		if (name === 'tr') {
			this.#rowPending = true;
			this.#rows++;
		}
		if (this.#rows === 1 && CELLS.has(name)) this.#firstCells += ` ${name}`;
	}

	write(at: number): void {
		if (this.#rowPending) this.#starts.push(at);
		this.#rowPending = false;
	}

	finish(start: number, end: number): Block | null {
		const [first, second] = this.#starts;
		if (first === undefined) return null;
		const rows = this.#starts.map((at, index) => ({ start: at, end: this.#starts[index + 1] ?? end }));
		const named = second !== undefined && /^( th)+$/.test(this.#firstCells);
		return table(start, end, rows, named ? second : null);
	}
}

function widest<T extends string>(a: T, b: T): T {
	return a.length >= b.length && !(a === ' ' && b === '\n') ? a : b;
}
