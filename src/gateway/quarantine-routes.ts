import { z } from 'zod';
import { PlimsollError } from '../spec/errors.ts';
import { QUARANTINE_STATES, type QuarantineEntry } from '../spec/quarantine.ts';
import { checkBody, queryNumber } from './json-body.ts';
import { type Exchange, pathParameter, queryParameter, type Route } from './route.ts';

/** `POST …/quarantine/retry` and `…/drop`. */
const QuarantineBody = z.strictObject({ ids: z.array(z.string().min(1).max(100)).min(1).max(1_000).nullish() });

/** Documents that did not come in, with the reasons. */
export const QUARANTINE_ROUTES: readonly Route[] = [
	{
		method: 'GET',
		path: '/admin/collections/{collection}/quarantine',
		scope: 'ingest',
		traced: false,
		summary:
			'The documents of a collection that the last run did not take in, with the reasons, and how many there are.',
		body: null,
		query: {
			source: 'only this source',
			state: 'held, retry or dropped (default: all but the dropped ones)',
			limit: 'at most this many, 1 to 10000 (default 100)',
		},
		handle: list,
	},
	{
		method: 'GET',
		path: '/admin/collections/{collection}/quarantine/{entry}',
		scope: 'ingest',
		traced: false,
		summary: 'One of them.',
		body: null,
		async handle(exchange) {
			const collection = knownCollection(exchange);
			const { quarantine } = exchange.parts.operator;
			return entryRow(await quarantine.find(collection, pathParameter(exchange.request, 'entry')));
		},
	},
	{
		method: 'POST',
		path: '/admin/collections/{collection}/quarantine/retry',
		scope: 'ingest',
		traced: false,
		summary: 'Has the next run read documents again that have not changed: those with these ids, or all.',
		body: QuarantineBody,
		handle: (exchange) => mark(exchange, 'retry'),
	},
	{
		method: 'POST',
		path: '/admin/collections/{collection}/quarantine/drop',
		scope: 'ingest',
		traced: false,
		summary:
			'Lets documents stay out without being shown, until they or the rules change: those with these ids, or all.',
		body: QuarantineBody,
		handle: (exchange) => mark(exchange, 'dropped'),
	},
];

const ListQuery = z.object({
	state: z.enum(QUARANTINE_STATES, `expected ${QUARANTINE_STATES.join(', ')}`).nullable(),
	limit: queryNumber(1, 10_000),
});

async function list(exchange: Exchange): Promise<unknown> {
	const { request, parts } = exchange;
	const collection = knownCollection(exchange);
	const asked = checkBody(ListQuery, {
		state: queryParameter(request, 'state'),
		limit: queryParameter(request, 'limit') ?? '100',
	});
	const source = queryParameter(request, 'source');
	const { entries, count } = await parts.operator.quarantine.list({ collection, source, ...asked });
	return { collection, count, documents: entries.map(entryRow) };
}

async function mark(exchange: Exchange, state: 'retry' | 'dropped'): Promise<unknown> {
	const collection = knownCollection(exchange);
	const { ids } = checkBody(QuarantineBody, exchange.request.body ?? {});
	return { collection, documents: await exchange.parts.operator.quarantine.mark(collection, ids ?? null, state) };
}

function knownCollection({ request, parts }: Exchange): string {
	const asked = pathParameter(request, 'collection');
	if (parts.operator.retriever.status().some(({ collection }) => collection === asked)) return asked;
	throw new PlimsollError('collection_not_found', `No collection is named "${asked.slice(0, 100)}".`);
}

/** An entry as clients see it. */
export function entryRow(entry: QuarantineEntry) {
	const { id, collection, source, document, kind, reasons, contentHash, runId, firstAt, lastAt, kept, state } = entry;
	return {
		id,
		collection,
		source,
		document,
		kind,
		reasons,
		content_hash: contentHash,
		run_id: runId,
		first_at: new Date(firstAt).toISOString(),
		last_at: new Date(lastAt).toISOString(),
		kept,
		state,
	};
}
