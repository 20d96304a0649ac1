import { createHmac } from 'node:crypto';
import { join } from 'node:path';
import type { Logger } from 'pino';
import { type Clock, systemClock } from '../base/clock.ts';
import { createHttpClient } from '../base/http.ts';
import { createIds, randomText } from '../base/ids.ts';
import { type Random, systemRandom } from '../base/random.ts';
import type { KeyView, Operator } from '../gateway/operator.ts';
import { createRetrieval } from '../retrieval/retrieval.ts';
import { Keyring } from '../runtime/keyring.ts';
import { type LimitedTenant, limitReport } from '../runtime/limit-report.ts';
import { Runtime } from '../runtime/runtime.ts';
import type { RecordStore } from '../spec/records.ts';
import type { SharedState, StateHealth } from '../spec/shared-state.ts';
import { type DataFolder, lockDataFolder } from '../stores/data-folder.ts';
import { FailsafeState } from '../stores/failsafe-state.ts';
import { MemoryState } from '../stores/memory-state.ts';
import { RedisState } from '../stores/redis-state.ts';
import { openSqliteRecords } from '../stores/sqlite.ts';
import { openTraceStore } from '../telemetry/trace-store.ts';
import { KeyAdmin } from './keys.ts';
import type { LoadedProject } from './load-project.ts';
import { ModelPool } from './model-pool.ts';
import { readSecret, writeSecret } from './secret-file.ts';
import { createSnapshot } from './snapshot.ts';

/** Everything that a running Plimsoll consists of, below HTTP. */
export interface Services {
	readonly runtime: Runtime;
	readonly operator: Operator;
	readonly keyring: Keyring;
	readonly keys: KeyAdmin;
	readonly dataFolder: DataFolder;
	readonly project: LoadedProject;
	/** Puts a new project in force for new requests. */
	update(project: LoadedProject): Promise<void>;
	/** Ends what runs, writes what is buffered, gives the data folder back. */
	close(): Promise<void>;
}

export const TRACE_FILE = 'traces.duckdb';
export const RECORD_FILE = 'records.sqlite';
const USER_HASH_KEY_FILE = 'user-hash-key';
const EMBEDDER_CONNECTIONS = { connectionsMax: 16, connectMs: 5000 };

/** Opens the parts in the order in which they need each other; what was opened is closed again when one fails. */
export async function openServices(project: LoadedProject, log: Logger): Promise<Services> {
	const clock = systemClock;
	const random = systemRandom;
	await using opened = new AsyncDisposableStack();
	const { dataDir } = project.config;
	const dataFolder = opened.adopt(lockDataFolder(dataDir), (folder) => folder.release());
	const records = opened.adopt(openSqliteRecords(join(dataDir, RECORD_FILE)), (store) => store.close());
	const sharedState = opened.adopt(await openSharedState(project, { records, clock, log }), (state) => state.close());
	const keyring = new Keyring();
	const keys = new KeyAdmin({ records, keyring, clock, random });
	await keys.load();
	const traces = opened.adopt(await openTraces(project, { clock, log }), (store) => store.close());
	const retrieval = opened.adopt(await openRetrieval(project, { clock, random, records, log }, opened), (all) =>
		all.close(),
	);
	const pool = opened.adopt(new ModelPool(clock), (models) => models.close());
	const snapshot = createSnapshot(project, pool.update(project.config.upstreams));
	const runtime = new Runtime(
		{
			clock,
			random,
			newId: createIds(clock, random),
			retriever: retrieval.retriever,
			traces,
			keyring,
			sharedState,
			onFault: (error) => log.error({ err: error }, 'what a request held of its limits could not be settled'),
			hashUser: createUserHash(join(dataDir, USER_HASH_KEY_FILE), random),
		},
		snapshot,
	);
	const parts = opened.move();
	let current = project;
	return {
		runtime,
		keyring,
		keys,
		dataFolder,
		operator: {
			traces,
			retriever: retrieval.retriever,
			listKeys: () => keys.list(),
			createKey: (ask) => keys.create(ask),
			revokeKey: (id) => keys.revoke(id),
			limits: async (tenantId) =>
				limitReport(current.config.limits, tenantsOf(current, await keys.list(), tenantId), {
					state: sharedState,
					now: clock.now(),
				}),
			ingest: (collection, options) => retrieval.ingester.ingest(collection, options),
			readiness: () => readiness(current, retrieval.retriever.status(), sharedState.health()),
		},
		get project() {
			return current;
		},
		async update(next) {
			await retrieval.update(next.config);
			runtime.replace(createSnapshot(next, pool.update(next.config.upstreams)));
			current = next;
		},
		close: () => parts.disposeAsync(),
	};
}

