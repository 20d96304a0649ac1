import { ACCESS_ERRORS } from './access-errors.ts';
import { ADMISSION_ERRORS } from './admission-errors.ts';
import type { CatalogueEntry, ErrorCategory } from './error-category.ts';
import { IDEMPOTENCY_ERRORS } from './idempotency-errors.ts';
import { INDEX_ERRORS } from './index-errors.ts';
import { INGESTION_ERRORS } from './ingestion-errors.ts';
import { formatProblem, type Problem } from './problem.ts';

export type { ErrorCategory } from './error-category.ts';

/** Every error that leaves Plimsoll has one of these codes. `docs/reference/errors.md` is generated from this table. */
export const ERRORS = {
	request_invalid: {
		category: 'invalid_request',
		retryable: false,
		meaning: 'The body is not valid JSON or a field has the wrong type or value.',
		remedy: 'Correct the field that the message names.',
	},
	parameter_unsupported: {
		category: 'invalid_request',
		retryable: false,
		meaning:
			'The request carries a parameter that the route does not know, or that the feature does not let clients set.',
		remedy: 'Leave it out; for a feature, its contract may list it under models.client_parameters.',
	},
	body_too_large: {
		category: 'too_large',
		retryable: false,
		meaning: 'The body is larger than server.body_bytes_max, or nested deeper than 64 levels.',
		remedy: 'Send less, or raise the cap.',
	},
	image_too_large: {
		category: 'too_large',
		retryable: false,
		meaning:
			'An image of the request has more bytes or pixels than the project or its provider takes, or there are too many images. Nothing was sent.',
		remedy: 'Make it smaller, or raise the field of bare.images that the message names.',
	},
	image_unsupported: {
		category: 'invalid_request',
		retryable: false,
		meaning:
			'An image of the request is of a kind that is not taken, is no image, or is an address where the image itself is needed. Nothing was sent.',
		remedy: 'Send it as data:image/png;base64,… in one of the kinds that the message names.',
	},
	headers_too_large: {
		category: 'too_large',
		retryable: false,
		meaning: 'The headers are larger than server.header_bytes_max.',
		remedy: 'Send fewer or shorter headers, or raise the cap.',
	},
	...ACCESS_ERRORS,
	model_not_found: {
		category: 'not_found',
		retryable: false,
		meaning: 'No feature and no upstream has the name given as model.',
		remedy: 'GET /v1/models lists the names; the message offers the nearest one.',
	},
	feature_disabled: {
		category: 'unavailable',
		retryable: false,
		meaning: 'The flag under flags.enabled of the contract switched the feature off.',
		remedy: 'Ask the feature’s owner; plimsoll flags explain says which rule of the flag decided.',
	},
	flag_not_found: {
		category: 'not_found',
		retryable: false,
		meaning: 'No flag has this name.',
		remedy: 'plimsoll flags list shows the names.',
	},
	collection_not_found: {
		category: 'not_found',
		retryable: false,
		meaning: 'No collection has this name.',
		remedy: 'Check the name under collections in plimsoll.yaml.',
	},
	canaries_missing: {
		category: 'not_found',
		retryable: false,
		meaning: 'The collection has no canaries, so that there is nothing to check it by.',
		remedy:
			'Write canaries.jsonl in the folder of a feature that retrieves from it, or name a file under canaries of the collection.',
	},
	route_not_found: {
		category: 'not_found',
		retryable: false,
		meaning: 'The gateway has no such route.',
		remedy: 'GET /openapi.json lists the routes.',
	},
	alert_not_found: {
		category: 'not_found',
		retryable: false,
		meaning: 'No alert with this id is open.',
		remedy: 'plimsoll alerts shows those that are.',
	},
	trace_not_found: {
		category: 'not_found',
		retryable: false,
		meaning: 'No trace with this request id is stored, or it belongs to another tenant, or retention removed it.',
		remedy: 'Check the id in the x-request-id header of the response.',
	},
	...ADMISSION_ERRORS,
	rate_limited: {
		category: 'overloaded',
		retryable: true,
		meaning: 'A limit on requests, tokens or concurrent requests is used up, for the scope that the message names.',
		remedy: 'Wait for the time in retry-after-ms; the x-ratelimit headers say how much is left.',
	},
	budget_exhausted: {
		category: 'overloaded',
		retryable: true,
		meaning:
			'What is left of a day’s or month’s cost limit does not cover the call, for the scope that the message names.',
		remedy: 'Wait for the time in retry-after-ms, lower max_tokens, or raise the limit in plimsoll.yaml.',
	},
	request_above_limit: {
		category: 'unprocessable',
		retryable: false,
		meaning: 'The request alone needs more than a limit ever allows, so that waiting cannot help.',
		remedy: 'Lower max_tokens, shorten the request, or raise the limit that the message names.',
	},
	limits_unavailable: {
		category: 'unavailable',
		retryable: true,
		meaning: 'The shared state behind the limits does not answer and shared_state.on_failure is fail_closed.',
		remedy: 'Check the Redis server; /readyz says whether it answers.',
	},
	...IDEMPOTENCY_ERRORS,
	server_draining: {
		category: 'unavailable',
		retryable: true,
		meaning: 'The server is stopping and takes no new requests.',
		remedy: 'Send the request to another replica or retry after the restart.',
	},
	budget_tokens_in_exceeded: {
		category: 'unprocessable',
		retryable: false,
		meaning: 'The assembled prompt does not fit the feature’s input token budget, even after trimming by its policy.',
		remedy: 'Shorten the question, raise budget.tokens_in_max, or name a larger-context upstream.',
	},
	budget_cost_exceeded: {
		category: 'unprocessable',
		retryable: false,
		meaning: 'The request could cost more than budget.cost_usd_max allows.',
		remedy: 'Lower max_tokens, or raise the cap in the contract.',
	},
	retrieval_empty: {
		category: 'unprocessable',
		retryable: false,
		meaning: 'Retrieval found fewer passages than the contract’s floor and its policy is to fail closed.',
		remedy: 'Ask about something the collection holds, or choose another failure policy.',
	},
	retrieval_failed: {
		category: 'unavailable',
		retryable: true,
		meaning: 'The index or the embedder did not answer.',
		remedy: 'See the retrieve step of the trace; /readyz says which collections are live.',
	},
	index_not_ready: {
		category: 'unavailable',
		retryable: true,
		meaning: 'The collection has no live index generation yet.',
		remedy: 'Wait for the ingestion to end, or run plimsoll ingest.',
	},
	...INDEX_ERRORS,
	source_unusable: {
		category: 'unprocessable',
		retryable: false,
		meaning:
			'A source of the collection is missing, unreadable or empty, so the ingestion was refused. The live generation serves on.',
		remedy:
			'Correct what the message names: the path, the address or its credentials (private_addresses: allow opens an intranet), or remove the source from the collection.',
	},
	...INGESTION_ERRORS,
	guard_rejected: {
		category: 'unprocessable',
		retryable: false,
		meaning: 'The answer failed a guard of the contract and was withheld.',
		remedy: 'See guard_verdicts in the trace.',
	},
	upstream_unavailable: {
		category: 'upstream_failed',
		retryable: true,
		meaning: 'The upstream could not be reached or answered with a server error, and no other upstream was allowed.',
		remedy: 'See the attempts in the trace; check the provider’s status.',
	},
	upstream_timeout: {
		category: 'deadline_exceeded',
		retryable: true,
		meaning: 'The upstream did not answer within its time-outs.',
		remedy: 'See the attempts in the trace; raise the time-outs or choose a faster upstream.',
	},
	upstream_rate_limited: {
		category: 'overloaded',
		retryable: true,
		meaning: 'The provider refused for rate limits or quota.',
		remedy: 'Wait for the time in retry-after-ms, or add a fail-over upstream.',
	},
	upstream_rejected: {
		category: 'upstream_failed',
		retryable: false,
		meaning: 'The upstream refused the request as invalid or refused our credentials.',
		remedy: 'The message names the upstream and its reason; check its configuration.',
	},
	upstream_content_filtered: {
		category: 'unprocessable',
		retryable: false,
		meaning: 'The provider’s content filter refused. A refusal is never routed around.',
		remedy: 'Change the request.',
	},
	upstream_stream_cut: {
		category: 'upstream_failed',
		retryable: true,
		meaning: 'The upstream’s answer broke off before its end. What was sent is incomplete.',
		remedy: 'Ask again; do not use the partial answer.',
	},
	upstream_outcome_unknown: {
		category: 'upstream_failed',
		retryable: false,
		meaning:
			'An upstream with side_effects failed after the request was sent, so that it may have acted. Nothing asked it, or another one, again.',
		remedy: 'Find out what the upstream did before asking again; the attempts in the trace say what is known.',
	},
	upstream_nonsense: {
		category: 'upstream_failed',
		retryable: true,
		meaning:
			'The upstream answered with something that is not its wire format, or its model called a tool with arguments that are no JSON object, beyond repair.',
		remedy:
			'The message says which. Check base_url: is it an endpoint of this family? A model that cannot write arguments needs a simpler schema, or another model.',
	},
	deadline_exceeded: {
		category: 'deadline_exceeded',
		retryable: true,
		meaning: 'The feature’s budget.deadline_ms passed before the answer was complete.',
		remedy: 'See which step took the time in the trace.',
	},
	client_closed: {
		category: 'cancelled',
		retryable: false,
		meaning: 'The client left before the answer was complete; the upstream call was cancelled.',
		remedy: 'Nothing to do.',
	},
	configuration_invalid: {
		category: 'configuration',
		retryable: false,
		meaning: 'A file of the project has errors.',
		remedy: 'plimsoll check lists them all with file, line and column.',
	},
	data_folder_locked: {
		category: 'configuration',
		retryable: false,
		meaning: 'Another Plimsoll process uses this data folder.',
		remedy: 'Stop it, or give this one another data_dir.',
	},
	address_in_use: {
		category: 'configuration',
		retryable: false,
		meaning: 'Another process listens on the address.',
		remedy: 'Stop it, or choose another server.port.',
	},
	address_unusable: {
		category: 'configuration',
		retryable: false,
		meaning:
			'The server cannot listen on the address: this machine does not have it, or its user may not use the port.',
		remedy: 'Correct server.host or server.port; ports below 1024 may need rights.',
	},
	storage_failed: {
		category: 'unavailable',
		retryable: true,
		meaning:
			'A database of the data folder, or the index wherever it is, could not be read or written: corrupt, locked, unreachable or no space left.',
		remedy: 'The message names the file and the cause.',
	},
	index_conflict: {
		category: 'unavailable',
		retryable: true,
		meaning:
			'Another process wrote to the same table of the index while this one did; what this one wrote last did not count.',
		remedy: 'Run the ingestion again, and let one process at a time ingest a collection.',
	},
	project_not_found: {
		category: 'configuration',
		retryable: false,
		meaning: 'A command found no plimsoll.yaml in the folder of --dir, or in the current one and any above it.',
		remedy: 'Name the project with --dir, or make one with plimsoll init.',
	},
	server_unreachable: {
		category: 'unavailable',
		retryable: true,
		meaning: 'No Plimsoll server of this version answers at the address that a command uses.',
		remedy: 'Check --url or PLIMSOLL_URL; plimsoll start runs a server.',
	},
	dependency_missing: {
		category: 'configuration',
		retryable: false,
		meaning: 'The configuration asks for an optional package that is not installed.',
		remedy: 'Run the command in the message.',
	},
	internal_error: {
		category: 'internal',
		retryable: true,
		meaning: 'A fault of Plimsoll’s own.',
		remedy: 'Report it with the request id.',
	},
} as const satisfies Record<string, CatalogueEntry>;

