import type { Clock } from '../base/clock.ts';
import type { LimitTable } from '../contracts/project.ts';
import type { FlagClient } from '../flags/flag-client.ts';
import type { IndexOperator } from '../gateway/index-operator.ts';
import type { KeyView, Operator } from '../gateway/operator.ts';
import { issuerKeyId } from '../identity/claims.ts';
import type { CanaryMonitor } from '../retrieval/canary-monitor.ts';
import type { Retrieval } from '../retrieval/retrieval.ts';
import type { Idempotency } from '../runtime/idempotency.ts';
import { type LimitedTenant, limitReport, organisationLimits, organisationReport } from '../runtime/limit-report.ts';
import type { Runtime } from '../runtime/runtime.ts';
import type { CollectionHealth } from '../spec/canaries.ts';
import type { EmbedderDesk } from '../spec/embedder-desk.ts';
import type { HealthRecords } from '../spec/health-records.ts';
import type { Caller } from '../spec/identity.ts';
import type { IndexAdmin } from '../spec/index-admin.ts';
import type { PushAdmin } from '../spec/push.ts';
import type { AuditEntry, RecordStore } from '../spec/records.ts';
import type { Ingester, Retriever } from '../spec/retrieval.ts';
import type { SharedState, StateHealth } from '../spec/shared-state.ts';
import type { Metrics } from '../telemetry/metrics.ts';
import type { TraceStore } from '../telemetry/trace-store.ts';
import { actorOf } from './actor.ts';
import { alertOperator } from './alert-operator.ts';
import type { OpenAlerts } from './alerts.ts';
import { canaryOperator } from './canary-operator.ts';
import { describe } from './describe.ts';
import { documentOperator } from './document-operator.ts';
import { feedbackOperator } from './feedback-operator.ts';
import { flagOperator } from './flag-operator.ts';
import { isInForce, type KeyAdmin } from './keys.ts';
import type { LoadedProject } from './load-project.ts';
import { quarantineOperator } from './quarantine.ts';
import { standingOf } from './standing.ts';
import type { TenantAdmin } from './tenants.ts';
import { upstreamOperator } from './upstream-operator.ts';
import type { UserHash } from './user-hash.ts';

interface OperatorParts extends IdentityParts {
	readonly traces: TraceStore;
	readonly metrics: Metrics;
	readonly retrieval: {
		readonly retriever: Retriever;
		readonly suggestCanaries: Retrieval['suggestCanaries'];
		readonly ingestions: Retrieval['ingestions'];
		readonly queryVectors: Retrieval['queryVectors'];
		readonly ingester: Ingester;
		readonly index: IndexAdmin;
		readonly push: PushAdmin;
		readonly desk: EmbedderDesk;
	};
	readonly alerts: OpenAlerts;
	readonly canaries: CanaryMonitor;
	readonly health: HealthRecords;
	readonly runtime: Runtime;
	readonly flags: FlagClient;
	readonly sharedState: SharedState;
	readonly idempotency: Idempotency;
	readonly project: () => LoadedProject;
	readonly isTellingOthers: () => boolean;
}

/** What an operator can do with the parts of a running Plimsoll. */
export function operatorOf(parts: OperatorParts): Operator {
	const { traces, retrieval, runtime, sharedState, clock, keys, project } = parts;
	return {
		traces,
		retriever: retrieval.retriever,
		embedders: retrieval.desk,
		...identityOperator(parts),
		...upstreamOperator(parts),
		quarantine: quarantineOperator(parts),
		feedback: feedbackOperator(parts),
		...alertOperator({ ...parts, sink: parts.alerts.sink }),
		...canaryOperator(parts),
		...flagOperator({ ...parts, features: () => runtime.snapshot.features }),
		limits: async (tenantId) => {
			const now = clock.now();
			const { limits: table } = runtime.snapshot;
			const inForce = (await keys.list()).filter((key) => isInForce(key, now));
			const tenants = tenantsOf({ project: project(), table }, inForce, tenantId);
			const organisations =
				tenantId === null
					? await organisationReport(table, { state: sharedState, now })
					: organisationLimits(table, tenantId);
			return [...organisations, ...(await limitReport(table, tenants, { state: sharedState, now }))];
		},
		metrics: async (options) => parts.metrics.page(await standingOf(parts), options),
		isTellingOthers: parts.isTellingOthers,
		describe: () => describe(parts),
		ingest: (collection, options) => retrieval.ingester.ingest(collection, options),
		documents: documentOperator({ push: retrieval.push, records: parts.records, clock }, (by) =>
			actorOf(by, parts.users),
		),
		index: indexOperator(retrieval.index, (by) => actorOf(by, parts.users)),
		readiness: () => {
			const { ready, ...rest } = readiness(project(), parts.canaries.health(), sharedState.health());
			return { ready: ready && !runtime.draining, ...rest, idempotency: parts.idempotency.health };
		},
	};
}

