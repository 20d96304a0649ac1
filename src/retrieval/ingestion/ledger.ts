import { createHash, hash } from 'node:crypto';

/** What became of a document in a run. `undone`: a run that broke off wrote it, and its source has it no longer. */
export const OUTCOMES = [
	'pending',
	'unchanged',
	'new',
	'changed',
	'quarantined',
	'failed',
	'deleted',
	'undone',
] as const;
export type Outcome = (typeof OUTCOMES)[number];

const LIVE = 1;
const WRITTEN = 2;
const STALE = 4;
const MET = 8;
const COUNTED = 16;

const CAPACITY = 1_024;
const WORDS = 4;

/**
 * Every document that a run has to do with: those of the live generation, those in the table, those that the sources
 * hold. It is the largest thing that a run keeps in memory, so that it keeps 128 bits of a SHA-256 in place of each id:
 * about 100 bytes a document, and no two of 10^12 documents that share them. A document has a number, its slot.
 */
export class Ledger {
	readonly #sources: string[] = [];
	readonly #numbers = new Map<string, number>();
	#size = 0;
	#keys = new Uint32Array(CAPACITY * WORDS);
	#written = new Uint32Array(CAPACITY * WORDS);
	#live = new Uint32Array(CAPACITY * WORDS);
	#flags = new Uint8Array(CAPACITY);
	#outcomes = new Uint8Array(CAPACITY);
	#source = new Uint16Array(CAPACITY);
	/** Slots + 1 by the first bits of their keys; open addressing. */
	#index = new Uint32Array(CAPACITY * 2);

	get size(): number {
		return this.#size;
	}

