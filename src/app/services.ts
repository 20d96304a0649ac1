import { join } from 'node:path';
import type { Logger } from 'pino';
import { type Clock, systemClock } from '../base/clock.ts';
import { createHttpClient } from '../base/http.ts';
import { createIds } from '../base/ids.ts';
import { type Random, systemRandom } from '../base/random.ts';
import type { KeyView, Operator } from '../gateway/operator.ts';
import { BearerAuthenticator } from '../identity/authenticator.ts';
import { issuerKeyId } from '../identity/claims.ts';
import { Keyring } from '../identity/keyring.ts';
import { TokenVerifier } from '../identity/token-verifier.ts';
import { createRetrieval } from '../retrieval/retrieval.ts';
import { type LimitedTenant, limitReport, organisationLimits, organisationReport } from '../runtime/limit-report.ts';
import { Runtime } from '../runtime/runtime.ts';
import type { Caller } from '../spec/identity.ts';
import type { AuditEntry, RecordStore } from '../spec/records.ts';
import type { SharedState, StateHealth } from '../spec/shared-state.ts';
import { type DataFolder, lockDataFolder } from '../stores/data-folder.ts';
import { FailsafeState } from '../stores/failsafe-state.ts';
import { MemoryState } from '../stores/memory-state.ts';
import { RedisLink } from '../stores/redis-link.ts';
import { RedisState } from '../stores/redis-state.ts';
import { openSqliteRecords } from '../stores/sqlite.ts';
import { openTraceStore } from '../telemetry/trace-store.ts';
import { KeyAdmin, PROCESS_ACTOR } from './keys.ts';
import type { LoadedProject } from './load-project.ts';
import { ModelPool } from './model-pool.ts';
import { createSnapshot } from './snapshot.ts';
import { USER_HASH_KEY_FILE, UserHash } from './user-hash.ts';

/** Everything that a running Plimsoll consists of, below HTTP. */
export interface Services {
	readonly runtime: Runtime;
	readonly operator: Operator;
	readonly authenticator: BearerAuthenticator;
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
const IDENTITY_CONNECTIONS = { connectionsMax: 2, connectMs: 3000 };
const EMBEDDER_CONNECTIONS = { connectionsMax: 16, connectMs: 5000 };

/** Opens the parts in the order in which they need each other; what was opened is closed again when one fails. */
export async function openServices(project: LoadedProject, log: Logger): Promise<Services> {
	const clock = systemClock;
	const random = systemRandom;
	await using opened = new AsyncDisposableStack();
	const { dataDir } = project.config;
	const dataFolder = opened.adopt(lockDataFolder(dataDir), (folder) => folder.release());
	const records = opened.adopt(openSqliteRecords(join(dataDir, RECORD_FILE)), (store) => store.close());
	const link = openRedisLink(project, { clock, log });
	if (link !== null) opened.defer(() => link.close());
	await link?.connect();
	const sharedState = opened.adopt(await openSharedState(project, { records, clock, link }), (state) => state.close());
	const keyring = new Keyring(clock);
	const keys = new KeyAdmin({ records, keyring, clock, random });
	await keys.load();
	opened.defer(keys.recordUses((message) => log.warn(message)));
	const users = new UserHash(join(dataDir, USER_HASH_KEY_FILE), random);
	const identityHttp = opened.adopt(createHttpClient(IDENTITY_CONNECTIONS), (client) => client.close());
	const warn = (message: string) => log.warn(message);
	const tokens = new TokenVerifier({ clock, http: identityHttp, warn }, project.config.identity.jwt);
	const authenticator = new BearerAuthenticator(keyring, tokens);
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
			authenticator,
			sharedState,
			onFault: (error) => log.error({ err: error }, 'what a request held of its limits could not be settled'),
			hashUser: (tenantId, user) => users.of(tenantId, user),
		},
		snapshot,
	);
	const parts = opened.move();
	let current = project;
	return {
		runtime,
		authenticator,
		keys,
		dataFolder,
		operator: {
			traces,
			retriever: retrieval.retriever,
			...identityOperator({ keys, users, records, clock }),
			limits: async (tenantId) => {
				const now = clock.now();
				const tenants = tenantsOf(current, inForce(await keys.list(), now), tenantId);
				const { limits: table } = runtime.snapshot;
				const organisations =
					tenantId === null
						? await organisationReport(table, { state: sharedState, now })
						: organisationLimits(table, tenantId);
				return [...organisations, ...(await limitReport(table, tenants, { state: sharedState, now }))];
			},
			ingest: (collection, options) => retrieval.ingester.ingest(collection, options),
			readiness: () => {
				const { ready, ...rest } = readiness(current, retrieval.retriever.status(), sharedState.health());
				return { ready: ready && !runtime.draining, ...rest };
			},
		},
		get project() {
			return current;
		},
		async update(next) {
			await retrieval.update(next.config);
			runtime.replace(createSnapshot(next, pool.update(next.config.upstreams)));
			tokens.update(next.config.identity.jwt);
			tokens.prepare();
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
		warn: (message) => parts.log.warn(message),
	});
	await retrieval.open();
	return retrieval;
}

