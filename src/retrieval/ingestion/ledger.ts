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
/** Of 32 bits each. */
const WORDS = 4;
const PAGE_BITS = 14;
const PAGE_SLOTS = 1 << PAGE_BITS;
/** How full the index may be before its chains grow long. */
const LOAD_MAX = 0.75;

/**
 * Every document that a run has to do with: those of the live generation, those in the table, those that the sources
 * hold. It is what a run keeps in memory of each of them, so that it keeps 128 bits of a SHA-256 in place of each id: about
 * 50 bytes a document, 16 more where it is live, and no two of 10^12 documents that share them. A document has a number, its slot.
 */
export class Ledger {
	readonly #sources: string[] = [];
	readonly #numbers = new Map<string, number>();
	#size = 0;
	readonly #keys = new Hashes();
	readonly #written = new Hashes();
	readonly #live = new Hashes();
	#flags = new Uint8Array(CAPACITY);
	#outcomes = new Uint8Array(CAPACITY);
	#source = new Uint16Array(CAPACITY);
	/** Slots + 1 by the first bits of their keys; open addressing. */
	#index = new Uint32Array(CAPACITY);

	get size(): number {
		return this.#size;
	}

	/** The document's slot; it gets one when it has none. */
	slot(source: string, documentId: string): number {
		if (this.#size === this.#flags.length) this.#grow();
		if (this.#size > this.#index.length * LOAD_MAX) this.#reindex();
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
		this.#live.put(slot, wordsOf(contentHash));
	}

	isLive(slot: number): boolean {
		return this.#has(slot, LIVE);
	}

	/** Its content hash in the table that is written to. */
	setWritten(slot: number, contentHash: string): void {
		this.#raise(slot, WRITTEN);
		this.#written.put(slot, wordsOf(contentHash));
	}

	setRemoved(slot: number): void {
		this.#flags[slot] = (this.#flags[slot] ?? 0) & ~WRITTEN;
	}

	isWritten(slot: number): boolean {
		return this.#has(slot, WRITTEN);
	}

	isWrittenAs(slot: number, contentHash: string): boolean {
		return this.#has(slot, WRITTEN) && this.#written.holds(slot, wordsOf(contentHash));
	}

	/** Whether it is in the table as it is live. */
	isUnchanged(slot: number): boolean {
		return this.#has(slot, LIVE) && this.#has(slot, WRITTEN) && this.#written.holds(slot, this.#live.at(slot));
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
		const digest = createHash('sha256');
		for (const slots of this.#writtenByKey()) {
			for (const slot of slots) digest.update(this.#keys.at(slot)).update(this.#written.at(slot));
		}
		return digest.digest('hex');
	}

	/** The slots of the documents in the table by their keys, those that begin with the same byte together: sorted at once, they would take several times their memory. */
	*#writtenByKey(): Generator<Uint32Array> {
		const ends = new Uint32Array(256);
		const first = (slot: number) => this.#keys.word(slot, 0) >>> 24;
		for (let slot = 0; slot < this.#size; slot++) if (this.isWritten(slot)) add(ends, first(slot), 1);
		for (let byte = 1; byte < ends.length; byte++) add(ends, byte, ends[byte - 1] ?? 0);
		const slots = new Uint32Array(ends.at(-1) ?? 0);
		const begins = ends.slice();
		for (let slot = 0; slot < this.#size; slot++) {
			if (this.isWritten(slot)) slots[add(begins, first(slot), -1)] = slot;
		}
		for (const [byte, begin] of begins.entries()) {
			yield slots.subarray(begin, ends[byte]).sort((a, b) => this.#keys.compare(a, b));
		}
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
			if (slot >= 0 && this.#keys.holds(slot, key)) return slot;
			if (slot >= 0) continue;
			if (!create) return -1;
			this.#index[at] = this.#size + 1;
			return this.#append(source, key);
		}
	}

	#append(source: string, key: Uint32Array): number {
		const slot = this.#size++;
		this.#keys.put(slot, key);
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
		this.#flags = extended(this.#flags, new Uint8Array(capacity));
		this.#outcomes = extended(this.#outcomes, new Uint8Array(capacity));
		this.#source = extended(this.#source, new Uint16Array(capacity));
	}

	#reindex(): void {
		const index = new Uint32Array(this.#index.length * 2);
		const mask = index.length - 1;
		for (let slot = 0; slot < this.#size; slot++) {
			let at = this.#keys.word(slot, 0) & mask;
			while (index[at] !== 0) at = (at + 1) & mask;
			index[at] = slot + 1;
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

/** The first 128 bits of a hash for each slot that has one, in pages: to grow copies nothing, and what is empty takes nothing. */
class Hashes {
	readonly #pages: Uint32Array[] = [];

	put(slot: number, words: Uint32Array): void {
		this.#pages[slot >>> PAGE_BITS] ??= new Uint32Array(PAGE_SLOTS * WORDS);
		this.at(slot).set(words);
	}

	holds(slot: number, words: Uint32Array): boolean {
		for (let n = 0; n < WORDS; n++) if (this.word(slot, n) !== words[n]) return false;
		return true;
	}

	/** All words of a slot that has them. */
	at(slot: number): Uint32Array {
		const start = (slot % PAGE_SLOTS) * WORDS;
		return this.#pages[slot >>> PAGE_BITS]?.subarray(start, start + WORDS) ?? new Uint32Array(WORDS);
	}

	word(slot: number, n: number): number {
		return this.#pages[slot >>> PAGE_BITS]?.[(slot % PAGE_SLOTS) * WORDS + n] ?? 0;
	}

	compare(a: number, b: number): number {
		for (let n = 0; n < WORDS; n++) {
			const difference = this.word(a, n) - this.word(b, n);
			if (difference !== 0) return difference;
		}
		return 0;
	}
}

function add(counts: Uint32Array, at: number, more: number): number {
	const sum = (counts[at] ?? 0) + more;
	counts[at] = sum;
	return sum;
}

function extended<T extends Uint32Array | Uint16Array | Uint8Array>(from: T, to: T): T {
	to.set(from);
	return to;
}