function openTraces({ config }: LoadedProject, { clock, log }: { clock: Clock; log: Logger }) {
	return openTraceStore({
		file: join(config.dataDir, TRACE_FILE),
		clock,
		retentionDays: config.telemetry.retentionDays,
		warn: (message) => log.warn(message),
	});
}

async function openRetrieval(
	{ config }: LoadedProject,
	parts: { clock: Clock; random: Random; records: RecordStore; log: Logger },
	opened: AsyncDisposableStack,
) {
	const http = opened.adopt(createHttpClient(EMBEDDER_CONNECTIONS), (client) => client.close());
	const retrieval = createRetrieval({
		config,
		dataDir: config.dataDir,
		records: parts.records,
		clock: parts.clock,
		ids: createIds(parts.clock, parts.random),
		http,
	});
	await retrieval.open();
	return retrieval;
}

/** Tenants exist by their keys and by their entries in plimsoll.yaml. */
function tenantsOf({ config }: LoadedProject, keys: readonly KeyView[], tenantId: string | null): LimitedTenant[] {
	const names = new Set([...keys.map((key) => key.tenantId), ...Object.keys(config.limits.tenants)]);
	const seen = tenantId === null ? [...names].sort() : [tenantId];
	return seen.map((name) => ({
		tenantId: name,
		keys: keys.filter((key) => key.tenantId === name && key.revokedAt === null),
	}));
}

/** Counters of this process, or of all replicas in Redis with those of this process to fall back on. */
async function openSharedState(
	{ config: { sharedState: settings } }: LoadedProject,
	{ records, clock, log }: { records: RecordStore; clock: Clock; log: Logger },
): Promise<SharedState> {
	const local = await MemoryState.open(records, clock.now());
	if (settings.redisUrl === null) return local;
	let toldAt = Number.NEGATIVE_INFINITY;
	const onTrouble = (message: string) => {
		// Attempts to connect go on every second; their failures are worth one line a minute.
		if (clock.monotonic() - toldAt < 60_000) return;
		toldAt = clock.monotonic();
		log.warn({ onFailure: settings.onFailure }, `the shared state behind limits: ${message}`);
	};
	const shared = new RedisState({ url: settings.redisUrl, clock, onTrouble });
	await shared.connect();
	return new FailsafeState({ shared, local, clock, policy: settings });
}

/** Ready: every collection that a feature retrieves from has a live index, and a state that must answer does. */
function readiness(
	project: LoadedProject,
	status: ReturnType<Operator['retriever']['status']>,
	sharedState: StateHealth,
): ReturnType<Operator['readiness']> {
	const live = new Set(status.filter(({ generation }) => generation !== null).map(({ collection }) => collection));
	const needed = [...project.releases.values()].flatMap(({ contract }) => contract.retrieval?.collection ?? []);
	const waitingFor = [...new Set(needed)].filter((collection) => !live.has(collection));
	const isStopped = sharedState.status === 'down' && sharedState.onFailure === 'fail_closed';
	return { ready: waitingFor.length === 0 && !isStopped, waitingFor, sharedState };
}

/** HMAC-SHA-256 under a secret of this data folder: the same user gives the same hash, and nothing leads back. */
function createUserHash(file: string, random: Random): (tenantId: string, user: string) => string {
	let secret = readSecret(file);
	if (secret === null || secret === '') {
		secret = randomText(random, 52);
		writeSecret(file, secret);
	}
	const key = secret;
	return (tenantId, user) => createHmac('sha256', key).update(`${tenantId}\n${user}`).digest('hex').slice(0, 32);
}
