/** Of 32 bits each. */
const LANES = 4;

/**
 * A hash of many members that knows no order: the sum of their own hashes, lane by lane (AdHash: Bellare and Micciancio, "A new
 * paradigm for collision-free hashing", 1997). What was added can be taken away again. It finds accidents and not a forger.
 */
export class SumHash {
	readonly #lanes = new Uint32Array(LANES);

	/** @param hex as `hex` gives it. Throws RangeError for anything else. */
	static of(hex: string): SumHash {
		if (!/^[0-9a-f]{32}$/.test(hex)) throw new RangeError(`not a hash of ${LANES} lanes: ${hex.slice(0, 40)}`);
		const hash = new SumHash();
		hash.add(Buffer.from(hex, 'hex'));
		return hash;
	}

	/** @param member its hash, of which the first 16 bytes count. */
	add(member: Buffer): void {
		for (let lane = 0; lane < LANES; lane++) {
			this.#lanes[lane] = (this.#lanes[lane] ?? 0) + member.readUInt32LE(lane * 4);
		}
	}

	/** With all members of another one. */
	plus(other: SumHash): SumHash {
		return this.#with((lane, at) => lane + (other.#lanes[at] ?? 0));
	}

	/** Without the members of another one, which are all in this one. */
	minus(other: SumHash): SumHash {
		return this.#with((lane, at) => lane - (other.#lanes[at] ?? 0));
	}

	get hex(): string {
		const bytes = Buffer.alloc(LANES * 4);
		this.#lanes.forEach((lane, at) => {
			bytes.writeUInt32LE(lane, at * 4);
		});
		return bytes.toString('hex');
	}

	#with(change: (lane: number, at: number) => number): SumHash {
		const hash = new SumHash();
		hash.#lanes.set(this.#lanes.map(change));
		return hash;
	}
}
