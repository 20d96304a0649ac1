import { sha256Of } from '../base/hash.ts';
import type { CollectionConfig } from '../contracts/collection.ts';
import type { Block, DocumentText, Range } from './document-text.ts';
import { chunkTokens, splitText, trimRange } from './split-text.ts';

export type ChunkerConfig = CollectionConfig['chunker'];

/** Raise it when extraction or chunking changes what comes out: every collection is then built anew. */
export const CHUNKER_REVISION = 2;

export interface Chunk extends Range {
	readonly text: string;
	/** Headings above the chunk, outermost first; its own heading included when it begins with one. */
	readonly headingPath: readonly string[];
	/** 0-based. */
	readonly ordinal: number;
	readonly tokens: number;
}

/** A run of text that is packed as one, under one heading path. */
interface Unit extends Range {
	readonly path: readonly string[];
	/** Nothing but headings. */
	readonly isHeading: boolean;
	readonly tokens: number;
}

/**
 * Cuts a document into chunks of at most `tokensMax` tokens (o200k_base), in order and without overlap; everything but
 * white space is in exactly one chunk. `structure` keeps sections, code, tables and lists together where they fit;
 * `whole` makes one chunk unless the document is too large.
 */
export function chunkDocument(document: DocumentText, config: ChunkerConfig): Chunk[] {
	const { text } = document;
	const units =
		config.kind === 'whole' ? wholeUnits(document, config) : mergeSmall(text, packSections(document, config), config);
	return units.map(({ start, end, path, tokens }, ordinal) => ({
		start,
		end,
		text: text.slice(start, end),
		headingPath: path,
		ordinal,
		tokens,
	}));
}

/**
 * A chunk's id depends on its source, its document and its words (and how often they came before), not on its place: an
 * edit at the top of a page leaves the ids of the chunks below it, and what cites or caches them, as they are.
 */
export function chunkIds(source: string, documentId: string, chunks: readonly Chunk[]): string[] {
	const seen = new Map<string, number>();
	return chunks.map(({ text }) => {
		const occurrence = seen.get(text) ?? 0;
		seen.set(text, occurrence + 1);
		return `chk_${sha256Of([source, documentId, text, String(occurrence)]).slice(0, 24)}`;
	});
}

function wholeUnits({ text, bodyStart }: DocumentText, { tokensMax }: ChunkerConfig): Unit[] {
	return splitText(text, { start: bodyStart, end: text.length }, 'prose', tokensMax).map((range) =>
		unit(text, range, [], false),
	);
}

function unit(text: string, { start, end }: Range, path: readonly string[], isHeading: boolean): Unit {
	return { start, end, path, isHeading, tokens: chunkTokens(text.slice(start, end)) };
}

/** Chunks of one section each, as large as they may be. */
function packSections({ text, bodyStart, blocks }: DocumentText, { tokensMax }: ChunkerConfig): Unit[] {
	const chunks: Unit[] = [];
	const stack: Block[] = [];
	let path: readonly string[] = [];
	let open = null as Unit | null;
	for (const [range, block] of tile(text, blocks, { start: bodyStart, end: text.length })) {
		if (block.kind === 'heading') {
			while ((stack.at(-1)?.level ?? 0) >= block.level) stack.pop();
			stack.push(block);
			path = stack.map((above) => above.heading);
			if (open) chunks.push(open);
			open = null;
		}
		for (const next of explode(text, [range, block], { path, tokensMax, after: open?.isHeading ? open : null })) {
			const joined: Unit | null = open && join(text, open, next, tokensMax);
			if (open && !joined) chunks.push(open);
			open = joined ?? next;
		}
	}
	if (open) chunks.push(open);
	return chunks;
}

/** The blocks' ranges, widened so that together they cover `within`: nothing between two blocks is lost. */
function tile(text: string, blocks: readonly Block[], within: Range): [Range, Block][] {
	const tiles: [Range, Block][] = [];
	blocks.forEach((block, index) => {
		const start = index === 0 ? within.start : block.start;
		const range = trimRange(text, { start, end: blocks[index + 1]?.start ?? within.end });
		if (range) tiles.push([range, block]);
	});
	return tiles;
}

/** A block as units that fit: itself, else its parts, else pieces of its text. */
function explode(
	text: string,
	[range, block]: [Range, Block],
	context: { path: readonly string[]; tokensMax: number; after: Unit | null },
): Unit[] {
	const { path, tokensMax, after } = context;
	const whole = unit(text, range, path, block.kind === 'heading');
	if (whole.tokens <= tokensMax && !(after && block.kind === 'prose' && block.parts.length === 0)) return [whole];
	// Prose gives way so that its heading does not stand alone at the end of a chunk; code and tables stay whole.
	if (whole.tokens <= tokensMax && (!after || join(text, after, whole, tokensMax))) return [whole];
	if (block.parts.length > 0) {
		return tile(text, block.parts, range).flatMap((part) => explode(text, part, { path, tokensMax, after: null }));
	}
	const room = after && after.tokens <= tokensMax / 2 ? tokensMax - after.tokens - 4 : tokensMax;
	const kind = block.kind === 'lines' ? 'lines' : 'prose';
	return splitText(text, range, kind, Math.max(1, room)).map((piece) => unit(text, piece, path, false));
}

/**
 * Both as one, or null when that is too large. The heading path is what they have in common; headings alone belong to
 * the section that follows.
 */
function join(text: string, first: Unit, second: Unit, tokensMax: number): Unit | null {
	// Joining saves at most a few tokens, so that a clear excess needs no counting.
	if (first.tokens + second.tokens > tokensMax * 1.1 + 8) return null;
	const leads = first.isHeading && isPrefix(first.path, second.path);
	const path = leads ? second.path : commonPath(first.path, second.path);
	const joined = unit(text, { start: first.start, end: second.end }, path, leads && second.isHeading);
	return joined.tokens <= tokensMax ? joined : null;
}

/** Chunks below `tokensMin` join a neighbour of the same section tree: their own subsection first, else the one before. */
function mergeSmall(text: string, chunks: readonly Unit[], { tokensMin, tokensMax }: ChunkerConfig): Unit[] {
	const merged: Unit[] = [];
	chunks.forEach((chunk, index) => {
		const last = merged.at(-1);
		const next = chunks[index + 1];
		const waitsForNext =
			chunk.tokens < tokensMin &&
			next &&
			isPrefix(chunk.path, next.path) &&
			join(text, chunk, next, tokensMax) !== null;
		const small = last && (last.tokens < tokensMin || (chunk.tokens < tokensMin && !waitsForNext));
		const joined = small && related(last.path, chunk.path) ? join(text, last, chunk, tokensMax) : null;
		if (joined) merged[merged.length - 1] = joined;
		else merged.push(chunk);
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
