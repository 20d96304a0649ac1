import { type Clock, sleep } from '../../base/clock.ts';
import type { Random } from '../../base/random.ts';
import { isHosted } from '../../contracts/embedder.ts';
import type { Alerts } from '../../spec/alerts.ts';
import type { Embedder } from '../../spec/embedding.ts';
import { BadEmbedding } from './checked-vectors.ts';
import type { EmbedderPool } from './embedder-pool.ts';
import { type EmbeddingSpace, type SpaceVerdict, sameSpace } from './embedding-space.ts';
import type { Measurement, Measurements } from './measurements.ts';

/** A change is believed when a second measurement finds it too, so long after the first. */
const CONFIRM_MS = 2_000;
/** From a measurement that failed to the next; it doubles with each failure up to the interval. */
const RETRY_MS = 5_000;
const RETRY_MS_MAX = 600_000;
/** A provider that answers now from this and now from that server is not measured at each change. */
const SERVED_MS_MIN = 60_000;
/** An interval is longer or shorter by up to so much, so that replicas do not measure together. */
const JITTER = 0.1;

/** A collection with vectors that are searched with an embedder's. */
export interface WatchedIndex {
	readonly collection: string;
	readonly generation: string;
	readonly space: EmbeddingSpace;
	/** What becomes of searches when the space is another one, for people. */
	readonly policy: string;
	/** What to do about it, with what it would cost. */
	readonly remedy: () => Promise<string>;
}

interface WatchParts {
	readonly pool: EmbedderPool;
	readonly measurements: Measurements;
	/** The live indexes that an embedder is searched with. */
	readonly indexes: (embedder: string) => readonly WatchedIndex[];
	readonly clock: Clock;
	readonly random: Random;
	readonly alerts: Alerts;
	readonly warn: (message: string) => void;
}

/** How an embedder stands. */
export interface EmbedderWatch {
	/** Null: it was not measured yet, or could not be. */
	readonly measuredAt: number | null;
	/** Why the latest measurement failed; null: it did not. */
	readonly problem: string | null;
	/** Until it is measured again; null: when somebody asks. */
	readonly nextMs: number | null;
}

interface Entry {
	/** What was measured last, and of which embedder. */
	embedder: Embedder | null;
	measurement: Measurement | null;
	problem: string | null;
	failures: number;
	nextAt: number | null;
	cancel: () => void;
	checkedAt: number;
	/** Of the vectors that the latest measurement failed for. */
	dimensions: number | null;
	checking: Promise<void> | null;
}

/**
 * Measures embedders at start, on a schedule and when their provider says that it serves something else, and tells when
 * one no longer makes the vectors that an index holds. A measurement that fails says nothing: it is made again, later.
 */
export class SpaceWatch {
	readonly #parts: WatchParts;
	readonly #entries = new Map<string, Entry>();
	/** By the fingerprint of an index: comparing takes longer than a search may. */
	readonly #verdicts = new WeakMap<object, { readonly measurement: Measurement; readonly verdict: SpaceVerdict }>();
	#running = false;

	constructor(parts: WatchParts) {
		this.#parts = parts;
	}

	/** Measures every embedder that an index is searched with, now and from now on. */
	start(): void {
		this.#running = true;
		this.update();
	}

