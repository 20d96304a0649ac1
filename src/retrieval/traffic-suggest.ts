import type { Clock } from '../base/clock.ts';
import { sha256Of } from '../base/hash.ts';
import type { CanarySet } from '../contracts/canary-set.ts';
import { ratingOf } from '../policy/rating.ts';
import {
	type CanarySuggestion,
	type RatedTraffic,
	TRAFFIC_REASONS,
	type TrafficReason,
	type TrafficReport,
} from '../spec/canaries.ts';
import type { Feedback } from '../spec/feedback.ts';
import type { Hit, Retriever } from '../spec/retrieval.ts';
import { wordsOf } from './canary-query.ts';
import { flat, type TakenQueries } from './taken-queries.ts';

/** Of a question in the id of its canary. */
const SLUG_CHARS_MAX = 40;
/** Documents that one canary names at most. */
const DOCUMENTS_MAX = 5;

interface TrafficAsk extends RatedTraffic {
	readonly set: CanarySet;
	readonly taken: TakenQueries;
	readonly count: number;
	/** On the monotonic clock. */
	readonly deadline: number;
	readonly signal: AbortSignal;
	/** Whether the collection says who may find what: then a tenant's question is asked in its name. */
	readonly isRestricted: boolean;
}

/** What was said of one question, however often it was asked; the newest rating first. */
interface Asked {
	readonly question: string;
	readonly ups: readonly Feedback[];
	readonly downs: number;
}

/**
 * Proposes canaries from questions of one tenant that were rated up more often than down. Each is asked again, and kept when
 * the search finds what the rater named, or else a passage that the answer rested on.
 */
export async function suggestFromTraffic(
	{ retriever, clock }: { readonly retriever: Pick<Retriever, 'search'>; readonly clock: Clock },
	ask: TrafficAsk,
): Promise<{ suggestions: CanarySuggestion[]; report: TrafficReport }> {
	const { ratings, tenantId, taken, count, deadline, signal } = ask;
	const unused = Object.fromEntries(TRAFFIC_REASONS.map((reason) => [reason, 0])) as Record<TrafficReason, number>;
	const suggestions: CanarySuggestion[] = [];
	let questions = 0;
	for (const asked of grouped(ratings)) {
		signal.throwIfAborted();
		if (suggestions.length >= count || clock.monotonic() > deadline) break;
		questions++;
		const made = await suggestion(retriever, asked, ask);
		if (typeof made === 'string') unused[made]++;
		else {
			taken.add(made.query, made.documents);
			suggestions.push(made);
		}
	}
	return { suggestions, report: { tenantId, questions, unused } };
}

async function suggestion(
	retriever: Pick<Retriever, 'search'>,
	{ question, ups, downs }: Asked,
	{ set, taken, tenantId, isRestricted, signal }: TrafficAsk,
): Promise<CanarySuggestion | TrafficReason> {
	const [newest] = ups;
	if (newest === undefined || ups.length <= downs) return 'disputed';
	if (taken.holdsQuery(question)) return 'repeated';
	const { hits } = await retriever.search({
		...{ collection: set.collection, query: question, k: set.checks.k, mode: null, filter: null, signal },
		caller: isRestricted ? { tenantId, user: null, groups: [] } : 'operator',
	});
	const answers = answersIn(hits, ups);
	const [first] = answers;
	if (first === undefined) return 'not_found';
	const sources = new Set(answers.map(({ source }) => source));
	return {
		id: idOf(question),
		query: question,
		documents: [...new Set(answers.map(({ documentId }) => documentId))].slice(0, DOCUMENTS_MAX),
		source: sources.size === 1 ? first.source : null,
		tenant: isRestricted ? tenantId : null,
		title: first.title,
		method: 'traffic',
		rank: first.rank,
		traffic: { tenantId, requestId: newest.requestId, up: ups.length, down: downs },
	};
}

/** What was found of what raters named; where they named nothing, of the passages of their answers the one that counts most. */
function answersIn(hits: readonly Hit[], ups: readonly Feedback[]): Hit[] {
	const named = new Set(ups.flatMap(({ passages }) => passages));
	if (named.size > 0) return hits.filter(({ chunkId, documentId }) => named.has(chunkId) || named.has(documentId));
	for (const { chunks } of ups) {
		const hit = chunks.flatMap((id) => hits.find(({ chunkId }) => chunkId === id) ?? [])[0];
		if (hit) return [hit];
	}
	return [];
}

function grouped(ratings: readonly Feedback[]): Asked[] {
	const byQuestion = Map.groupBy(ratings, ({ question }) => flat(question ?? ''));
	return [...byQuestion.values()].map((all) => ({
		question: (all[0]?.question ?? '').trim(),
		ups: all.filter(({ score }) => ratingOf(score) === 'up'),
		downs: all.filter(({ score }) => ratingOf(score) === 'down').length,
	}));
}

/** The same for the same question, so that a file never holds two suggestions of it. */
function idOf(question: string): string {
	const slug = wordsOf(question)
		.join('-')
		.replace(/[^a-z0-9-]+/g, '')
		.slice(0, SLUG_CHARS_MAX)
		.replace(/^-+|-+$/g, '');
	return `${slug || 'question'}-${sha256Of([flat(question)]).slice(0, 8)}`;
}
