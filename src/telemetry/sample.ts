import type { MetricOf } from './metric-catalogue.ts';

/** One value of a metric that is read from how things stand. */
export interface Sample {
	readonly name: StandingMetric;
	readonly labels: Readonly<Record<string, string>>;
	readonly value: number;
}

/** Counters that somebody else keeps. */
export const KEPT = [
	'plimsoll_shared_state_unsettled_total',
	'plimsoll_traces_dropped_total',
	'plimsoll_alert_deliveries_total',
	'plimsoll_ingestion_runs_total',
	'plimsoll_ingestion_documents_total',
	'plimsoll_ingestion_chunks_total',
	'plimsoll_rebuild_chunks_total',
	'plimsoll_ingestion_embedding_calls_total',
	'plimsoll_ingestion_embedding_tokens_total',
	'plimsoll_ingestion_embedding_cost_usd_total',
	'plimsoll_ingestion_seconds_total',
	'plimsoll_query_vectors_total',
	'plimsoll_partition_searches_total',
	'plimsoll_partition_shed_total',
	'plimsoll_partition_degraded_total',
] as const satisfies readonly MetricOf<'counter'>[];
type KeptCounter = (typeof KEPT)[number];
export type StandingMetric = MetricOf<'gauge'> | KeptCounter;
