import type { FieldType } from '../spec/retrieval.ts';

/** What one field of a document must be. Lengths in UTF-16 code units. */
export interface FieldRule {
	readonly type: FieldType;
	/** The name under which documents state it, e.g. `author.name`. */
	readonly from: string;
	readonly required: boolean;
	readonly oneOf: readonly (string | number)[] | null;
	/** The whole value matches it. */
	readonly pattern: string | null;
	/** Of a number; of a `time`, milliseconds since the epoch. */
	readonly min: number | null;
	readonly max: number | null;
	readonly lengthMax: number;
}

/** What the documents of a source must be; what does not fit is quarantined. */
export interface DocumentRules {
	readonly fields: Readonly<Record<string, FieldRule>>;
	/** Primary languages such as `de`; null: any. */
	readonly languages: readonly string[] | null;
	readonly freshness: { readonly field: string; readonly ageMsMax: number } | null;
	readonly titleCharsMin: number;
	readonly titleCharsMax: number;
	readonly textCharsMin: number;
	readonly textCharsMax: number;
}

/** What becomes of an indexed document whose new content does not fit. */
export type MisfitPolicy = 'keep_last_good' | 'remove';

/** Fields that every collection has, whatever its documents declare. */
export const BUILT_IN_FIELDS: Readonly<Record<string, FieldType>> = {
	language: 'text',
	content_type: 'text',
	updated_at: 'time',
	marks: 'labels',
};

/** When an ingestion stops before what it built goes live. Shares are of the documents concerned, in [0, 1]. */
export interface IngestionChecks {
	readonly documentsDropMax: number;
	readonly chunksDropMax: number;
	readonly fieldFillDropMax: number;
	readonly failedShareMax: number;
	readonly quarantinedShareMax: number;
	/** The least total variation distance that counts as a shift. */
	readonly shiftMin: number;
	/** How often all comparisons of a run together may be wrong where nothing shifted. */
	readonly shiftAlpha: number;
	/** Fewer documents than this are never a drop, a loss or a failed share. */
	readonly documentsMin: number;
}

export interface IngestionConfig {
	/** For all sources together, by name; a source has its own in `sources`. */
	readonly documents: DocumentRules;
	readonly sources: Readonly<Record<string, DocumentRules>>;
	readonly misfits: MisfitPolicy;
	readonly checks: IngestionChecks;
	/** Documents that are listed with their reasons; beyond, they are counted. */
	readonly quarantineMax: number;
	/** Micro-dollars that one run may spend on embeddings; null: no cap. */
	readonly costMicrosMax: number | null;
}

export function rulesOf({ documents, sources }: IngestionConfig, source: string): DocumentRules {
	return sources[source] ?? documents;
}

/** The typed columns of a collection: what its documents may be filtered by. */
export function fieldTypes({ documents, sources }: IngestionConfig): ReadonlyMap<string, FieldType> {
	const declared = [documents, ...Object.values(sources)].flatMap(({ fields }) => Object.entries(fields));
	const types = new Map(Object.entries(BUILT_IN_FIELDS));
	for (const [name, { type }] of declared.sort(([a], [b]) => (a < b ? -1 : 1))) types.set(name, type);
	return types;
}
