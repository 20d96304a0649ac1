import type { AttemptTrace, RequestTrace, StepTrace } from '../spec/trace.ts';

/** How one member of a trace is stored, and how its JSON is told from another type's. */
export interface Column {
	/** The type in DuckDB. */
	readonly type: string;
	readonly nullable: boolean;
	/** A regular expression that matches the JSON of this type; it relies on the text being JSON. */
	readonly pattern: string;
	/** The members of each item of a list of objects. */
	readonly members: Members | null;
}

export type Members = Readonly<Record<string, Column>>;

// The loops are unrolled so that a mismatch is found in linear time. A lone surrogate (`\ud8…`) does not match: DuckDB
// takes no text with one.
const STRING = String.raw`"[^"\\]*(?:\\(?:[^u]|u[^dD])[^"\\]*)*"`;
const REAL = String.raw`-?\d[\d.eE+-]*`;
const INTEGER = `-?(?:\\d{1,15}|${upTo(String(Number.MAX_SAFE_INTEGER))})`;
const FLAT_OBJECT = object(`${STRING}:(?:${STRING}|${REAL}|true|false|null)`);

/** The numbers of as many digits as `max`, up to it. */
function upTo(max: string): string {
	const below = [...max].flatMap((digit, at) =>
		digit === '0' ? [] : [`${max.slice(0, at)}[0-${Number(digit) - 1}]\\d{${max.length - at - 1}}`],
	);
	return [...below, max].join('|');
}

function object(member: string): string {
	return String.raw`\{(?:${member}(?:,(?=")|(?=\})))*\}`;
}

function array(item: string): string {
	return String.raw`\[(?:${item}(?:,(?!\])|(?=\])))*\]`;
}

function column(type: string, pattern: string): Column {
	return { type, nullable: false, pattern, members: null };
}

function orNull({ pattern, ...column }: Column): Column {
	return { ...column, nullable: true, pattern: `(?:${pattern}|null)` };
}

function listOf(members: Members): Column {
	const fields = Object.entries(members).map(([name, { type }]) => `${name} ${type}`);
	return {
		type: `STRUCT(${fields.join(', ')})[]`,
		nullable: false,
		pattern: array(objectOf(members)),
		members,
	};
}

/** Matches an object with exactly these members in this order. */
export function objectOf(members: Members): string {
	return String.raw`\{${Object.entries(members)
		.map(([name, { pattern }]) => `"${name}":${pattern}`)
		.join(',')}\}`;
}

const text = column('VARCHAR', STRING);
const real = column('DOUBLE', REAL);
const flag = column('BOOLEAN', '(?:true|false)');
const integer = column('BIGINT', INTEGER);
const texts = column('VARCHAR[]', array(STRING));
const reals = column('DOUBLE[]', array(REAL));
// Kept as text: `detail ->> 'hits'` and the like work on it.
const flatObject = column('VARCHAR', FLAT_OBJECT);
const flatObjects = column('VARCHAR', array(FLAT_OBJECT));

const REQUESTS = {
	request_id: text,
	started_at: integer,
	tenant_id: orNull(text),
	key_id: orNull(text),
	user_id_hash: orNull(text),
	feature: orNull(text),
	release: orNull(text),
	variant: orNull(text),
	flags: flatObject,
	flag_reasons: flatObject,
	prompt_name: orNull(text),
	prompt_version: orNull(text),
	prompt_hash: orNull(text),
	upstream: orNull(text),
	model_name: orNull(text),
	provider: orNull(text),
	provider_fingerprint: orNull(text),
	streamed: flag,
	tokens_in: integer,
	tokens_out: integer,
	tokens_cached: integer,
	tokens_cache_written: integer,
	tokens_reasoning: integer,
	cost_usd_micros: integer,
	cost_source: orNull(text),
	price_version: orNull(text),
	latency_ms: real,
	time_to_first_token_ms: orNull(real),
	retries: integer,
	client_retries: integer,
	cache_hit: text,
	retrieval_collection: orNull(text),
	retrieval_generation: orNull(text),
	retrieval_doc_ids: texts,
	retrieval_scores: reals,
	guard_verdicts: flatObjects,
	escalated_from: orNull(text),
	degraded: flag,
	degraded_reason: orNull(text),
	outcome: text,
	error_code: orNull(text),
	finish_reason: orNull(text),
} satisfies Record<keyof Omit<RequestTrace, 'steps'>, Column>;

const STEPS = {
	seq: integer,
	stage: text,
	started_ms: real,
	latency_ms: real,
	outcome: text,
	error_code: orNull(text),
	detail: flatObject,
} satisfies Record<keyof Omit<StepTrace, 'attempts'>, Column>;

const ATTEMPTS = {
	seq: integer,
	upstream: text,
	model_name: orNull(text),
	provider_response_id: orNull(text),
	started_ms: real,
	latency_ms: real,
	time_to_first_token_ms: orNull(real),
	outcome: text,
	error: orNull(text),
	tokens_in: integer,
	tokens_out: integer,
	cost_usd_micros: integer,
	kind: orNull(text),
} satisfies Record<keyof AttemptTrace, Column>;

/** A whole trace, as it is recorded. */
export const TRACE: Members = {
	...REQUESTS,
	steps: listOf({ ...STEPS, attempts: listOf(ATTEMPTS) }),
} satisfies Record<keyof RequestTrace, Column>;

/**
 * What ties steps and attempts to their request. The request's time stands in every row because DuckDB skips whole row
 * groups by the smallest and largest value of a column: a lookup reads one group and not the table.
 */
const OF_REQUEST = { request_id: text, request_started_at: integer };

const TABLES = {
	requests: REQUESTS,
	steps: { ...OF_REQUEST, ...STEPS },
	attempts: { ...OF_REQUEST, step_seq: integer, ...ATTEMPTS },
};

/** The statement that creates a table. */
export function createTable(name: keyof typeof TABLES): string {
	const columns = Object.entries<Column>(TABLES[name]);
	return `CREATE TABLE ${name} (${columns.map(([name, { type, nullable }]) => `${name} ${type}${nullable ? '' : ' NOT NULL'}`).join(', ')})`;
}

/** A temporary table of whole traces. */
export const CREATE_BATCH = `CREATE TEMP TABLE batch (${Object.entries(TRACE)
	.map(([name, { type }]) => `${name} ${type}`)
	.join(', ')})`;

/** What takes a batch apart into rows. */
export const INSERT_BATCH: readonly string[] = [
	// By name: in a file that was migrated, new columns stand last.
	`INSERT INTO requests BY NAME SELECT ${Object.keys(REQUESTS).join(', ')} FROM batch`,
	`INSERT INTO steps SELECT request_id, started_at, ${fieldsOf('step', STEPS)}
		FROM (SELECT request_id, started_at, unnest(steps) AS step FROM batch)`,
	`INSERT INTO attempts SELECT request_id, started_at, step_seq, ${fieldsOf('attempt', ATTEMPTS)}
		FROM (SELECT request_id, started_at, step.seq AS step_seq, unnest(step.attempts) AS attempt
			FROM (SELECT request_id, started_at, unnest(steps) AS step FROM batch))`,
];

function fieldsOf(struct: string, members: Members): string {
	return Object.keys(members)
		.map((name) => `${struct}.${name}`)
		.join(', ');
}
