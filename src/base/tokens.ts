import { createRequire } from 'node:module';
import type { RawBytePairRanks } from 'gpt-tokenizer/BytePairEncodingCore';

/** OpenAI's public byte pair encodings. */
export type TokenizerName = 'o200k_base' | 'cl100k_base';

/** Longest piece that is encoded whole, in UTF-16 units. Words of any language are far below it. */
const PIECE_CHARS_MAX = 1_024;
/** Longest text that is split into pieces at once: the splitting regex keeps its backtracking in memory. */
const WINDOW_CHARS_MAX = 32_768;
/** Only short pieces are remembered, so that the cache stays below about 2 MB for each encoding. */
const CACHED_PIECE_CHARS_MAX = 32;
const CACHED_PIECES_MAX = 16_384;
/** Slots of the memory of merges: 0.8 MB for each encoding, whatever is counted. */
const MERGES_REMEMBERED = 65_536;
const WINDOW_OVERLAP_CHARS_MAX = 1_024;
/** A piece has at most three UTF-8 bytes for each UTF-16 unit; positions fit 12 bits. */
const PIECE_BYTES_MAX = 3 * PIECE_CHARS_MAX;
/** No merge. Above every rank, and `NONE << 12` still fits 31 bits. */
const NONE = 0x7_ff_ff;

/** No piece depends on more than this many characters after the run of letters, spaces, digits or signs in which it ends. */
const LOOKAHEAD_CHARS = 4;
/** Letters, digits, spaces and other signs. A mark counts as a letter in one encoding and as a sign in the other: no class. */
const CLASSES = [/^\p{L}$/u, /^\p{N}$/u, /^\s$/, /^[^\p{L}\p{N}\p{M}\p{Cs}\s]$/u];

const require = createRequire(import.meta.url);
const counters = new Map<TokenizerName, TokenCounter>();

/**
 * How many tokens `text` has in an encoding. Special tokens such as `<|endoftext|>` count as the plain text they are.
 *
 * The work is linear in the text: a run that the encoding would merge as one piece (letters, spaces, punctuation) is
 * cut after 1,024 characters, because merging grows faster than the piece. Texts without such a run are counted exactly; each
 * cut adds one token, so that the count is not below the true one (tested, not proven). The first call for an encoding loads its table (about 100 ms).
 *
 * @param stopAbove counting may end once the count is above this; the result is then some number above it
 */
export function countTokens(text: string, tokenizer: TokenizerName, stopAbove = Number.POSITIVE_INFINITY): number {
	let counter = counters.get(tokenizer);
	if (!counter) {
		counter = new TokenCounter(tokenizer);
		counters.set(tokenizer, counter);
	}
	return counter.count(text, stopAbove);
}

class TokenCounter {
	readonly #splitter: RegExp;
	/** Tokens that are whole characters. */
	readonly #ranks = new Map<string, number>();
	/** Tokens that begin or end inside a character, written as one UTF-16 unit for each byte. */
	readonly #partialRanks = new Map<string, number>();
	readonly #byteRanks = new Int32Array(256);
	/** Ranks of the tokens of two bytes, at `first << 8 | second`. */
	readonly #pairRanks = new Int32Array(65_536).fill(NONE);
	readonly #merges = new MergeMemory();
	readonly #cache = new Map<string, number>();

	// The piece being merged: its bytes, and its parts as a linked list over byte positions.
	readonly #bytes = Buffer.alloc(PIECE_BYTES_MAX);
	/** The UTF-16 position of the character that starts at a byte; -1 inside a character. */
	readonly #characterAt = new Int16Array(PIECE_BYTES_MAX + 1);
	readonly #next = new Int16Array(PIECE_BYTES_MAX + 1);
	readonly #previous = new Int16Array(PIECE_BYTES_MAX + 1);
	/** Rank of the token that a part is. */
	readonly #tokenAt = new Int32Array(PIECE_BYTES_MAX + 1);
	/** Rank of the token that a part makes with the part after it. */
	readonly #rankAt = new Int32Array(PIECE_BYTES_MAX + 1);
	readonly #heap = new MinHeap(3 * PIECE_BYTES_MAX);

	constructor(tokenizer: TokenizerName) {
		const splitters = require('gpt-tokenizer/encodingParams/constants');
		this.#splitter =
			tokenizer === 'o200k_base' ? splitters.O200K_TOKEN_SPLIT_REGEX : splitters.CL100K_TOKEN_SPLIT_REGEX;
		const tokens: RawBytePairRanks = require(`gpt-tokenizer/bpeRanks/${tokenizer}`).default;
		tokens.forEach((token, rank) => {
			this.#learn(token, rank);
		});
	}

