import { join } from 'node:path';
import { systemClock } from '../../src/base/clock.ts';
import { createIds } from '../../src/base/ids.ts';
import { systemRandom } from '../../src/base/random.ts';
import { collection as collectionSchema } from '../../src/contracts/collection-schema.ts';
import { collectionOf } from '../../src/contracts/compile-collection.ts';
import { LanceStore } from '../../src/index-stores/lancedb/store.ts';
import { createRetrieval } from '../../src/retrieval/retrieval.ts';
import { openSqliteRecords } from '../../src/stores/sqlite.ts';

/** One ingestion in a process of its own: `node run.ts <data folder> <file.jsonl>`. Prints seconds, those of the CPU, peak memory and the report. */
const [, , root = '', file = ''] = process.argv;
const raw = collectionSchema.parse({
	sources: { lines: { kind: 'jsonl', path: file, title_field: 'title' } },
	documents: { fields: { product: { type: 'text', required: true } }, language: ['en', 'de'] },
});
const records = openSqliteRecords(join(root, 'records.sqlite'));
const retrieval = createRetrieval({
	config: {
		collections: new Map([['docs', collectionOf('docs', raw, { dir: root, embedders: {} })]]),
		embedders: new Map(),
	},
	store: new LanceStore(join(root, 'index')),
	dataDir: root,
	records,
	clock: systemClock,
	ids: createIds(systemClock, systemRandom),
	random: systemRandom,
	openModel: () => Promise.reject(new Error('there is no embedder')),
	alerts: { raise: () => {}, resolve: () => {} },
});
await retrieval.open();
const started = systemClock.monotonic();
const cpu = process.cpuUsage();
const report = await retrieval.ingester.ingest('docs', { signal: new AbortController().signal });
const seconds = (systemClock.monotonic() - started) / 1_000;
const { user, system } = process.cpuUsage(cpu);
await retrieval.close();
await records.close();
// The system counts in kilobytes.
const peakMb = Math.round(process.resourceUsage().maxRSS / 1_024);
console.log(JSON.stringify({ seconds, cpuSeconds: (user + system) / 1e6, peakMb, report }));
