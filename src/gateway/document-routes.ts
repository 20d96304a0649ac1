import type { FastifyRequest } from 'fastify';
import { z } from 'zod';
import { PUSH_BODY_BYTES_MAX } from '../contracts/source-schema.ts';
import { PlimsollError } from '../spec/errors.ts';
import type { PurgeReceipt, PushedView, PushReceipt, PushResult, PushRun, StoredSource } from '../spec/push.ts';
import { empty, IdsBody, PurgeBody, PushBody, type ReadDocuments, readPurge } from './document-body.ts';
import { checkBody, queryNumber } from './json-body.ts';
import { callerOf, type Exchange, iso, pathParameter, queryParameter, type Route, untilLeft } from './route.ts';

const SOURCE = 'the source of kind push; needed where the collection has several';
const WAIT = {
	wait: 'true: answer when the live generation holds it, at most wait_ms later',
	wait_ms: 'how long to wait at most, 0 to 600000 milliseconds (default 30000 with wait=true)',
};
const ACCEPT = 'true: what the run finds is right, however much differs from what is live';

/** Documents that are sent. */
export const DOCUMENT_ROUTES: readonly Route[] = [
	{
		method: 'POST',
		path: '/admin/collections/{collection}/documents',
		scope: 'ingest',
		traced: false,
		summary:
			'Stores documents and brings them into the index: one, a list, or JSON lines (application/x-ndjson). Answers 202 when they are stored for good, 200 when the live generation holds them; each document has its own result.',
		body: PushBody,
		bodyBytesMax: PUSH_BODY_BYTES_MAX,
		takesLines: true,
		query: { source: SOURCE, ...WAIT, accept: ACCEPT },
		handle: push,
	},
	{
		method: 'GET',
		path: '/admin/collections/{collection}/documents',
		scope: 'ingest',
		traced: false,
		summary: 'The pushed documents of a source by id, each with how it stands: live, pending, quarantined or failed.',
		body: null,
		query: { source: SOURCE, after: 'only ids after this one', limit: 'at most this many, 1 to 1000 (default 100)' },
		handle: list,
	},
	{
		method: 'GET',
		path: '/admin/collections/{collection}/documents/{document}',
		scope: 'ingest',
		traced: false,
		summary: 'One of them; a slash in its id is sent as %2F.',
		body: null,
		query: { source: SOURCE },
		handle: async (exchange) => {
			const id = pathParameter(exchange.request, 'document');
			return viewRow(await exchange.parts.operator.documents.find({ ...orderOf(exchange), id }));
		},
	},
	{
		method: 'DELETE',
		path: '/admin/collections/{collection}/documents/{document}',
		scope: 'ingest',
		traced: false,
		summary: 'Deletes a pushed document; the run that follows takes it out of the index.',
		body: null,
		query: { source: SOURCE, ...WAIT },
		handle: (exchange) => remove(exchange, [pathParameter(exchange.request, 'document')]),
	},
	{
		method: 'POST',
		path: '/admin/collections/{collection}/documents/delete',
		scope: 'ingest',
		traced: false,
		summary: 'Deletes pushed documents by their ids.',
		body: IdsBody,
		query: { source: SOURCE, ...WAIT },
		handle: (exchange) => remove(exchange, checkBody(IdsBody, exchange.request.body).ids),
	},
	{
		method: 'POST',
		path: '/admin/collections/{collection}/documents/purge',
		scope: 'admin',
		traced: false,
		summary:
			'Deletes pushed documents without a trace: from the store, the quarantine, reports of runs, the index and its earlier generations, which all go. Also of a source that left the configuration; of a collection that did, all of a source, and with it all of its index.',
		body: PurgeBody,
		query: { source: SOURCE, ...WAIT },
		handle: purge,
	},
	{
		method: 'GET',
		path: '/admin/documents',
		scope: 'admin',
		traced: false,
		summary: 'The sources of which pushed documents are stored, and whether the configuration names them.',
		body: null,
		handle: async ({ parts }) => ({ sources: (await parts.operator.documents.stored()).map(storedRow) }),
	},
	{
		method: 'GET',
		path: '/admin/collections/{collection}/runs/{run}',
		scope: 'ingest',
		traced: false,
		summary: 'How far a run is that an answer named: queued, running, succeeded, refused, failed or cancelled.',
		body: null,
		handle: async ({ request, parts }) => {
			const run = pathParameter(request, 'run');
			return runStateRow(await parts.operator.documents.run(pathParameter(request, 'collection'), run));
		},
	},
];

