import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { type Clock, systemClock } from '../../src/base/clock.ts';
import { seededRandom } from '../../src/base/random.ts';
import type { CollectionConfig } from '../../src/contracts/collection.ts';
import { LanceStore } from '../../src/index-stores/lancedb/store.ts';
import type { CollectionState } from '../../src/retrieval/catalogue.ts';
import { chunkerIdentity } from '../../src/retrieval/chunkers/chunker.ts';
import { createBuiltinEmbedder } from '../../src/retrieval/embedding/builtin-embedder.ts';
import { fusionDescription, type Manifest } from '../../src/retrieval/manifest.ts';
import { createRetriever } from '../../src/retrieval/search.ts';
import type { IndexReader, IndexRow } from '../../src/spec/index-store.ts';
import type { FieldType, FieldValue, Retriever } from '../../src/spec/retrieval.ts';
import { namedQueries } from './embedder-fixture.ts';
import { collection } from './retrieval-fixture.ts';

export interface FieldDocument {
	readonly id: string;
	readonly text: string;
	readonly fields: Readonly<Record<string, FieldValue>>;
}

/** An index of documents with fields, one chunk each, and a retriever over it. */
export interface FieldIndex {
	readonly retriever: Retriever;
	readonly reader: IndexReader;
	close(): Promise<void>;
}

export async function openFieldIndex(
	documents: readonly FieldDocument[],
	fields: ReadonlyMap<string, FieldType>,
	options: {
		config?: Partial<CollectionConfig>;
		clock?: Clock;
		/** Stands between search and index. */
		around?: (reader: IndexReader) => IndexReader;
		make?: (parts: Parameters<typeof createRetriever>[0]) => Retriever;
	} = {},
): Promise<FieldIndex> {
	const folder = await mkdtemp(path.join(tmpdir(), 'plimsoll-fields-'));
	const store = new LanceStore(folder);
	await store.open();
	const embedder = createBuiltinEmbedder(64);
	const config = collection([], { embedder: 'builtin', ...options.config });
	const { vectors } = await embedder.embed(
		documents.map(({ text }) => text),
		'document',
		{ signal: null },
	);
	const writer = await store.writer({ table: 'docs-a', dimensions: 64, fields });
	const rows = documents.map((document, index) => rowOf(document, vectors[index] ?? null, [...fields.keys()]));
	await writer.write([], rows);
	const { version, chunks } = await writer.seal([]);
	writer.close();
	const reader = await store.reader({ table: 'docs-a', version });
	const manifest: Manifest = {
		format: 1,
		collection: config.name,
		generation: 'docs-g1-aaaaaa',
		sequence: 1,
		hash: null,
		engine: null,
		table: 'docs-a',
		version,
		previous: null,
		embedding: embedder.identity,
		fields: Object.fromEntries(fields),
		chunker: chunkerIdentity(config.chunker),
		lexical: { ...store.lexical, tokenizer: { ...store.lexical.tokenizer } },
		fusion: fusionDescription(config.search),
		documents: documents.length,
		sources: {},
		chunks,
		createdByRun: 'run',
	};
	const { around = (own) => own, make = createRetriever, clock = systemClock } = options;
	const state: CollectionState = { config, index: { manifest, reader: around(reader) }, problem: null };
	const catalogue = { state: () => state, status: () => [], examine: async () => state };
	return {
		reader,
		retriever: make({ catalogue, queries: namedQueries(async () => embedder, clock), clock }),
		async close() {
			store.close();
			await rm(folder, { recursive: true, force: true });
		},
	};
}

function rowOf({ id, text, fields }: FieldDocument, vector: Float32Array | null, names: readonly string[]): IndexRow {
	const all = Object.fromEntries(names.map((name) => [name, fields[name] ?? null]));
	const place = { start: 0, end: text.length, ordinal: 0, tokens: 2, textAt: 0 };
	const passage = {
		chunkId: `${id}#0`,
		documentId: id,
		source: 'pages',
		title: id,
		headingPath: [],
		text,
		fields: all,
	};
	return { ...passage, ...place, body: text, contentHash: id, vector };
}

/** So many short documents of drawn words, shared evenly between values of the field `product`. */
export function createFieldDocuments(count: number, products: readonly string[]): FieldDocument[] {
	const random = seededRandom(7);
	const word = () => `word${Math.floor(random.next() * 500)}`;
	return Array.from({ length: count }, (_, at) => ({
		id: `d${at}`,
		text: Array.from({ length: 30 }, word).join(' '),
		fields: { product: products[at % products.length] ?? null },
	}));
}
