import type { CatalogueEntry } from './error-category.ts';

/** What can be wrong with an Idempotency-Key; part of the one catalogue in errors.ts. */
export const IDEMPOTENCY_ERRORS = {
	idempotency_key_invalid: {
		category: 'invalid_request',
		retryable: false,
		meaning:
			'The Idempotency-Key is empty, longer than 255 characters, sent more than once, or holds control characters or anything beyond ASCII.',
		remedy: 'Send one key of 1 to 255 printable ASCII characters, such as a UUID.',
	},
	idempotency_key_reused: {
		category: 'unprocessable',
		retryable: false,
		meaning: 'The Idempotency-Key was used before with another body or another route.',
		remedy: 'Take a new key for each new request; repeat an old one only with the same body.',
	},
	idempotency_outcome_unknown: {
		category: 'conflict',
		retryable: false,
		meaning:
			'The execution under this Idempotency-Key broke off after it had begun to act on the world, so that nobody knows what it did. It is not executed again.',
		remedy:
			'Look at the trace of the request that the message names and at what the upstream did; if nothing happened, ask again with a new key.',
	},
	idempotency_response_not_stored: {
		category: 'conflict',
		retryable: false,
		meaning:
			'The request under this Idempotency-Key was executed, but its response is not kept: it was larger than idempotency.response_bytes_max, or had to make room for newer ones.',
		remedy: 'Ask again with a new key if it may be executed again; raise the bound for the future.',
	},
	idempotency_records_full: {
		category: 'overloaded',
		retryable: true,
		meaning: 'The tenant has as many idempotency keys on record as idempotency.records_max allows.',
		remedy: 'Wait for old keys to expire, raise the bound, or lower idempotency.retention_hours.',
	},
	idempotency_unavailable: {
		category: 'unavailable',
		retryable: true,
		meaning:
			'The store of idempotency keys does not answer, or the key was lost to another replica, and idempotency.on_failure is refuse.',
		remedy: 'Retry with the same key; check the Redis server or the disk of the data folder.',
	},
} as const satisfies Record<string, CatalogueEntry>;