async function push(exchange: Exchange): Promise<unknown> {
	const { request, parts } = exchange;
	const { documents, single } = bodyOf(request);
	const accept = queryParameter(request, 'accept') === 'true';
	const order = { ...orderOf(exchange), ...waitOf(exchange), documents, accept };
	const receipt = await parts.operator.documents.push(order);
	if (single) refuseAlone(receipt);
	return answer(exchange, receipt, receiptRow(order.collection, receipt));
}

/** What the route's own parser made of it. */
function bodyOf({ body }: FastifyRequest): ReadDocuments {
	if (body === undefined) throw empty();
	return body as ReadDocuments;
}

/** Whoever sends one document looks at the status alone. */
function refuseAlone({ results: [only] }: PushReceipt): void {
	if (only?.refused) throw new PlimsollError('document_refused', `${only.id}: ${only.refused.reason}.`);
}

async function remove(exchange: Exchange, ids: readonly string[]): Promise<unknown> {
	const order = { ...orderOf(exchange), ...waitOf(exchange), ids };
	const receipt = await exchange.parts.operator.documents.remove(order);
	return answer(exchange, receipt, receiptRow(order.collection, receipt));
}

async function purge(exchange: Exchange): Promise<unknown> {
	const asked = readPurge(exchange.request.body);
	const order = { ...orderOf(exchange), ...waitOf(exchange), ...asked };
	const receipt = await exchange.parts.operator.documents.purge(order, callerOf(exchange));
	return answer(exchange, receipt, purgeRow(order.collection, receipt));
}

function answer({ reply }: Exchange, { isDone }: Pick<PushReceipt, 'isDone'>, body: object): object {
	reply.code(isDone ? 200 : 202);
	return body;
}

const ListQuery = z.object({ limit: queryNumber(1, 1_000) });

async function list(exchange: Exchange): Promise<unknown> {
	const { request, parts } = exchange;
	const { limit } = checkBody(ListQuery, { limit: queryParameter(request, 'limit') ?? '100' });
	const order = orderOf(exchange);
	const after = queryParameter(request, 'after');
	const { documents, next } = await parts.operator.documents.list({ ...order, after, limit });
	return { collection: order.collection, documents: documents.map(viewRow), next };
}

/** Whoever does not manage the server works on the documents of its own tenant. */
function orderOf(exchange: Exchange) {
	const { request } = exchange;
	const { scopes, tenantId } = callerOf(exchange);
	return {
		collection: pathParameter(request, 'collection'),
		source: queryParameter(request, 'source'),
		tenant: scopes.includes('admin') ? null : tenantId,
	};
}

const WaitQuery = z.object({ wait_ms: queryNumber(0, 600_000) });

function waitOf({ request, reply }: Exchange): { waitMs: number; signal: AbortSignal } {
	const byDefault = queryParameter(request, 'wait') === 'true' ? '30000' : '0';
	const { wait_ms: waitMs } = checkBody(WaitQuery, { wait_ms: queryParameter(request, 'wait_ms') ?? byDefault });
	return { waitMs, signal: untilLeft(reply) };
}

export function receiptRow(collection: string, receipt: PushReceipt) {
	const { source, runId, isDone, problem, results } = receipt;
	const refused = results.filter(({ outcome }) => outcome === 'refused').length;
	return { collection, source, run: runId, done: isDone, problem, refused, documents: results.map(resultRow) };
}

function resultRow({ id, outcome, state, refused }: PushResult) {
	return {
		id,
		outcome,
		state: state?.state ?? null,
		kept: state?.kept ?? false,
		code: refused?.code ?? null,
		reasons: refused ? [refused.reason] : (state?.reasons ?? []),
	};
}

export function purgeRow(collection: string, { source, runId, isDone, problem, purged }: PurgeReceipt) {
	return { collection, source, run: runId, done: isDone, problem, purged };
}

export function storedRow({ isConfigured, ...source }: StoredSource) {
	return { ...source, configured: isConfigured };
}

export function viewRow({ pushedAt, ...view }: PushedView) {
	return { ...view, pushed_at: iso(pushedAt) };
}

function runStateRow({ startedAt, endedAt, ...run }: PushRun) {
	return { ...run, started_at: iso(startedAt), ended_at: iso(endedAt) };
}
