/** A piece of a passage that can be quoted whole. */
export interface Sentence {
	/** As it is quoted: one line (code keeps its lines), without the marks of Markdown. */
	readonly text: string;
	/** The headings above it inside the passage, joined by spaces. */
	readonly heading: string;
	/** True for a title or a heading: context for what follows, never quoted alone. */
	readonly isHeading: boolean;
}

/** Longer ones are cut at a space: what no reader would call a sentence. */
const SENTENCE_CHARS_MAX = 1200;
/** A table row or code block above this is not quoted at all rather than in half. */
const BLOCK_CHARS_MAX = 2000;

type Block =
	| { readonly kind: 'text' | 'item' | 'code'; readonly lines: string[] }
	| { readonly kind: 'heading'; readonly text: string; readonly level: number }
	| { readonly kind: 'row'; readonly text: string };

/** The sentences of a Markdown or plain passage, at most `max`. Linear in the text. */
export function sentencesOf(passage: string, max: number): Sentence[] {
	const sentences: Sentence[] = [];
	const headings: { level: number; text: string }[] = [];
	const add = (text: string, isHeading = false) => {
		const clean = isHeading ? inline(text) : text;
		if (/[\p{L}\p{N}]/u.test(clean)) {
			sentences.push({ text: clean, heading: headings.map((one) => one.text).join(' '), isHeading });
		}
	};
	for (const block of blocksOf(passage)) {
		if (sentences.length >= max) break;
		if (block.kind === 'heading') {
			while ((headings.at(-1)?.level ?? 0) >= block.level) headings.pop();
			add(block.text, true);
			headings.push({ level: block.level, text: inline(block.text) });
		} else if (block.kind === 'row') add(block.text);
		else if (block.kind === 'code') addCode(sentences, block.lines, add);
		else for (const sentence of split(inline(block.lines.join(' ')))) add(sentence);
	}
	return sentences.slice(0, max);
}

/** Code says what the sentence before it announces; alone it is quoted as its own piece. */
function addCode(sentences: Sentence[], lines: readonly string[], add: (text: string) => void): void {
	const code = lines.join('\n').trim();
	const before = sentences.at(-1);
	if (code === '' || code.length > BLOCK_CHARS_MAX) return;
	const fenced = `\`\`\`\n${notCitations(code, true)}\n\`\`\``;
	if (before && !before.isHeading && before.text.endsWith(':')) {
		sentences[sentences.length - 1] = { ...before, text: `${before.text}\n${fenced}` };
	} else add(fenced);
}

