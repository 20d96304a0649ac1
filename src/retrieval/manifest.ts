import { z } from 'zod';
import { canonicalJson } from '../base/canonical-json.ts';
import { sha256 } from '../base/hash.ts';
import type { CollectionConfig } from '../contracts/collection.ts';
import { PlimsollError } from '../spec/errors.ts';
import type { IndexStore } from '../spec/index-store.ts';
import type { IndexPointer } from '../spec/records.ts';
import type { EmbeddingIdentity } from '../spec/retrieval.ts';
import { CHUNKER_REVISION } from './chunker.ts';

const embeddingSchema = z.strictObject({
	provider: z.string(),
	model: z.string(),
	revision: z.string(),
	dimensions: z.int().min(1),
	normalised: z.boolean(),
	queryPrefix: z.string(),
	documentPrefix: z.string(),
	tokensMax: z.int().min(1),
});

const chunkerSchema = z.strictObject({
	kind: z.enum(['structure', 'whole']),
	tokensMax: z.int().min(1),
	tokensMin: z.int().min(0),
	tokenizer: z.literal('o200k_base'),
	revision: z.int(),
});

const placeSchema = z.strictObject({
	table: z.string().regex(/^[\w-]+$/),
	/** The dataset version that readers check out. */
	version: z.int().min(1),
});

const manifestSchema = z.strictObject({
	format: z.literal(1),
	collection: z.string(),
	generation: z.string(),
	/** Counts the collection's generations from 1. */
	sequence: z.int().min(1),
	...placeSchema.shape,
	/** The generation before, which is kept so that running searches can end on it. */
	previous: placeSchema.nullable(),
	/** Null: lexical search only. */
	embedding: embeddingSchema.nullable(),
	chunker: chunkerSchema,
	lexical: z.strictObject({
		formula: z.string(),
		k1: z.number(),
		b: z.number(),
		tokenizer: z.record(z.string(), z.union([z.string(), z.boolean(), z.number()])),
	}),
	fusion: z.strictObject({
		kind: z.enum(['convex', 'rrf']),
		formula: z.string(),
		vectorWeight: z.number().min(0).max(1),
		rrfK: z.number(),
		candidates: z.int().min(1),
	}),
	documents: z.int().min(0),
	/** Documents of each source. */
	sources: z.record(z.string(), z.int().min(0)),
	chunks: z.int().min(0),
	createdByRun: z.string(),
});

/** How an index generation was built and how it is searched; stored with its pointer. */
export type Manifest = z.infer<typeof manifestSchema>;
export type ChunkerIdentity = Manifest['chunker'];

/** The manifest behind a pointer. Throws PlimsollError `index_not_ready` when it is not one that this version wrote. */
export function parseManifest(pointer: IndexPointer): Manifest {
	const parsed = manifestSchema.safeParse(pointer.manifest);
	if (parsed.success) return parsed.data;
	throw new PlimsollError(
		'index_not_ready',
		`The manifest of generation ${pointer.generation} cannot be read; plimsoll ingest ${pointer.collection} builds a new one.`,
		{ internal: z.prettifyError(parsed.error), cause: parsed.error },
	);
}

export function chunkerIdentity(config: CollectionConfig['chunker']): ChunkerIdentity {
	const { kind, tokensMax, tokensMin } = config;
	return {
		kind,
		tokensMax,
		tokensMin: kind === 'whole' ? 0 : tokensMin,
		tokenizer: 'o200k_base',
		revision: CHUNKER_REVISION,
	};
}

/** One table for everything that can stand side by side in one index: vectors of two models never meet. */
export function tableName(
	collection: string,
	parts: { store: IndexStore; embedding: EmbeddingIdentity | null; chunker: ChunkerIdentity },
): string {
	const { store, embedding, chunker } = parts;
	const identity = { revision: store.revision, tokenizer: store.lexical.tokenizer, embedding, chunker };
	return `${tablePrefix(collection)}${sha256(canonicalJson(identity)).slice(0, 12)}`;
}

/** What the names of a collection's tables begin with. */
export function tablePrefix(collection: string): string {
	return `${collection.replace(/[^\w-]/g, '_').slice(0, 64)}-${sha256(collection).slice(0, 6)}-`;
}

export function sameIdentity(a: EmbeddingIdentity | null, b: EmbeddingIdentity | null): boolean {
	return canonicalJson(a) === canonicalJson(b);
}

export function fusionDescription(search: CollectionConfig['search']): Manifest['fusion'] {
	const { fusion, vectorWeight, rrfK, candidates } = search;
	const formula =
		fusion === 'convex'
			? 'vectorWeight · norm(vector) + (1 − vectorWeight) · norm(lexical); norm(s) = (s − min) / (max − min) over the candidates of one leg, 1 when all are equal, 0 for a chunk that the leg did not return'
			: 'Σ over legs: 1 / (rrfK + rank), ranks from 1; a leg that did not return the chunk adds 0';
	return { kind: fusion, formula, vectorWeight, rrfK, candidates };
}
