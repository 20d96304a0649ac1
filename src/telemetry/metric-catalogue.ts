/** A family of time series. */
interface MetricRow {
	readonly kind: 'counter' | 'gauge' | 'histogram';
	/** One sentence, with what its labels cannot say. */
	readonly help: string;
	readonly labels: readonly string[];
	/** Names tenants: shown to the scope admin alone, and only where `telemetry.metric_tenants_max` is set. */
	readonly ofTenants?: true;
	/** Names partitions, which can be tenants or what clients filter by: shown to the scope admin alone. */
	readonly ofPartitions?: true;
}

/**
 * Every metric of our own, in the order of the page and of its manual. Base units: seconds, bytes, dollars. A label holds
 * what configuration or our own catalogues name, never what a client sends, and never a user or a key.
 */
export const METRICS = {
	plimsoll_requests_total: {
		kind: 'counter',
		help: 'Requests that ended, by outcome and error code.',
		labels: ['feature', 'priority', 'outcome', 'code'],
	},
	plimsoll_request_duration_seconds: {
		kind: 'histogram',
		help: 'From entering to the end of a request, its wait in the queue included; refused ones are left out.',
		labels: ['feature'],
	},
	plimsoll_time_to_first_token_seconds: {
		kind: 'histogram',
		help: 'From entering to the first token of an upstream’s answer, of requests that got one.',
		labels: ['feature'],
	},
	plimsoll_attempts_total: {
		kind: 'counter',
		help: 'Calls of upstreams, by how they ended.',
		labels: ['upstream', 'outcome'],
	},
	plimsoll_tokens_total: {
		kind: 'counter',
		help: 'Tokens of all attempts, sent (in) and received (out).',
		labels: ['feature', 'upstream', 'source', 'direction'],
	},
	plimsoll_cached_tokens_total: {
		kind: 'counter',
		help: 'Tokens that a provider read from its cache, a part of those sent.',
		labels: ['feature'],
	},
	plimsoll_cost_usd_total: {
		kind: 'counter',
		help: 'Cost of all attempts in dollars, failed ones included.',
		labels: ['feature', 'upstream', 'source'],
	},
	plimsoll_retries_total: {
		kind: 'counter',
		help: 'Attempts beyond the first of each request.',
		labels: ['feature'],
	},
	plimsoll_hedges_total: {
		kind: 'counter',
		help: 'Second attempts beside slow ones, by whether their answer won, lost, or neither gave one (failed).',
		labels: ['feature', 'upstream', 'result'],
	},
	plimsoll_hedge_lost_cost_usd_total: {
		kind: 'counter',
		help: 'Cost in dollars of the attempts that another one was faster than, a part of the cost of all attempts.',
		labels: ['feature'],
	},
	plimsoll_client_retries_total: {
		kind: 'counter',
		help: 'Requests that a client says it has sent before.',
		labels: ['feature'],
	},
	plimsoll_degraded_total: {
		kind: 'counter',
		help: 'Requests that a failure policy answered, by the policy.',
		labels: ['feature', 'reason'],
	},
	plimsoll_retrieval_below_floor_total: {
		kind: 'counter',
		help: 'Requests whose first search found less than the contract needs, by what came of it.',
		labels: ['feature', 'action'],
	},
	plimsoll_retrieval_requests_total: {
		kind: 'counter',
		help: 'Requests that retrieved for a feature.',
		labels: ['feature'],
	},
	plimsoll_retrieval_tokens_total: {
		kind: 'counter',
		help: 'Tokens of passages, all that were found above the floor and those that were used.',
		labels: ['feature', 'passages'],
	},
	plimsoll_escalations_total: {
		kind: 'counter',
		help: 'Requests that went on to the contract’s escalation upstream.',
		labels: ['feature'],
	},
	plimsoll_guard_failures_total: {
		kind: 'counter',
		help: 'Answers that a guard did not let pass.',
		labels: ['feature', 'guard'],
	},
	plimsoll_feedback_total: {
		kind: 'counter',
		help: 'Ratings that were taken, of the feature that is rated; one that replaces an earlier one counts again.',
		labels: ['feature', 'rating'],
	},
	plimsoll_idempotent_replays_total: {
		kind: 'counter',
		help: 'Requests that were given what another with their idempotency key got: stored, or joined while it ran.',
		labels: ['kind'],
	},
	plimsoll_breaker_state: {
		kind: 'gauge',
		help: '1 for the state that the upstream’s breaker is in, 0 for the others.',
		labels: ['upstream', 'state'],
	},
	plimsoll_retry_budget_left: {
		kind: 'gauge',
		help: 'Whole retries that the upstream’s budget has left.',
		labels: ['upstream'],
	},
	plimsoll_requests_running: { kind: 'gauge', help: 'Requests that have a place.', labels: ['priority'] },
	plimsoll_requests_queued: { kind: 'gauge', help: 'Requests that wait for a place.', labels: ['priority'] },
	plimsoll_places: { kind: 'gauge', help: 'How many requests may run now, by the adaptive limit.', labels: [] },
	plimsoll_places_max: { kind: 'gauge', help: 'How many requests may run at most.', labels: [] },
	plimsoll_buffered_bytes: { kind: 'gauge', help: 'Held in memory for requests.', labels: [] },
	plimsoll_buffered_bytes_max: { kind: 'gauge', help: 'How much may be held in memory for requests.', labels: [] },
	plimsoll_shared_state_up: {
		kind: 'gauge',
		help: '1 while the counters behind limits answer, 0 while shared_state.on_failure is in force.',
		labels: ['backend'],
	},
	plimsoll_shared_state_unsettled_total: {
		kind: 'counter',
		help: 'Settlements of which it is not known that the shared state has them.',
		labels: [],
	},
	plimsoll_idempotency_store_up: {
		kind: 'gauge',
		help: '1 while the store of idempotency keys answers.',
		labels: [],
	},
	plimsoll_traces_dropped_total: {
		kind: 'counter',
		help: 'Traces that could not be kept, by why.',
		labels: ['reason'],
	},
	plimsoll_alerts_open: {
		kind: 'gauge',
		help: 'Alerts of this replica that are open, by the rule that raised them.',
		labels: ['rule', 'severity'],
	},
	plimsoll_alert_deliveries_total: {
		kind: 'counter',
		help: 'What became of deliveries of alerts: sent, failed after the last attempt, or dropped because too many waited.',
		labels: ['webhook', 'outcome'],
	},
	plimsoll_index_live: {
		kind: 'gauge',
		help: '1 when the collection has a live generation.',
		labels: ['collection'],
	},
	plimsoll_index_info: {
		kind: 'gauge',
		help: '1 for the generation that is live.',
		labels: ['collection', 'generation'],
	},
	plimsoll_index_documents: { kind: 'gauge', help: 'Documents of the live generation.', labels: ['collection'] },
	plimsoll_index_chunks: { kind: 'gauge', help: 'Chunks of the live generation.', labels: ['collection'] },
	plimsoll_index_generations: {
		kind: 'gauge',
		help: 'Generations on record that have their rows, by state.',
		labels: ['collection', 'state'],
	},
	plimsoll_ingestion_runs_total: {
		kind: 'counter',
		help: 'Ingestions and rebuilds that ended, by outcome.',
		labels: ['collection', 'outcome'],
	},
	plimsoll_ingestion_running: {
		kind: 'gauge',
		help: '1 while an ingestion or a rebuild of the collection runs.',
		labels: ['collection', 'kind'],
	},
	plimsoll_ingestion_run_documents: {
		kind: 'gauge',
		help: 'Documents that the run which goes on has come past; 0 when none does.',
		labels: ['collection'],
	},
	plimsoll_ingestion_documents_total: {
		kind: 'counter',
		help: 'What became of documents in runs that came to an end.',
		labels: ['collection', 'outcome'],
	},
	plimsoll_ingestion_chunks_total: {
		kind: 'counter',
		help: 'Chunks that were written to the index.',
		labels: ['collection'],
	},
	plimsoll_rebuild_chunks_total: {
		kind: 'counter',
		help: 'Chunks that rebuilds filled new tables with, a part of those written.',
		labels: ['collection'],
	},
	plimsoll_ingestion_embedding_calls_total: {
		kind: 'counter',
		help: 'Calls that embedded documents, by whether they were answered.',
		labels: ['collection', 'outcome'],
	},
	plimsoll_ingestion_embedding_tokens_total: {
		kind: 'counter',
		help: 'Tokens of documents that were embedded, also by runs that failed.',
		labels: ['collection'],
	},
	plimsoll_ingestion_embedding_cost_usd_total: {
		kind: 'counter',
		help: 'What embedding documents cost in dollars, also in runs that failed.',
		labels: ['collection'],
	},
	plimsoll_ingestion_seconds_total: {
		kind: 'counter',
		help: 'How long runs took together, from their place in the queue to their end.',
		labels: ['collection'],
	},
	plimsoll_query_vectors_total: {
		kind: 'counter',
		help: 'Queries that needed a vector, by whether it was remembered (hit) or had to be made (miss).',
		labels: ['result'],
	},
	plimsoll_query_vectors_kept: { kind: 'gauge', help: 'Vectors of queries that are remembered.', labels: [] },
	plimsoll_query_vectors_bytes: { kind: 'gauge', help: 'What they take in memory, of 64 MiB.', labels: [] },
	plimsoll_partitions_hot: {
		kind: 'gauge',
		help: 'Partitions in which a search found all places taken in the last minute.',
		labels: ['collection'],
	},
	plimsoll_draining: { kind: 'gauge', help: '1 while the server stops and lets nobody in.', labels: [] },
	plimsoll_build_info: { kind: 'gauge', help: '1 for the version that runs.', labels: ['version'] },
	plimsoll_tenant_requests_total: {
		kind: 'counter',
		help: 'Requests that ended, by tenant.',
		labels: ['tenant', 'outcome'],
		ofTenants: true,
	},
	plimsoll_tenant_tokens_total: {
		kind: 'counter',
		help: 'Tokens of all attempts, by tenant.',
		labels: ['tenant', 'direction'],
		ofTenants: true,
	},
	plimsoll_tenant_cost_usd_total: {
		kind: 'counter',
		help: 'Cost of all attempts in dollars, by tenant.',
		labels: ['tenant'],
		ofTenants: true,
	},
	plimsoll_partition_searches_running: {
		kind: 'gauge',
		help: 'Searches that run in the partition.',
		labels: ['collection', 'partition'],
		ofPartitions: true,
	},
	plimsoll_partition_searches_queued: {
		kind: 'gauge',
		help: 'Searches that wait for a place in the partition.',
		labels: ['collection', 'partition'],
		ofPartitions: true,
	},
	plimsoll_partition_searches_total: {
		kind: 'counter',
		help: 'Searches that ran in the partition.',
		labels: ['collection', 'partition'],
		ofPartitions: true,
	},
	plimsoll_partition_shed_total: {
		kind: 'counter',
		help: 'Searches that were refused because the partition was full.',
		labels: ['collection', 'partition'],
		ofPartitions: true,
	},
	plimsoll_partition_degraded_total: {
		kind: 'counter',
		help: 'Searches that were lexical because the partition was full.',
		labels: ['collection', 'partition'],
		ofPartitions: true,
	},
	plimsoll_partition_latency_seconds: {
		kind: 'gauge',
		help: 'Quantiles of the partition’s latest 512 searches, from their place on; not of those that share a name.',
		labels: ['collection', 'partition', 'quantile'],
		ofPartitions: true,
	},
} as const satisfies Record<string, MetricRow>;

export type MetricName = keyof typeof METRICS;

/** Metrics of one kind. */
export type MetricOf<K extends MetricRow['kind']> = {
	[N in MetricName]: (typeof METRICS)[N]['kind'] extends K ? N : never;
}[MetricName];

/** Bounds of the fine buckets, seconds, and how many a decade has: each is at most 1.1 times the one before. */
const FINE = { fromDecade: -2, decades: 4, perDecade: 25 };
const COARSE = { below: [0.001, 0.002, 0.005], above: [200, 400, 660] };

/** Upper bounds of both histograms, seconds: a quantile between 10 ms and 100 s is off by at most 10 %. */
export const SECONDS_BUCKETS: readonly number[] = [
	...COARSE.below,
	...Array.from({ length: FINE.decades * FINE.perDecade + 1 }, (_, step) =>
		Number((10 ** (FINE.fromDecade + step / FINE.perDecade)).toPrecision(3)),
	),
	...COARSE.above,
];
