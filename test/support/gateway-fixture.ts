import type { Server } from 'node:http';
import { type Clock, systemClock } from '../../src/base/clock.ts';
import type { AdmissionConfig, LimitTable, RetrySettings } from '../../src/contracts/project.ts';
import type { DocumentOperator } from '../../src/gateway/document-operator.ts';
import { createGateway } from '../../src/gateway/gateway.ts';
import type { IndexOperator } from '../../src/gateway/index-operator.ts';
import type { Operator } from '../../src/gateway/operator.ts';
import { createOpenAiCompatibleModel } from '../../src/models/openai-compatible/model.ts';
import type { BreakerTable } from '../../src/policy/breakers.ts';
import type { Feature } from '../../src/runtime/feature.ts';
import { Idempotency } from '../../src/runtime/idempotency.ts';
import { PlimsollError } from '../../src/spec/errors.ts';
import type { FeedbackDesk } from '../../src/spec/feedback.ts';
import type { IdempotencyStore } from '../../src/spec/idempotency.ts';
import type { ImageRules, Model, Upstream } from '../../src/spec/model.ts';
import type { KeyRecord } from '../../src/spec/records.ts';
import type { Retriever } from '../../src/spec/retrieval.ts';
import type { SharedState } from '../../src/spec/shared-state.ts';
import {
	authenticatorOf,
	type EmbedderFixture,
	keyRecord,
	retrieverOf,
	runtimeOf,
	sessionsOf,
	type TraceList,
} from './runtime-fixture.ts';
import { type DoubleOptions, startUpstreamDouble, type UpstreamDouble } from './upstream-double.ts';

export const UPSTREAM: Upstream = {
	name: 'test/primary',
	provider: 'test',
	model: 'double-1',
	contextTokensMax: 8000,
	tokensOutMax: 1000,
	tokensOutParameter: 'max_tokens',
	tokenizer: 'o200k_base',
	timeouts: { connectMs: 1000, firstTokenMs: 5000, idleMs: 5000, totalMs: 8000 },
	sideEffects: false,
	continuesTurn: false,
	price: null,
};

/** An operator over what a test has: no keys, no indexes, the traces that were recorded. */
function operatorOf(traces: TraceList, retriever: Retriever): Operator {
	return {
		retriever,
		embedders: { list: async () => [], check: () => Promise.reject(new Error('no embedders')) },
		traces: {
			find: async (id, tenantId) =>
				traces.traces.find((trace) => trace.request_id === id && (tenantId === null || trace.tenant_id === tenantId)) ??
				null,
			recent: async ({ limit }) => traces.traces.slice(-limit).reverse(),
			stats: async () => [],
		},
		feedback: { list: async () => [], remove: async () => 0 },
		listKeys: async () => [],
		createKey: async (ask) => ({ key: keyRecord({ ...ask, id: 'k' }), secret: 'plim_k_secret' }),
		rotateKey: async () => ({ key: keyRecord({ id: 'k' }), secret: 'plim_k_secret' }),
		revokeKey: async () => {},
		rotateUserHash: async () => 'v2',
		listAudit: async () => [],
		settings: {
			list: async () => [],
			show: () => Promise.reject(new Error('no settings')),
			set: () => Promise.reject(new Error('no settings')),
			remove: () => Promise.reject(new Error('no settings')),
		},
		limits: async () => [],
		upstreams: () => [],
		orderBreaker: () => Promise.reject(new Error('no upstream')),
		alerts: async () => [],
		orderAlert: () => Promise.reject(new Error('no alert')),
		collectionHealth: () => [],
		runCanaries: () => Promise.reject(new Error('no canary')),
		acceptCanaries: () => Promise.reject(new Error('no canary')),
		suggestCanaries: () => Promise.reject(new Error('no canary')),
		listCanaryRuns: async () => [],
		flags: () => [],
		explainFlag: () => Promise.reject(new Error('no flag')),
		describe: async () => ({ version: '0', features: {}, upstreams: {}, embedders: {}, collections: {} }),
		metrics: async () => '',
		isTellingOthers: () => false,
		documents: new Proxy({} as DocumentOperator, { get: () => () => Promise.reject(new Error('no collection')) }),
		index: new Proxy({} as IndexOperator, { get: () => () => Promise.reject(new Error('no collection')) }),
		ingest: () => Promise.reject(new Error('no collection')),
		quarantine: {
			list: async () => ({ entries: [], count: { held: 0, retry: 0, dropped: 0, unlisted: 0 } }),
			find: () => Promise.reject(new Error('no quarantine')),
			mark: async () => 0,
		},
		readiness: () => ({
			ready: true,
			waitingFor: [],
			reasons: [],
			sharedState: { backend: 'in_process', status: 'up', onFailure: null, unsettled: 0 },
			idempotency: { status: 'up', onFailure: 'refuse' },
		}),
	};
}

