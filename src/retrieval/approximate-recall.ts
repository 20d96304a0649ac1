import type { Canary } from '../contracts/canary.ts';
import type { Catalogue } from './catalogue.ts';
import type { QueryEmbedder } from './embedding/query-embedder.ts';

/** Exact search looks at every vector: this many queries tell enough. */
const QUERIES_MAX = 100;
const NEAREST = 10;

/**
 * The share of the ten nearest chunks by exact search that approximate search finds too, in the mean over the queries of
 * canaries. Null where the collection's searches look at no vectors. Throws what `QueryEmbedder.embed` throws.
 */
export async function approximateRecall(
	{ catalogue, queries }: { catalogue: Catalogue; queries: QueryEmbedder },
	{ collection, canaries, signal }: { collection: string; canaries: readonly Canary[]; signal: AbortSignal },
): Promise<number | null> {
	const { config, index } = catalogue.state(collection);
	if (index === null || config.embedder === null || config.search.vectorWeight === 0) return null;
	const { manifest, reader } = index;
	let sum = 0;
	let counted = 0;
	for (const { query } of canaries.slice(0, QUERIES_MAX)) {
		signal.throwIfAborted();
		const { vector } = await queries.embed(query, { config, manifest, signal });
		// A query without content words has no direction.
		if (!vector?.some((value) => value !== 0)) continue;
		const ask = { limit: NEAREST, filter: null, timeoutMs: config.search.timeoutMs };
		const exact = await reader.vector(vector, { ...ask, exact: true });
		if (exact.length === 0) continue;
		const found = new Set((await reader.vector(vector, { ...ask, exact: false })).map(({ row }) => row));
		sum += exact.filter(({ row }) => found.has(row)).length / exact.length;
		counted++;
	}
	return counted === 0 ? null : sum / counted;
}
