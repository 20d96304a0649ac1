/** What there can be no room for; part of the one catalogue in errors.ts, which holds it to its form. */
export const ADMISSION_ERRORS = {
	concurrency_exceeded: {
		category: 'overloaded',
		retryable: true,
		meaning: 'As many requests are running as the server allows, and admission.queue lets none wait.',
		remedy: 'Wait for the time in retry-after-ms.',
	},
	queue_full: {
		category: 'overloaded',
		retryable: true,
		meaning:
			'No place is free, and as many requests wait as may: of the tenant, or of all and the tenant has most of them.',
		remedy: 'Wait for the time in retry-after-ms, send fewer requests at once, or raise admission.queue or the limit.',
	},
	queue_deadline: {
		category: 'overloaded',
		retryable: true,
		meaning:
			'The request would get its place only after its deadline, as far as can be told from how fast places become free, or its deadline passed while it waited. Nothing was done for it.',
		remedy: 'Wait for the time in retry-after-ms, or raise budget.deadline_ms of the contract.',
	},
	partition_busy: {
		category: 'overloaded',
		retryable: true,
		meaning: 'A partition of a collection has as many searches as `partition.searches_max` and `queued_max` allow.',
		remedy:
			'Wait for the time in retry-after-ms. Other partitions are not concerned; see GET /admin/collections/{collection}/partitions.',
	},
	overloaded: {
		category: 'unavailable',
		retryable: true,
		meaning:
			'The server holds as much as it can: server.buffered_bytes_max is reached, or upstreams have become slow and batch work is turned away first.',
		remedy: 'Wait for the time in retry-after-ms; plimsoll limits shows what is running.',
	},
} as const;
