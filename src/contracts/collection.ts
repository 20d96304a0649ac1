import type { PassageAccess } from './access-schema.ts';
import type { CheckConfig } from './canary-set.ts';
import type { IngestionConfig } from './document-rules.ts';
import type { DiversityConfig, PartitionConfig, RerankConfig } from './ranking-config.ts';
import type { RawSource } from './source-schema.ts';

export interface ChunkerConfig {
	readonly kind: 'structure' | 'sentences' | 'tokens' | 'rows' | 'code' | 'whole';
	readonly tokensMax: number;
	/** Chunks below this are merged with their neighbour where the structure allows. */
	readonly tokensMin: number;
	/** What `sentences` and `tokens` repeat of the chunk before; below half of `tokensMax`. */
	readonly overlapTokens: number;
	/** Rows of a table in one chunk of `rows`; null: as many as fit. */
	readonly rowsMax: number | null;
	/** What is searched and embedded in front of a chunk's text, and not cited with it. */
	readonly header: {
		/** Empty: nothing. */
		readonly template: string;
		readonly tokensMax: number;
	};
}

export interface CollectionConfig {
	readonly name: string;
	readonly sources: readonly SourceConfig[];
	readonly chunker: ChunkerConfig;
	/** Name of an embedder; null: lexical search only. */
	readonly embedder: string | null;
	/** What becomes of searches while the embedder makes other vectors than those of the live index. */
	readonly onIdentityChange: 'lexical' | 'refuse';
	/** Who may find what; null: everyone everything. */
	readonly access: PassageAccess | null;
	/** Null: all searches have the same places. */
	readonly partition: PartitionConfig | null;
	readonly search: {
		/** `convex`: vectorWeight · vector + (1 − vectorWeight) · lexical, both min-max normalised; `rrf`: Σ 1 / (rrfK + rank). */
		readonly fusion: 'convex' | 'rrf';
		/** In [0, 1]. 0 means BM25 alone: the vector leg does not run. */
		readonly vectorWeight: number;
		readonly rrfK: number;
		/** Candidates that each leg contributes. */
		readonly candidates: number;
		/** Of each part: a leg that has no time-out of its own, and reading what was found. */
		readonly timeoutMs: number;
		readonly lexicalTimeoutMs: number;
		readonly vectorTimeoutMs: number;
		readonly diversity: DiversityConfig;
		readonly rerank: RerankConfig | null;
	};
	readonly generations: {
		/** How many that were live are kept, besides the live one. */
		readonly keep: number;
	};
	readonly ingestion: IngestionConfig;
	/** Absolute path of its own canaries; null: it has none but those of features. */
	readonly canaries: string | null;
	readonly checks: CheckConfig;
}

type Camel<Key> = Key extends `${infer Head}_${infer Tail}` ? `${Head}${Capitalize<Camel<Tail> & string>}` : Key;
type SourceOf<Raw> = Raw extends unknown
	? { readonly name: string } & {
			readonly [Key in keyof Raw as Key extends 'documents' ? never : Camel<Key> & string]: Exclude<
				Raw[Key],
				undefined
			>;
		}
	: never;

/** A source as `source-schema.ts` declares it, in camel case: paths are absolute. What its documents must be is under `ingestion`. */
export type SourceConfig = SourceOf<RawSource>;
