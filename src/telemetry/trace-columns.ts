import {
	BIGINT,
	BOOLEAN,
	DOUBLE,
	type DuckDBListValue,
	type DuckDBType,
	type DuckDBValue,
	LIST,
	listValue,
	VARCHAR,
} from '@duckdb/node-api';
import type { AttemptTrace, RequestTrace, StepTrace } from '../spec/trace.ts';

/** How one member of a trace is stored: its type in SQL, and its way into a DuckDB value, which refuses wrong types. */
interface Column {
	readonly sql: string;
	readonly type: DuckDBType;
	encode(value: unknown): DuckDBValue;
}

function column(sql: string, type: DuckDBType, encode: (value: unknown) => DuckDBValue): Column {
	return { sql: `${sql} NOT NULL`, type, encode };
}

function orNull({ sql, type, encode }: Column): Column {
	return { sql: sql.replace(' NOT NULL', ''), type, encode: (value) => (value == null ? null : encode(value)) };
}

function refuse(expected: string, value: unknown): never {
	throw new TypeError(`expected ${expected}, got ${value === null ? 'null' : typeof value}`);
}

const text = column('VARCHAR', VARCHAR, (value) => (typeof value === 'string' ? value : refuse('a text', value)));
const real = column('DOUBLE', DOUBLE, (value) => (typeof value === 'number' ? value : refuse('a number', value)));
const flag = column('BOOLEAN', BOOLEAN, (value) =>
	typeof value === 'boolean' ? value : refuse('true or false', value),
);
const integer = column('BIGINT', BIGINT, (value) =>
	typeof value === 'number' && Number.isSafeInteger(value) ? BigInt(value) : refuse('a whole number', value),
);
const texts = column('VARCHAR[]', LIST(VARCHAR), (value) => list(value, 'string'));
const reals = column('DOUBLE[]', LIST(DOUBLE), (value) => list(value, 'number'));
/** Kept as text: `detail ->> 'hits'` and the like work on it. */
const json = column('VARCHAR', VARCHAR, (value) =>
	typeof value === 'object' && value !== null ? JSON.stringify(value) : refuse('an object or a list', value),
);

function list(value: unknown, of: 'string' | 'number'): DuckDBListValue {
	if (!Array.isArray(value) || !value.every((item) => typeof item === of)) return refuse(`a list of ${of}s`, value);
	return listValue(value);
}

const REQUESTS = {
	request_id: text,
	started_at: integer,
	tenant_id: orNull(text),
	key_id: orNull(text),
	user_id_hash: orNull(text),
	feature: orNull(text),
	release: orNull(text),
	variant: orNull(text),
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
	cost_usd_micros: integer,
	cost_source: orNull(text),
	price_version: orNull(text),
	latency_ms: real,
	time_to_first_token_ms: orNull(real),
	retries: integer,
	cache_hit: text,
	retrieval_collection: orNull(text),
	retrieval_generation: orNull(text),
	retrieval_doc_ids: texts,
	retrieval_scores: reals,
	guard_verdicts: json,
	escalated_from: orNull(text),
	degraded: flag,
	degraded_reason: orNull(text),
	outcome: text,
	error_code: orNull(text),
	finish_reason: orNull(text),
} satisfies Record<keyof Omit<RequestTrace, 'steps'>, Column>;

/**
 * What ties steps and attempts to their request. The request's time stands in every row because DuckDB skips whole row
 * groups by the smallest and largest value of a column: a lookup reads one group and not the table.
 */
const OF_REQUEST = { request_id: text, request_started_at: integer };

const STEPS = {
	...OF_REQUEST,
	seq: integer,
	stage: text,
	started_ms: real,
	latency_ms: real,
	outcome: text,
	error_code: orNull(text),
	detail: json,
} satisfies Record<keyof Omit<StepTrace, 'attempts'> | keyof typeof OF_REQUEST, Column>;

const ATTEMPTS = {
	...OF_REQUEST,
	step_seq: integer,
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
} satisfies Record<keyof AttemptTrace | keyof typeof OF_REQUEST | 'step_seq', Column>;

const TABLES = { requests: REQUESTS, steps: STEPS, attempts: ATTEMPTS } as const;
type TableName = keyof typeof TABLES;
export const TABLE_NAMES = ['requests', 'steps', 'attempts'] as const satisfies TableName[];

/** The statement that creates a table. */
export function createTable(name: TableName): string {
	const columns = Object.entries<Column>(TABLES[name]).map(([column, { sql }]) => `${column} ${sql}`);
	return `CREATE TABLE ${name} (${columns.join(', ')})`;
}

type Members = Readonly<Record<string, unknown>>;

/** Rows of one table, collected by column: that is how DuckDB takes them fastest. */
class Rows {
	readonly types: readonly DuckDBType[];
	readonly columns: DuckDBValue[][];
	readonly #names: readonly string[];
	readonly #encoders: readonly Column[];

	constructor(name: TableName) {
		const columns: Readonly<Record<string, Column>> = TABLES[name];
		this.#names = Object.keys(columns);
		this.#encoders = Object.values(columns);
		this.types = this.#encoders.map(({ type }) => type);
		this.columns = this.#names.map(() => []);
	}

	get count(): number {
		// The last column, so that a row that failed half way does not count.
		return this.columns.at(-1)?.length ?? 0;
	}

	/** @param of members that the row takes from its request or step. */
	push(row: Members, of: Members): void {
		for (let index = 0; index < this.#names.length; index++) {
			const name = this.#names[index] ?? '';
			const value = name in of ? of[name] : row[name];
			try {
				this.columns[index]?.push(this.#encoders[index]?.encode(value) ?? null);
			} catch (thrown) {
				throw new TypeError(`${name}: ${thrown instanceof Error ? thrown.message : thrown}`, { cause: thrown });
			}
		}
	}

	cutTo(count: number): void {
		for (const values of this.columns) values.length = count;
	}
}

/** Traces on their way into the database. */
export class TraceRows {
	readonly tables: Readonly<Record<TableName, Rows>> = {
		requests: new Rows('requests'),
		steps: new Rows('steps'),
		attempts: new Rows('attempts'),
	};

	/** Adds one trace, given as JSON, whole or not at all. Throws TypeError or SyntaxError when it is not a trace. */
	add(text: string): void {
		const { requests, steps, attempts } = this.tables;
		const before = [requests.count, steps.count, attempts.count] as const;
		try {
			const trace = members(JSON.parse(text));
			const of = { request_id: trace.request_id, request_started_at: trace.started_at };
			requests.push(trace, {});
			for (const item of items(trace.steps)) {
				const step = members(item);
				steps.push(step, of);
				const ofStep = { ...of, step_seq: step.seq };
				for (const attempt of items(step.attempts)) attempts.push(members(attempt), ofStep);
			}
		} catch (thrown) {
			requests.cutTo(before[0]);
			steps.cutTo(before[1]);
			attempts.cutTo(before[2]);
			throw thrown;
		}
	}
}

function members(value: unknown): Members {
	return isMembers(value) ? value : refuse('an object', value);
}

function isMembers(value: unknown): value is Members {
	return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function items(value: unknown): readonly unknown[] {
	return Array.isArray(value) ? value : refuse('a list', value);
}
