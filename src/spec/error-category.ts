/** What kind of thing went wrong. The gateway maps it to a status, the CLI to an exit code. */
export type ErrorCategory =
	| 'invalid_request'
	| 'unauthenticated'
	| 'forbidden'
	| 'not_found'
	| 'conflict'
	| 'precondition_failed'
	| 'too_large'
	| 'unprocessable'
	| 'overloaded'
	| 'upstream_failed'
	| 'unavailable'
	| 'deadline_exceeded'
	| 'cancelled'
	| 'configuration'
	| 'internal';

/** One error of the catalogue. */
export interface CatalogueEntry {
	readonly category: ErrorCategory;
	/** Whether the same request may succeed later without a change. */
	readonly retryable: boolean;
	/** What happened, for the manual. */
	readonly meaning: string;
	/** What the reader can do, for the manual. */
	readonly remedy: string;
}