	#learn(token: string | readonly number[], rank: number): void {
		if (typeof token === 'string') this.#ranks.set(token, rank);
		else this.#partialRanks.set(String.fromCharCode(...token), rank);
		if (token.length > 2) return;
		const bytes = typeof token === 'string' ? Buffer.from(token) : token;
		if (bytes.length === 1) this.#byteRanks[bytes[0] ?? 0] = rank;
		if (bytes.length === 2) this.#pairRanks[((bytes[0] ?? 0) << 8) | (bytes[1] ?? 0)] = rank;
	}

	count(text: string, stopAbove: number): number {
		let total = 0;
		let start = 0;
		while (start < text.length && total <= stopAbove) {
			const end = characterEnd(text, start + WINDOW_CHARS_MAX);
			const window = start === 0 && end === text.length ? text : text.slice(start, end);
			const pieces = window.match(this.#splitter) ?? [];
			const settled =
				end === text.length ? { pieces: pieces.length, chars: window.length } : settledPieces(pieces, window);
			for (let i = 0; i < settled.pieces; i++) {
				const piece = pieces[i] ?? '';
				total += this.#ranks.has(piece) ? 1 : this.#countPiece(piece);
			}
			start += settled.chars;
		}
		return total;
	}

	#countPiece(found: string): number {
		// Half a surrogate pair has no bytes of its own; encoders write U+FFFD for it.
		const piece = found.toWellFormed();
		if (piece.length <= CACHED_PIECE_CHARS_MAX) return this.#countCached(piece);
		let total = -1;
		for (let start = 0; start < piece.length; ) {
			const end = characterEnd(piece, start + PIECE_CHARS_MAX);
			total += 1 + this.#merge(piece.slice(start, end));
			start = end;
		}
		return total;
	}

	#countCached(piece: string): number {
		const known = this.#cache.get(piece);
		if (known !== undefined) return known;
		const count = this.#merge(piece);
		// Dropping everything at once is cheaper than keeping an order of use, and refills in milliseconds.
		if (this.#cache.size >= CACHED_PIECES_MAX) this.#cache.clear();
		// A copy: the piece may be a view into the whole text, which the cache would then keep alive.
		this.#cache.set(Buffer.from(piece).toString(), count);
		return count;
	}

	/**
	 * Byte pair encoding as it is defined: the pair of lowest rank, leftmost first, is merged until none is left. A heap
	 * of `rank << 12 | position` finds it; entries that a merge made stale are skipped when they come up.
	 */
	#merge(piece: string): number {
		const length = this.#split(piece);
		const ascii = length === piece.length;
		const next = this.#next;
		const rankAt = this.#rankAt;
		let parts = length;
		for (let key = this.#heap.pop(); key >= 0; key = this.#heap.pop()) {
			const at = key & 0xfff;
			if (rankAt[at] !== key >> 12) continue;
			const eaten = next[at] ?? 0;
			const after = next[eaten] ?? 0;
			parts--;
			next[at] = after;
			this.#previous[after] = at;
			rankAt[eaten] = NONE;
			this.#tokenAt[at] = key >> 12;
			this.#offer(at, after < length ? this.#rank(piece, ascii, at) : NONE);
			if (at > 0) {
				const before = this.#previous[at] ?? 0;
				this.#offer(before, this.#rank(piece, ascii, before));
			}
		}
		return parts;
	}

	/** One part for each byte of the piece, and every pair of neighbours on the heap. Returns the number of bytes. */
	#split(piece: string): number {
		const length = this.#bytes.write(piece);
		for (let at = 0; at < length; at++) {
			this.#next[at] = at + 1;
			this.#previous[at] = at - 1;
			this.#tokenAt[at] = this.#byteRanks[this.#bytes[at] ?? 0] ?? NONE;
			const pair = ((this.#bytes[at] ?? 0) << 8) | (this.#bytes[at + 1] ?? 0);
			this.#offer(at, at + 1 < length ? (this.#pairRanks[pair] ?? NONE) : NONE);
		}
		if (length !== piece.length) this.#mapCharacters(length);
		return length;
	}

	#mapCharacters(length: number): void {
		let character = 0;
		for (let at = 0; at < length; at++) {
			const byte = this.#bytes[at] ?? 0;
			const starts = (byte & 0xc0) !== 0x80;
			this.#characterAt[at] = starts ? character : -1;
			if (starts) character += byte >= 0xf0 ? 2 : 1;
		}
		this.#characterAt[length] = character;
	}

	#offer(at: number, rank: number): void {
		this.#rankAt[at] = rank;
		if (rank !== NONE) this.#heap.push((rank << 12) | at);
	}

	/** The rank of the token that the part at `start` makes with the part after it. */
	#rank(piece: string, ascii: boolean, start: number): number {
		const second = this.#next[start] ?? 0;
		const left = this.#tokenAt[start] ?? 0;
		const right = this.#tokenAt[second] ?? 0;
		const known = this.#merges.get(left, right);
		if (known >= 0) return known;
		const rank = this.#lookUp(piece, ascii, { start, end: this.#next[second] ?? 0 });
		this.#merges.set(left, right, rank);
		return rank;
	}

	#lookUp(piece: string, ascii: boolean, { start, end }: { start: number; end: number }): number {
		if (ascii) return this.#ranks.get(piece.slice(start, end)) ?? NONE;
		const from = this.#characterAt[start] ?? -1;
		const to = this.#characterAt[end] ?? -1;
		if (from >= 0 && to >= 0) return this.#ranks.get(piece.slice(from, to)) ?? NONE;
		return this.#partialRanks.get(this.#bytes.toString('latin1', start, end)) ?? NONE;
	}
}

