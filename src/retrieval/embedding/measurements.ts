import type { Clock } from '../../base/clock.ts';
import type { Embedder } from '../../spec/embedding.ts';
import { sameSpace } from './embedding-space.ts';
import { type Fingerprint, spaceName } from './fingerprint.ts';
import { measure } from './measure.ts';

export interface Measurement {
	readonly fingerprint: Fingerprint;
	/** Stays as long as measurements find the same space. */
	readonly space: string;
	/** Milliseconds since the epoch. */
	readonly at: number;
}

interface Entry {
	latest: (Measurement & { readonly monotonic: number }) | null;
	running: Promise<Measurement> | null;
}

/** The latest fingerprint of each embedder. Who asks while one is measured waits for the same answer. */
export class Measurements {
	readonly #clock: Clock;
	readonly #entries = new WeakMap<Embedder, Entry>();

	constructor(clock: Clock) {
		this.#clock = clock;
	}

	latest(embedder: Embedder): Measurement | null {
		return this.#entries.get(embedder)?.latest ?? null;
	}

	/** What is measured at this moment; null: nothing is. */
	running(embedder: Embedder): Promise<Measurement> | null {
		return this.#entries.get(embedder)?.running ?? null;
	}

	/** Measures now. Throws what the embedder throws; then the latest one stays. */
	measure(embedder: Embedder): Promise<Measurement> {
		const entry = this.#entry(embedder);
		entry.running ??= measure(embedder, { signal: null })
			.then((fingerprint) => {
				const space = spaceAfter(entry.latest, embedder, fingerprint);
				entry.latest = { fingerprint, space, at: this.#clock.now(), monotonic: this.#clock.monotonic() };
				return entry.latest;
			})
			.finally(() => {
				entry.running = null;
			});
		return entry.running;
	}

	/** The latest one where it is no older than so much, else a new one. */
	async recent(embedder: Embedder, ageMsMax: number): Promise<Measurement> {
		const { latest } = this.#entry(embedder);
		if (latest && this.#clock.monotonic() - latest.monotonic <= ageMsMax) return latest;
		return this.measure(embedder);
	}

	#entry(embedder: Embedder): Entry {
		const known = this.#entries.get(embedder);
		if (known) return known;
		const made: Entry = { latest: null, running: null };
		this.#entries.set(embedder, made);
		return made;
	}
}

function spaceAfter(before: Measurement | null, { identity }: Embedder, fingerprint: Fingerprint): string {
	const isSame = before && sameSpace({ identity, fingerprint: before.fingerprint }, { identity, fingerprint }).same;
	return isSame ? before.space : spaceName(fingerprint, identity);
}