/** Tenants exist by their keys, by the issuers of tokens for them and by their entries in plimsoll.yaml. */
function tenantsOf({ config }: LoadedProject, keys: readonly KeyView[], tenantId: string | null): LimitedTenant[] {
	const issuers = config.identity.jwt;
	const names = new Set([
		...keys.map((key) => key.tenantId),
		...issuers.flatMap(({ tenant, tenantsAllowed }) => tenant ?? tenantsAllowed ?? []),
		...Object.keys(config.limits.tenants),
	]);
	const seen = tenantId === null ? [...names].sort() : [tenantId];
	// The tokens of one issuer count together, like one key.
	const tokens = issuers.map(({ name }) => ({ id: issuerKeyId(name), name: issuerKeyId(name) }));
	return seen.map((name) => ({
		tenantId: name,
		keys: [...keys.filter((key) => key.tenantId === name), ...tokens],
	}));
}

function inForce(keys: readonly KeyView[], now: number): readonly KeyView[] {
	return keys.filter((key) => key.revokedAt === null && (key.expiresAt === null || key.expiresAt > now));
}

/** The connection that replicas share, where one is configured. */
function openRedisLink(
	{ config: { sharedState: settings } }: LoadedProject,
	{ clock, log }: { clock: Clock; log: Logger },
): RedisLink | null {
	if (settings.redisUrl === null) return null;
	let toldAt = Number.NEGATIVE_INFINITY;
	const onTrouble = (message: string) => {
		// Attempts to connect go on every second; their failures are worth one line a minute.
		if (clock.monotonic() - toldAt < 60_000) return;
		toldAt = clock.monotonic();
		log.warn({ onFailure: settings.onFailure }, `the shared state behind limits: ${message}`);
	};
	return new RedisLink({ url: settings.redisUrl, clock, onTrouble });
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

/** The operator's part about keys: who asked is told to the audit log. */
function identityOperator({ keys, users, records, clock }: IdentityParts) {
	const actor = (caller: Caller) => actorOf(caller, users);
	return {
		listKeys: () => keys.list(),
		createKey: (ask, by) => keys.create(ask, actor(by)),
		rotateKey: (id, ask, by) => keys.rotate(id, ask, actor(by)),
		revokeKey: (id, by) => keys.revoke(id, actor(by)),
		rotateUserHash: (by) => rotateUserHash({ users, records, clock }, actor(by)),
		listAudit: (limit) => records.listAudit(limit),
	} satisfies Partial<Operator>;
}

interface IdentityParts {
	readonly keys: KeyAdmin;
	readonly users: UserHash;
	readonly records: RecordStore;
	readonly clock: Clock;
}

/** Takes a new secret for the hashes of users, and says so in the audit log. */
export async function rotateUserHash(
	{ users, records, clock }: Omit<IdentityParts, 'keys'>,
	actor: string,
): Promise<string> {
	const version = users.rotate();
	const entry: AuditEntry = {
		at: clock.now(),
		actor,
		action: 'user_hash_rotated',
		subject: version,
		tenantId: null,
		detail: {},
	};
	await records.putAudit(entry);
	return version;
}

function actorOf(caller: Caller, users: UserHash): string {
	if (caller.kind === 'in_process') return PROCESS_ACTOR;
	if (caller.kind === 'key') return `key:${caller.keyId}`;
	return caller.user === null ? `${caller.keyId}` : `${caller.keyId}:${users.of(caller.tenantId, caller.user)}`;
}
