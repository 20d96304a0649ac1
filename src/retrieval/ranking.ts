import type { Clock } from '../base/clock.ts';
import type { CollectionConfig } from '../contracts/collection.ts';
import type { RerankConfig } from '../contracts/ranking-config.ts';
import { type Payer, RerankError, type Reranker, type RerankReport } from '../spec/reranker.ts';
import type { Hit } from '../spec/retrieval.ts';
import { diversified } from './diversity.ts';

type Search = CollectionConfig['search'];

/** Where re-rankers come from. */
export interface RerankerSource {
	of(config: RerankConfig): Reranker;
	/** Closes what is not named any more. */
	update(configs: readonly RerankConfig[]): void;
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

interface Ask {
	readonly k: number;
	readonly query: string;
	readonly search: Search;
	readonly timeoutMs: number;
	readonly signal: AbortSignal | null;
	/** Left out: nothing is set aside. */
	readonly payer?: Payer | undefined;
}

interface Parts {
	readonly rerankers?: RerankerSource | undefined;
	readonly clock: Clock;
}

/** The k passages of a result out of the pool: ordered anew, then freed of what says the same again. Never fails for the re-ranker. */
export async function finalRanking(pool: readonly Hit[], ask: Ask, parts: Parts): Promise<Ranked> {
	const { k, search } = ask;
	const { hits, rerank } = await reranked(pool, ask, parts);
	const chosen = diversified(hits, k, search.diversity);
	return { hits: chosen.map((hit, index) => ({ ...hit, rank: index + 1 })), rerank };
}

async function reranked(pool: readonly Hit[], ask: Ask, { rerankers, clock }: Parts): Promise<Ranked> {
	const { search, query, timeoutMs, signal } = ask;
	if (search.rerank === null || !rerankers || pool.length < 2) return { hits: pool, rerank: null };
	const reranker = rerankers.of(search.rerank);
	const most = reranker.costMicros ?? 0;
	const first = pool.slice(0, search.rerank.pool);
	const startedAt = clock.monotonic();
	const report = (failure: string | null, costMicros: number): RerankReport => {
		const { model, revision } = reranker;
		return { model, revision, ms: clock.monotonic() - startedAt, failure, costMicros };
	};
	let settle: Awaited<ReturnType<Payer['begin']>> | null = null;
	try {
		const { model, revision } = reranker;
		settle = (await ask.payer?.begin({ model, revision, costMicros: most })) ?? null;
		const texts = first.map(({ title, text }) => (title === '' ? text : `${title}\n${text}`));
		const scores = await reranker.score(query, texts, { timeoutMs, signal });
		const scored = first.map((hit, index) => ({ ...hit, rerankScore: scores[index] ?? 0 }));
		// A stable sort: equal scores keep the fused order.
		scored.sort((a, b) => b.rerankScore - a.rerankScore);
		const rerank = report(null, most);
		await settle?.(rerank);
		return { hits: [...scored, ...pool.slice(first.length)], rerank };
	} catch (error) {
		const rerank = report(
			error instanceof Error ? error.message : String(error),
			error instanceof RerankError && error.isBilled ? most : 0,
		);
		await settle?.(rerank);
		signal?.throwIfAborted();
		return { hits: pool, rerank };
	}
}
