import path from 'node:path';
import type { Clock } from '../base/clock.ts';
import { createHttpClient } from '../base/http.ts';
import type { Random } from '../base/random.ts';
import type { Canary } from '../contracts/canary.ts';
import type { HostedEmbedderConfig } from '../contracts/embedder.ts';
import type { ProjectConfig } from '../contracts/project.ts';
import type { Alerts } from '../spec/alerts.ts';
import type { CanarySuggestions } from '../spec/canaries.ts';
import type { EmbedderDesk } from '../spec/embedder-desk.ts';
import type { EmbedderSource, EmbeddingModel } from '../spec/embedding.ts';
import type { IndexAdmin } from '../spec/index-admin.ts';
import type { IndexStore } from '../spec/index-store.ts';
import type { PushAdmin } from '../spec/push.ts';
import type { RecordStore } from '../spec/records.ts';
import type { Ingester, IngestionView, Retriever } from '../spec/retrieval.ts';
import { approximateRecall } from './approximate-recall.ts';
import { suggestCanaries } from './canary-suggest.ts';
import { Catalogue } from './catalogue.ts';
import { BASIC_CHECKS, rolledBackCheck } from './checks.ts';
import { CollectionQueue } from './collection-queue.ts';
import { Desk } from './embedding/desk.ts';
import { EmbedderPool } from './embedding/embedder-pool.ts';
import { fingerprintCheck } from './embedding/fingerprint-check.ts';
import { Measurements } from './embedding/measurements.ts';
import { QueryEmbedder } from './embedding/query-embedder.ts';
import { QueryVectors } from './embedding/query-vectors.ts';
import { SpaceWatch } from './embedding/space-watch.ts';
import { EmbeddingSpaces } from './embedding/spaces.ts';
import { GenerationVerifier } from './generation-verifier.ts';
import { Generations } from './generations.ts';
import { Housekeeping } from './housekeeping.ts';
import { IndexKeeper } from './index-keeper.ts';
import { CollectionIngester } from './ingest.ts';
import { IngestionTally } from './ingestion-tally.ts';
import { Maintenance } from './maintenance.ts';
import { PushDesk } from './push/push-desk.ts';
import type { RerankerSource } from './ranking.ts';
import { createRetriever } from './search.ts';
import type { Check } from './verification.ts';

/** What retrieval needs of a project. */
export type RetrievalConfig = Pick<ProjectConfig, 'collections' | 'embedders'>;

/** In the data folder: models from the hub. */
export const MODEL_FOLDER = 'models';
/** Of sources behind HTTP, to one origin. */
const SOURCE_CONNECTIONS_MAX = 8;
const SOURCE_CONNECT_MS = 10_000;

export interface RetrievalOptions {
	readonly config: RetrievalConfig;
	/** Opened and closed with retrieval. */
	readonly store: IndexStore;
	/** Models from the hub live in its folder `models`. */
	readonly dataDir: string;
	readonly records: RecordStore;
	readonly clock: Clock;
	readonly ids: (prefix: string) => string;
	readonly random: Random;
	/** Opens the models of embedders behind an endpoint. */
	readonly openModel: (config: HostedEmbedderConfig) => Promise<EmbeddingModel>;
	/** Left out: what collections name is not asked, and the fused order stands. */
	readonly rerankers?: RerankerSource | undefined;
	/** Hears of what a person should look at. */
	readonly alerts: Alerts;
	/** What generations are held to before they go live, besides the basic checks. */
	readonly checks?: readonly Check[];
	/** Hears of damage that was found and worked around. */
	readonly warn?: (message: string) => void;
}

export interface Retrieval {
	/** See `approximate-recall.ts`. */
	readonly approximateRecall: (
		collection: string,
		canaries: readonly Canary[],
		signal: AbortSignal,
	) => Promise<number | null>;
	/** See `canary-suggest.ts`. */
	readonly suggestCanaries: (ask: Parameters<typeof suggestCanaries>[1]) => Promise<CanarySuggestions>;
	readonly retriever: Retriever;
	readonly ingester: Ingester;
	readonly push: PushAdmin;
	readonly index: IndexAdmin;
	readonly embedders: EmbedderSource;
	readonly desk: EmbedderDesk;
	/** What ingestions added up to since the start. */
	ingestions(): readonly IngestionView[];
	/** The vectors of queries that are remembered. */
	queryVectors(): QueryVectors['stats'];
	/** From now on measures embedders, tells when one no longer fits its index, and removes what indexes no longer need. */
	watch(): void;
	/** Opens the live generations. A damaged one leaves its collection not ready; the others work. Throws `storage_failed`. */
	open(): Promise<void>;
	/** Puts a new configuration in force for searches and runs that start from now on. */
	update(config: RetrievalConfig): Promise<void>;
	/** Waits for runs to end: abort their signals first. */
	close(): Promise<void>;
}

