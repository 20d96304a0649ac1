import { z } from 'zod';
import { CANARY_RUN_KINDS, type CanaryRun, type CanarySuggestions, type CollectionHealth } from '../spec/canaries.ts';
import { checkBody, queryNumber } from './json-body.ts';
import { callerOf, type Exchange, iso, pathParameter, queryParameter, type Route, untilLeft } from './route.ts';

/** How many canaries are suggested at once. */
const SUGGESTIONS_MAX = 200;
const COUNT = `expected a whole number from 1 to ${SUGGESTIONS_MAX}`;
const SEED_MAX = 2 ** 32 - 1;
const SEED = `expected a whole number from 0 to ${SEED_MAX}`;
const SuggestBody = z.strictObject({
	count: z.int(COUNT).min(1, COUNT).max(SUGGESTIONS_MAX, COUNT).default(20),
	seed: z.int(SEED).min(0, SEED).max(SEED_MAX, SEED).default(0),
	/** Whose rated questions come first; left out: those of the caller's own tenant; null: nobody's. */
	tenant: z.string('expected the name of a tenant, or null').max(63).nullish(),
});

/** Queries with known answers: how indexes stand with them, and running them. */
export const CANARY_ROUTES: readonly Route[] = [
	{
		method: 'GET',
		path: '/admin/canaries',
		scope: 'admin',
		traced: false,
		summary: 'How each collection’s live index stands with its canaries, and their last run.',
		body: null,
		handle: ({ parts }) => ({ collections: parts.operator.collectionHealth().map(healthRow) }),
	},
	{
		method: 'GET',
		path: '/admin/canaries/runs',
		scope: 'admin',
		traced: false,
		summary: 'Runs of canaries that are on record, newest first.',
		body: null,
		query: {
			collection: 'only of this one',
			kind: `only of this kind: ${CANARY_RUN_KINDS.join(', ')}`,
			limit: 'at most this many, 1 to 1000 (default 30)',
		},
		handle: listRuns,
	},
	{
		method: 'POST',
		path: '/admin/collections/{collection}/canaries/run',
		scope: 'admin',
		traced: false,
		summary: 'Runs all canaries of a collection now, and answers with what they came to.',
		body: null,
		handle: run,
	},
	{
		method: 'POST',
		path: '/admin/collections/{collection}/canaries/accept',
		scope: 'admin',
		traced: false,
		summary: 'Runs all canaries, and takes their outcomes as what later runs are compared with.',
		body: null,
		handle: async (exchange) =>
			runRow(
				await exchange.parts.operator.acceptCanaries(pathParameter(exchange.request, 'collection'), callerOf(exchange)),
			),
	},
	{
		method: 'POST',
		path: '/admin/collections/{collection}/canaries/suggest',
		scope: 'admin',
		traced: false,
		summary:
			'Proposes canaries from well-rated questions of one tenant and from the documents of the live index, for a person to confirm; changes nothing.',
		body: SuggestBody,
		handle: suggest,
	},
];

const RunsQuery = z.object({
	kind: z.enum(CANARY_RUN_KINDS, `expected one of ${CANARY_RUN_KINDS.join(', ')}`).nullable(),
	limit: queryNumber(1, 1_000),
});

async function listRuns({ request, parts }: Exchange): Promise<unknown> {
	const ask = checkBody(RunsQuery, {
		kind: queryParameter(request, 'kind'),
		limit: queryParameter(request, 'limit') ?? '30',
	});
	const runs = await parts.operator.listCanaryRuns({ collection: queryParameter(request, 'collection'), ...ask });
	return { runs: runs.map(runRow) };
}

async function run({ request, reply, parts }: Exchange): Promise<unknown> {
	const signal = untilLeft(reply);
	return runRow(await parts.operator.runCanaries(pathParameter(request, 'collection'), { signal }));
}

async function suggest(exchange: Exchange): Promise<unknown> {
	const { request, reply, parts } = exchange;
	const { tenant = callerOf(exchange).tenantId, ...rest } = checkBody(SuggestBody, request.body ?? {});
	const ask = { ...rest, tenant, signal: untilLeft(reply) };
	return suggestionsRow(await parts.operator.suggestCanaries(pathParameter(request, 'collection'), ask));
}

/** Suggestions as clients see them; `canary` is a line of canaries.jsonl. */
export function suggestionsRow({ suggestions, isCutShort, traffic, ...rest }: CanarySuggestions) {
	return {
		...rest,
		cut_short: isCutShort,
		traffic: traffic && { tenant: traffic.tenantId, questions: traffic.questions, unused: traffic.unused },
		suggestions: suggestions.map(({ id, query, documents, source, tenant, title, method, rank, traffic: from }) => ({
			canary: { id, query, documents, ...(source !== null && { source }), ...(tenant !== null && { tenant }) },
			title,
			method,
			rank,
			traffic: from && { tenant: from.tenantId, request_id: from.requestId, up: from.up, down: from.down },
		})),
	};
}

/** A run as clients see it. */
export function runRow(run: CanaryRun) {
	const { comparison } = run;
	return {
		collection: run.collection,
		kind: run.kind,
		at: iso(run.at),
		generation: run.generation,
		queries: run.queries,
		unanswered: run.unanswered,
		degraded: run.degraded,
		recall: run.recall,
		mrr: run.mrr,
		verdict: run.verdict,
		why: run.why,
		missed: run.missed,
		comparison: comparison && {
			baseline: comparison.baseline,
			common: comparison.common,
			lost: comparison.lost,
			gained: comparison.gained,
			recall_p: comparison.recallP,
			mrr_drop: comparison.mrrDrop,
			mrr_p: comparison.mrrP,
			dropped: comparison.dropped,
		},
		approximate_recall: run.approximateRecall,
	};
}

/** How a collection stands, as clients see it. */
export function healthRow({ collection, status, required, why, lastRun }: CollectionHealth) {
	return { collection, status, required, why, last_run: lastRun && runRow(lastRun) };
}
