import { countTokens } from '../../base/tokens.ts';
import type { Range } from '../document-text.ts';

/** Text of more characters a token than this is not tried whole; a piece may then be smaller than it could be. */
const CHARS_PER_TOKEN_MAX = 8;

/** Where text may be cut, best first. Each match ends at a place to cut. */
const BOUNDARIES = {
	prose: [/\n[^\S\n]*\n\s*/g, /[.!?…]["'”’)\]]*\s+|[。！？]\s*/g, /\n/g, /\s+/g],
	lines: [/\n[^\S\n]*\n\s*/g, /\n/g, /\s+/g],
} as const;

export function chunkTokens(text: string): number {
	return countTokens(text, 'o200k_base');
}

/** `range` without blank lines in front and white space behind; null when nothing else is in it. Indentation stays. */
export function trimRange(text: string, { start, end }: Range): Range | null {
	while (end > start && isSpace(text.charCodeAt(end - 1))) end--;
	let from = start;
	for (let at = start; at < end && isSpace(text.charCodeAt(at)); at++) if (text.charCodeAt(at) === 10) from = at + 1;
	return from < end ? { start: from, end } : null;
}

/** Cuts a range into pieces of at most `tokensMax` tokens: at paragraphs, then sentences or lines, then words, then anywhere. */
export function splitText(text: string, range: Range, kind: keyof typeof BOUNDARIES, tokensMax: number): Range[] {
	const pieces: Range[] = [];
	let rest = trimRange(text, range);
	while (rest) {
		const end = fits(text, rest.start, rest.end, tokensMax) ? rest.end : cut(text, rest, kind, tokensMax);
		const piece = trimRange(text, { start: rest.start, end });
		if (piece) pieces.push(piece);
		rest = trimRange(text, { start: end, end: rest.end });
	}
	return pieces;
}

export function fits(text: string, start: number, end: number, tokensMax: number): boolean {
	return end - start <= tokensMax * CHARS_PER_TOKEN_MAX && chunkTokens(text.slice(start, end)) <= tokensMax;
}

/** The best place to end a piece that starts at `start`, knowing that the whole range does not fit. */
function cut(text: string, { start, end }: Range, kind: keyof typeof BOUNDARIES, tokensMax: number): number {
	const anywhere = cutAnywhere(text, start, end, tokensMax);
	// A boundary too near the start would leave a crumb: the next kind of boundary is then better.
	const crumb = start + (anywhere - start) / 3;
	const section = text.slice(start, anywhere);
	for (const boundary of BOUNDARIES[kind]) {
		let last = 0;
		for (const match of section.matchAll(boundary)) {
			if (match.index > 0) last = match.index + match[0].length;
		}
		// A line stays whole even then.
		const isLine = boundary === BOUNDARIES.lines[1];
		if (start + last > (isLine ? start : crumb) && fits(text, start, start + last, tokensMax)) return start + last;
	}
	return anywhere;
}

/** The largest end at or below `limit` that fits, at least one whole character after `start`. */
export function cutAnywhere(text: string, start: number, limit: number, tokensMax: number): number {
	const window = Math.min(limit, start + tokensMax * CHARS_PER_TOKEN_MAX);
	const end = lastFit(start + 1, window, (middle) => chunkTokens(text.slice(start, middle)) <= tokensMax);
	const splitsPair = isHighSurrogate(text.charCodeAt(end - 1)) && end < text.length;
	if (!splitsPair) return end;
	return end - 1 > start ? end - 1 : end + 1;
}

/** The largest number in [least, most] for which `fits` holds, by bisection; `least` when it holds for none. */
export function lastFit(least: number, most: number, fits: (middle: number) => boolean): number {
	let low = least;
	let high = most;
	while (low < high) {
		const middle = (low + high + 1) >> 1;
		if (fits(middle)) low = middle;
		else high = middle - 1;
	}
	return low;
}

function isSpace(code: number): boolean {
	return (
		code === 32 ||
		(code >= 9 && code <= 13) ||
		code === 0xa0 ||
		code === 0xfeff ||
		(code > 0x1fff && /\s/.test(String.fromCharCode(code)))
	);
}

function isHighSurrogate(code: number): boolean {
	return code >= 0xd800 && code <= 0xdbff;
}