/** Wires sources, embedders, index and search; nothing is read or written before `open`. */
export function createRetrieval(options: RetrievalOptions): Retrieval {
	const { store, dataDir, records, clock, random, ids, openModel, alerts, warn = () => {} } = options;
	const catalogue = new Catalogue({ store, records, warn, alerts, clock });
	const measurements = new Measurements(clock);
	const embedders = new EmbedderPool({
		clock,
		random,
		openModel,
		cacheDir: path.join(dataDir, MODEL_FOLDER),
		onServed: (embedder) => watch.served(embedder),
	});
	const desk = new Desk({ pool: embedders, catalogue, records, measurements, watch: () => watch });
	const indexes = (embedder: string) => desk.indexes(embedder);
	const watch = new SpaceWatch({ pool: embedders, measurements, indexes, clock, random, alerts, warn });
	const spaces = new EmbeddingSpaces({ records, clock, measurements });
	const vectors = new QueryVectors(measurements);
	const queries = new QueryEmbedder({ embedders, watch, vectors });
	catalogue.onLive = (embedder) => watch.live(embedder);
	const checks = [...BASIC_CHECKS, rolledBackCheck(records), fingerprintCheck(measurements), ...(options.checks ?? [])];
	const verifier = new GenerationVerifier({ store, queries, records, clock, checks });
	const housekeeping = new Housekeeping({ store, records, catalogue, clock, warn });
	const queue = new CollectionQueue();
	const tally = new IngestionTally(clock);
	const parts = { store, catalogue, embedders, spaces, records, clock, alerts, warn, verifier, housekeeping, queue };
	const generations = new Generations(parts);
	const clients = sourceClients();
	const ingester = new CollectionIngester({ ...parts, generations, ids, ...clients, tally });
	const push = new PushDesk({ ...parts, ingester, ids });
	const index = new IndexKeeper(parts);
	const maintenance = new Maintenance({ ...parts, stored: () => push.stored() });
	const update = async (config: RetrievalConfig) => {
		await embedders.update(config.embedders);
		await catalogue.update(config.collections);
		push.update();
		options.rerankers?.update([...config.collections.values()].flatMap(({ search }) => search.rerank ?? []));
		watch.update();
	};
	const retriever = createRetriever({ catalogue, queries, clock, rerankers: options.rerankers });
	return {
		retriever,
		suggestCanaries: (ask) => suggestCanaries({ catalogue, retriever, clock }, ask),
		ingester,
		push,
		index,
		embedders,
		desk,
		ingestions: () => tally.view(),
		queryVectors: () => vectors.stats,
		watch() {
			watch.start();
			maintenance.start();
		},
		approximateRecall: (collection, canaries, signal) =>
			approximateRecall({ catalogue, queries }, { collection, canaries, signal }),
		async open() {
			await store.open();
			await ingester.open();
			await update(options.config);
		},
		update,
		async close() {
			watch.stop();
			push.close();
			await maintenance.close();
			await queue.idle();
			catalogue.close();
			store.close();
			await embedders.close();
			await Promise.all([clients.http, clients.web.refuse, clients.web.allow].map((client) => client.close()));
		},
	};
}

/** What sources behind HTTP are asked with: stores that a person named, and web sites. */
function sourceClients() {
	const connections = { connectionsMax: SOURCE_CONNECTIONS_MAX, connectMs: SOURCE_CONNECT_MS };
	const web = {
		refuse: createHttpClient({ ...connections, publicOnly: true }),
		allow: createHttpClient({ ...connections, withoutMetadata: true }),
	};
	return { http: createHttpClient(connections), web };
}
