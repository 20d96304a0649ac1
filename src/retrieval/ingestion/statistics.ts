import { z } from 'zod';
import type { ChunkSummary, DocumentSummary } from '../../spec/index-store.ts';
import { DuplicateCounter } from './duplicates.ts';
import { SKETCH_FIELD } from './sketch.ts';

/** Values of a mix that are told apart; all others are one. */
const VALUES_MAX = 50;
const OTHERS = 'others';
const UNKNOWN = 'unknown';
/** Sizes are told apart by half octaves: 1, 1.4, 2, 2.8, 4 … tokens. */
const SIZE_BINS = 48;

/** Every document has these, and what they say is counted. */
const COUNTED_OTHERWISE = new Set([SKETCH_FIELD, 'content_type', 'marks']);

const count = z.int().min(0);
const mix = z.record(z.string(), count);

const sourceSchema = z.strictObject({
	documents: count,
	chunks: count,
	/** Chunks by the half octave of their tokens. */
	sizes: z.array(count).max(SIZE_BINS),
	/** Σ over documents of the square of their chunks: chunks of one document are alike, see compare-statistics. */
	chunk_squares: z.number().min(0),
	/** Chunks longer than the embedder reads. */
	truncated: count,
	/** Documents by media type and by language, with those that state none as `unknown`. */
	types: mix,
	languages: mix,
	/** Documents that have each field. */
	fields: mix,
	/** Documents with something odd, see `DocumentMark`. */
	marks: mix,
	duplicates: z.strictObject({ sampled: count, exact: count, near: count }),
});

const statisticsSchema = z.strictObject({ format: z.literal(1), sources: z.record(z.string(), sourceSchema) });

/** What is in a generation, by source. */
export type Statistics = z.infer<typeof statisticsSchema>;
export type SourceStatistics = Statistics['sources'][string];

/** Null for what another release stored, or for nothing. */
export function parseStatistics(stored: unknown): Statistics | null {
	return statisticsSchema.safeParse(stored).data ?? null;
}

/** Counts what is in an index, chunk by chunk. */
export class StatisticsCounter {
	readonly #tokensMax: number | null;
	readonly #sources = new Map<string, SourceCounter>();

	/** @param tokensMax what the embedder reads of a chunk; null without one. */
	constructor(tokensMax: number | null) {
		this.#tokensMax = tokensMax;
	}

	add(chunk: ChunkSummary): void {
		let counter = this.#sources.get(chunk.source);
		if (!counter) {
			counter = new SourceCounter();
			this.#sources.set(chunk.source, counter);
		}
		counter.add(chunk, this.#tokensMax);
	}

	get statistics(): Statistics {
		const entries = [...this.#sources].sort(([a], [b]) => (a < b ? -1 : 1));
		return { format: 1, sources: Object.fromEntries(entries.map(([source, counter]) => [source, counter.statistics])) };
	}
}

class SourceCounter {
	#documents = 0;
	#chunks = 0;
	#chunkSquares = 0;
	#truncated = 0;
	readonly #sizes = new Array<number>(SIZE_BINS).fill(0);
	readonly #types = new Map<string, number>();
	readonly #languages = new Map<string, number>();
	readonly #fields = new Map<string, number>();
	readonly #marks = new Map<string, number>();
	readonly #duplicates = new DuplicateCounter();

	add({ ordinal, tokens, document }: ChunkSummary, tokensMax: number | null): void {
		this.#chunks++;
		// Over the chunks of a document, 1 + 3 + 5 + … is the square of their number.
		this.#chunkSquares += 2 * ordinal + 1;
		const bin = Math.min(SIZE_BINS - 1, Math.round(2 * Math.log2(Math.max(1, tokens))));
		this.#sizes[bin] = (this.#sizes[bin] ?? 0) + 1;
		if (tokensMax !== null && tokens > tokensMax) this.#truncated++;
		if (document) this.#addDocument(document);
	}

	#addDocument(document: DocumentSummary): void {
		this.#documents++;
		const [type, language] = [document.field('content_type'), document.field('language')];
		const marks = document.field('marks');
		const sketch = this.#duplicates.isFull ? null : document.field(SKETCH_FIELD);
		increment(this.#types, typeof type === 'string' ? type : UNKNOWN);
		increment(this.#languages, typeof language === 'string' ? language : UNKNOWN);
		for (const mark of Array.isArray(marks) ? marks : []) increment(this.#marks, mark);
		for (const name of document.names) {
			if (COUNTED_OTHERWISE.has(name)) continue;
			if (document.has(name)) increment(this.#fields, name);
			else if (!this.#fields.has(name)) this.#fields.set(name, 0);
		}
		if (typeof sketch === 'string') this.#duplicates.add(sketch);
	}

	get statistics(): SourceStatistics {
		return {
			documents: this.#documents,
			chunks: this.#chunks,
			sizes: this.#sizes,
			chunk_squares: this.#chunkSquares,
			truncated: this.#truncated,
			types: Object.fromEntries(this.#types),
			languages: Object.fromEntries(this.#languages),
			fields: Object.fromEntries(this.#fields),
			marks: Object.fromEntries(this.#marks),
			duplicates: this.#duplicates.counts,
		};
	}
}

function increment(counts: Map<string, number>, value: string): void {
	const key = counts.has(value) || counts.size < VALUES_MAX ? value : OTHERS;
	counts.set(key, (counts.get(key) ?? 0) + 1);
}