export type ErrorCode = keyof typeof ERRORS;

export function isErrorCode(text: string): text is ErrorCode {
	return Object.hasOwn(ERRORS, text);
}

export interface ErrorDetails {
	/** For the operator: logs and traces, never the client. */
	readonly internal?: string;
	/** Name of the request field at fault, e.g. `messages[0].content`. */
	readonly param?: string;
	/** How long the client should wait, milliseconds. */
	readonly retryAfterMs?: number;
	readonly problems?: readonly Problem[];
	readonly cause?: unknown;
}

/** The only error type that crosses a layer. `message` may be shown to the client; `internal` may not. */
export class PlimsollError extends Error {
	override readonly name = 'PlimsollError';
	readonly code: ErrorCode;
	readonly internal: string | null;
	readonly param: string | null;
	readonly retryAfterMs: number | null;
	readonly problems: readonly Problem[];

	constructor(code: ErrorCode, message: string, details: ErrorDetails = {}) {
		super(message, details.cause === undefined ? undefined : { cause: details.cause });
		this.code = code;
		this.internal = details.internal ?? null;
		this.param = details.param ?? null;
		this.retryAfterMs = details.retryAfterMs ?? null;
		this.problems = details.problems ?? [];
	}

	get category(): ErrorCategory {
		return ERRORS[this.code].category;
	}

	get retryable(): boolean {
		return ERRORS[this.code].retryable;
	}
}

/** The error for files with problems: one line each, all of them. */
export function configurationError(problems: readonly Problem[]): PlimsollError {
	const count = problems.length === 1 ? '1 problem' : `${problems.length} problems`;
	return new PlimsollError(
		'configuration_invalid',
		`${count}:\n${problems.map((p) => `  ${formatProblem(p)}`).join('\n')}`,
		{
			problems,
		},
	);
}

/** Any thrown value as a PlimsollError: itself, or `internal_error` with the original as its cause. */
export function asPlimsollError(thrown: unknown): PlimsollError {
	if (thrown instanceof PlimsollError) return thrown;
	const internal = thrown instanceof Error ? (thrown.stack ?? thrown.message) : String(thrown);
	return new PlimsollError('internal_error', 'Something failed inside Plimsoll; the log has the details.', {
		internal,
		cause: thrown,
	});
}
