import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { systemClock } from '../../src/base/clock.ts';
import { createIds } from '../../src/base/ids.ts';
import { systemRandom } from '../../src/base/random.ts';
import type { CollectionConfig } from '../../src/contracts/collection.ts';
import type { EmbedderConfig } from '../../src/contracts/embedder.ts';
import { createEmbeddingModel } from '../../src/models/create-embedding-model.ts';
import { createRetrieval } from '../../src/retrieval/retrieval.ts';
import { asPlimsollError } from '../../src/spec/errors.ts';
import type { IndexStore, TableShape } from '../../src/spec/index-store.ts';
import type { RecordStore } from '../../src/spec/records.ts';
import type { IngestReport } from '../../src/spec/retrieval.ts';
import { openSqliteRecords } from '../../src/stores/sqlite.ts';
import { type CrashPoint, crashOn } from './crash-on.ts';
import { openPlace, type SharedPlace } from './index-writing-child.ts';

interface Settings {
	readonly root: string;
	readonly records: string;
	readonly collection: CollectionConfig;
	readonly embedder: EmbedderConfig;
	/** Where the index is; left out: in the folder. */
	readonly place?: SharedPlace;
	readonly crash?: CrashPoint;
}

/** What the process prints of its ingestion. */
export type ChildOutcome = { readonly report: IngestReport } | { readonly code: string; readonly message: string };

function crashingRecords(records: RecordStore, crash: CrashPoint | undefined): RecordStore {
	if (crash?.part !== 'generations') return records;
	const generations = crashOn(records.generations, crash);
	return new Proxy(records, {
		get: (object, name) => {
			if (name === 'generations') return generations;
			const member: unknown = Reflect.get(object, name, object);
			return typeof member === 'function' ? member.bind(object) : member;
		},
	});
}

function crashingStore(store: IndexStore, crash: CrashPoint | undefined): IndexStore {
	if (crash?.part !== 'writer') return store;
	return new Proxy(store, {
		get: (object, name) => {
			const member: unknown = Reflect.get(object, name, object);
			if (typeof member !== 'function') return member;
			if (name !== 'writer') return member.bind(object);
			return async (shape: TableShape) => crashOn(await object.writer(shape), crash);
		},
	});
}

async function ingest(settings: Settings): Promise<ChildOutcome> {
	const { root, collection, embedder, crash } = settings;
	const place = settings.place ?? { kind: 'lancedb', folder: join(root, 'index') };
	const retrieval = createRetrieval({
		config: { collections: new Map([[collection.name, collection]]), embedders: new Map([[embedder.name, embedder]]) },
		store: crashingStore(openPlace(place), crash),
		dataDir: root,
		records: crashingRecords(openSqliteRecords(settings.records), crash),
		clock: systemClock,
		ids: createIds(systemClock, systemRandom),
		random: systemRandom,
		openModel: (config) => createEmbeddingModel(config, { clock: systemClock }),
		alerts: { raise: () => {}, resolve: () => {} },
	});
	await retrieval.open();
	try {
		return { report: await retrieval.ingester.ingest(collection.name, { signal: new AbortController().signal }) };
	} catch (thrown) {
		const { code, message } = asPlimsollError(thrown);
		return { code, message };
	} finally {
		await retrieval.close();
	}
}

/** A process that ingests one collection, for tests that kill it or run two. Its settings come as one line on standard input. */
if (import.meta.main) {
	for await (const line of createInterface({ input: process.stdin })) {
		process.stdout.write(`${JSON.stringify(await ingest(JSON.parse(line)))}\n`);
	}
}
