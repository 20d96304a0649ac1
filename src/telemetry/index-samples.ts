import type { GenerationCount } from '../spec/generations.ts';
import type { IngestionView } from '../spec/retrieval.ts';
import type { Sample } from './sample.ts';

const MICROS = 1_000_000;

/** Samples of what ingestions added up to. */
export function ingestionSamples({ collection, ...view }: IngestionView): Sample[] {
	const { runs, documents, embedding, running } = view;
	const labels = { collection };
	const each = (name: Sample['name'], values: Readonly<Record<string, number>>) =>
		Object.entries(values).map(([outcome, value]): Sample => ({ name, labels: { collection, outcome }, value }));
	const { answered, failed } = embedding;
	return [
		...each('plimsoll_ingestion_runs_total', runs),
		...each('plimsoll_ingestion_documents_total', documents),
		{ name: 'plimsoll_ingestion_chunks_total', labels, value: view.chunks },
		{ name: 'plimsoll_rebuild_chunks_total', labels, value: view.rebuiltChunks },
		...each('plimsoll_ingestion_embedding_calls_total', { answered, failed }),
		{ name: 'plimsoll_ingestion_embedding_tokens_total', labels, value: embedding.tokens },
		{ name: 'plimsoll_ingestion_embedding_cost_usd_total', labels, value: embedding.costMicros / MICROS },
		{ name: 'plimsoll_ingestion_seconds_total', labels, value: view.seconds },
		...(['ingestion', 'rebuild'] as const).map((kind): Sample => {
			const isIt = running !== null && running.rebuild === (kind === 'rebuild');
			return { name: 'plimsoll_ingestion_running', labels: { collection, kind }, value: Number(isIt) };
		}),
		{ name: 'plimsoll_ingestion_run_documents', labels, value: running?.documents ?? 0 },
	];
}

export function generationSample({ collection, state, generations }: GenerationCount): Sample {
	return { name: 'plimsoll_index_generations', labels: { collection, state }, value: generations };
}

/** Vectors of queries that are remembered. */
export interface QueryVectorCounts {
	readonly entries: number;
	readonly bytes: number;
	readonly hits: number;
	readonly misses: number;
}

export function queryVectorSamples({ hits, misses, entries, bytes }: QueryVectorCounts): Sample[] {
	return [
		{ name: 'plimsoll_query_vectors_total', labels: { result: 'hit' }, value: hits },
		{ name: 'plimsoll_query_vectors_total', labels: { result: 'miss' }, value: misses },
		{ name: 'plimsoll_query_vectors_kept', labels: {}, value: entries },
		{ name: 'plimsoll_query_vectors_bytes', labels: {}, value: bytes },
	];
}
