import type { DuckDBConnection, DuckDBValue } from '@duckdb/node-api';
import { z } from 'zod';
import { PlimsollError } from '../spec/errors.ts';
import type { FeatureStats, RequestTrace, TraceFilter } from '../spec/trace.ts';
import { featureStats, type RequestSummary, requestSummary, requestTrace } from './trace-schema.ts';

export type StatsFilter = Omit<TraceFilter, 'limit'> & { readonly sinceMs: number };

/** How far an id's time and its request's `started_at` may be apart: they are read from one clock, moments apart. */
const ID_TIME_SLACK_MS = 60_000;

const row = z.record(z.string(), z.unknown());
type Row = z.infer<typeof row>;

/** One request with its steps and attempts; null when unknown or, with a tenant, of another one. */
export async function findTrace(
	connection: DuckDBConnection,
	requestId: string,
	tenantId: string | null,
): Promise<RequestTrace | null> {
	const request = (await nearIdTime(connection, requestId)) ?? (await requestRows(connection, requestId, ''))[0];
	if (!request || (tenantId !== null && request.tenant_id !== tenantId)) return null;
	const of = [requestId, BigInt(Number(request.started_at))];
	const rowsOf = (table: 'steps' | 'attempts', order: string) =>
		read(connection, `SELECT * FROM ${table} WHERE request_id = $1 AND request_started_at = $2 ORDER BY ${order}`, of);
	const attempts = Map.groupBy(await rowsOf('attempts', 'step_seq, seq'), ({ step_seq }) => step_seq);
	const steps = (await rowsOf('steps', 'seq')).map((step) => ({
		...step,
		detail: fromJson(step.detail),
		attempts: attempts.get(step.seq) ?? [],
	}));
	return check(requestTrace, { ...request, steps });
}

/** The newest requests first, without their steps. */
export async function recentRequests(
	connection: DuckDBConnection,
	{ tenantId, feature, limit }: TraceFilter,
): Promise<RequestSummary[]> {
	const rows = await read(
		connection,
		`SELECT * FROM requests WHERE ($1 IS NULL OR tenant_id = $1) AND ($2 IS NULL OR feature = $2)
		ORDER BY started_at DESC, request_id DESC LIMIT $3`,
		[tenantId, feature, BigInt(Math.max(0, Math.trunc(limit)))],
	);
	return check(z.array(requestSummary), rows.map(summary));
}

/** What features did since an instant, by name. Requests of bare upstreams have no feature and are not counted. */
export async function statsByFeature(
	connection: DuckDBConnection,
	{ tenantId, feature, sinceMs }: StatsFilter,
): Promise<FeatureStats[]> {
	const rows = await read(
		connection,
		`SELECT feature, count(*) AS requests, count(*) FILTER (outcome = 'failed') AS failed,
			count(*) FILTER (degraded) AS degraded,
			sum(retries)::BIGINT AS retries, count(*) FILTER (client_retries > 0) AS client_retries,
			quantile_cont(latency_ms, 0.5) AS latency_ms_p50, quantile_cont(latency_ms, 0.95) AS latency_ms_p95,
			quantile_cont(time_to_first_token_ms, 0.95) AS time_to_first_token_ms_p95,
			sum(cost_usd_micros)::BIGINT AS cost_usd_micros
		FROM requests
		WHERE feature IS NOT NULL AND started_at >= $3 AND ($1 IS NULL OR tenant_id = $1) AND ($2 IS NULL OR feature = $2)
		GROUP BY feature ORDER BY feature`,
		[tenantId, feature, BigInt(Math.trunc(sinceMs))],
	);
	return check(z.array(featureStats), rows);
}

/** Looks where an id of ours says that it was made, so that a lookup among years of traces reads one row group. */
async function nearIdTime(connection: DuckDBConnection, requestId: string): Promise<Row | undefined> {
	const at = timeOf(requestId);
	if (at === null) return undefined;
	const near = `AND started_at BETWEEN ${at - ID_TIME_SLACK_MS} AND ${at + ID_TIME_SLACK_MS}`;
	return (await requestRows(connection, requestId, near))[0];
}

async function requestRows(connection: DuckDBConnection, requestId: string, near: string): Promise<Row[]> {
	const sql = `SELECT * FROM requests WHERE request_id = $1 ${near} LIMIT 1`;
	return (await read(connection, sql, [requestId])).map(summary);
}

/** The instant in an id of base/ids: 10 digits of Crockford's base 32. Null when it has another form. */
function timeOf(requestId: string): number | null {
	const digits = /^req_([0-9a-hjkmnp-tv-z]{10})[0-9a-hjkmnp-tv-z]{16}$/.exec(requestId)?.[1];
	if (!digits) return null;
	let at = 0;
	for (const digit of digits) at = at * 32 + '0123456789abcdefghjkmnpqrstvwxyz'.indexOf(digit);
	return Number.isSafeInteger(at) ? at : null;
}

/**
 * Rows by way of DuckDB's JSON: the client's own reader drops a byte order mark at the start of a text, and hands out
 * counts as BigInt.
 */
async function read(connection: DuckDBConnection, sql: string, values: DuckDBValue[]): Promise<Row[]> {
	const reader = await connection.runAndReadAll(`SELECT to_json(r)::VARCHAR FROM (${sql}) AS r`, values);
	return reader.getRows().map(([text]) => row.parse(fromJson(text)));
}

function summary(request: Row): Row {
	const { flags, flag_reasons, guard_verdicts } = request;
	return {
		...request,
		guard_verdicts: fromJson(guard_verdicts),
		flags: fromJson(flags ?? '{}'),
		flag_reasons: fromJson(flag_reasons ?? '{}'),
	};
}

function fromJson(value: unknown): unknown {
	try {
		return JSON.parse(String(value));
	} catch (thrown) {
		throw new PlimsollError('storage_failed', 'The trace store holds a value that is not JSON.', { cause: thrown });
	}
}

function check<T>(schema: z.ZodType<T>, value: unknown): T {
	const parsed = schema.safeParse(value);
	if (parsed.success) return parsed.data;
	throw new PlimsollError(
		'storage_failed',
		`The trace store holds a row that is not valid: ${z.prettifyError(parsed.error)}`,
		{
			cause: parsed.error,
		},
	);
}