function blocksOf(passage: string): Block[] {
	const blocks: Block[] = [];
	const lines = passage.split(/\r\n?|\n/);
	let fence = '';
	let header: string[] | null = null;
	for (let i = 0; i < lines.length; i++) {
		const line = lines[i] ?? '';
		const last = blocks.at(-1);
		const open = /^\s{0,3}(`{3,}|~{3,})/.exec(line)?.[1] ?? '';
		if (fence !== '') {
			if (open.startsWith(fence)) fence = '';
			else if (last?.kind === 'code') last.lines.push(line);
			continue;
		}
		if (open !== '') {
			fence = open;
			blocks.push({ kind: 'code', lines: [] });
			continue;
		}
		if (header === null && line.includes('|') && isRule(lines[i + 1] ?? '')) {
			header = cellsOf(line);
			i++;
			continue;
		}
		if (isRow(line, header !== null)) {
			if (!isRule(line)) blocks.push({ kind: 'row', text: rowText(header, cellsOf(line)) });
			continue;
		}
		header = null;
		addLine(blocks, line, lines[i + 1] ?? '');
	}
	return blocks.filter((block) => block.kind !== 'row' || block.text.length <= BLOCK_CHARS_MAX);
}

function addLine(blocks: Block[], line: string, next: string): void {
	const last = blocks.at(-1);
	const trimmed = line.trim();
	const heading = /^ {0,3}(#{1,6})(?=\s)/.exec(line)?.[1];
	if (heading)
		blocks.push({ kind: 'heading', text: headingText(trimmed.slice(heading.length)), level: heading.length });
	else if (/^(?:-{3,}|={3,}|\*{3,}|_{3,})$/.test(trimmed)) {
		// A rule, or the underline of a heading that was taken below.
	} else if (trimmed === '') {
		if (last?.kind !== 'text' || last.lines.length > 0) blocks.push({ kind: 'text', lines: [] });
	} else if (/^(?:={2,}|-{2,})\s*$/.test(next) && last?.kind !== 'item') {
		blocks.push({ kind: 'heading', text: trimmed, level: next.startsWith('=') ? 1 : 2 });
	} else {
		const item = /^\s*(?:[-*+•]|\d{1,9}[.)])\s+(.*)$/.exec(line);
		if (item) blocks.push({ kind: 'item', lines: [(item[1] ?? '').replace(/^\[[ xX]\]\s*/, '')] });
		else if (last?.kind === 'text' || last?.kind === 'item') last.lines.push(trimmed.replace(/^(?:>\s*)+/, ''));
		else blocks.push({ kind: 'text', lines: [trimmed.replace(/^(?:>\s*)+/, '')] });
	}
}

/** Without the closing hashes; a loop, because the regular expression for it takes quadratic time on a line of hashes. */
function headingText(text: string): string {
	let end = text.length;
	while (text[end - 1] === '#') end--;
	return end < text.length && !/\s/.test(text[end - 1] ?? ' ') ? text : text.slice(0, end);
}

/** Inside a table any line with a bar; outside one only a line between bars, such as the rows of a chunk that lost its header. */
function isRow(line: string, inTable: boolean): boolean {
	const trimmed = line.trim();
	return inTable ? trimmed.includes('|') : trimmed.length > 2 && trimmed.startsWith('|') && trimmed.endsWith('|');
}

function isRule(line: string): boolean {
	return line.includes('-') && line.includes('|') && /^[\s|:-]+$/.test(line);
}

function cellsOf(line: string): string[] {
	const cells = line.trim().split(/(?<!\\)\|/);
	if (cells[0]?.trim() === '') cells.shift();
	if (cells.at(-1)?.trim() === '') cells.pop();
	return cells.map((cell) => inline(cell.replaceAll('\\|', '|')));
}

/** A row with its column names, so that it can be understood alone. */
function rowText(header: readonly string[] | null, cells: readonly string[]): string {
	return cells
		.map((cell, i) => (header?.[i] ? `${header[i]}: ${cell}` : cell))
		.filter((cell) => cell !== '')
		.join('; ');
}

/** Text as it is quoted: links and images by their text, no emphasis marks, no references that look like citations. */
function inline(text: string): string {
	return text
		.split(/(`[^`]*`)/)
		.map((piece) => (piece.startsWith('`') ? notCitations(piece, true) : notCitations(unmarked(piece), false)))
		.join('')
		.replace(/\s+/g, ' ')
		.trim();
}

function unmarked(text: string): string {
	return text
		.replace(/!?\[([^[\]]*)\]\([^()\s]*(?:\s+"[^"]*")?\)/g, '$1')
		.replace(/<\/?[a-zA-Z][^<>]*>/g, ' ')
		.replace(/\*\*|__(?=\S)|(?<=\S)__/g, '')
		.replace(/(?<![\p{L}\p{N}*])\*(?=\S)|(?<=\S)\*(?![\p{L}\p{N}*])/gu, '');
}

/** `[3]` in a quote would read as a citation of passage 3. */
function notCitations(text: string, isCode: boolean): string {
	return isCode ? text.replace(/\[(\d+)\]/g, '[ $1 ]') : text.replace(/\s?\[\^?[\w-]{0,4}\d[\w-]{0,4}\]/g, '');
}

/** Ends in a full stop without ending a sentence. */
const ABBREVIATION =
	/(?:^|[\s([“"'])(?:(?:mr|mrs|ms|dr|prof|st|sr|jr|vs|etc|cf|e\.g|i\.e|approx|ca|c|no|nos|vol|fig|figs|eq|ch|sec|pp|p|ed|eds|al|inc|ltd|co|corp|dept|est|gen|col|sgt|capt|lt|rev|hon|gov|sen|rep|jan|feb|mar|apr|jun|jul|aug|sept?|oct|nov|dec|a\.m|p\.m|viz|resp|incl|max|min)|(?:\p{L}\.)*\p{L})\.$/iu;

/** A possible end: stops with closing marks, then space. Bounded, or a page of dots would take quadratic time. */
const END = /[.!?…]{1,8}["'”’)\]]{0,4}(?=\s)|[。！？]{1,8}/gu;

function split(text: string): string[] {
	const sentences: string[] = [];
	let start = 0;
	for (const match of text.matchAll(END)) {
		const end = match.index + match[0].length;
		const rest = text.slice(end, end + 8).trimStart();
		const wide = /[。！？]/.test(match[0]);
		if (!wide && rest !== '' && !/^["'“‘([]*[\p{Lu}\p{Lo}\p{N}`*]/u.test(rest)) continue;
		if (match[0] === '.' && ABBREVIATION.test(text.slice(Math.max(start, end - 20), end)) && !endsAnyway(text, end))
			continue;
		push(sentences, text.slice(start, end));
		start = end;
	}
	push(sentences, text.slice(start));
	return sentences;
}

/** After "etc." or "p.m." a capital mostly starts a new sentence; after a title or an initial it is the name. */
function endsAnyway(text: string, end: number): boolean {
	return /(?:etc|a\.m|p\.m|inc|ltd|corp|al)\.$/i.test(text.slice(Math.max(0, end - 6), end));
}

function push(sentences: string[], text: string): void {
	let rest = text.trim();
	while (rest.length > SENTENCE_CHARS_MAX) {
		const space = rest.lastIndexOf(' ', SENTENCE_CHARS_MAX);
		const cut = space > SENTENCE_CHARS_MAX / 2 ? space : SENTENCE_CHARS_MAX;
		sentences.push(rest.slice(0, cut));
		rest = rest.slice(cut).trimStart();
	}
	if (rest !== '') sentences.push(rest);
}
