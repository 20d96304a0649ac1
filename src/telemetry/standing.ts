import type { GenerationCount } from '../spec/generations.ts';
import type { Priority } from '../spec/priority.ts';
import type { CollectionStatus, IngestionView, PartitionView } from '../spec/retrieval.ts';
import type { StateHealth } from '../spec/shared-state.ts';
import type { DeliveryCounts } from './alert-webhook.ts';
import { generationSample, ingestionSamples, type QueryVectorCounts, queryVectorSamples } from './index-samples.ts';
import type { Sample, StandingMetric } from './sample.ts';

/** How a running Plimsoll stands at this moment: what is asked for when somebody looks, and kept nowhere. */
export interface Standing {
	readonly version: string;
	readonly draining: boolean;
	readonly upstreams: readonly { readonly upstream: string; readonly state: string; readonly retriesLeft: number }[];
	readonly admission: {
		readonly limit: number;
		readonly max: number;
		readonly running: Readonly<Record<Priority, number>>;
		readonly queued: Readonly<Record<Priority, number>>;
		readonly bufferedBytes: number;
		readonly bufferedBytesMax: number;
	};
	readonly sharedState: Pick<StateHealth, 'backend' | 'status' | 'unsettled'>;
	readonly idempotency: { readonly status: 'up' | 'down' };
	readonly tracesDropped: Readonly<Record<string, number>>;
	readonly alerts: {
		readonly open: readonly { readonly rule: string; readonly severity: string; readonly open: number }[];
		readonly deliveries: ReadonlyMap<string, DeliveryCounts>;
	};
	readonly collections: readonly CollectionStatus[];
	readonly generations: readonly GenerationCount[];
	readonly ingestions: readonly IngestionView[];
	readonly queryVectors: QueryVectorCounts;
	/** By collection, the busiest first. */
	readonly partitions: ReadonlyMap<string, readonly PartitionView[]>;
}

const BREAKER_STATES = ['closed', 'open', 'probing', 'off'];

/** Every sample of a standing, but for those of partitions, whose names are bounded over time. */
export function samplesOf(standing: Standing): readonly Sample[] {
	const { admission, sharedState, idempotency, tracesDropped } = standing;
	const one = (name: StandingMetric, value: number): Sample => ({ name, labels: {}, value });
	return [
		...standing.upstreams.flatMap(upstreamSamples),
		...(['interactive', 'batch'] as const).flatMap((priority): Sample[] => [
			{ name: 'plimsoll_requests_running', labels: { priority }, value: admission.running[priority] },
			{ name: 'plimsoll_requests_queued', labels: { priority }, value: admission.queued[priority] },
		]),
		one('plimsoll_places', admission.limit),
		one('plimsoll_places_max', admission.max),
		one('plimsoll_buffered_bytes', admission.bufferedBytes),
		one('plimsoll_buffered_bytes_max', admission.bufferedBytesMax),
		{ name: 'plimsoll_shared_state_up', labels: { backend: sharedState.backend }, value: isUp(sharedState) },
		one('plimsoll_shared_state_unsettled_total', sharedState.unsettled),
		one('plimsoll_idempotency_store_up', isUp(idempotency)),
		...Object.entries(tracesDropped).map(
			([reason, value]): Sample => ({ name: 'plimsoll_traces_dropped_total', labels: { reason }, value }),
		),
		...alertSamples(standing.alerts),
		...standing.collections.flatMap(collectionSamples),
		...standing.generations.map(generationSample),
		...standing.ingestions.flatMap(ingestionSamples),
		...queryVectorSamples(standing.queryVectors),
		one('plimsoll_draining', Number(standing.draining)),
		{ name: 'plimsoll_build_info', labels: { version: standing.version }, value: 1 },
	];
}

function upstreamSamples({ upstream, state, retriesLeft }: Standing['upstreams'][number]): Sample[] {
	return [
		...BREAKER_STATES.map(
			(one): Sample => ({
				name: 'plimsoll_breaker_state',
				labels: { upstream, state: one },
				value: Number(one === state),
			}),
		),
		{ name: 'plimsoll_retry_budget_left', labels: { upstream }, value: retriesLeft },
	];
}

function collectionSamples({ collection, generation, documents, chunks }: CollectionStatus): Sample[] {
	const labels = { collection };
	return [
		{ name: 'plimsoll_index_live', labels, value: Number(generation !== null) },
		...(generation === null
			? []
			: [{ name: 'plimsoll_index_info', labels: { collection, generation }, value: 1 } satisfies Sample]),
		{ name: 'plimsoll_index_documents', labels, value: documents },
		{ name: 'plimsoll_index_chunks', labels, value: chunks },
	];
}

function alertSamples({ open, deliveries }: Standing['alerts']): Sample[] {
	return [
		...open.map(
			({ rule, severity, open: value }): Sample => ({
				name: 'plimsoll_alerts_open',
				labels: { rule, severity },
				value,
			}),
		),
		...[...deliveries].flatMap(([webhook, counts]) =>
			Object.entries(counts).map(
				([outcome, value]): Sample => ({
					name: 'plimsoll_alert_deliveries_total',
					labels: { webhook, outcome },
					value,
				}),
			),
		),
	];
}

function isUp({ status }: { readonly status: 'up' | 'down' }): number {
	return Number(status === 'up');
}
