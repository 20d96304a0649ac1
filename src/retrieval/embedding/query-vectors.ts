import { canonicalJson } from '../../base/canonical-json.ts';
import { sha256Of } from '../../base/hash.ts';
import type { Embedder } from '../../spec/embedding.ts';
import type { Measurements } from './measurements.ts';

/** Of all vectors together. */
const BYTES_MAX = 64 * 1024 * 1024;
/** What an entry takes besides its numbers. */
const ENTRY_BYTES = 256;

export interface QueryVector {
	/** Null: the query has no direction, so that nothing is near it. */
	readonly vector: Float32Array | null;
	/** No call was made for it: it was known, or another search asks for it at this moment. */
	readonly cached: boolean;
}

/**
 * Vectors of queries, for as long as their embedder is what it is: the key is its identity, the space that was measured and the
 * text. The one that was used longest ago goes first. Searches that ask for the same text at once make one call.
 */
export class QueryVectors {
	readonly #measurements: Measurements;
	readonly #bytesMax: number;
	/** In the order of their last use. */
	readonly #known = new Map<string, Float32Array>();
	readonly #asked = new Map<
		string,
		{ readonly vector: Promise<Float32Array>; waiting: number; stop: AbortController }
	>();
	#bytes = 0;
	#hits = 0;
	#misses = 0;

	constructor(measurements: Measurements, bytesMax = BYTES_MAX) {
		this.#measurements = measurements;
		this.#bytesMax = bytesMax;
	}

	get stats(): { readonly entries: number; readonly bytes: number; readonly hits: number; readonly misses: number } {
		return { entries: this.#known.size, bytes: this.#bytes, hits: this.#hits, misses: this.#misses };
	}

	/** Throws what the embedder throws, or the signal's reason. The call goes on while another search waits for it. */
	async get(embedder: Embedder, text: string, signal: AbortSignal): Promise<QueryVector> {
		const key = this.#key(embedder, text);
		const known = this.#known.get(key);
		if (known) {
			this.#known.delete(key);
			this.#known.set(key, known);
			this.#hits++;
			return { vector: directed(known), cached: true };
		}
		const asked = this.#asked.get(key) ?? this.#ask(key, embedder, text);
		const cached = asked.waiting > 0;
		if (cached) this.#hits++;
		else this.#misses++;
		asked.waiting++;
		const { promise: left, reject } = Promise.withResolvers<never>();
		const leave = () => reject(signal.reason);
		signal.addEventListener('abort', leave, { once: true });
		try {
			signal.throwIfAborted();
			return { vector: directed(await Promise.race([asked.vector, left])), cached };
		} finally {
			signal.removeEventListener('abort', leave);
			if (--asked.waiting === 0) asked.stop.abort(new Error('nobody waits for it any more'));
		}
	}

	#ask(key: string, embedder: Embedder, text: string) {
		const stop = new AbortController();
		const vector = embedder
			.embed([text], 'query', { signal: stop.signal })
			.then(({ vectors }) => {
				const [made] = vectors;
				if (!made) throw new RangeError('the embedder gave no vector');
				this.#keep(key, made);
				return made;
			})
			.finally(() => this.#asked.delete(key));
		vector.catch(() => {}); // Whoever waits is told; nobody may.
		const asked = { vector, waiting: 0, stop };
		this.#asked.set(key, asked);
		return asked;
	}

	#keep(key: string, vector: Float32Array): void {
		if (!this.#known.has(key)) this.#bytes += sizeOf(vector);
		this.#known.set(key, vector);
		for (const [oldest, one] of this.#known) {
			if (this.#bytes <= this.#bytesMax) return;
			this.#known.delete(oldest);
			this.#bytes -= sizeOf(one);
		}
	}

	/** The text itself is not kept. */
	#key(embedder: Embedder, text: string): string {
		return sha256Of([canonicalJson(embedder.identity), this.#measurements.latest(embedder)?.space ?? '', text]);
	}
}

function sizeOf({ length }: Float32Array): number {
	return length * 4 + ENTRY_BYTES;
}

function directed(vector: Float32Array): Float32Array | null {
	return vector.some((value) => value !== 0) ? vector : null;
}
