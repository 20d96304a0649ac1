import { join } from 'node:path';
import type { Logger } from 'pino';
import { type Clock, systemClock } from '../base/clock.ts';
import { createHttpClient } from '../base/http.ts';
import { createIds } from '../base/ids.ts';
import { type Random, systemRandom } from '../base/random.ts';
import type { LimitTable, ProjectConfig } from '../contracts/project.ts';
import { FlagClient } from '../flags/flag-client.ts';
import type { Operator } from '../gateway/operator.ts';
import type { BearerAuthenticator } from '../identity/authenticator.ts';
import type { Sessions } from '../identity/sessions.ts';
import { LANCE_SETTINGS } from '../index-stores/lancedb/settings.ts';
import { createEmbeddingModel } from '../models/create-embedding-model.ts';
import type { Breakers } from '../policy/breakers.ts';
import { CanaryMonitor } from '../retrieval/canary-monitor.ts';
import { knownAnswerCheck } from '../retrieval/known-answer-check.ts';
import { Rerankers } from '../retrieval/rerankers.ts';
import { createRetrieval, MODEL_FOLDER, type Retrieval } from '../retrieval/retrieval.ts';
import type { Idempotency } from '../runtime/idempotency.ts';
import { Runtime } from '../runtime/runtime.ts';
import type { Alerts } from '../spec/alerts.ts';
import type { HealthRecords } from '../spec/health-records.ts';
import type { IndexStore } from '../spec/index-store.ts';
import type { RecordStore } from '../spec/records.ts';
import type { SharedState } from '../spec/shared-state.ts';
import { type DataFolder, lockDataFolder } from '../stores/data-folder.ts';
import { FailsafeState } from '../stores/failsafe-state.ts';
import { MemoryState } from '../stores/memory-state.ts';
import { RedisHints } from '../stores/redis-hints.ts';
import { RedisLink } from '../stores/redis-link.ts';
import { RedisState } from '../stores/redis-state.ts';
import { openSqliteRecords } from '../stores/sqlite.ts';
import { openSqliteHealth } from '../stores/sqlite-health.ts';
import { Metrics } from '../telemetry/metrics.ts';
import { openTraceStore } from '../telemetry/trace-store.ts';
import { openAlerts } from './alerts.ts';
import { BreakerHints } from './breaker-hints.ts';
import { setDefaults } from './environment.ts';
import { FeedbackBook } from './feedback.ts';
import { FLAG_KEY_FILE, flagSecret } from './flag-secret.ts';
import { openIdempotency } from './idempotency.ts';
import { openIdentity } from './identity.ts';
import type { KeyAdmin } from './keys.ts';
import type { LoadedProject } from './load-project.ts';
import { ModelPool } from './model-pool.ts';
import { operatorOf, tenantsOfTokens } from './operator.ts';
import { openReplication, type ReplicatedRecords } from './replicated-records.ts';
import { createSnapshot } from './snapshot.ts';
import { TenantAdmin } from './tenants.ts';

/** Everything that a running Plimsoll consists of, below HTTP. */
export interface Services {
	readonly runtime: Runtime;
	readonly operator: Operator;
	readonly authenticator: BearerAuthenticator;
	readonly idempotency: Idempotency;
	readonly sessions: Sessions;
	readonly keys: KeyAdmin;
	readonly tenants: TenantAdmin;
	/** Looks after indexes once it is started. */
	readonly canaries: CanaryMonitor;
	readonly dataFolder: DataFolder;
	readonly project: LoadedProject;
	/** Looks after embedders, indexes and old ratings from now on, in a process that stays. */
	watch(): void;
	/** Loads the models of re-rankers, before a search asks. Never rejects; nor does the next. */
	loadRerankers(): Promise<void>;
	/** The same of one collection, for a process that ends after a search of it. @param collection null: nothing is searched. */
	loadReranker(collection: string | null): Promise<void>;
	/** Puts a new project in force for new requests. */
	update(project: LoadedProject): Promise<void>;
	/** Ends what runs, writes what is buffered, gives the data folder back. */
	close(): Promise<void>;
}

export const TRACE_FILE = 'traces.duckdb';
export const RECORD_FILE = 'records.sqlite';
const RERANKER_CONNECTIONS = { connectionsMax: 16, connectMs: 1_000 };
const INDEX_FOLDER = 'index';