function indexOperator(index: IndexAdmin, actor: (by: Caller) => string): IndexOperator {
	return {
		list: (collection) => index.list(collection),
		show: (collection, generation) => index.show(collection, generation),
		diff: (collection, left, right) => index.diff(collection, left, right),
		verify: (collection, generation, signal) => index.verify(collection, generation, signal),
		promote: (order, by) => index.promote({ ...order, actor: actor(by) }),
		rollBack: (order, by) => index.rollBack({ ...order, actor: actor(by) }),
		collect: (collection, signal) => index.collect(collection, signal),
		estimate: (collection) => index.estimate(collection),
	};
}

/** Tenants that tokens of configured issuers can name, as far as the file says which. */
export function tenantsOfTokens({ config }: LoadedProject): readonly string[] {
	return config.identity.jwt.flatMap(({ tenant, tenantsAllowed }) => tenant ?? tenantsAllowed ?? []);
}

/** Tenants exist by their keys, by the issuers of tokens for them, and by what the file or an operator sets for them. */
function tenantsOf(
	{ project, table }: { project: LoadedProject; table: LimitTable },
	keys: readonly KeyView[],
	tenantId: string | null,
): LimitedTenant[] {
	const issuers = project.config.identity.jwt;
	const named = tenantsOfTokens(project);
	const names = new Set([...keys.map((key) => key.tenantId), ...named, ...Object.keys(table.tenants)]);
	const seen = tenantId === null ? [...names].sort() : [tenantId];
	// The tokens of one issuer count together, like one key.
	const tokens = issuers.map(({ name }) => ({ id: issuerKeyId(name), name: issuerKeyId(name) }));
	return seen.map((name) => ({
		tenantId: name,
		keys: [...keys.filter((key) => key.tenantId === name), ...tokens],
	}));
}

/**
 * Ready: every collection that a feature retrieves from has a live index, which is not empty and passes its known-answer
 * checks where the collection requires that, and a state that must answer does.
 */
function readiness(
	project: LoadedProject,
	health: readonly CollectionHealth[],
	sharedState: StateHealth,
): Omit<ReturnType<Operator['readiness']>, 'idempotency'> {
	const needed = new Set(
		[...project.releases.values()].flatMap(({ contract }) => contract.retrieval?.collection ?? []),
	);
	const unfit = health.filter(({ collection, status, required }) => {
		if (!needed.has(collection)) return false;
		return status === 'no_index' || (required && (status === 'empty' || status === 'pending' || status === 'failing'));
	});
	const waitingFor = unfit.map(({ collection }) => collection);
	const reasons = unfit.map(({ collection, status, why }) => ({ collection, status, why }));
	const isStopped = sharedState.status === 'down' && sharedState.onFailure === 'fail_closed';
	return { ready: waitingFor.length === 0 && !isStopped, waitingFor, reasons, sharedState };
}

/** The operator's part about keys: who asked is told to the audit log. */
function identityOperator({ keys, tenants, users, records, clock }: IdentityParts) {
	const actor = (caller: Caller) => actorOf(caller, users);
	return {
		listKeys: () => keys.list(),
		createKey: (ask, by) => keys.create(ask, actor(by)),
		rotateKey: (id, ask, by) => keys.rotate(id, ask, actor(by)),
		revokeKey: (id, by) => keys.revoke(id, actor(by)),
		rotateUserHash: (by) => rotateUserHash({ users, records, clock }, actor(by)),
		listAudit: (limit) => records.listAudit(limit),
		settings: {
			list: (kind) => tenants.list(kind),
			show: (kind, name) => tenants.show(kind, name),
			set: (target, settings, by) => tenants.set(target, settings, actor(by)),
			remove: (target, by) => tenants.remove(target, actor(by)),
		},
	} satisfies Partial<Operator>;
}

interface IdentityParts {
	readonly keys: KeyAdmin;
	readonly tenants: TenantAdmin;
	readonly users: UserHash;
	readonly records: RecordStore;
	readonly clock: Clock;
}

/** Takes a new secret for the hashes of users, and says so in the audit log. */
export async function rotateUserHash(
	{ users, records, clock }: Omit<IdentityParts, 'keys' | 'tenants'>,
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
