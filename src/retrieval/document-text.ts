import type { DocumentMeta } from '../spec/document.ts';
import { NO_META } from './document-meta.ts';

/** [start, end) in UTF-16 code units of a document's text. */
export interface Range {
	readonly start: number;
	readonly end: number;
}

/**
 * A piece of a document that should stay whole. Blocks of one list are in order and do not overlap; what lies between
 * two of them belongs to the first.
 */
export interface Block extends Range {
	/** `heading` opens a section; `lines` may be cut between lines only (code, tables); `prose` between sentences. */
	readonly kind: 'heading' | 'prose' | 'lines';
	/** 1 to 6 for a heading, else 0. */
	readonly level: number;
	/** The words of a heading, else empty. */
	readonly heading: string;
	/** What the block falls apart into when it is too large, e.g. the items of a list. */
	readonly parts: readonly Block[];
	/** Of a table whose parts are rows: the rows that name its columns; else null. */
	readonly header: Range | null;
}

/** Families of programming languages that look alike enough to be cut by one rule. */
export type Syntax = 'script' | 'python' | 'go' | 'rust' | 'braces' | 'ruby' | 'shell' | 'sql';

/** A document as text. Chunk offsets point into `text`. */
export interface DocumentText {
	readonly title: string;
	readonly text: string;
	/** Where what is indexed begins: front matter before it gives fields, not text. */
	readonly bodyStart: number;
	readonly blocks: readonly Block[];
	/** Set for source code. */
	readonly syntax: Syntax | null;
	/** What the document states of itself. */
	readonly meta: DocumentMeta;
}

export function prose(start: number, end: number, parts: readonly Block[] = []): Block {
	return { kind: 'prose', level: 0, heading: '', start, end, parts, header: null };
}

export function lines(start: number, end: number): Block {
	return { kind: 'lines', level: 0, heading: '', start, end, parts: [], header: null };
}

export function heading(start: number, end: number, level: number, words: string): Block {
	return { ...prose(start, end), kind: 'heading', level, heading: words.replace(/\s+/g, ' ').trim() };
}

/** @param rows all of them, the header's too. @param headerEnd where the header ends; null when the table has none. */
export function table(start: number, end: number, rows: readonly Range[], headerEnd: number | null): Block {
	const parts = rows.map((row) => lines(row.start, row.end));
	return { ...lines(start, end), parts, header: headerEnd === null ? null : { start, end: headerEnd } };
}

/** A document that is nothing but text and states nothing of itself. */
export function plainText(text: string, title: string): DocumentText {
	return { title, text, bodyStart: 0, blocks: plainBlocks(text), syntax: null, meta: NO_META };
}

/** Plain text: paragraphs between blank lines. */
export function plainBlocks(text: string): Block[] {
	const blocks: Block[] = [];
	let start = 0;
	for (const gap of text.matchAll(/\n[^\S\n]*(?:\n[^\S\n]*)+/g)) {
		if (gap.index > start) blocks.push(prose(start, gap.index));
		start = gap.index + gap[0].length;
	}
	if (start < text.length) blocks.push(prose(start, text.length));
	return blocks;
}
