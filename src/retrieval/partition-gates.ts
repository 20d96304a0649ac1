import { availableParallelism } from 'node:os';
import type { Clock } from '../base/clock.ts';
import type { CollectionConfig } from '../contracts/collection.ts';
import type { Filter, PartitionView, SearchRequest } from '../spec/retrieval.ts';
import { Partitions, type Passage, partitionFor } from './partitions.ts';

/** Of the time that a search may take, for its place. */
const WAIT_SHARE = 0.5;

/** The partitions of every collection that has some. */
export class PartitionGates {
	readonly #clock: Clock;
	readonly #collections = new Map<string, Partitions>();

	constructor(clock: Clock) {
		this.#clock = clock;
	}

	/** Null where the collection has no partitions. Throws PlimsollError `partition_busy`. */
	async enter(
		{ caller, msMax, signal }: SearchRequest,
		{ config, filter }: { config: CollectionConfig; filter: Filter | null },
	): Promise<Passage | null> {
		const { partition, name, search } = config;
		if (partition === null) return null;
		let partitions = this.#collections.get(name);
		if (!partitions) {
			partitions = new Partitions(this.#clock, availableParallelism());
			this.#collections.set(name, partitions);
		}
		const ask = { collection: name, msMax: Math.min(search.timeoutMs, (msMax ?? Infinity) * WAIT_SHARE), signal };
		return partitions.enter(partitionFor(partition.by, filter, caller), partition, ask);
	}

	view(collection: string): readonly PartitionView[] {
		return this.#collections.get(collection)?.view() ?? [];
	}
}