	/** Takes up embedders that came into use, and leaves those that went out of it. */
	update(): void {
		if (!this.#running) return;
		const { pool, indexes } = this.#parts;
		for (const [name, { cancel }] of this.#entries) {
			if (pool.configs.has(name)) continue;
			cancel();
			this.#entries.delete(name);
		}
		for (const name of pool.configs.keys()) if (indexes(name).length > 0) void this.#checkNew(name);
	}

	/** Another generation of a collection is live. */
	live(name: string): void {
		const entry = this.#entries.get(name);
		if (entry?.embedder && entry.measurement) void this.#tellAll(name, entry.embedder, entry.measurement);
		else if (this.#running) void this.check(name);
	}

	/** An edit makes another embedder, which nobody has measured. */
	async #checkNew(name: string): Promise<void> {
		const made = await this.#parts.pool.get(name).catch(() => null);
		if (made === null || this.#entries.get(name)?.embedder !== made) await this.check(name);
	}

	stop(): void {
		this.#running = false;
		for (const { cancel } of this.#entries.values()) cancel();
	}

	/** The provider says that it serves something else. */
	served(name: string): void {
		const entry = this.#entries.get(name);
		if (!this.#running || !entry) return;
		const { clock } = this.#parts;
		const since = clock.monotonic() - entry.checkedAt;
		this.#schedule(name, entry, Math.max(0, SERVED_MS_MIN - since));
	}

	/** Measures now and compares; never rejects. */
	check(name: string): Promise<void> {
		const entry = this.#entry(name);
		entry.checking ??= this.#check(name, entry).finally(() => {
			entry.checking = null;
			if (this.#running) this.#schedule(name, entry, this.#waitMs(name, entry));
		});
		return entry.checking;
	}

	status(name: string): EmbedderWatch & { readonly measurement: Measurement | null } {
		const entry = this.#entries.get(name);
		const { clock } = this.#parts;
		const measurement = entry?.measurement ?? null;
		const nextAt = entry?.nextAt ?? null;
		return {
			measurement,
			measuredAt: measurement?.at ?? null,
			problem: entry?.problem ?? null,
			nextMs: nextAt === null ? null : Math.max(0, Math.round(nextAt - clock.monotonic())),
		};
	}

	/**
	 * Whether vectors of the embedder may be compared with those of an index. Waits for a measurement that is under way
	 * where there is none yet, and makes one where the names alone would say no.
	 */
	async judge(name: string, embedder: Embedder, space: EmbeddingSpace): Promise<SpaceVerdict> {
		const { measurements } = this.#parts;
		if (measurements.latest(embedder) === null) {
			const isNamedSo = sameSpace(space, { identity: embedder.identity, fingerprint: null }).same;
			const under = measurements.running(embedder);
			// Without an answer the names decide: the provider is not there for the query either.
			if (under !== null) await under.catch(() => null);
			else if (!isNamedSo && space.fingerprint !== null) await this.check(name);
		}
		return this.#verdict(space, embedder, measurements.latest(embedder));
	}

	#verdict(space: EmbeddingSpace, embedder: Embedder, measurement: Measurement | null): SpaceVerdict {
		const { fingerprint } = space;
		if (measurement === null || fingerprint === null) {
			return sameSpace(space, { identity: embedder.identity, fingerprint: measurement?.fingerprint ?? null });
		}
		const known = this.#verdicts.get(fingerprint);
		if (known?.measurement === measurement) return known.verdict;
		const verdict = sameSpace(space, spaceOf(embedder, measurement));
		this.#verdicts.set(fingerprint, { measurement, verdict });
		return verdict;
	}

	async #check(name: string, entry: Entry): Promise<void> {
		const { pool, measurements, indexes, clock } = this.#parts;
		entry.checkedAt = clock.monotonic();
		try {
			const embedder = await pool.get(name);
			let measurement = await measurements.measure(embedder);
			const differs = () => indexes(name).some(({ space }) => !sameSpace(space, spaceOf(embedder, measurement)).same);
			if (differs()) {
				await sleep(clock, CONFIRM_MS);
				measurement = await measurements.measure(embedder);
			}
			entry.embedder = embedder;
			entry.measurement = measurement;
			entry.problem = null;
			entry.failures = 0;
			entry.dimensions = null;
			await this.#tellAll(name, embedder, measurement);
		} catch (thrown) {
			entry.failures++;
			entry.problem = thrown instanceof Error ? thrown.message : String(thrown);
			await this.#tellDimensions(name, entry, dimensionsIn(thrown));
		}
	}

	/** Vectors of another length are no failure that passes: twice in a row they are a change. */
	async #tellDimensions(name: string, entry: Entry, dimensions: number | null): Promise<void> {
		const isConfirmed = dimensions !== null && dimensions === entry.dimensions;
		entry.dimensions = dimensions;
		if (!isConfirmed) return;
		for (const index of this.#parts.indexes(name)) {
			const message = `it sends ${dimensions} dimensions instead of ${index.space.identity.dimensions}`;
			await this.#tell(name, index, { same: false, difference: 'dimensions', message, cosineMin: null });
		}
	}

	async #tellAll(name: string, embedder: Embedder, measurement: Measurement): Promise<void> {
		for (const index of this.#parts.indexes(name)) {
			await this.#tell(name, index, sameSpace(index.space, spaceOf(embedder, measurement)));
		}
	}

	async #tell(name: string, index: WatchedIndex, verdict: SpaceVerdict): Promise<void> {
		const { alerts, warn } = this.#parts;
		const { collection, generation, policy } = index;
		const key = `embedding_identity:${collection}`;
		if (verdict.same) {
			alerts.resolve(key);
			return;
		}
		const { difference, cosineMin } = verdict;
		const message =
			`The embedder ${name} no longer makes the vectors that ${generation} of ${collection} holds (${difference}: ${verdict.message}). ` +
			`Until a new generation is live, ${policy}. ${await index.remedy()}`;
		warn(message);
		const detail = { generation, embedder: name, difference, cosine_min: cosineMin };
		alerts.raise({ key, severity: 'page', subject: { collection }, message, detail });
	}

	#entry(name: string): Entry {
		const known = this.#entries.get(name);
		if (known) return known;
		const made: Entry = {
			embedder: null,
			measurement: null,
			problem: null,
			failures: 0,
			nextAt: null,
			cancel: () => {},
			checkedAt: 0,
			dimensions: null,
			checking: null,
		};
		this.#entries.set(name, made);
		return made;
	}

	/** Null: not before somebody asks. */
	#waitMs(name: string, { failures }: Entry): number | null {
		const { pool, random } = this.#parts;
		const config = pool.configs.get(name);
		const intervalMs = config && isHosted(config) ? config.checkIntervalMs : null;
		const jitter = 1 - JITTER + 2 * JITTER * random.next();
		if (failures > 0) return Math.min(RETRY_MS * 2 ** (failures - 1), RETRY_MS_MAX) * jitter;
		return intervalMs === null ? null : intervalMs * jitter;
	}

	#schedule(name: string, entry: Entry, waitMs: number | null): void {
		entry.cancel();
		entry.nextAt = waitMs === null ? null : this.#parts.clock.monotonic() + waitMs;
		entry.cancel = waitMs === null ? () => {} : this.#parts.clock.after(waitMs, () => void this.check(name));
	}
}

function dimensionsIn(thrown: unknown): number | null {
	for (let error = thrown, depth = 0; error instanceof Error && depth < 4; error = error.cause, depth++) {
		if (error instanceof BadEmbedding) return error.dimensions;
	}
	return null;
}

function spaceOf({ identity }: Embedder, { fingerprint }: Measurement): EmbeddingSpace {
	return { identity, fingerprint };
}
