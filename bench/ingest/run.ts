import { join } from 'node:path';
import { setDefaults } from '../../src/app/environment.ts';
import { systemClock } from '../../src/base/clock.ts';
import { createIds } from '../../src/base/ids.ts';
import { systemRandom } from '../../src/base/random.ts';
import { collection as collectionSchema } from '../../src/contracts/collection-schema.ts';
import { collectionOf } from '../../src/contracts/compile-collection.ts';
import { LANCE_SETTINGS } from '../../src/index-stores/lancedb/settings.ts';
import { LanceStore } from '../../src/index-stores/lancedb/store.ts';
import { createRetrieval } from '../../src/retrieval/retrieval.ts';
import { openSqliteRecords } from '../../src/stores/sqlite.ts';
import { Phases } from './phases.ts';

/** One ingestion in a process of its own: `node run.ts <data folder> <file.jsonl>`. Prints seconds, those of the CPU, memory by phase and the report. */
const [, , root = '', file = ''] = process.argv;
const phases = new Phases();

/** Tells when a table is sealed, and when what was verified is opened for searches. */
class MeasuredStore extends LanceStore {
	override async writer(...given: Parameters<LanceStore['writer']>) {
		const writer = await super.writer(...given);
		const seal = writer.seal.bind(writer);
		writer.seal = async (...how) => {
			phases.begin('seal');
			const sealed = await seal(...how);
			phases.begin('verify');
			return sealed;
		};
		return writer;
	}

	override reader(...given: Parameters<LanceStore['reader']>) {
		if (phases.current === 'verify') phases.begin('promote');
		return super.reader(...given);
	}
}

setDefaults(LANCE_SETTINGS);
const raw = collectionSchema.parse({
	sources: { lines: { kind: 'jsonl', path: file, title_field: 'title', line_bytes_max: 8_388_608 } },
	documents: { fields: { product: { type: 'text', required: true } }, language: ['en', 'de'] },
});
const records = openSqliteRecords(join(root, 'records.sqlite'));
const retrieval = createRetrieval({
	config: {
		collections: new Map([['docs', collectionOf('docs', raw, { dir: root, embedders: {} })]]),
		embedders: new Map(),
	},
	store: new MeasuredStore(join(root, 'index')),
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
const report = await retrieval.ingester.ingest('docs', {
	signal: new AbortController().signal,
	onProgress({ phase, done }) {
		if (phase === 'scan') phases.begin('write');
		if (phase === 'index' && done === 0) phases.begin('verify');
	},
});
const seconds = (systemClock.monotonic() - started) / 1_000;
const { user, system } = process.cpuUsage(cpu);
const phaseMb = phases.end();
await retrieval.close();
await records.close();
// The system counts in kilobytes.
const peakMb = Math.round(process.resourceUsage().maxRSS / 1_024);
console.log(JSON.stringify({ seconds, cpuSeconds: (user + system) / 1e6, peakMb, phaseMb, report }));