/** Opens the parts in the order in which they need each other; what was opened is closed again when one fails. */
export async function openServices(project: LoadedProject, log: Logger): Promise<Services> {
	const clock = systemClock;
	const random = systemRandom;
	const warn = (message: string) => log.warn(message);
	await using opened = new AsyncDisposableStack();
	const { dataFolder, records, health, alerts } = await openRecords(project, { clock, random, log }, opened);
	const link = await openRedisLink(project, { clock, log }, opened);
	const sharedState = opened.adopt(await openSharedState(project, { records, clock, link }), (state) => state.close());
	const replication = openReplication({ records, clock, log, link });
	const identity = await openIdentity(project, { records, replication, clock, random, log }, opened);
	const { keys, users, tokens, sessions, authenticator } = identity;
	const metrics = metricsOf(project);
	let current = project;
	const { traces, feedback } = await openTraces(() => current, { records, clock, log }, opened);
	const held = { records, health, alerts: alerts.sink, clock, random, log, project: () => current };
	const { retrieval, canaries, rerankers } = await openRetrieval(held, opened);
	const pool = opened.adopt(new ModelPool(clock), (models) => models.close());
	const newId = createIds(clock, random);
	const flags = opened.adopt(await openFlags(project, { clock, random, newId, warn }), (all) => all.close());
	const { limits, upstreams } = project.config;
	const snapshot = createSnapshot(project, pool.update(upstreams), { limits, flags });
	const runtime = new Runtime(
		{
			clock,
			random,
			newId,
			retriever: retrieval.retriever,
			embedders: retrieval.embedders,
			traces: metrics.before(traces),
			authenticator,
			feedback,
			sharedState,
			alerts: alerts.sink,
			onFault: (error) => log.error({ err: error }, 'what a request held of its limits could not be settled'),
			hashUser: (tenantId, user) => users.of(tenantId, user),
		},
		snapshot,
	);
	const idempotency = await openIdempotency(project, { clock, log, link, runtime }, opened);
	const tenants = await openTenants(() => current, { records, keys, clock, runtime, replication });
	opened.defer(() => replication.close());
	opened.defer(watchBreakers(runtime.breakers, { link, clock, log }));
	const parts = opened.move();
	return {
		runtime,
		authenticator,
		idempotency,
		sessions,
		keys,
		tenants,
		canaries,
		dataFolder,
		operator: operatorOf({
			traces,
			metrics,
			retrieval,
			alerts,
			canaries,
			health,
			flags,
			keys,
			tenants,
			users,
			records,
			clock,
			runtime,
			sharedState,
			idempotency,
			project: () => current,
			isTellingOthers: () => replication.pending,
		}),
		get project() {
			return current;
		},
		async update(next) {
			await flags.replace(next, () => retrieval.update(next.config));
			tenants.declare(next.config.declared);
			const models = pool.update(next.config.upstreams);
			runtime.replace(createSnapshot(next, models, { limits: tenants.table, flags }));
			tokens.update(next.config.identity.jwt);
			tokens.prepare();
			await alerts.update(next);
			canaries.update(next.canaries);
			current = next;
		},
		...upkeep({ retrieval, rerankers, feedback, project: () => current }),
		close: () => parts.disposeAsync(),
	};
}

function metricsOf({ config: { telemetry } }: LoadedProject): Metrics {
	return new Metrics({ tenantsMax: telemetry.metricTenantsMax, partitionsMax: telemetry.metricPartitionsMax });
}

/** The data folder, locked, and what is on record in it. */
async function openRecords(
	project: LoadedProject,
	parts: { clock: Clock; random: Random; log: Logger },
	opened: AsyncDisposableStack,
) {
	const { dataDir } = project.config;
	const file = join(dataDir, RECORD_FILE);
	const dataFolder = opened.adopt(lockDataFolder(dataDir), (folder) => folder.release());
	const records = opened.adopt(openSqliteRecords(file), (store) => store.close());
	const health = opened.adopt(openSqliteHealth(file), (store) => store.close());
	const alerts = opened.adopt(await openAlerts(project, { records: health, ...parts }), (all) => all.close());
	return { dataFolder, records, health, alerts };
}

async function openTenants(
	current: () => LoadedProject,
	parts: { records: RecordStore; keys: KeyAdmin; clock: Clock; runtime: Runtime; replication: ReplicatedRecords },
): Promise<TenantAdmin> {
	const { runtime, replication, ...rest } = parts;
	const { settingsWritten: onWritten } = replication;
	const named = () => tenantsOfTokens(current());
	const onChange = (table: LimitTable) => runtime.replace({ ...runtime.snapshot, limits: table });
	const tenants = new TenantAdmin({ ...rest, named, onChange, onWritten }, current().config.declared);
	await tenants.load();
	await replication.start(async () => {
		await rest.keys.load();
		await tenants.load();
	});
	return tenants;
}

async function openFlags(
	project: LoadedProject,
	parts: { clock: Clock; random: Random; newId: (prefix: string) => string; warn: (message: string) => void },
): Promise<FlagClient> {
	const { clock, random, newId, warn } = parts;
	const ownSecret = () => flagSecret(join(project.config.dataDir, FLAG_KEY_FILE), random);
	const flags = new FlagClient({ clock, domain: newId('plimsoll'), warn, ownSecret });
	(await flags.prepare(project)).put();
	return flags;
}

/** Traces, and the ratings that refer to them. */
async function openTraces(
	project: () => LoadedProject,
	{ records, clock, log }: { records: RecordStore; clock: Clock; log: Logger },
	opened: AsyncDisposableStack,
) {
	const { dataDir, telemetry } = project().config;
	const warn = (message: string) => log.warn(message);
	const file = join(dataDir, TRACE_FILE);
	const store = await openTraceStore({ file, clock, retentionDays: telemetry.retentionDays, warn });
	const traces = opened.adopt(store, (one) => one.close());
	const book = new FeedbackBook({
		...{ traces, store: records.feedback, clock, warn },
		policy: () => project().config.feedback,
	});
	return { traces, feedback: opened.adopt(book, (one) => one.close()) };
}