export interface RunningGateway {
	readonly url: string;
	readonly server: Server;
	readonly double: UpstreamDouble;
	readonly traces: TraceList;
	readonly faults: string[];
	close(): Promise<void>;
}

const gone = () => Promise.reject(new PlimsollError('idempotency_unavailable', 'there is no store'));

export const NO_STORE: IdempotencyStore = {
	isUp: () => false,
	claim: gone,
	renew: gone,
	beginEffect: gone,
	voidEffect: gone,
	complete: gone,
	release: gone,
	sweep: gone,
	close: async () => {},
};

/** A gateway on a free port over the real model family, with the upstream double behind it. */
export async function startGateway(options: {
	readonly features?: (model: Model) => readonly Feature[];
	readonly upstream?: DoubleOptions;
	/** Another model than that of the double; the caller closes it. */
	readonly model?: Model;
	readonly retriever?: Retriever;
	readonly embedders?: EmbedderFixture;
	readonly bodyBytesMax?: number;
	readonly receiveMsMax?: number;
	readonly keys?: readonly KeyRecord[];
	readonly limits?: LimitTable;
	readonly retries?: RetrySettings;
	readonly breakers?: BreakerTable;
	readonly admission?: Partial<AdmissionConfig>;
	/** The store of idempotency keys; without one they are refused as when it is down. Closed by the test. */
	readonly keyed?: IdempotencyStore;
	readonly responseBytesMax?: number;
	readonly onFailure?: 'refuse' | 'run';
	readonly sideEffects?: boolean;
	/** Of an upstream that lives elsewhere, in the place of the double's. */
	readonly upstreamUrl?: string;
	readonly sharedState?: SharedState;
	readonly images?: ImageRules;
	readonly feedback?: FeedbackDesk;
	/** Of everything but the sockets. */
	readonly clock?: Clock;
}): Promise<RunningGateway> {
	const { clock = systemClock } = options;
	const double = await startUpstreamDouble({ record: true, ...options.upstream });
	const own = createOpenAiCompatibleModel({
		upstream: { ...UPSTREAM, sideEffects: options.sideEffects ?? false },
		baseUrl: options.upstreamUrl ?? double.url,
		apiKey: 'sk-upstream-secret',
		connectionsMax: 16,
		clock,
	});
	const model = options.model ?? own;
	const retriever = options.retriever ?? retrieverOf([]);
	const { runtime, traces } = runtimeOf(clock, options.features?.(model) ?? [], {
		retriever,
		upstreams: [model],
		admission: { concurrentRequestsMax: 50, ...options.admission },
		...(options.embedders ? { embedders: options.embedders } : {}),
		...(options.keys ? { keys: options.keys } : {}),
		...(options.limits ? { limits: options.limits } : {}),
		...(options.sharedState ? { sharedState: options.sharedState } : {}),
		...(options.retries ? { retries: options.retries } : {}),
		...(options.breakers ? { breakers: options.breakers } : {}),
		...(options.images ? { images: options.images } : {}),
		...(options.feedback ? { feedback: options.feedback } : {}),
	});
	const faults: string[] = [];
	const idempotency = new Idempotency({
		store: options.keyed ?? NO_STORE,
		clock,
		retentionMs: 86_400_000,
		responseBytesMax: options.responseBytesMax ?? 1_048_576,
		onFailure: options.onFailure ?? 'refuse',
		requestMsMax: () => 10_000,
		onFault: (error) => faults.push(String(error)),
	});
	const gateway = createGateway(
		{
			clock,
			runtime,
			operator: operatorOf(traces, retriever),
			authenticator: authenticatorOf(clock, options.keys),
			idempotency,
			sessions: sessionsOf(clock, options.keys),
			version: '0.0.0-test',
			metricsAreOpen: false,
		},
		{
			bodyBytesMax: options.bodyBytesMax ?? 1_048_576,
			headerBytesMax: 16_384,
			...(options.receiveMsMax === undefined ? {} : { receiveMsMax: options.receiveMsMax }),
			onFault: (error) => faults.push(error.internal ?? error.message),
		},
	);
	const url = await gateway.listen({ host: '127.0.0.1', port: 0 });
	return {
		url,
		server: gateway.server,
		double,
		traces,
		faults,
		async close() {
			gateway.server.closeAllConnections();
			await gateway.close();
			await idempotency.close();
			await own.close();
			await double.close();
		},
	};
}
