import type { SearchResult } from '../spec/retrieval.ts';

/** A search's result as clients see it: ids, scores by leg, positions and text. */
export function searchResponse(requestId: string, found: SearchResult) {
	return {
		request_id: requestId,
		collection: found.collection,
		generation: found.generation,
		mode: found.mode,
		degraded: found.degraded,
		lexical_ms: found.lexicalMs,
		vector_ms: found.vectorMs,
		hits: found.hits.map((hit) => ({
			rank: hit.rank,
			chunk: hit.chunkId,
			document: hit.documentId,
			source: hit.source,
			title: hit.title,
			heading_path: hit.headingPath,
			score: hit.score,
			lexical_score: hit.lexicalScore,
			vector_score: hit.vectorScore,
			...(hit.rerankScore !== undefined && { rerank_score: hit.rerankScore }),
			start: hit.start,
			end: hit.end,
			ordinal: hit.ordinal,
			tokens: hit.tokens,
			text: hit.text,
		})),
	};
}
