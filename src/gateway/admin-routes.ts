import { z } from 'zod';
import type { LimitRow } from '../runtime/limit-report.ts';
import { PlimsollError } from '../spec/errors.ts';
import type { Caller } from '../spec/identity.ts';
import type { LimitName } from '../spec/shared-state.ts';
import { ADMISSION_ROUTES } from './admission-routes.ts';
import { ALERT_ROUTES } from './alert-routes.ts';
import { CANARY_ROUTES } from './canary-routes.ts';
import { DESCRIPTION_ROUTES } from './description-routes.ts';
import { DOCUMENT_ROUTES } from './document-routes.ts';
import { EMBEDDER_ROUTES } from './embedder-routes.ts';
import { FEEDBACK_ROUTES, feedbackRow } from './feedback-routes.ts';
import { FLAG_ROUTES } from './flag-routes.ts';
import { INDEX_ROUTES } from './index-routes.ts';
import { ingestRoute } from './ingest-route.ts';
import { checkBody, queryNumber } from './json-body.ts';
import { KEY_ROUTES } from './key-routes.ts';
import { METRICS_ROUTES } from './metrics-routes.ts';
import { QUARANTINE_ROUTES } from './quarantine-routes.ts';
import { callerOf, type Exchange, pathParameter, queryParameter, type Route } from './route.ts';
import { UPSTREAM_ROUTES } from './upstream-routes.ts';

const DAY_MS = 86_400_000;
/** Of one request: more than users who see one answer. */
const RATINGS_MAX = 100;

/** The admin surface and the open probes. */
export const ADMIN_ROUTES: readonly Route[] = [
	{
		method: 'GET',
		path: '/admin/traces/{request_id}',
		scope: 'read',
		traced: false,
		summary:
			'One request’s whole trace: its steps, its attempts, and how it was rated. A key with the scope admin sees every tenant’s.',
		body: null,
		handle: findTrace,
	},
	{
		method: 'GET',
		path: '/admin/traces',
		scope: 'read',
		traced: false,
		summary: 'The latest requests, newest first, without steps; and how each feature did in the last day.',
		body: null,
		query: { feature: 'only this feature', limit: 'at most this many, 1 to 500 (default 20)' },
		handle: listTraces,
	},
	{
		method: 'POST',
		path: '/admin/collections/{collection}/ingest',
		scope: 'ingest',
		traced: false,
		summary: 'Ingests a collection’s sources. Answers with lines of JSON: progress, then the report or an error.',
		body: null,
		query: { accept: 'true: what is found is right, however much is gone, failed or does not fit' },
		handle: ingestRoute({ fresh: false }),
	},
	{
		method: 'GET',
		path: '/admin/collections',
		scope: 'read',
		traced: false,
		summary: 'Every collection with its live generation and counts.',
		body: null,
		handle: ({ parts }) => ({ collections: parts.operator.retriever.status() }),
	},
	{
		method: 'GET',
		path: '/admin/collections/{collection}/partitions',
		scope: 'admin',
		traced: false,
		summary:
			'The partitions of a collection that were searched of late, the busiest first: what runs and waits, what was refused, how long searches take, and which are hot.',
		body: null,
		handle: showPartitions,
	},
	{
		method: 'GET',
		path: '/admin/limits',
		scope: 'read',
		traced: false,
		summary:
			'The configured limits with what is used, reserved and left, costs in micro-dollars. A key with the scope admin sees every tenant’s.',
		body: null,
		handle: async (exchange) => ({
			limits: (await exchange.parts.operator.limits(tenantSeenBy(callerOf(exchange)))).map(limitRow),
		}),
	},
	...DESCRIPTION_ROUTES,
	...INDEX_ROUTES,
	...FLAG_ROUTES,
	...ADMISSION_ROUTES,
	...ALERT_ROUTES,
	...FEEDBACK_ROUTES,
	...QUARANTINE_ROUTES,
	...DOCUMENT_ROUTES,
	...CANARY_ROUTES,
	...KEY_ROUTES,
	...UPSTREAM_ROUTES,
	...EMBEDDER_ROUTES,
	...METRICS_ROUTES,
	{
		method: 'GET',
		path: '/healthz',
		scope: null,
		traced: false,
		summary: 'Whether the process is up.',
		body: null,
		handle: ({ parts }) => ({ status: 'ok', version: parts.version }),
	},
	{
		method: 'GET',
		path: '/readyz',
		scope: null,
		traced: false,
		summary:
			'Whether requests can be answered: every collection that a feature needs has a live index that is not empty and passes its known-answer checks, and the shared state answers or requests pass without it. 503 until then, and while the server stops.',
		body: null,
		handle: ready,
	},
];

