import type { Clock } from '../base/clock.ts';
import { nearest } from '../base/nearest.ts';
import type { CollectionConfig } from '../contracts/collection.ts';
import type { Alerts } from '../spec/alerts.ts';
import { PlimsollError } from '../spec/errors.ts';
import type { GenerationRecord, PointerChange } from '../spec/generations.ts';
import type { IndexStore } from '../spec/index-store.ts';
import type { RecordStore } from '../spec/records.ts';
import type { CollectionStatus } from '../spec/retrieval.ts';
import { type LiveIndex, openIndex, readWhole } from './live-index.ts';
import { type Manifest, parseManifest } from './manifest.ts';

/** What is known of a collection: its live generation, or why it has none. */
export interface CollectionState {
	readonly config: CollectionConfig;
	readonly index: LiveIndex | null;
	/** Set when a generation is live and cannot be served. */
	readonly problem: PlimsollError | null;
}

/** The collections of the configuration with their live generations. */
export class Catalogue {
	readonly #store: IndexStore;
	readonly #records: RecordStore;
	readonly #warn: (message: string) => void;
	readonly #alerts: Alerts;
	readonly #clock: Clock;
	readonly #states = new Map<string, CollectionState>();

	/** Hears of the embedder of a collection of which another generation, or another description, went live. */
	onLive: (embedder: string) => void = () => {};

	constructor(parts: {
		store: IndexStore;
		records: RecordStore;
		warn: (message: string) => void;
		alerts: Alerts;
		clock: Clock;
	}) {
		this.#store = parts.store;
		this.#records = parts.records;
		this.#warn = parts.warn;
		this.#alerts = parts.alerts;
		this.#clock = parts.clock;
	}

