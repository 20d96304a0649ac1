/** Documents that are compared with each other; of more, the first that come stand for all. */
const SAMPLE_MAX = 50_000;
/** Bits of the SimHash in which near duplicates may differ. Then one of its four quarters is the same in both. */
const BITS_MAX = 3;
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

/** A SimHash as its upper and lower 32 bits. */
type Bits = readonly [high: number, low: number];

/** Counts duplicates among documents by their sketches (see `sketch.ts`), in bounded memory. */
export class DuplicateCounter {
	readonly #texts = new Set<string>();
	/** By the number of a quarter and its 16 bits. */
	readonly #buckets = new Map<number, Bits[]>();
	#sampled = 0;
	#exact = 0;
	#near = 0;

	/** Whether further ones are not compared. */
	get isFull(): boolean {
		return this.#sampled >= SAMPLE_MAX;
	}

	add(sketch: string): void {
		if (this.isFull) return;
		this.#sampled++;
		const text = sketch.slice(0, 16);
		if (this.#texts.has(text)) {
			this.#exact++;
			return;
		}
		this.#texts.add(text);
		const bits: Bits = [Number.parseInt(sketch.slice(16, 24), 16), Number.parseInt(sketch.slice(24), 16)];
		const buckets = quarters(bits).map((value, quarter) => this.#bucket(quarter * 65_536 + value));
		if (buckets.some((bucket) => bucket.some((other) => distance(bits, other) <= BITS_MAX))) this.#near++;
		for (const bucket of buckets) if (bucket.length < BUCKET_MAX) bucket.push(bits);
	}

	get counts(): Duplicates {
		return { sampled: this.#sampled, exact: this.#exact, near: this.#near };
	}

	#bucket(key: number): Bits[] {
		const known = this.#buckets.get(key) ?? [];
		if (known.length === 0) this.#buckets.set(key, known);
		return known;
	}
}

function quarters([high, low]: Bits): number[] {
	return [high >>> 16, high & 0xff_ff, low >>> 16, low & 0xff_ff];
}

function distance([highA, lowA]: Bits, [highB, lowB]: Bits): number {
	return ones(highA ^ highB) + ones(lowA ^ lowB);
}

/** Bits of 32 that are set, counted in parallel (Warren, "Hacker's Delight", 5-1). */
function ones(word: number): number {
	let bits = word - ((word >>> 1) & 0x55_55_55_55);
	bits = (bits & 0x33_33_33_33) + ((bits >>> 2) & 0x33_33_33_33);
	return Math.imul((bits + (bits >>> 4)) & 0x0f_0f_0f_0f, 0x01_01_01_01) >>> 24;
}
