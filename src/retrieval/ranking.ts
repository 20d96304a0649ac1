import type { Clock } from '../base/clock.ts';
import type { CollectionConfig } from '../contracts/collection.ts';
import type { RerankConfig } from '../contracts/ranking-config.ts';
import type { Reranker } from '../spec/reranker.ts';
import type { Hit, RerankReport } from '../spec/retrieval.ts';
import { diversified } from './diversity.ts';

type Search = CollectionConfig['search'];

/** Where re-rankers come from. */
export interface RerankerSource {
	of(config: RerankConfig): Reranker;
}

interface Ranked {
	readonly hits: readonly Hit[];
	/** Null: none was asked. */
	readonly rerank: RerankReport | null;
}

/** How many of the best passages are read, so that k of them can be chosen. */
export function poolSize(k: number, { diversity, rerank }: Search): number {
	return Math.max(k, diversity.kind === 'none' ? 0 : diversity.pool, rerank?.pool ?? 0);
}

/** The k passages of a result out of the pool: ordered anew, then freed of what says the same again. Never fails for the re-ranker. */
export async function finalRanking(
	pool: readonly Hit[],
	ask: { k: number; query: string; search: Search; timeoutMs: number; signal: AbortSignal | null },
	parts: { rerankers?: RerankerSource | undefined; clock: Clock },
): Promise<Ranked> {
	const { k, search } = ask;
	const { ranked, rerank } = await reranked(pool, ask, parts);
	const chosen = diversified(ranked, k, search.diversity);
	return { hits: chosen.map((hit, index) => ({ ...hit, rank: index + 1 })), rerank };
}

async function reranked(
	pool: readonly Hit[],
	{
		query,
		search,
		timeoutMs,
		signal,
	}: { query: string; search: Search; timeoutMs: number; signal: AbortSignal | null },
	{ rerankers, clock }: { rerankers?: RerankerSource | undefined; clock: Clock },
): Promise<{ ranked: readonly Hit[]; rerank: RerankReport | null }> {
	if (search.rerank === null || !rerankers || pool.length < 2) return { ranked: pool, rerank: null };
	const reranker = rerankers.of(search.rerank);
	const startedAt = clock.monotonic();
	const first = pool.slice(0, search.rerank.pool);
	const report = (failure: string | null, costMicros: number) => {
		const { model } = reranker;
		return { model, ms: clock.monotonic() - startedAt, failure, costMicros };
	};
	try {
		const texts = first.map(({ title, text }) => (title === '' ? text : `${title}\n${text}`));
		const scores = await reranker.score(query, texts, { timeoutMs, signal });
		const scored = first.map((hit, index) => ({ ...hit, rerankScore: scores[index] ?? 0 }));
		// A stable sort: equal scores keep the fused order.
		scored.sort((a, b) => b.rerankScore - a.rerankScore);
		return { ranked: [...scored, ...pool.slice(first.length)], rerank: report(null, reranker.costMicros ?? 0) };
	} catch (error) {
		signal?.throwIfAborted();
		const reason = error instanceof Error ? error.message : String(error);
		return { ranked: pool, rerank: report(reason, 0) };
	}
}
