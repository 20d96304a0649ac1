import type { Block, DocumentText, Range } from '../document-text.ts';
import { chunkTokens, trimRange } from './split-text.ts';

/** A run of text that is packed as one, under one heading path. */
export interface Unit extends Range {
	readonly path: readonly string[];
	/** Nothing but headings. */
	readonly isHeading: boolean;
	/** What stands above it elsewhere in the document and belongs to it, such as the header of its table; else empty. */
	readonly context: string;
	readonly tokens: number;
}

export interface Limits {
	readonly tokensMax: number;
	/** Shorter units join their neighbour. */
	readonly tokensMin: number;
}

export function unit(text: string, { start, end }: Range, about: Partial<Unit> = {}): Unit {
	const tokens = chunkTokens(text.slice(start, end));
	return {
		start,
		end,
		path: about.path ?? [],
		isHeading: about.isHeading ?? false,
		context: about.context ?? '',
		tokens,
	};
}

/** The blocks' ranges, widened so that together they cover `within`: nothing between two blocks is lost. */
export function tile(text: string, blocks: readonly Block[], within: Range): [Range, Block][] {
	const tiles: [Range, Block][] = [];
	blocks.forEach((block, index) => {
		const start = index === 0 ? within.start : block.start;
		const range = trimRange(text, { start, end: blocks[index + 1]?.start ?? within.end });
		if (range) tiles.push([range, block]);
	});
	return tiles;
}

/** One heading with all up to the next one, and what stands before the first. */
export interface Section {
	readonly path: readonly string[];
	readonly tiles: readonly [Range, Block][];
}

export function sectionsOf({ text, bodyStart, blocks }: DocumentText): Section[] {
	const sections: { path: readonly string[]; tiles: [Range, Block][] }[] = [];
	const above: Block[] = [];
	for (const [range, block] of tile(text, blocks, { start: bodyStart, end: text.length })) {
		if (block.kind === 'heading') {
			while ((above.at(-1)?.level ?? 0) >= block.level) above.pop();
			above.push(block);
		}
		if (block.kind === 'heading' || sections.length === 0) {
			sections.push({ path: above.map(({ heading }) => heading), tiles: [] });
		}
		sections.at(-1)?.tiles.push([range, block]);
	}
	return sections;
}

/**
 * Both as one, or null when that is too large. The heading path is what they have in common; headings alone belong to
 * the section that follows.
 */
export function join(text: string, first: Unit, second: Unit, tokensMax: number): Unit | null {
	// Joining saves at most a few tokens, so that a clear excess needs no counting.
	if (first.tokens + second.tokens > tokensMax * 1.1 + 8) return null;
	const leads = first.isHeading && isPrefix(first.path, second.path);
	const path = leads ? second.path : commonPath(first.path, second.path);
	const holdsContext = text.slice(first.start, second.start).includes(second.context);
	const context = first.context || (holdsContext ? '' : second.context);
	const isHeading = leads && second.isHeading;
	const joined = unit(text, { start: first.start, end: second.end }, { path, isHeading, context });
	return joined.tokens <= tokensMax ? joined : null;
}

/** Units below `tokensMin` join a neighbour of the same section tree: their own subsection first, else the one before. */
export function mergeSmall(text: string, units: readonly Unit[], { tokensMin, tokensMax }: Limits): Unit[] {
	const merged: Unit[] = [];
	units.forEach((one, index) => {
		const last = merged.at(-1);
		const next = units[index + 1];
		const waitsForNext =
			one.tokens < tokensMin && next && isPrefix(one.path, next.path) && join(text, one, next, tokensMax) !== null;
		const small = last && (last.tokens < tokensMin || (one.tokens < tokensMin && !waitsForNext));
		const joined = small && related(last.path, one.path) ? join(text, last, one, tokensMax) : null;
		if (joined) merged[merged.length - 1] = joined;
		else merged.push(one);
	});
	return merged;
}

function related(a: readonly string[], b: readonly string[]): boolean {
	return a.length === 0 || b.length === 0 || a[0] === b[0];
}

function isPrefix(short: readonly string[], long: readonly string[]): boolean {
	return short.length > 0 && short.every((name, index) => long[index] === name);
}

function commonPath(a: readonly string[], b: readonly string[]): readonly string[] {
	let length = 0;
	while (length < a.length && length < b.length && a[length] === b[length]) length++;
	return length === a.length ? a : length === b.length ? b : a.slice(0, length);
}