	/** The document's slot; it gets one when it has none. */
	slot(source: string, documentId: string): number {
		if (this.#size === this.#flags.length) this.#grow();
		return this.#find(source, documentId, true);
	}

	/** The document's slot; -1 when it has none. */
	find(source: string, documentId: string): number {
		return this.#find(source, documentId, false);
	}

	sourceOf(slot: number): string {
		return this.#sources[this.#source[slot] ?? 0] ?? '';
	}

	outcome(slot: number): Outcome {
		return OUTCOMES[this.#outcomes[slot] ?? 0] ?? 'pending';
	}

	end(slot: number, outcome: Outcome): void {
		this.#outcomes[slot] = OUTCOMES.indexOf(outcome);
	}

	/** Notes that a source holds the document. False when it was noted before. */
	meet(slot: number): boolean {
		return this.#raise(slot, MET);
	}

	isMet(slot: number): boolean {
		return this.#has(slot, MET);
	}

	/** Its content hash in the live generation. */
	setLive(slot: number, contentHash: string): void {
		this.#raise(slot, LIVE);
		this.#live.set(wordsOf(contentHash), slot * WORDS);
	}

	isLive(slot: number): boolean {
		return this.#has(slot, LIVE);
	}

	/** Its content hash in the table that is written to. */
	setWritten(slot: number, contentHash: string): void {
		this.#raise(slot, WRITTEN);
		this.#written.set(wordsOf(contentHash), slot * WORDS);
	}

	setRemoved(slot: number): void {
		this.#flags[slot] = (this.#flags[slot] ?? 0) & ~WRITTEN;
	}

	isWritten(slot: number): boolean {
		return this.#has(slot, WRITTEN);
	}

	isWrittenAs(slot: number, contentHash: string): boolean {
		return this.#has(slot, WRITTEN) && same(this.#written, slot, wordsOf(contentHash));
	}

	/** Whether it is in the table as it is live. */
	isUnchanged(slot: number): boolean {
		if (!this.#has(slot, LIVE) || !this.#has(slot, WRITTEN)) return false;
		const [at, live, written] = [slot * WORDS, this.#live, this.#written];
		for (let n = at; n < at + WORDS; n++) if (live[n] !== written[n]) return false;
		return true;
	}

	/** Documents of each source in the table. */
	written(): Record<string, number> {
		const counts = new Map<number, number>();
		for (let slot = 0; slot < this.#size; slot++) {
			if (!this.#has(slot, WRITTEN)) continue;
			const source = this.#source[slot] ?? 0;
			counts.set(source, (counts.get(source) ?? 0) + 1);
		}
		return Object.fromEntries([...counts].map(([source, count]) => [this.#sources[source] ?? '', count]));
	}

	/** SHA-256 over the documents in the table and their content hashes, hex; the same in any order of reading. */
	digest(): string {
		const slots = new Uint32Array(this.#size).map((_, slot) => slot).filter((slot) => this.#has(slot, WRITTEN));
		const at = (slot: number, n: number) => this.#keys[slot * WORDS + n] ?? 0;
		slots.sort((a, b) => at(a, 0) - at(b, 0) || at(a, 1) - at(b, 1) || at(a, 2) - at(b, 2) || at(a, 3) - at(b, 3));
		const digest = createHash('sha256');
		for (const slot of slots) {
			digest.update(this.#keys.subarray(slot * WORDS, (slot + 1) * WORDS));
			digest.update(this.#written.subarray(slot * WORDS, (slot + 1) * WORDS));
		}
		return digest.digest('hex');
	}

	/** What is written of it is too old by now. */
	setStale(slot: number): void {
		this.#raise(slot, STALE);
	}

	isStale(slot: number): boolean {
		return this.#has(slot, STALE);
	}

	/** Counts a document of the sealed version. False when it was counted before. */
	count(slot: number): boolean {
		return this.#raise(slot, COUNTED);
	}

	isCounted(slot: number): boolean {
		return this.#has(slot, COUNTED);
	}

	#has(slot: number, flag: number): boolean {
		return ((this.#flags[slot] ?? 0) & flag) !== 0;
	}

	#raise(slot: number, flag: number): boolean {
		const flags = this.#flags[slot] ?? 0;
		this.#flags[slot] = flags | flag;
		return (flags & flag) === 0;
	}

	#find(source: string, documentId: string, create: boolean): number {
		const key = wordsOf(hash('sha256', `${source}\u0000${documentId}`, 'hex'));
		const mask = this.#index.length - 1;
		for (let at = (key[0] ?? 0) & mask; ; at = (at + 1) & mask) {
			const slot = (this.#index[at] ?? 0) - 1;
			if (slot >= 0 && same(this.#keys, slot, key)) return slot;
			if (slot >= 0) continue;
			if (!create) return -1;
			this.#index[at] = this.#size + 1;
			return this.#append(source, key);
		}
	}

	#append(source: string, key: Uint32Array): number {
		const slot = this.#size++;
		this.#keys.set(key, slot * WORDS);
		this.#source[slot] = this.#numberOf(source);
		return slot;
	}

	#numberOf(source: string): number {
		const known = this.#numbers.get(source);
		if (known !== undefined) return known;
		const number = this.#sources.push(source) - 1;
		if (number > 65_535) throw new RangeError('a collection has more than 65,536 sources');
		this.#numbers.set(source, number);
		return number;
	}

	#grow(): void {
		const capacity = this.#flags.length * 2;
		this.#keys = extended(this.#keys, new Uint32Array(capacity * WORDS));
		this.#written = extended(this.#written, new Uint32Array(capacity * WORDS));
		this.#live = extended(this.#live, new Uint32Array(capacity * WORDS));
		this.#flags = extended(this.#flags, new Uint8Array(capacity));
		this.#outcomes = extended(this.#outcomes, new Uint8Array(capacity));
		this.#source = extended(this.#source, new Uint16Array(capacity));
		const index = new Uint32Array(capacity * 2);
		const mask = index.length - 1;
		for (const entry of this.#index) {
			if (entry === 0) continue;
			let at = (this.#keys[(entry - 1) * WORDS] ?? 0) & mask;
			while (index[at] !== 0) at = (at + 1) & mask;
			index[at] = entry;
		}
		this.#index = index;
	}
}

const DIGIT_0 = 48;
const DIGIT_9 = 57;
const DIGIT_A = 97;
const read = new Uint32Array(WORDS);

/** The first 128 bits of a hash in lower-case hex. What is returned holds until the next call: one for each would be half of a run's garbage. */
function wordsOf(hex: string): Uint32Array {
	for (let n = 0; n < WORDS; n++) {
		let word = 0;
		for (let at = n * 8; at < n * 8 + 8; at++) {
			const code = hex.charCodeAt(at);
			word = (word << 4) | (code <= DIGIT_9 ? code - DIGIT_0 : code - DIGIT_A + 10);
		}
		read[n] = word;
	}
	return read;
}

function same(words: Uint32Array, slot: number, other: Uint32Array): boolean {
	for (let n = 0; n < WORDS; n++) if (words[slot * WORDS + n] !== other[n]) return false;
	return true;
}

function extended<T extends Uint32Array | Uint16Array | Uint8Array>(from: T, to: T): T {
	to.set(from);
	return to;
}
