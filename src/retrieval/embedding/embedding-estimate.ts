import type { Embedder } from '../../spec/embedding.ts';
import type { RunRecord } from '../../spec/records.ts';
import type { Manifest } from '../manifest.ts';
import { HostedEmbedder } from './hosted-embedder.ts';

/** Runs that an estimate goes by. */
export const ESTIMATE_RUNS = 50;

/** What it would take to embed a generation's chunks anew. */
export interface EmbeddingEstimate {
	readonly chunks: number;
	/** By our count, from the tokens of the chunks that were written so far. */
	readonly tokens: number;
	/** At most; micro-dollars. Zero in process. */
	readonly costMicros: number;
	/** From the embedder's latest calls, or from earlier runs; null: neither is known. */
	readonly seconds: number | null;
}

/** @param runs of the collection, the newest first. */
export function embeddingEstimate(
	manifest: Manifest,
	{ runs, embedder }: { runs: readonly RunRecord[]; embedder: Embedder | null },
): EmbeddingEstimate {
	const written = { chunks: 0, tokens: 0, seconds: 0 };
	for (const { report } of runs) {
		for (const source of report?.sources ?? []) {
			written.chunks += source.chunks;
			written.tokens += source.tokens;
			written.seconds += source.chunks > 0 ? source.seconds : 0;
		}
	}
	const perChunk = written.chunks > 0 ? written.tokens / written.chunks : manifest.chunker.tokensMax / 2;
	const tokens = Math.ceil(manifest.chunks * perChunk);
	const hosted = embedder instanceof HostedEmbedder ? embedder : null;
	const rate = hosted?.tokensPerSecond ?? (written.seconds > 0 ? written.tokens / written.seconds : null);
	return {
		chunks: manifest.chunks,
		tokens,
		costMicros: hosted?.costMicros(tokens) ?? 0,
		seconds: rate === null || rate === 0 ? null : Math.ceil(tokens / rate),
	};
}
