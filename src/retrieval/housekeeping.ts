import { type Clock, nextTurn } from '../base/clock.ts';
import type { GenerationRecord } from '../spec/generations.ts';
import type { IndexStore, IndexWriter } from '../spec/index-store.ts';
import type { RecordStore } from '../spec/records.ts';
import type { Catalogue } from './catalogue.ts';
import { parseManifest, tablePrefix } from './manifest.ts';
import { isRetained } from './retention.ts';

/** More than any collection keeps on record. */
const RECORDS_MAX = 10_000;
/** Runs of a collection that stay on record: as many, and for as long as the audit log. */
const RUNS_KEPT = 1_000;
const RUN_MS_MAX = 400 * 86_400_000;
/** Runs that go in one write: the event loop goes on between two of them. */
const RUNS_AT_ONCE = 50;

interface Parts {
	readonly store: IndexStore;
	readonly records: RecordStore;
	readonly catalogue: Catalogue;
	readonly clock: Clock;
	readonly warn: (message: string) => void;
}

export interface Removed {
	/** Generations whose rows are gone or go with the next build of their table. */
	readonly generations: readonly string[];
	/** Whole tables. */
	readonly tables: readonly string[];
}

/** Keeps the rows of generations that are needed, and removes the rest. */
export class Housekeeping {
	readonly #parts: Parts;
	/** By collection what was kept when it was last tidied. */
	readonly #tidied = new Map<string, string>();

	constructor(parts: Parts) {
		this.#parts = parts;
	}

	/** The versions of a table that must stay readable. */
	async versionsToKeep(collection: string, table: string): Promise<number[]> {
		const { kept } = await this.#sorted(collection);
		return kept.flatMap((record) => (record.table === table && record.manifest ? [parseManifest(record).version] : []));
	}

	/** Marks generations beyond those that are kept as removed, and drops tables that no other one needs. */
	async sweep(collection: string): Promise<Removed> {
		const { store, records, clock } = this.#parts;
		const { kept, rest } = await this.#sorted(collection);
		// On record first: what is marked is never promoted, whether or not its rows are gone yet.
		for (const record of rest) await records.generations.put({ ...record, removedAt: clock.now() });
		const needed = new Set(kept.map(({ table }) => table));
		const tables = (await store.tables(tablePrefix(collection))).filter((name) => !needed.has(name));
		for (const name of tables) await store.drop(name);
		return { generations: rest.map(({ generation }) => generation), tables };
	}

	/** The same after a build, which has succeeded whether or not this does. */
	async sweepQuietly(collection: string): Promise<void> {
		try {
			await this.sweep(collection);
		} catch (cause) {
			const reason = cause instanceof Error ? cause.message : String(cause);
			this.#parts.warn(`unused index tables of ${collection} could not be removed: ${reason}`);
		}
	}

	/** Forgets what broken-off builds left, then sweeps, and drops old versions from the tables that stay. Nothing may build meanwhile. */
	async collect(collection: string): Promise<Removed> {
		const { records } = this.#parts;
		const all = await records.generations.list(collection, RECORDS_MAX);
		for (const { state, sequence } of all) {
			if (state === 'failed') await records.generations.discard(collection, sequence);
		}
		return this.tidy(collection);
	}

	/** The same, but broken-off builds stay for the next run. */
	async tidy(collection: string): Promise<Removed> {
		const { store } = this.#parts;
		const removed = await this.sweep(collection);
		const kept = await this.#keptVersions(collection);
		for (const name of await store.tables(tablePrefix(collection))) await this.#compact(collection, name);
		this.#tidied.set(collection, kept);
		return removed;
	}

	/**
	 * Leaves nothing of a collection but its live generation, not even what a request may still read.
	 * @param table the live one, whose rows were written anew. Nothing else may build meanwhile.
	 */
	async erase(collection: string, table: IndexWriter): Promise<void> {
		const { store, records, clock } = this.#parts;
		const all = await records.generations.list(collection, RECORDS_MAX);
		const live = all.find(({ state }) => state === 'live');
		for (const record of all) {
			if (record === live || record.removedAt !== null) continue;
			if (record.state === 'retired') await records.generations.put({ ...record, removedAt: clock.now() });
			else await records.generations.discard(collection, record.sequence);
		}
		const others = (await store.tables(tablePrefix(collection))).filter((name) => name !== table.table);
		for (const name of others) await store.drop(name);
		const version = live?.manifest ? parseManifest(live).version : await table.version();
		await table.seal([version], { erase: true });
	}

	/** Leaves nothing of the index of a collection that the configuration does not name. Nothing may build meanwhile. */
	async eraseIndex(collection: string): Promise<void> {
		const { store, records, clock } = this.#parts;
		// On record first: what is gone halfway must not be taken for damage, should the collection come back.
		await records.generations.retireAll(collection, clock.now());
		for (const name of await store.tables(tablePrefix(collection))) await store.drop(name);
	}

	/** Removes the records of old runs, of every collection that there is or was. Stops between two writes when the signal aborts. */
	async pruneRuns(signal: AbortSignal): Promise<void> {
		const { records, clock } = this.#parts;
		const bounds = { before: clock.now() - RUN_MS_MAX, keep: RUNS_KEPT, most: RUNS_AT_ONCE };
		while (!signal.aborted && (await records.pruneRuns(bounds)) === RUNS_AT_ONCE) await nextTurn();
	}

	/** Whether there may be rows, versions or files that no generation needs: other ones are kept than when it was last tidied. */
	async isDue(collection: string): Promise<boolean> {
		return this.#tidied.get(collection) !== (await this.#keptVersions(collection));
	}

	async #keptVersions(collection: string): Promise<string> {
		const { kept } = await this.#sorted(collection);
		return JSON.stringify(kept.map(({ table, sequence }) => [table, sequence]));
	}

	async #compact(collection: string, name: string): Promise<void> {
		const { store } = this.#parts;
		const { kept } = await this.#sorted(collection);
		const record = kept.find(({ table, manifest }) => table === name && manifest !== null);
		if (!record) return;
		const dimensions = parseManifest(record).embedding?.dimensions ?? null;
		const table = await store.writer({ table: name, dimensions, fields: new Map() });
		try {
			await table.seal(await this.versionsToKeep(collection, name));
		} finally {
			table.close();
		}
	}

	async #sorted(collection: string): Promise<{ kept: GenerationRecord[]; rest: GenerationRecord[] }> {
		const { records, clock, catalogue } = this.#parts;
		const all = await records.generations.list(collection, RECORDS_MAX);
		const { keep } = catalogue.state(collection).config.generations;
		const moves = await records.generations.moves(collection, RECORDS_MAX);
		const isKept = isRetained(all, { moves, keep, now: clock.now() });
		return {
			kept: all.filter(isKept),
			rest: all.filter((record) => record.removedAt === null && !isKept(record)),
		};
	}
}
