import { z } from 'zod';
import { canonicalJson } from '../base/canonical-json.ts';
import { sha256 } from '../base/hash.ts';
import type { CollectionConfig } from '../contracts/collection.ts';
import { PlimsollError } from '../spec/errors.ts';
import type { GenerationRecord } from '../spec/generations.ts';
import type { IndexStore } from '../spec/index-store.ts';
import { type EmbeddingIdentity, FIELD_TYPES, type FieldType } from '../spec/retrieval.ts';
import { sameSpace } from './embedding/embedding-space.ts';
import { fingerprintSchema } from './embedding/fingerprint.ts';
import { identitySchema } from './embedding/identity.ts';
import type { NamedSpace } from './embedding/spaces.ts';

const chunkerSchema = z.strictObject({
	kind: z.enum(['structure', 'sentences', 'tokens', 'rows', 'code', 'whole']),
	tokensMax: z.int().min(1),
	tokensMin: z.int().min(0),
	// Generations of before these settings serve on until the next run.
	overlapTokens: z.int().min(0).default(0),
	rowsMax: z.int().min(1).nullable().default(null),
	header: z
		.strictObject({ template: z.string(), tokensMax: z.int().min(1) })
		.nullable()
		.default(null),
	tokenizer: z.literal('o200k_base'),
	revision: z.int(),
	reader: z.int().default(0),
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
	/** Of everything that went in, see `generation-hash.ts`; null in manifests from before there was one. */
	hash: z.string().nullable().default(null),
	/** The index store's revision. */
	engine: z.string().nullable().default(null),
	/** In manifests from before the records kept generations. */
	previous: placeSchema.nullable().optional(),
	/** Null: lexical search only. */
	embedding: identitySchema.nullable(),
	/** The name of the space that the vectors are in, from the registry of embedders; generations of before have none. */
	space: z.string().nullish(),
	/** What the embedder made of the probes when the vectors were made; generations of before have none. */
	fingerprint: fingerprintSchema.nullish(),
	/** The fields of its documents, by name; generations of before have none. */
	fields: z.record(z.string(), z.enum(FIELD_TYPES)).optional(),
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
	/**
	 * Over all of its rows: as they were read when it was verified, or that of the generation before with the rows that
	 * went and came since. Null where the engine looks after that, and absent in generations of before.
	 */
	digest: z.string().nullish(),
	/** When every row was read last; later ones were read as they came. Milliseconds since the epoch. Null: never. */
	readAt: z.int().nullish(),
	createdByRun: z.string(),
});

/** How an index generation was built and how it is searched; stored with its pointer. */
export type Manifest = z.infer<typeof manifestSchema>;
export type ChunkerIdentity = Manifest['chunker'];

/** The manifest of a sealed generation. Throws PlimsollError `index_not_ready` when it is not one that this version wrote. */
export function parseManifest({ collection, generation, manifest }: GenerationRecord): Manifest {
	const parsed = manifestSchema.safeParse(manifest);
	if (parsed.success) return parsed.data;
	throw new PlimsollError(
		'index_not_ready',
		`The manifest of generation ${generation} cannot be read; plimsoll ingest ${collection} builds a new one.`,
		{ internal: z.prettifyError(parsed.error), cause: parsed.error },
	);
}

/** What decides which table a generation is in. */
export interface TableParts {
	readonly store: IndexStore;
	readonly space: NamedSpace | null;
	readonly chunker: ChunkerIdentity;
	readonly fields: ReadonlyMap<string, FieldType>;
	readonly live: Manifest | null;
}

/**
 * The table that a generation with these vectors, this chunker and these fields is written to: vectors of two spaces never meet. Where
 * the live generation has the same of both, it is its table, whatever its embedder is called by now: nothing is embedded again.
 */
export function tableFor(collection: string, { store, space, chunker, fields, live }: TableParts): string {
	const named = (embedding: EmbeddingIdentity | string | null) => {
		const columns = Object.fromEntries(fields);
		const identity = { revision: store.revision, tokenizer: store.lexical.tokenizer, embedding, chunker, columns };
		return `${tablePrefix(collection)}${sha256(canonicalJson(identity)).slice(0, 12)}`;
	};
	const own = named(space?.name ?? null);
	if (!live || !isInSpace(live, space)) return own;
	// Tables of before spaces had names are called after their embedder's identity.
	const names = [own, named(live.space ?? null), named(live.embedding)];
	const isOurs = names.some((name) => live.table === name || live.table.startsWith(freshPrefix(name)));
	return isOurs ? live.table : own;
}

/** What the names of tables begin with that were built from nothing in the place of another one. */
export function freshPrefix(table: string): string {
	return `${table}-r`;
}

/** What the names of a collection's tables begin with. */
export function tablePrefix(collection: string): string {
	return `${collection.replace(/[^\w-]/g, '_').slice(0, 64)}-${sha256(collection).slice(0, 6)}-`;
}

/** Whether a generation holds vectors that those of `space` may be compared with. */
export function isInSpace(manifest: Manifest, space: NamedSpace | null): boolean {
	if (!space || !manifest.embedding) return space === null && manifest.embedding === null;
	if (manifest.space === space.name) return true;
	return sameSpace({ identity: manifest.embedding, fingerprint: manifest.fingerprint ?? null }, space).same;
}

export function fusionDescription(search: CollectionConfig['search']): Manifest['fusion'] {
	const { fusion, vectorWeight, rrfK, candidates } = search;
	const formula =
		fusion === 'convex'
			? 'vectorWeight · norm(vector) + (1 − vectorWeight) · norm(lexical); norm(s) = (s − min) / (max − min) over the candidates of one leg, 1 when all are equal, 0 for a chunk that the leg did not return'
			: 'Σ over legs: 1 / (rrfK + rank), ranks from 1, equal scores have the rank of their first; a leg that did not return the chunk adds 0';
	return { kind: fusion, formula, vectorWeight, rrfK, candidates };
}