async function findTrace(exchange: Exchange): Promise<unknown> {
	const { request, parts } = exchange;
	const id = pathParameter(request, 'request_id');
	const trace = await parts.operator.traces.find(id, tenantSeenBy(callerOf(exchange)));
	if (!trace)
		throw new PlimsollError('trace_not_found', `No trace with the id "${id.slice(0, 100)}" is stored for this key.`);
	// Whoever sees the request sees what was said of it.
	const feedback = await parts.operator.feedback.list({
		...{ tenantId: trace.tenant_id, requestId: trace.request_id, feature: null, rating: null, limit: RATINGS_MAX },
	});
	return { ...trace, feedback: feedback.map(feedbackRow) };
}

const ListQuery = z.object({ limit: queryNumber(1, 500) });

async function listTraces(exchange: Exchange): Promise<unknown> {
	const { request, parts } = exchange;
	const { limit } = checkBody(ListQuery, { limit: queryParameter(request, 'limit') ?? '20' });
	const filter = { tenantId: tenantSeenBy(callerOf(exchange)), feature: queryParameter(request, 'feature') };
	const [requests, stats] = await Promise.all([
		parts.operator.traces.recent({ ...filter, limit }),
		parts.operator.traces.stats({ ...filter, sinceMs: parts.clock.now() - DAY_MS }),
	]);
	return { requests, stats };
}

function ready({ reply, parts }: Exchange): unknown {
	const { ready: isReady, waitingFor, reasons, sharedState, idempotency } = parts.operator.readiness();
	reply.code(isReady ? 200 : 503);
	const { backend, status, onFailure, unsettled } = sharedState;
	return {
		status: isReady ? 'ready' : 'not_ready',
		waiting_for: waitingFor,
		collections: reasons,
		shared_state: { backend, status, on_failure: onFailure, unsettled },
		idempotency: { status: idempotency.status, on_failure: idempotency.onFailure },
	};
}

const UNITS = {
	requests_per_minute: 'requests',
	tokens_per_minute: 'tokens',
	concurrent_requests: 'requests',
	cost_usd_per_day: 'micro_usd',
	cost_usd_per_month: 'micro_usd',
} as const satisfies Record<LimitName, string>;

/** A limit as clients see it. */
export function limitRow({ tenantId, scope, limit, max, usage }: LimitRow) {
	return {
		tenant: tenantId,
		scope,
		limit,
		unit: UNITS[limit],
		max,
		used: usage?.settled ?? null,
		reserved: usage?.reserved ?? null,
		left: usage?.left ?? null,
	};
}

/** Null for an operator, who sees all tenants. */
function tenantSeenBy(caller: Caller): string | null {
	return caller.scopes.includes('admin') ? null : caller.tenantId;
}

function showPartitions({ request, parts }: Exchange): unknown {
	const collection = pathParameter(request, 'collection');
	const partitions = parts.operator.retriever.partitions?.(collection) ?? [];
	return {
		collection,
		hot: partitions.filter(({ hot }) => hot).map(({ partition }) => partition),
		partitions: partitions.map(({ latencyMsP50, latencyMsP99, ...row }) => ({
			...row,
			latency_ms_p50: latencyMsP50,
			latency_ms_p99: latencyMsP99,
		})),
	};
}
