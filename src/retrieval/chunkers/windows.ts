import type { Block, DocumentText, Range } from '../document-text.ts';
import { cutAnywhere, fits, lastFit, splitText, trimRange } from './split-text.ts';
import { type Limits, mergeSmall, type Section, sectionsOf, tile, type Unit, unit } from './unit.ts';

interface WindowLimits extends Limits {
	/** Tokens that a window repeats of the one before it. */
	readonly overlapTokens: number;
}

/**
 * Windows of whole sentences, each of which repeats the last sentences of the one before that fit into `overlapTokens`.
 * Sections begin a new window, so that an edit moves the windows of its own section alone. Code and tables count by line.
 */
export function sentenceUnits(document: DocumentText, limits: WindowLimits): Unit[] {
	const { text } = document;
	const units = sectionsOf(document).flatMap(({ path, tiles }) => {
		const sentences = tiles.flatMap((one) => sentencesOf(text, one, limits.tokensMax));
		return windowsOf(text, sentences, limits).map((range) => {
			const isHeading = tiles[0]?.[1].kind === 'heading' && range.end <= tiles[0][0].end;
			return unit(text, range, { path, isHeading });
		});
	});
	return mergeSmall(text, units, limits);
}

const SENTENCE_END = /[.!?…]["'”’)\]]*\s+|[。！？]\s*|\n[^\S\n]*\n\s*/g;

function sentencesOf(text: string, [range, block]: [Range, Block], tokensMax: number): Range[] {
	if (block.kind === 'prose' && block.parts.length > 0) {
		return tile(text, block.parts, range).flatMap((part) => sentencesOf(text, part, tokensMax));
	}
	const boundary = block.kind === 'lines' ? /\n/g : SENTENCE_END;
	const sentences: Range[] = [];
	let start = range.start;
	const add = (end: number) => {
		// One that is too large on its own is cut as prose is.
		sentences.push(...splitText(text, { start, end }, block.kind === 'lines' ? 'lines' : 'prose', tokensMax));
		start = end;
	};
	for (const match of text.slice(range.start, range.end).matchAll(boundary)) {
		add(range.start + match.index + match[0].length);
	}
	add(range.end);
	return sentences;
}

function windowsOf(text: string, sentences: readonly Range[], { tokensMax, overlapTokens }: WindowLimits): Range[] {
	const at = (from: number, to: number): Range => ({
		start: sentences[from]?.start ?? 0,
		end: sentences[to - 1]?.end ?? 0,
	});
	const within = (tokens: number, from: number, to: number) => {
		const { start, end } = at(from, to);
		return fits(text, start, end, tokens);
	};
	const windows: Range[] = [];
	let from = 0;
	for (let next = 0; next < sentences.length; ) {
		// What is repeated must leave room for something new.
		while (from < next && !within(tokensMax, from, next + 1)) from++;
		const first = from;
		next = lastFit(next + 1, sentences.length, (to) => within(tokensMax, first, to));
		windows.push(at(first, next));
		from = next;
		while (from - 1 > first && within(overlapTokens, from - 1, next)) from--;
	}
	return windows;
}

/** Windows of a fixed number of tokens, whatever stands in them, cut at white space where there is some. Sections begin a new one. */
export function tokenUnits(document: DocumentText, limits: WindowLimits): Unit[] {
	return sectionsOf(document).flatMap((section) => fixedWindows(document.text, section, limits));
}

function fixedWindows(text: string, { path, tiles }: Section, { tokensMax, overlapTokens }: WindowLimits): Unit[] {
	const units: Unit[] = [];
	const end = tiles.at(-1)?.[0].end ?? 0;
	let rest = trimRange(text, { start: tiles[0]?.[0].start ?? 0, end });
	while (rest) {
		const last = cutAtSpace(text, rest, tokensMax);
		const window = trimRange(text, { start: rest.start, end: last });
		if (window) units.push(unit(text, window, { path }));
		if (last >= end) break;
		rest = trimRange(text, { start: overlapFrom(text, { start: rest.start, end: last }, overlapTokens), end });
	}
	return units;
}

function cutAtSpace(text: string, { start, end }: Range, tokensMax: number): number {
	const anywhere = cutAnywhere(text, start, end, tokensMax);
	if (anywhere >= end) return end;
	const space = text.slice(start, anywhere).search(/\s\S*$/);
	return space > ((anywhere - start) * 2) / 3 ? start + space + 1 : anywhere;
}

/** Where the next window begins: the first word boundary from which on no more than `overlapTokens` are repeated. */
function overlapFrom(text: string, { start, end }: Range, overlapTokens: number): number {
	if (overlapTokens === 0) return end;
	for (const match of text.slice(start, end).matchAll(/\s+/g)) {
		const from = start + match.index + match[0].length;
		if (fits(text, from, end, overlapTokens)) return from;
	}
	return end;
}