/** What two tokens merge to, remembered until another pair needs the slot: cheaper than cutting out and hashing their text. */
class MergeMemory {
	readonly #lefts = new Int32Array(MERGES_REMEMBERED).fill(-1);
	readonly #rights = new Int32Array(MERGES_REMEMBERED);
	readonly #ranks = new Int32Array(MERGES_REMEMBERED);

	/** -1 when not remembered. */
	get(left: number, right: number): number {
		const slot = slotOf(left, right);
		return this.#lefts[slot] === left && this.#rights[slot] === right ? (this.#ranks[slot] ?? -1) : -1;
	}

	set(left: number, right: number, rank: number): void {
		const slot = slotOf(left, right);
		this.#lefts[slot] = left;
		this.#rights[slot] = right;
		this.#ranks[slot] = rank;
	}
}

/** Multiplicative hashing of two integers (Knuth, volume 3, section 6.4); the upper half of the product is the best mixed. */
function slotOf(left: number, right: number): number {
	return (Math.imul(left, 0x9e3779b1) ^ Math.imul(right, 0x85ebca6b)) >>> 16;
}

/** Integers, the smallest first, in memory taken once. */
class MinHeap {
	readonly #keys: Int32Array;
	#size = 0;

	constructor(capacity: number) {
		this.#keys = new Int32Array(capacity);
	}

	push(key: number): void {
		const keys = this.#keys;
		let at = this.#size++;
		while (at > 0) {
			const parent = (at - 1) >> 1;
			const above = keys[parent] ?? 0;
			if (above <= key) break;
			keys[at] = above;
			at = parent;
		}
		keys[at] = key;
	}

	/** -1 when empty. */
	pop(): number {
		const keys = this.#keys;
		if (this.#size === 0) return -1;
		const top = keys[0] ?? 0;
		const size = --this.#size;
		const last = keys[size] ?? 0;
		let at = 0;
		for (let child = 1; child < size; child = 2 * at + 1) {
			if (child + 1 < size && (keys[child + 1] ?? 0) < (keys[child] ?? 0)) child++;
			const below = keys[child] ?? 0;
			if (below >= last) break;
			keys[at] = below;
			at = child;
		}
		keys[at] = last;
		return top;
	}
}

/**
 * The first pieces of a window that would be the same whatever followed it, and their length; the next window starts after
 * them. They end where one class of characters follows another. Without such a place near the window's end: all pieces.
 */
function settledPieces(pieces: readonly string[], window: string): { pieces: number; chars: number } {
	let chars = window.length;
	for (let kept = pieces.length; kept > 1 && window.length - chars < WINDOW_OVERLAP_CHARS_MAX; kept--) {
		const before = classAt(window, chars - 1);
		const after = classAt(window, chars);
		if (chars <= window.length - LOOKAHEAD_CHARS && before >= 0 && after >= 0 && before !== after) {
			return { pieces: kept, chars };
		}
		chars -= pieces[kept - 1]?.length ?? 0;
	}
	return { pieces: pieces.length, chars: window.length };
}

function classAt(text: string, at: number): number {
	return CLASSES.findIndex((pattern) => pattern.test(text[at] ?? ''));
}

/** `end` or the text's end; one less when that would halve a character. */
function characterEnd(text: string, end: number): number {
	if (end >= text.length) return text.length;
	const code = text.charCodeAt(end - 1);
	return code >= 0xd800 && code <= 0xdbff ? end - 1 : end;
}
