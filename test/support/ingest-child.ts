import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { systemClock } from '../../src/base/clock.ts';
import { createIds } from '../../src/base/ids.ts';
import { systemRandom } from '../../src/base/random.ts';
import type { CollectionConfig } from '../../src/contracts/collection.ts';
import type { EmbedderConfig } from '../../src/contracts/embedder.ts';
import { LanceStore } from '../../src/index-stores/lancedb/store.ts';
import { createEmbeddingModel } from '../../src/models/create-embedding-model.ts';
import { createRetrieval } from '../../src/retrieval/retrieval.ts';
import { openSqliteRecords } from '../../src/stores/sqlite.ts';

/** A process that ingests one collection, for tests that kill it. Its settings come as one line on standard input. */
for await (const line of createInterface({ input: process.stdin })) {
	const settings: { root: string; records: string; collection: CollectionConfig; embedder: EmbedderConfig } =
		JSON.parse(line);
	const { collection, embedder } = settings;
	const retrieval = createRetrieval({
		config: { collections: new Map([[collection.name, collection]]), embedders: new Map([[embedder.name, embedder]]) },
		store: new LanceStore(join(settings.root, 'index')),
		dataDir: settings.root,
		records: openSqliteRecords(settings.records),
		clock: systemClock,
		ids: createIds(systemClock, systemRandom),
		random: systemRandom,
		openModel: (config) => createEmbeddingModel(config, { clock: systemClock }),
		alerts: { raise: () => {}, resolve: () => {} },
	});
	await retrieval.open();
	await retrieval.ingester.ingest(collection.name, { signal: new AbortController().signal });
}
