import { OTHER } from '../spec/names.ts';
import type { PartitionView } from '../spec/retrieval.ts';
import { BoundedNames } from './bounded-names.ts';
import type { Sample } from './sample.ts';

const MS = 1_000;

/** Samples of partitions: of each collection the busiest have a name of their own, and keep it; all others are one. */
export class PartitionSamples {
	readonly #max: number;
	readonly #names = new Map<string, BoundedNames>();

	/** @param max names of each collection; 0: none. */
	constructor(max: number) {
		this.#max = max;
	}

	/** @param views by collection, the busiest first. */
	of(views: ReadonlyMap<string, readonly PartitionView[]>): Sample[] {
		return [...views].flatMap(([collection, all]) => this.#collection(collection, all));
	}

	#collection(collection: string, views: readonly PartitionView[]): Sample[] {
		if (views.length === 0) return [];
		const names = this.#names.get(collection) ?? new BoundedNames(this.#max);
		this.#names.set(collection, names);
		const hot = views.filter((view) => view.hot).length;
		const sum: Sample = { name: 'plimsoll_partitions_hot', labels: { collection }, value: hot };
		if (this.#max === 0) return [sum];
		const byName = Map.groupBy(views, ({ partition }) => names.of(partition));
		return [sum, ...[...byName].flatMap(([partition, some]) => samplesOf({ collection, partition }, some))];
	}
}

function samplesOf(labels: Readonly<Record<string, string>>, views: readonly PartitionView[]): Sample[] {
	const sum = (of: (view: PartitionView) => number) => views.reduce((all, view) => all + of(view), 0);
	const [only] = views;
	const latencies =
		labels.partition === OTHER || only === undefined
			? []
			: ([
					['0.5', only.latencyMsP50],
					['0.99', only.latencyMsP99],
				] as const);
	return [
		{ name: 'plimsoll_partition_searches_running', labels, value: sum(({ running }) => running) },
		{ name: 'plimsoll_partition_searches_queued', labels, value: sum(({ queued }) => queued) },
		{ name: 'plimsoll_partition_searches_total', labels, value: sum(({ searches }) => searches) },
		{ name: 'plimsoll_partition_shed_total', labels, value: sum(({ shed }) => shed) },
		{ name: 'plimsoll_partition_degraded_total', labels, value: sum(({ degraded }) => degraded) },
		...latencies.flatMap(([quantile, ms]): Sample[] =>
			ms === null
				? []
				: [{ name: 'plimsoll_partition_latency_seconds', labels: { ...labels, quantile }, value: ms / MS }],
		),
	];
}
