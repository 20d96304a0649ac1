import { z } from 'zod';
import { PlimsollError } from '../spec/errors.ts';
import type { CheckResult, GenerationRecord, PointerMove, VerificationReport } from '../spec/generations.ts';
import type { Difference, GenerationDiff, RebuildEstimate } from '../spec/index-admin.ts';
import { ingestRoute } from './ingest-route.ts';
import { checkBody } from './json-body.ts';
import { callerOf, type Exchange, iso, type PlainRoute, pathParameter, queryParameter, untilLeft } from './route.ts';

const WHY = z.string().trim().min(1).max(500);
const PromoteBody = z.strictObject({ why: WHY });
const RollbackBody = z.strictObject({ why: WHY, generation: z.string().min(1).max(200).nullable().default(null) });

/** The generations of a collection's index. */
export const INDEX_ROUTES: readonly PlainRoute[] = [
	{
		method: 'GET',
		path: '/admin/collections/{collection}/generations',
		scope: 'read',
		traced: false,
		summary: 'A collection’s index generations, newest first, whatever became of them, and every move of its pointer.',
		body: null,
		handle: async (exchange) => listReply(await exchange.parts.operator.index.list(collectionOf(exchange))),
	},
	{
		method: 'GET',
		path: '/admin/collections/{collection}/generations/{generation}',
		scope: 'read',
		traced: false,
		summary: 'One generation: its manifest, statistics and checks.',
		body: null,
		handle: async (exchange) =>
			generationReply(await exchange.parts.operator.index.show(collectionOf(exchange), generationOf(exchange))),
	},
	{
		method: 'GET',
		path: '/admin/collections/{collection}/generations/{generation}/diff',
		scope: 'ingest',
		traced: false,
		summary: 'What a later generation has that this one has not: documents, embedder, chunker, fields, statistics.',
		body: null,
		query: { to: 'the other generation (required)' },
		handle: diff,
	},
	{
		method: 'POST',
		path: '/admin/collections/{collection}/generations/{generation}/verify',
		scope: 'ingest',
		traced: false,
		summary: 'Runs the checks of a generation again and keeps what they found.',
		body: null,
		handle: verify,
	},
	{
		method: 'POST',
		path: '/admin/collections/{collection}/generations/{generation}/promote',
		scope: 'admin',
		traced: false,
		summary:
			'Makes a generation live whose checks failed, or that was live before; who and why are kept. Refused where its files are damaged or its embedder is another one.',
		body: PromoteBody,
		handle: promote,
	},
	{
		method: 'POST',
		path: '/admin/collections/{collection}/generations/rollback',
		scope: 'admin',
		traced: false,
		summary: 'Goes back to the generation that was live before, or to the one that is named; who and why are kept.',
		body: RollbackBody,
		handle: rollBack,
	},
	{
		method: 'POST',
		path: '/admin/collections/{collection}/generations/gc',
		scope: 'admin',
		traced: false,
		summary:
			'Removes generations beyond those that are kept, what broken-off builds left, and tables that nothing needs.',
		body: null,
		handle: collect,
	},
	{
		method: 'GET',
		path: '/admin/collections/{collection}/rebuild',
		scope: 'ingest',
		traced: false,
		summary: 'What building the collection from nothing would take: documents, tokens, cost in micro-dollars, seconds.',
		body: null,
		handle: async (exchange) => estimateReply(await exchange.parts.operator.index.estimate(collectionOf(exchange))),
	},
	{
		method: 'POST',
		path: '/admin/collections/{collection}/rebuild',
		scope: 'ingest',
		traced: false,
		summary:
			'Builds the collection from nothing beside the live index, or goes on with such a build. Answers as the ingestion does.',
		body: null,
		query: { accept: 'true: what is found is right, however much is gone, failed or does not fit' },
		handle: ingestRoute({ fresh: true }),
	},
];

function collectionOf({ request }: Exchange): string {
	return pathParameter(request, 'collection');
}

function generationOf({ request }: Exchange): string {
	return pathParameter(request, 'generation');
}

async function diff(exchange: Exchange): Promise<unknown> {
	const to = queryParameter(exchange.request, 'to');
	if (to === null || to === '') {
		throw new PlimsollError('request_invalid', 'to: expected the name of the other generation.', { param: 'to' });
	}
	return diffReply(await exchange.parts.operator.index.diff(collectionOf(exchange), generationOf(exchange), to));
}

async function verify(exchange: Exchange): Promise<unknown> {
	const { index } = exchange.parts.operator;
	return verificationReply(
		await index.verify(collectionOf(exchange), generationOf(exchange), untilLeft(exchange.reply)),
	);
}

async function promote(exchange: Exchange): Promise<unknown> {
	const { why } = checkBody(PromoteBody, exchange.request.body);
	const order = {
		collection: collectionOf(exchange),
		generation: generationOf(exchange),
		why,
		signal: untilLeft(exchange.reply),
	};
	return moveReply(await exchange.parts.operator.index.promote(order, callerOf(exchange)));
}

async function rollBack(exchange: Exchange): Promise<unknown> {
	const asked = checkBody(RollbackBody, exchange.request.body);
	const order = { ...asked, collection: collectionOf(exchange), signal: untilLeft(exchange.reply) };
	return moveReply(await exchange.parts.operator.index.rollBack(order, callerOf(exchange)));
}

function collect(exchange: Exchange): Promise<unknown> {
	return exchange.parts.operator.index.collect(collectionOf(exchange), untilLeft(exchange.reply));
}

export function listReply(list: { generations: readonly GenerationRecord[]; moves: readonly PointerMove[] }) {
	return { generations: list.generations.map(summaryReply), moves: list.moves.map(moveReply) };
}

function summaryReply(record: GenerationRecord) {
	return {
		collection: record.collection,
		sequence: record.sequence,
		generation: record.generation,
		state: record.state,
		documents: record.documents,
		chunks: record.chunks,
		run: record.runId,
		table: record.table,
		reason: record.reason,
		created_at: iso(record.createdAt),
		verified_at: iso(record.verifiedAt),
		promoted_at: iso(record.promotedAt),
		retired_at: iso(record.retiredAt),
		removed_at: iso(record.removedAt),
	};
}

export function generationReply(record: GenerationRecord) {
	const { manifest, statistics, verification } = record;
	return {
		...summaryReply(record),
		manifest,
		statistics,
		verification: verification && verificationReply(verification),
	};
}

export function verificationReply({ at, passed, checks }: VerificationReport) {
	return { at: iso(at), passed, checks: checks.map((check: CheckResult) => ({ ...check })) };
}

export function moveReply({ at, ...move }: PointerMove) {
	return { at: iso(at), ...move };
}

export function diffReply({ settings, ...rest }: GenerationDiff) {
	return { ...rest, settings: settings.map(differenceReply) };
}

/** JSON has no undefined: what one side does not have is null. */
function differenceReply({ path, left = null, right = null }: Difference) {
	return { path, left, right };
}

export function estimateReply({ costMicros, priceUnknown, ...estimate }: RebuildEstimate) {
	return { ...estimate, cost_micros: costMicros, price_unknown: priceUnknown };
}
