import { sha256 } from '../../base/hash.ts';

/** Words that a shingle takes together. */
const SHINGLE = 3;
/** What comes after says little more, and costs as much. */
const WORDS_MAX = 20_000;

/** The hidden field that holds it: no passage shows it. */
export const SKETCH_FIELD = '_sketch';

/**
 * What tells duplicates: 16 hex digits of the hash of the text without case, punctuation and white space, then 16 of its
 * SimHash (Charikar 2002) over shingles of three words: texts that are nearly the same differ in few of its 64 bits.
 */
export function sketchOf(text: string): string {
	const words =
		text
			.toLowerCase()
			.normalize('NFKC')
			.match(/[\p{L}\p{N}]+/gu) ?? [];
	return sha256(words.join(' ')).slice(0, 16) + simHash(words.slice(0, WORDS_MAX));
}

function simHash(words: readonly string[]): string {
	const low = words.map((word) => wordHash(word, 0x811c_9dc5));
	const high = words.map((word) => wordHash(word, 0x9e37_79b9));
	const votes = new Int32Array(64);
	const count = Math.max(1, words.length - SHINGLE + 1);
	for (let at = 0; at < count; at++) {
		vote(votes, 0, shingleHash(low, at));
		vote(votes, 32, shingleHash(high, at));
	}
	let hex = '';
	for (let start = 0; start < 64; start += 4) {
		let digit = 0;
		for (let bit = start; bit < start + 4; bit++) digit = (digit << 1) | ((votes[bit] ?? 0) > 0 ? 1 : 0);
		hex += digit.toString(16);
	}
	return hex;
}

function vote(votes: Int32Array, offset: number, hash: number): void {
	for (let bit = 0; bit < 32; bit++) votes[offset + bit] = (votes[offset + bit] ?? 0) + ((hash >>> bit) & 1 ? 1 : -1);
}

/** FNV-1a over UTF-16 code units. */
function wordHash(word: string, seed: number): number {
	let hash = seed;
	for (let at = 0; at < word.length; at++) hash = Math.imul(hash ^ word.charCodeAt(at), 0x0100_0193);
	return hash;
}

/** The hashes of a few words in order as one, its bits mixed as MurmurHash3 does in the end. */
function shingleHash(hashes: readonly number[], start: number): number {
	let hash = 0;
	for (let at = start; at < Math.min(start + SHINGLE, hashes.length); at++) {
		hash = Math.imul((hash << 5) | (hash >>> 27), 0x85eb_ca6b) ^ (hashes[at] ?? 0);
	}
	hash = Math.imul(hash ^ (hash >>> 16), 0x85eb_ca6b);
	hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2_ae35);
	return hash ^ (hash >>> 16);
}