	/** Puts new collections in force: opens those that came, forgets those that went. */
	async update(configs: ReadonlyMap<string, CollectionConfig>): Promise<void> {
		for (const name of this.#states.keys()) if (!configs.has(name)) this.#states.delete(name);
		const pointers = new Map((await this.#records.generations.live()).map((live) => [live.collection, live]));
		for (const [name, config] of configs) {
			const known = this.#states.get(name);
			const pointer = pointers.get(name);
			this.#states.set(name, known?.index ? { ...known, config } : await this.#load(config, pointer));
		}
	}

	has(collection: string): boolean {
		return this.#states.has(collection);
	}

	/** Throws PlimsollError `collection_not_found`. */
	state(collection: string): CollectionState {
		const state = this.#states.get(collection);
		if (state) return state;
		const near = nearest(collection, [...this.#states.keys()]);
		const hint = near ? ` Did you mean ${near}?` : '';
		throw new PlimsollError('collection_not_found', `No collection is called ${collection}.${hint}`, {
			param: 'collection',
		});
	}

	status(): CollectionStatus[] {
		return [...this.#states.values()].map(({ config, index }) => ({
			collection: config.name,
			generation: index?.manifest.generation ?? null,
			documents: index?.manifest.documents ?? 0,
			chunks: index?.manifest.chunks ?? 0,
		}));
	}

	/**
	 * Makes a sealed generation live: proves that it can be read, moves the pointer, then lets searches see it. Throws
	 * PlimsollError `generation_conflict` when another one went live meanwhile.
	 */
	async promote(record: GenerationRecord, move: Omit<PointerChange, 'collection' | 'sequence'>): Promise<void> {
		const { collection, sequence, generation } = record;
		const index = await openIndex(this.#store, parseManifest(record));
		const { generations } = this.#records;
		if (!(await generations.move({ ...move, collection, sequence }))) {
			throw new PlimsollError(
				'generation_conflict',
				`Another generation of ${collection} went live while ${generation} was promoted, or its rows were removed; look at plimsoll index list ${collection} and try again.`,
			);
		}
		const state = this.#states.get(collection);
		if (state) this.#states.set(collection, { ...state, index, problem: null });
		this.#alerts.resolve(damageKey(collection));
		this.#tellLive(collection);
	}

	/** Puts another description of the live generation in force, which stays the same generation. */
	async amend(manifest: Manifest): Promise<void> {
		await this.#describe(manifest);
		this.#tellLive(manifest.collection);
	}

	/** Every row of the live generation was read, and was as its digest says. */
	async noteRead(
		{ collection, generation }: Pick<GenerationRecord, 'collection' | 'generation'>,
		at: number,
	): Promise<void> {
		const record = await this.#records.generations.find(collection, generation);
		if (record) await this.#describe({ ...parseManifest(record), readAt: at });
	}

	async #describe(manifest: Manifest): Promise<void> {
		await this.#records.generations.amend(manifest, { manifest });
		const state = this.#states.get(manifest.collection);
		// Meanwhile another one may be live.
		if (state?.index?.manifest.generation !== manifest.generation) return;
		this.#states.set(manifest.collection, { ...state, index: { ...state.index, manifest } });
	}

	#tellLive(collection: string): void {
		const { embedder = null } = this.#states.get(collection)?.config ?? {};
		if (embedder !== null) this.onLive(embedder);
	}

	/**
	 * Looks at the files of the live generation past every cache, and marks the collection as not ready when they are
	 * damaged. Returns what is known then.
	 * @param thorough reads every row; without, as much as a start does.
	 * @param signal ends the reading: then nothing new is known.
	 */
	async examine(
		collection: string,
		{ thorough, signal }: { thorough: boolean; signal?: AbortSignal },
	): Promise<CollectionState> {
		const state = this.state(collection);
		if (!state.index) return this.#retry(state);
		try {
			const index = await openIndex(this.#store, state.index.manifest, { fresh: true });
			try {
				if (thorough) {
					const at = this.#clock.now();
					await readWhole(index, signal);
					await this.noteRead(index.manifest, at);
				}
			} finally {
				index.reader.close();
			}
			return state;
		} catch (cause) {
			return !signal?.aborted && this.#store.isDamage(cause) ? await this.#condemn(state, cause) : state;
		}
	}

	close(): void {
		this.#states.clear();
	}

	#tellDamage(collection: string, problem: PlimsollError): void {
		this.#warn(`${problem.message} (${problem.internal})`);
		const { message, internal } = problem;
		const detail = { reason: internal ?? null };
		this.#alerts.raise({ key: damageKey(collection), severity: 'page', subject: { collection }, message, detail });
	}

	async #condemn({ config, index }: CollectionState, cause: unknown): Promise<CollectionState> {
		// What is cached of the damaged files must not be taken for the files that come in their place.
		await this.#store.forgetCaches();
		const now = this.#states.get(config.name);
		// Meanwhile another generation went live, or everything was closed.
		if (!index || now?.index !== index) return now ?? { config, index: null, problem: null };
		const problem = damaged(index.manifest, cause);
		this.#tellDamage(config.name, problem);
		const state = { config: now.config, index: null, problem };
		this.#states.set(config.name, state);
		return state;
	}

	/** What could not be reached when it was opened may be there by now. */
	async #retry(state: CollectionState): Promise<CollectionState> {
		if (state.problem === null || this.#store.isDamage(state.problem)) return state;
		const live = (await this.#records.generations.live()).find(({ collection }) => collection === state.config.name);
		const next = await this.#load(state.config, live);
		if (this.#states.get(state.config.name) === state) this.#states.set(state.config.name, next);
		return next;
	}

	async #load(config: CollectionConfig, live: GenerationRecord | undefined): Promise<CollectionState> {
		if (!live) return { config, index: null, problem: null };
		try {
			return { config, index: await openIndex(this.#store, parseManifest(live)), problem: null };
		} catch (cause) {
			if (!this.#store.isDamage(cause)) {
				const problem = unreached(live, cause);
				this.#warn(`${problem.message} (${problem.internal})`);
				return { config, index: null, problem };
			}
			const problem = damaged(live, cause);
			this.#tellDamage(config.name, problem);
			return { config, index: null, problem };
		}
	}
}

/** The alert that a collection's live generation cannot be read. */
function damageKey(collection: string): string {
	return `index_damaged:${collection}`;
}

function damaged(live: Pick<GenerationRecord, 'collection' | 'generation'>, cause: unknown): PlimsollError {
	if (cause instanceof PlimsollError) return cause;
	return new PlimsollError(
		'index_not_ready',
		`Generation ${live.generation} of ${live.collection} is damaged; plimsoll ingest ${live.collection} builds a new one.`,
		{ internal: cause instanceof Error ? cause.message : String(cause), cause },
	);
}

/** Nothing is known of its files, so that nothing is built anew. */
function unreached(
	{ collection, generation }: Pick<GenerationRecord, 'collection' | 'generation'>,
	cause: unknown,
): PlimsollError {
	return new PlimsollError(
		'index_not_ready',
		`Generation ${generation} of ${collection} cannot be reached now; plimsoll ingest ${collection} or a restart tries again.`,
		{ internal: cause instanceof Error ? cause.message : String(cause), cause },
	);
}
