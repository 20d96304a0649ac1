import { Counter, collectDefaultMetrics, Gauge, Registry } from 'prom-client';
import type { RequestTrace, TraceSink } from '../spec/trace.ts';
import { METRICS, type MetricName, type MetricOf } from './metric-catalogue.ts';
import { PartitionSamples } from './partition-samples.ts';
import { RequestMetrics } from './request-metrics.ts';
import { KEPT } from './sample.ts';
import { type Standing, samplesOf } from './standing.ts';

/** Of the page, for its readers. */
export const METRICS_CONTENT_TYPE = Registry.PROMETHEUS_CONTENT_TYPE;

/** The metrics of one Plimsoll: what its requests added up to since its start, and how it stands. */
export class Metrics {
	readonly #all = new Registry();
	/** Apart, since not everybody who may see the others may see these. */
	readonly #ofTenants = new Registry();
	readonly #ofPartitions = new Registry();
	readonly #counters: Readonly<Record<MetricOf<'counter'>, Counter>>;
	readonly #gauges: Readonly<Record<MetricOf<'gauge'>, Gauge>>;
	readonly #requests: RequestMetrics;
	readonly #hasTenants: boolean;
	readonly #partitions: PartitionSamples;

	/**
	 * @param options.tenantsMax how many tenants are told apart, the first that come; 0: none.
	 * @param options.partitionsMax the same of the partitions of each collection, the busiest first.
	 */
	constructor({ tenantsMax, partitionsMax }: { readonly tenantsMax: number; readonly partitionsMax: number }) {
		this.#hasTenants = tenantsMax > 0;
		this.#partitions = new PartitionSamples(partitionsMax);
		this.#counters = each('counter', (name) => new Counter(this.#settingsOf(name)));
		this.#gauges = each('gauge', (name) => new Gauge(this.#settingsOf(name)));
		this.#requests = new RequestMetrics(this.#counters, { registry: this.#all, tenantsMax });
	}

	/** A sink that counts what passes through it to another. */
	before(sink: TraceSink): TraceSink {
		const requests = this.#requests;
		return {
			record(trace: RequestTrace) {
				requests.count(trace);
				sink.record(trace);
			},
			get dropped() {
				return sink.dropped;
			},
			flush: () => sink.flush(),
		};
	}

	/** The page in Prometheus’ text format. @param options.withTenants also what names tenants and partitions. */
	async page(standing: Standing, { withTenants }: { readonly withTenants: boolean }): Promise<string> {
		this.#requests.handOver();
		this.#show(standing);
		const all = `${await this.#all.metrics()}\n${await processRegistry().metrics()}`;
		if (!withTenants) return all;
		const named = [this.#ofPartitions, ...(this.#hasTenants ? [this.#ofTenants] : [])];
		return [all, ...(await Promise.all(named.map((one) => one.metrics())))].join('\n');
	}

	#show(standing: Standing): void {
		for (const gauge of Object.values(this.#gauges)) gauge.reset();
		for (const name of KEPT) this.#counters[name].reset();
		for (const { name, labels, value } of [...samplesOf(standing), ...this.#partitions.of(standing.partitions)]) {
			if (isGauge(name)) this.#gauges[name].set(labels, value);
			else this.#counters[name].inc(labels, value);
		}
	}

	#settingsOf(name: MetricName) {
		const { help, labels, ...row } = METRICS[name];
		const registry = 'ofTenants' in row ? this.#ofTenants : 'ofPartitions' in row ? this.#ofPartitions : this.#all;
		return { name, help, labelNames: [...labels], registers: [registry] };
	}
}

/** Of the process there is one, however many a program opens; watched from the first look on. */
let ofProcess: Registry | null = null;

function processRegistry(): Registry {
	if (ofProcess === null) {
		ofProcess = new Registry();
		collectDefaultMetrics({ register: ofProcess });
	}
	return ofProcess;
}

function isGauge(name: MetricName): name is MetricOf<'gauge'> {
	return METRICS[name].kind === 'gauge';
}

function each<K extends 'counter' | 'gauge', M>(kind: K, make: (name: MetricOf<K>) => M): Record<MetricOf<K>, M> {
	const names = Object.keys(METRICS).filter((name) => METRICS[name as MetricName].kind === kind) as MetricOf<K>[];
	return Object.fromEntries(names.map((name) => [name, make(name)])) as Record<MetricOf<K>, M>;
}