async function openRetrieval(
	parts: {
		project: () => LoadedProject;
		clock: Clock;
		random: Random;
		records: RecordStore;
		health: HealthRecords;
		log: Logger;
		alerts: Alerts;
	},
	opened: AsyncDisposableStack,
) {
	const http = opened.adopt(createHttpClient(RERANKER_CONNECTIONS), (client) => client.close());
	const { project, records, health, clock, random, alerts, log } = parts;
	const { config } = project();
	const warn = (message: string) => log.warn(message);
	const rerankers = opened.adopt(
		new Rerankers({ http, clock, cacheDir: join(config.dataDir, MODEL_FOLDER), warn }),
		(all) => all.close(),
	);
	const knownAnswers = knownAnswerCheck({
		setOf: (collection) => project().canaries.get(collection) ?? null,
		baselineOf: (collection) => health.canaryBaseline(collection),
		now: () => clock.now(),
	});
	const made = createRetrieval({
		config,
		store: await openIndexStore(config),
		dataDir: config.dataDir,
		records,
		clock,
		ids: createIds(clock, random),
		random,
		openModel: (embedder) => createEmbeddingModel(embedder, parts),
		rerankers,
		checks: [knownAnswers],
		warn,
		alerts,
	});
	const retrieval = opened.adopt(made, (all) => all.close());
	await retrieval.open();
	const monitor = new CanaryMonitor({ ...retrieval, records: health, alerts, clock, random, warn });
	const canaries = opened.adopt(monitor, (one) => one.close());
	canaries.update(project().canaries);
	return { retrieval, canaries, rerankers };
}

/** What a process does that stays, and a command need not. */
function upkeep(parts: {
	readonly retrieval: Pick<Retrieval, 'watch'>;
	readonly rerankers: Rerankers;
	readonly feedback: FeedbackBook;
	readonly project: () => LoadedProject;
}): Pick<Services, 'watch' | 'loadRerankers' | 'loadReranker'> {
	const { retrieval, rerankers, feedback, project } = parts;
	return {
		watch() {
			retrieval.watch();
			feedback.start();
		},
		loadRerankers: () => rerankers.load(),
		async loadReranker(collection) {
			const searched = collection === null ? null : project().config.collections.get(collection);
			if (searched?.search.rerank) await rerankers.of(searched.search.rerank).load();
		},
	};
}

async function openIndexStore({ indexStore, dataDir }: ProjectConfig): Promise<IndexStore> {
	if (indexStore.kind === 'postgres') {
		// A start without it need not load its driver.
		const { PostgresStore } = await import('../index-stores/postgres/store.ts');
		return new PostgresStore(indexStore);
	}
	// Before it is loaded.
	setDefaults(LANCE_SETTINGS);
	const { LanceStore } = await import('../index-stores/lancedb/store.ts');
	return new LanceStore(indexStore.storage ?? join(dataDir, INDEX_FOLDER));
}

/** The connection that replicas share, where one is configured. */
async function openRedisLink(
	{ config: { sharedState: settings } }: LoadedProject,
	{ clock, log }: { clock: Clock; log: Logger },
	opened: AsyncDisposableStack,
): Promise<RedisLink | null> {
	if (settings.redisUrl === null) return null;
	let toldAt = Number.NEGATIVE_INFINITY;
	const onTrouble = (message: string) => {
		// Attempts to connect go on every second; their failures are worth one line a minute.
		if (clock.monotonic() - toldAt < 60_000) return;
		toldAt = clock.monotonic();
		log.warn({ onFailure: settings.onFailure }, `the shared state behind limits: ${message}`);
	};
	const link = new RedisLink({ url: settings.redisUrl, clock, onTrouble });
	opened.defer(() => link.close());
	await link.connect();
	return link;
}

/** Counters of this process, or of all replicas in Redis with those of this process to fall back on. */
async function openSharedState(
	{ config: { sharedState: policy } }: LoadedProject,
	{ records, clock, link }: { records: RecordStore; clock: Clock; link: RedisLink | null },
): Promise<SharedState> {
	const local = await MemoryState.open(records, clock.now());
	if (link === null) return local;
	return new FailsafeState({ shared: new RedisState(link), local, clock, policy });
}

/** Tells the log, and other replicas where there is a way to them, when an upstream is left alone and when it is asked again. */
function watchBreakers(
	breakers: Breakers,
	{ link, clock, log }: { link: RedisLink | null; clock: Clock; log: Logger },
): () => void {
	breakers.listen((upstream, { why, waitMs }) => {
		if (why === null) log.info({ upstream }, 'the upstream is asked again');
		else log.warn({ upstream, why, waitMs: Math.ceil(waitMs) }, 'the upstream is left alone');
	});
	if (link === null) return () => {};
	const hints = new BreakerHints({ hints: new RedisHints(link), breakers, clock });
	return () => hints.close();
}
