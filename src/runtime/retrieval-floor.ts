import type { Clock } from '../base/clock.ts';
import type { Contract, FloorStep } from '../contracts/release.ts';
import { HITS_MAX } from '../contracts/retrieval-schema.ts';
import { PlimsollError } from '../spec/errors.ts';
import type { Model } from '../spec/model.ts';
import type { PromptInput } from '../spec/prompt.ts';
import type { Hit, Retriever, SearchRequest, SearchResult } from '../spec/retrieval.ts';
import { bindFilters } from './bind-filters.ts';
import type { GenerationParts } from './generation-plan.ts';
import { NoHelp } from './helper-call.ts';
import type { RequestContext, StepNotes } from './request-context.ts';
import { rewriteQuery } from './rewrite-query.ts';
import { searchWithin } from './search-within.ts';

/** What `widen_k` multiplies k by. */
const WIDENING = 4;
/** A search in less time finds nothing, milliseconds. */
const SEARCH_MS_MIN = 5;

export interface FloorParts extends GenerationParts {
	readonly retriever: Retriever;
	readonly clock: Clock;
}

interface Ask {
	readonly contract: Contract;
	readonly retrieval: NonNullable<Contract['retrieval']>;
	readonly helper: Model | null;
	readonly input: Omit<PromptInput, 'passages'>;
	/** When retrieval must have ended, milliseconds since the request entered. */
	readonly endsMs: number;
}

/** What a search found, without what is below the floor of scores. */
interface Look {
	readonly result: SearchResult;
	readonly hits: readonly Hit[];
}

export interface Found extends Look {
	/** The way that gave these hits; null: the first search did. */
	readonly by: FloorStep | null;
}

/**
 * Searches, and searches again in the contract's further ways, in their order and within retrieval's share of the deadline,
 * until as many passages as the contract needs are above the floor. What was tried stands in the step's notes. The most that
 * any way found is returned, however little. Throws what the first search failed with when no way found anything.
 */
export async function findAboveFloor(
	context: RequestContext,
	ask: Ask,
	{ parts, notes }: { parts: FloorParts; notes: StepNotes },
): Promise<Found> {
	const { retrieval, input, endsMs } = ask;
	const where = bindFilters(retrieval.filters, input.variables);
	if (where !== null) notes.detail.filtered = where.all.length;
	const tried: string[] = [];
	let best: Found | null = null;
	const search = async (by: FloorStep | null, change: Partial<SearchRequest> = {}) => {
		const { collection, k, mode } = retrieval;
		const msMax = endsMs - context.elapsedMs();
		const { costMicrosMax } = ask.contract.budget;
		const request = { collection, query: input.question, k, mode, filter: null, where, ...change };
		const result = await searchWithin(context, request, { ...parts, msMax, costMicrosMax, notes });
		const hits = aboveFloor(result, by, retrieval);
		if (by !== null) tried.push(`${by}: ${hits.length}`);
		if (best === null || hits.length > best.hits.length) best = { result, hits, by };
	};
	const first = await orFailure(context, () => search(null));
	for (const way of retrieval.floor) {
		if (isEnough(best, retrieval)) break;
		if (endsMs - context.elapsedMs() < SEARCH_MS_MIN) {
			tried.push(`${way}: no time left`);
			continue;
		}
		const failure = await orFailure(context, async () => {
			if (way === 'widen_k') await search(way, { k: Math.min(HITS_MAX, retrieval.k * WIDENING), widened: true });
			else if (way === 'lexical') await search(way, { mode: 'lexical' });
			else await search(way, { query: await rewriteQuery(context, ask, { parts, notes }) });
		});
		if (failure !== null) tried.push(`${way}: ${failure instanceof NoHelp ? failure.message : failure.code}`);
	}
	if (tried.length > 0) notes.detail.floor = tried.join(', ');
	if (best === null) throw first;
	return best;
}

export function isEnough(found: Pick<Look, 'hits'> | null, { hitsMin }: NonNullable<Contract['retrieval']>): boolean {
	return found !== null && found.hits.length >= hitsMin;
}

/** Scores of BM25 alone have another scale than those that were wanted. */
function aboveFloor(
	{ hits, mode, answered }: SearchResult,
	by: FloorStep | null,
	{ scoreMin, lexicalScoreMin }: NonNullable<Contract['retrieval']>,
): readonly Hit[] {
	const isInstead = by === 'lexical' || (answered === 'lexical' && mode !== 'lexical');
	const least = isInstead ? lexicalScoreMin : scoreMin;
	return least > 0 ? hits.filter((hit) => hit.score >= least) : hits;
}

/** What need not end the request: a search or a helper that failed while the request goes on. */
async function orFailure(context: RequestContext, run: () => Promise<void>): Promise<PlimsollError | NoHelp | null> {
	try {
		await run();
		return null;
	} catch (error) {
		context.throwIfOver();
		if (error instanceof NoHelp) return error;
		if (error instanceof PlimsollError && error.code === 'retrieval_failed') return error;
		throw error;
	}
}
