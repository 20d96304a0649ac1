import { isAbsolute, join } from 'node:path';
import { accessOf } from './access-schema.ts';
import { checksOf } from './canary-set.ts';
import type { ChunkerConfig, CollectionConfig, SourceConfig } from './collection.ts';
import type { RawCollection } from './collection-schema.ts';
import { ingestionOf } from './compile-ingestion.ts';
import { partitionOf } from './partition-schema.ts';
import { diversityOf, rerankOf } from './rerank-schema.ts';
import type { RawSource } from './source-schema.ts';

interface CollectionOrigin {
	readonly dir: string;
	readonly embedders: Readonly<Record<string, { readonly family: string }>>;
}

/**
 * What `bench/retrieval.ts` measured (docs/concepts/retrieval.md): the built-in embedder's vectors made every ranking worse; a sentence
 * transformer's made it better at this weight on both data sets, and at 0.5 on one of them.
 */
function defaultVectorWeight(embedder: string | null, { embedders }: CollectionOrigin): number {
	return embedder === null || embedders[embedder]?.family === 'builtin' ? 0 : 0.3;
}

/** A collection of `plimsoll.yaml` as the rest of Plimsoll reads it. */
export function collectionOf(name: string, raw: RawCollection, from: CollectionOrigin): CollectionConfig {
	return {
		name,
		sources: Object.entries(raw.sources).map(([source, settings]) => sourceOf(source, settings, from.dir)),
		chunker: chunkerOf(raw.chunker),
		embedder: raw.embedder,
		onIdentityChange: raw.on_identity_change,
		access: accessOf(raw.access),
		partition: partitionOf(raw.partition),
		search: {
			fusion: raw.search.fusion,
			vectorWeight: raw.search.vector_weight ?? defaultVectorWeight(raw.embedder, from),
			rrfK: raw.search.rrf_k,
			candidates: raw.search.candidates,
			timeoutMs: raw.search.timeout_ms,
			lexicalTimeoutMs: raw.search.lexical_timeout_ms ?? raw.search.timeout_ms,
			vectorTimeoutMs: raw.search.vector_timeout_ms ?? raw.search.timeout_ms,
			diversity: diversityOf(raw.search.diversity),
			rerank: rerankOf(raw.search.rerank, from.dir),
		},
		generations: { keep: raw.generations.keep },
		ingestion: ingestionOf(raw),
		canaries: raw.canaries === null || isAbsolute(raw.canaries) ? raw.canaries : join(from.dir, raw.canaries),
		checks: checksOf(raw.checks),
	};
}

function chunkerOf({ kind, header, ...raw }: RawCollection['chunker']): ChunkerConfig {
	return {
		kind,
		tokensMax: raw.tokens_max,
		tokensMin: raw.tokens_min,
		overlapTokens: raw.overlap_tokens ?? Math.floor(raw.tokens_max / 8),
		rowsMax: raw.rows_max,
		header: { template: header.template, tokensMax: header.tokens_max },
	};
}

function sourceOf(name: string, raw: RawSource, dir: string): SourceConfig {
	const { documents: _, ...settings } = raw;
	const entries = Object.entries(settings).map(([key, value]) => [
		key.replaceAll(/_([a-z])/g, (__, letter) => letter.toUpperCase()),
		value,
	]);
	const source = { ...Object.fromEntries(entries), name };
	if ('path' in raw) source.path = isAbsolute(raw.path) ? raw.path : join(dir, raw.path);
	return source as SourceConfig;
}
