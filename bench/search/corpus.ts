import type { IndexRow, TableShape } from '../../src/spec/index-store.ts';
import type { Filter } from '../../src/spec/retrieval.ts';

export const DIMENSIONS = 384;
const VOCABULARY = 50_000;
const WORDS_MIN = 40;
const WORDS_MAX = 120;
/** Chunks of one topic lie together, as embeddings do: two of one topic have a cosine of about 0.5. */
const CHUNKS_PER_TOPIC = 50;
const SHOPS = 20;
const QUERY_WORDS = 4;
/** Words so common that nobody asks for them: the most common fifty are in every sixth chunk or more. */
const COMMON_WORDS = 50;

export const SHAPE: TableShape = {
	table: 'bench-a',
	dimensions: DIMENSIONS,
	fields: new Map([
		['shop', 'text'],
		['price', 'number'],
	]),
};

/** One chunk in twenty passes it. */
export const FILTER = { field: 'shop', is: 'equal', value: 'shop-7' } as const satisfies Filter;

/** Numbers in [0, 1) from a seed (mulberry32): four times as fast as the one of `base`, for hundreds of millions. */
function numbers(seed: number): () => number {
	let state = seed >>> 0;
	return () => {
		state = (state + 0x6d2b79f5) >>> 0;
		let mixed = Math.imul(state ^ (state >>> 15), state | 1);
		mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
		return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
	};
}

function unit(next: () => number, around: Float32Array | null): Float32Array {
	const vector = new Float32Array(DIMENSIONS);
	let sum = 0;
	for (let at = 0; at < DIMENSIONS; at++) {
		// The sum of three uniform numbers, with the variance of a unit vector's members.
		const noise = ((next() + next() + next() - 1.5) * 2) / Math.sqrt(DIMENSIONS);
		const value = noise + (around?.[at] ?? 0);
		vector[at] = value;
		sum += value * value;
	}
	const length = Math.sqrt(sum);
	return vector.map((value) => value / length);
}

/** By Zipf's law: the word of rank r is drawn with a probability of about 1 / r. */
function word(next: () => number): string {
	return `w${Math.floor(VOCABULARY ** next())}x`;
}

export interface BenchQuery {
	readonly text: string;
	readonly vector: Float32Array;
}

/** Chunks of one word list and one set of topics, the same for the same seed, each made when it is asked for. */
export class Corpus {
	readonly chunks: number;
	readonly #topics: Float32Array[];

	constructor(chunks: number) {
		this.chunks = chunks;
		const next = numbers(11);
		this.#topics = Array.from({ length: Math.ceil(chunks / CHUNKS_PER_TOPIC) }, () => unit(next, null));
	}

	row(at: number): IndexRow {
		const next = numbers(1_000_003 + at);
		const words = Array.from({ length: WORDS_MIN + Math.floor(next() * (WORDS_MAX - WORDS_MIN)) }, () => word(next));
		const text = words.join(' ');
		const topic = this.#topics[Math.floor(next() * this.#topics.length)] ?? null;
		return {
			...{ chunkId: `d${at}#0`, source: 'bench', documentId: `d${at}`, title: '', headingPath: [], text },
			...{ body: text, textAt: 0, start: 0, end: text.length, ordinal: 0, tokens: words.length, contentHash: 'h' },
			fields: { shop: `shop-${at % SHOPS}`, price: Math.floor(next() * 1_000) },
			vector: unit(next, topic),
		};
	}

	*batches(size: number): Generator<IndexRow[]> {
		for (let from = 0; from < this.chunks; from += size) {
			yield Array.from({ length: Math.min(size, this.chunks - from) }, (_, at) => this.row(from + at));
		}
	}

	/** Each asks for something like one chunk: some of its words, and a vector near its own. */
	queries(count: number): BenchQuery[] {
		const next = numbers(29);
		return Array.from({ length: count }, () => {
			const { body, vector } = this.row(Math.floor(next() * this.chunks));
			const telling = [...new Set(body.split(' '))].filter((one) => Number(one.slice(1, -1)) >= COMMON_WORDS);
			const from = Math.floor(next() * Math.max(1, telling.length - QUERY_WORDS));
			return { text: telling.slice(from, from + QUERY_WORDS).join(' '), vector: unit(next, vector) };
		});
	}
}
