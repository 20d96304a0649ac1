import { stemmer } from 'stemmer';
import { nextTurn } from '../../base/clock.ts';
import type { Embedder } from '../../spec/embedding.ts';
import { scaled } from './unit-vector.ts';

/** The English stop words of Snowball and NLTK, apostrophes split off as the tokenizer does. */
const ENGLISH_STOP_WORDS: ReadonlySet<string> = new Set(
	(
		'i me my myself we our ours ourselves you your yours yourself yourselves he him his himself she her hers herself it its ' +
		'itself they them their theirs themselves what which who whom this that these those am is are was were be been being have ' +
		'has had having do does did doing a an the and but if or because as until while of at by for with about against between ' +
		'into through during before after above below to from up down in out on off over under again further then once here there ' +
		'when where why how all any both each few more most other some such no nor not only own same so than too very s t can will ' +
		'just don should now'
	).split(' '),
);

/** Longest text that is looked at; a chunk is far shorter. */
const CHARS_MAX = 65_536;
const GRAM_SIZES = [3, 4, 5];
/** Work between two breaths of the event loop. */
const TEXTS_PER_TURN = 16;

/**
 * Vectors without a model: the stems of a text's words and the character n-grams of each word, weighted by
 * 1 + ln(frequency), added into `dimensions` buckets with a sign from their hash (Weinberger et al., "Feature hashing for
 * large scale multitask learning", 2009), then scaled to unit length. Equal on every machine. It knows spelling, not meaning.
 * A text without content words has the zero vector.
 */
export function createBuiltinEmbedder(dimensions: number): Embedder {
	return {
		identity: {
			provider: 'builtin',
			model: 'hashed-words-and-grams',
			revision: '1',
			dimensions,
			normalised: true,
			queryPrefix: '',
			documentPrefix: '',
			tokensMax: CHARS_MAX,
		},
		async embed(texts, _kind, { signal }) {
			const vectors: Float32Array[] = [];
			for (const text of texts) {
				if (vectors.length > 0 && vectors.length % TEXTS_PER_TURN === 0) await nextTurn();
				signal?.throwIfAborted();
				vectors.push(hashedVector(text, dimensions));
			}
			return { ...scaled(vectors), tokens: null, costMicros: 0 };
		},
		async close() {},
	};
}

function hashedVector(text: string, dimensions: number): Float32Array {
	const vector = new Float32Array(dimensions);
	for (const [feature, { count, weight }] of features(text)) {
		const hash = hash32(feature);
		const bucket = (hash >>> 1) % dimensions;
		vector[bucket] = (vector[bucket] ?? 0) + (hash & 1 ? weight : -weight) * (1 + Math.log(count));
	}
	return vector;
}

/** The n-grams of one word weigh together as much as √n, so that a long word does not drown the others. */
function features(text: string): Map<string, { count: number; weight: number }> {
	const found = new Map<string, { count: number; weight: number }>();
	const add = (feature: string, weight: number) => {
		const known = found.get(feature);
		if (known) known.count++;
		else found.set(feature, { count: 1, weight });
	};
	const plain = text.slice(0, CHARS_MAX).normalize('NFKD').replace(/\p{M}/gu, '').toLowerCase();
	for (const [word] of plain.matchAll(/[\p{L}\p{N}]+/gu)) {
		if (ENGLISH_STOP_WORDS.has(word) || word.length > 64) continue;
		add(`w${stemmer(word)}`, 1);
		const padded = `^${word}$`;
		const grams = GRAM_SIZES.reduce((sum, size) => sum + Math.max(0, padded.length - size + 1), 0);
		for (const size of GRAM_SIZES) {
			for (let at = 0; at + size <= padded.length; at++) add(`c${padded.slice(at, at + size)}`, 1 / Math.sqrt(grams));
		}
	}
	return found;
}

/** FNV-1a over UTF-16 units, finished with two rounds of mixing so that the low bits are usable. */
function hash32(text: string): number {
	let hash = 2_166_136_261;
	for (let at = 0; at < text.length; at++) hash = Math.imul(hash ^ text.charCodeAt(at), 16_777_619);
	hash = Math.imul(hash ^ (hash >>> 15), 0x2c1b3c6d);
	hash = Math.imul(hash ^ (hash >>> 12), 0x297a2d39);
	return (hash ^ (hash >>> 15)) >>> 0;
}
