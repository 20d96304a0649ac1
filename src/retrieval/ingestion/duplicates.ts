/** Documents that are compared with each other; of more, the first that come stand for all. */
const SAMPLE_MAX = 50_000;
/** Bits of the SimHash in which near duplicates may differ. Then one of its four quarters is the same in both. */
const BITS_MAX = 3;
const QUARTER = 4;
/** Documents that share a quarter and are compared: more are boilerplate. */
const BUCKET_MAX = 64;

export interface Duplicates {
	/** Documents that were compared. */
	readonly sampled: number;
	/** Of them, those whose text an earlier one has, but for case, punctuation and white space. */
	readonly exact: number;
	/** Of them, those that are nearly the text of an earlier one. */
	readonly near: number;
}

/** Counts duplicates among documents by their sketches (see `sketch.ts`), in bounded memory. */
export class DuplicateCounter {
	readonly #texts = new Set<string>();
	readonly #buckets = new Map<string, string[]>();
	#sampled = 0;
	#exact = 0;
	#near = 0;

	add(sketch: string): void {
		if (this.#sampled >= SAMPLE_MAX) return;
		this.#sampled++;
		const text = sketch.slice(0, 16);
		if (this.#texts.has(text)) {
			this.#exact++;
			return;
		}
		this.#texts.add(text);
		const hash = sketch.slice(16);
		const buckets = [0, 1, 2, 3].map((quarter) => {
			const key = `${quarter}${hash.slice(quarter * QUARTER, (quarter + 1) * QUARTER)}`;
			const bucket = this.#buckets.get(key) ?? [];
			this.#buckets.set(key, bucket);
			return bucket;
		});
		if (buckets.some((bucket) => bucket.some((other) => distance(hash, other) <= BITS_MAX))) this.#near++;
		for (const bucket of buckets) if (bucket.length < BUCKET_MAX) bucket.push(hash);
	}

	get counts(): Duplicates {
		return { sampled: this.#sampled, exact: this.#exact, near: this.#near };
	}
}

function distance(a: string, b: string): number {
	let bits = 0;
	for (let at = 0; at < 16; at += 8) {
		let differing = Number.parseInt(a.slice(at, at + 8), 16) ^ Number.parseInt(b.slice(at, at + 8), 16);
		for (; differing !== 0; differing &= differing - 1) bits++;
	}
	return bits;
}
