import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { type Clock, systemClock } from '../../src/base/clock.ts';
import { createIds } from '../../src/base/ids.ts';
import { systemRandom } from '../../src/base/random.ts';
import type { CollectionConfig, SourceConfig } from '../../src/contracts/collection.ts';
import { collection as collectionSchema } from '../../src/contracts/collection-schema.ts';
import { ingestionOf } from '../../src/contracts/compile-ingestion.ts';
import type { IngestionConfig } from '../../src/contracts/document-rules.ts';
import type { EmbedderConfig } from '../../src/contracts/embedder.ts';
import { LanceStore } from '../../src/index-stores/lancedb/store.ts';
import { createEmbeddingModel } from '../../src/models/create-embedding-model.ts';
import { createRetrieval, type Retrieval, type RetrievalConfig } from '../../src/retrieval/retrieval.ts';
import type { Check } from '../../src/retrieval/verification.ts';
import type { Alert } from '../../src/spec/alerts.ts';
import type { IndexStore } from '../../src/spec/index-store.ts';
import type { RecordStore } from '../../src/spec/records.ts';
import type { IngestOptions, IngestReport, SearchMode, SearchResult } from '../../src/spec/retrieval.ts';
import { openSqliteRecords } from '../../src/stores/sqlite.ts';
import { chunkerConfig } from './chunker-config.ts';

export const RECORD_FILE = 'records.sqlite';

/** A retrieval over real parts in a temporary folder. */
export interface RetrievalFixture {
	/** The data folder. */
	readonly root: string;
	/** Where the sources are. */
	readonly dir: string;
	readonly records: RecordStore;
	readonly warnings: string[];
	/** Those that are open, by key. */
	readonly alerts: ReadonlyMap<string, Alert>;
	retrieval: Retrieval;
	/** Writes files below `dir`. */
	write(files: Readonly<Record<string, string | Uint8Array>>): Promise<void>;
	ingest(collection?: string, options?: Partial<IngestOptions>): Promise<IngestReport>;
	search(query: string, options?: { k?: number; mode?: SearchMode; collection?: string }): Promise<SearchResult>;
	/** Closes retrieval and opens another one on the same data, as a restart does. */
	restart(config?: RetrievalConfig): Promise<void>;
	close(): Promise<void>;
}

export function folderSource(
	dir: string,
	overrides: Partial<Extract<SourceConfig, { kind: 'folder' }>> = {},
): SourceConfig {
	return {
		name: 'pages',
		kind: 'folder',
		path: dir,
		include: ['**/*'],
		exclude: [],
		fileBytesMax: 1_000_000,
		...overrides,
	};
}

export function jsonlSource(file: string): SourceConfig {
	return {
		name: 'lines',
		kind: 'jsonl',
		path: file,
		idField: 'id',
		textField: 'text',
		titleField: 'title',
		lineBytesMax: 100_000,
	};
}

type CsvSource = Extract<SourceConfig, { kind: 'csv' }>;

export function csvSource(file: string, stated: Partial<CsvSource> = {}): SourceConfig {
	return {
		name: 'table',
		kind: 'csv',
		path: file,
		idColumn: 'id',
		textColumn: 'text',
		titleColumn: null,
		delimiter: ',',
		encoding: 'utf-8',
		recordBytesMax: 100_000,
		...stated,
	};
}

export const SEARCH: CollectionConfig['search'] = {
	fusion: 'convex',
	vectorWeight: 0.5,
	rrfK: 60,
	candidates: 100,
	timeoutMs: 10_000,
	lexicalTimeoutMs: 10_000,
	vectorTimeoutMs: 10_000,
	diversity: { kind: 'none', similarityMax: 0.8, lambda: 0.7, pool: 50 },
	rerank: null,
};

/** As plimsoll.yaml would say it: the keys `documents` and `ingestion` of a collection. */
export function ingestion(
	written: { documents?: Record<string, unknown>; ingestion?: Record<string, unknown> } = {},
): IngestionConfig {
	return ingestionOf(collectionSchema.parse({ sources: { any: { kind: 'folder', path: '.' } }, ...written }));
}

export function collection(
	sources: readonly SourceConfig[],
	overrides: Partial<CollectionConfig> = {},
): CollectionConfig {
	return {
		name: 'docs',
		sources,
		chunker: chunkerConfig(),
		embedder: null,
		onIdentityChange: 'lexical',
		access: null,
		partition: null,
		ingestion: ingestion(),
		search: SEARCH,
		generations: { keep: 1 },
		canaries: null,
		checks: { required: true, everyMs: 900_000, k: 10, recallMin: 0.8, sample: 200, alpha: 0.001 },
		...overrides,
	};
}

export function retrievalConfig(
	collections: readonly CollectionConfig[],
	embedders: readonly EmbedderConfig[] = [],
): RetrievalConfig {
	return {
		collections: new Map(collections.map((item) => [item.name, item])),
		embedders: new Map(embedders.map((item) => [item.name, item])),
	};
}

export const BUILTIN: EmbedderConfig = { name: 'builtin', family: 'builtin', dimensions: 256, aliases: [] };

/**
 * @param configure gets the temporary folder that holds the sources.
 * @param options `root`: a data folder that is there and stays; left out: a temporary one.
 */
export async function openRetrievalFixture(
	configure: (dir: string) => RetrievalConfig,
	clock: Clock = systemClock,
	{
		checks = [],
		openStore = (folder) => new LanceStore(folder),
		root: given = null,
	}: { checks?: readonly Check[]; openStore?: (folder: string) => IndexStore; root?: string | null } = {},
): Promise<RetrievalFixture> {
	const root = given ?? (await mkdtemp(path.join(tmpdir(), 'plimsoll-retrieval-')));
	const dir = path.join(root, 'sources');
	await mkdir(dir);
	let config = configure(dir);
	const records = openSqliteRecords(path.join(root, RECORD_FILE));
	const warnings: string[] = [];
	const alerts = new Map<string, Alert>();
	const open = async () => {
		const retrieval = createRetrieval({
			config,
			store: openStore(path.join(root, 'index')),
			dataDir: root,
			records,
			clock,
			ids: createIds(clock, systemRandom),
			random: systemRandom,
			openModel: (config) => createEmbeddingModel(config, { clock }),
			checks,
			alerts: { raise: (alert) => alerts.set(alert.key, alert), resolve: (key) => alerts.delete(key) },
			warn: (message) => warnings.push(message),
		});
		await retrieval.open();
		return retrieval;
	};
	const fixture: RetrievalFixture = {
		root,
		dir,
		records,
		warnings,
		alerts,
		retrieval: await open(),
		async write(files) {
			for (const [name, content] of Object.entries(files)) {
				await mkdir(path.dirname(path.join(dir, name)), { recursive: true });
				await writeFile(path.join(dir, name), content);
			}
		},
		ingest: (name = 'docs', ingestOptions = {}) =>
			fixture.retrieval.ingester.ingest(name, { signal: new AbortController().signal, ...ingestOptions }),
		search: (query, { k = 5, mode, collection: name = 'docs' } = {}) =>
			fixture.retrieval.retriever.search({
				collection: name,
				query,
				k,
				mode: mode ?? null,
				filter: null,
				signal: null,
			}),
		async restart(next = config) {
			await fixture.retrieval.close();
			config = next;
			fixture.retrieval = await open();
		},
		async close() {
			await fixture.retrieval.close();
			await records.close();
			if (given === null) await rm(root, { recursive: true, force: true });
		},
	};
	return fixture;
}
