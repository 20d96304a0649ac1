import type { Clock } from '../../src/base/clock.ts';
import { sha256 } from '../../src/base/hash.ts';
import { createIds } from '../../src/base/ids.ts';
import { seededRandom } from '../../src/base/random.ts';
import type { BreakerSettings } from '../../src/contracts/breaker-settings.ts';
import { images, imagesOf } from '../../src/contracts/images-schema.ts';
import type { AdmissionConfig, LimitTable, RetrySettings, TenantLimits } from '../../src/contracts/project.ts';
import type { Contract, FailureAction, FailureSituation } from '../../src/contracts/release.ts';
import { BearerAuthenticator } from '../../src/identity/authenticator.ts';
import { Keyring } from '../../src/identity/keyring.ts';
import { Sessions } from '../../src/identity/sessions.ts';
import { SignInGuard } from '../../src/identity/sign-in-guard.ts';
import type { BreakerTable } from '../../src/policy/breakers.ts';
import type { EmbedderTarget, Feature, FeatureFlags, Snapshot } from '../../src/runtime/feature.ts';
import { Runtime } from '../../src/runtime/runtime.ts';
import type { Alerts } from '../../src/spec/alerts.ts';
import type { EmbedderSource } from '../../src/spec/embedding.ts';
import { PlimsollError } from '../../src/spec/errors.ts';
import type { FeedbackDesk } from '../../src/spec/feedback.ts';
import type { Guard, PartCheck } from '../../src/spec/guard.ts';
import type { ImageRules, Model } from '../../src/spec/model.ts';
import type { Prompt } from '../../src/spec/prompt.ts';
import type { KeyRecord } from '../../src/spec/records.ts';
import type { Hit, Retriever, SearchResult } from '../../src/spec/retrieval.ts';
import type { SharedState } from '../../src/spec/shared-state.ts';
import type { RequestTrace, TraceSink } from '../../src/spec/trace.ts';
import { MemoryState } from '../../src/stores/memory-state.ts';
import { ALONE } from './schema-reading.ts';

const FAIL_CLOSED: FailureAction = { action: 'fail_closed' };

export const ON_FAILURE: Readonly<Record<FailureSituation, FailureAction>> = {
	upstream_timeout: { action: 'fail_over' },
	upstream_outage: { action: 'retry' },
	upstream_quota: { action: 'fail_over' },
	empty_retrieval: FAIL_CLOSED,
	budget_exceeded: FAIL_CLOSED,
	invalid_output: FAIL_CLOSED,
	stream_broken: FAIL_CLOSED,
	feature_disabled: FAIL_CLOSED,
};

type Change = {
	readonly [K in keyof Contract]?: NonNullable<Contract[K]> extends object
		? Partial<NonNullable<Contract[K]>>
		: Contract[K];
};

export type Retrieval = NonNullable<Contract['retrieval']>;

const RETRIEVAL: Retrieval = {
	collection: 'docs',
	k: 5,
	mode: null,
	filters: [],
	hitsMin: 1,
	scoreMin: 0,
	lexicalScoreMin: 0,
	floor: [],
	recallAtK: null,
	tokensMax: 1000,
	overTokensMax: 'cut',
	helper: null,
};

/** A small contract, with what a test wants to be different. */
export function contract(change: Change = {}): Contract {
	return {
		feature: 'greet',
		description: '',
		owner: 'tests',
		exampleQuestion: null,
		priority: 'interactive',
		stream: 'immediate',
		streamWindowChars: 20,
		...change,
		objective: { latencyMsP95: 1000, timeToFirstTokenMsP95: null, availability: 0.99, ...change.objective },
		budget: {
			tokensInMax: 4000,
			tokensOutMax: 100,
			costMicrosMax: null,
			deadlineMs: 10_000,
			stepShare: { retrieve: 0.3, generate: 0.9 },
			...change.budget,
		},
		retrieval: change.retrieval ? { ...RETRIEVAL, ...change.retrieval } : null,
		prompt: { name: 'greet', version: null },
		models: {
			route: ['test/primary'],
			routes: {},
			equals: [],
			escalateTo: null,
			parameters: {},
			clientParameters: [],
			attemptsMax: 3,
			thinking: 'drop',
			hedge: null,
			...change.models,
		},
		guards: {
			outputSchema: null,
			reading: ALONE,
			structured: null,
			citations: 'off',
			abstention: null,
			answerCharsMax: 10_000,
			...change.guards,
		},
		onFailure: { ...ON_FAILURE, ...change.onFailure },
		flags: change.flags ? { enabled: null, route: null, promptVersion: null, variables: {}, ...change.flags } : null,
	};
}

/** A prompt that puts question and passages into one message; five tokens a message, whatever it says. */
export const plainPrompt: Prompt = {
	name: 'greet',
	version: '1.0.0',
	owner: 'tests',
	inputSchema: null,
	assemble({ question, history, passages }, budget) {
		const tokensIn = 5 * (1 + history.length + passages.length);
		if (tokensIn > budget.tokensInMax) throw new PlimsollError('budget_tokens_in_exceeded', 'too long');
		const content = [...passages.map(({ text }) => text), question].join('\n');
		const messages = [...history, { role: 'user', content }];
		return { messages, tokensIn, hash: sha256(content), passages, trimmedPassages: 0, trimmedTurns: 0 };
	},
};

export function feature(
	change: Change,
	parts: {
		route: readonly Model[];
		escalateTo?: Model;
		helper?: Model;
		guards?: readonly Guard[];
		partCheck?: PartCheck;
		flags?: FeatureFlags;
	},
): Feature {
	return {
		release: { contract: contract(change), hash: 'f'.repeat(64), id: 'ffffffffffff' },
		prompt: plainPrompt,
		guards: parts.guards ?? [],
		partCheck: parts.partCheck ?? null,
		route: parts.route,
		escalateTo: parts.escalateTo ?? null,
		helper: parts.helper ?? null,
		flags: parts.flags ?? null,
	};
}

/** Keeps every trace it is given. */
export class TraceList implements TraceSink {
	readonly traces: RequestTrace[] = [];
	readonly dropped = 0;

	record(trace: RequestTrace): void {
		this.traces.push(trace);
	}

	async flush(): Promise<void> {}

	get last(): RequestTrace {
		const trace = this.traces.at(-1);
		if (!trace) throw new Error('no trace was recorded');
		return trace;
	}
}

export function hit(rank: number, text: string): Hit {
	return {
		chunkId: `chunk-${rank}`,
		documentId: `doc-${rank}.md`,
		source: 'docs',
		title: `Document ${rank}`,
		headingPath: [],
		text,
		start: 0,
		end: text.length,
		ordinal: 0,
		tokens: 10,
		fields: {},
		rank,
		score: 1 / rank,
		lexicalScore: 1 / rank,
		vectorScore: null,
	};
}

/** Finds what it is given, or waits as long as `search` does. */
export function retrieverOf(hits: readonly Hit[], search?: Retriever['search']): Retriever {
	const result: SearchResult = {
		collection: 'docs',
		generation: 'docs-g1',
		mode: 'lexical',
		answered: 'lexical',
		hits,
		lexicalMs: 1,
		vectorMs: null,
		degraded: null,
	};
	return { search: search ?? (async () => result), status: () => [] };
}

/** A key with every scope, of the tenant `acme`. */
export const KEY = `plim_${'a'.repeat(12)}_${'b'.repeat(52)}`;

export function keyRecord(change: Partial<KeyRecord> = {}): KeyRecord {
	return {
		id: 'a'.repeat(12),
		tenantId: 'acme',
		name: 'test',
		scopes: ['invoke', 'read', 'ingest', 'admin'],
		secretHash: sha256('b'.repeat(52)),
		createdAt: 0,
		revokedAt: null,
		features: null,
		expiresAt: null,
		lastUsedAt: null,
		...change,
	};
}

export function authenticatorOf(clock: Clock, keys: readonly KeyRecord[] = [keyRecord()]): BearerAuthenticator {
	const ring = new Keyring(clock);
	ring.replace(keys);
	return new BearerAuthenticator(ring, null);
}

/** What a tenant has that is limited in nothing. */
export const UNLIMITED: TenantLimits = {
	organisation: null,
	suspended: false,
	tenant: [],
	keys: {},
	features: {},
	eachUser: [],
	weight: 1,
	batchKeys: [],
};

export function sessionsOf(clock: Clock, keys: readonly KeyRecord[] = [keyRecord()]): Sessions {
	const keyring = new Keyring(clock);
	keyring.replace(keys);
	const guard = new SignInGuard(clock);
	return new Sessions({ keyring, guard, clock, random: seededRandom(7), secret: 's'.repeat(32), lifeMs: 3_600_000 });
}

export const NO_LIMITS: LimitTable = { standard: UNLIMITED, tenants: {}, organisations: {} };

/** Nobody waits: what finds no place is refused. */
const NO_QUEUE: AdmissionConfig = {
	concurrentRequestsMax: 100,
	adaptiveMin: null,
	queuedPerTenantMax: 0,
	queuedMax: 0,
	bufferedBytesMax: 1_000_000_000,
};

/** What a project that says nothing lets clients show. */
export const IMAGES: ImageRules = imagesOf(images.parse({}));

export const RETRIES: RetrySettings = { ratio: 0.1, floor: 10, tenantFloor: 10, tenantsMax: 1000 };

/** As plimsoll.yaml has it by default. */
export const BREAKER: BreakerSettings = {
	windowMs: 10_000,
	callsMin: 20,
	failureRate: 0.5,
	failuresInARow: 5,
	slowMs: null,
	slowRate: 0.8,
	probeIntervalMs: 5_000,
	quotaMsMax: 60_000,
};

/** Embedders with the names under which clients may ask for them. */
export interface EmbedderFixture {
	readonly source: EmbedderSource;
	readonly targets: readonly { readonly names: readonly string[]; readonly target: EmbedderTarget }[];
}

export const NO_ALERTS: Alerts = { raise: () => {}, resolve: () => {} };

/** Nothing can be rated. */
export const NO_FEEDBACK: FeedbackDesk = {
	find: async () => null,
	put: () => Promise.reject(new Error('no ratings')),
};

const NO_EMBEDDERS: EmbedderSource = { get: () => Promise.reject(new Error('no embedder')) };

export function runtimeOf(
	clock: Clock,
	features: readonly Feature[],
	parts: {
		limits?: LimitTable;
		sharedState?: SharedState;
		retriever?: Retriever;
		embedders?: EmbedderFixture;
		traces?: TraceList;
		seed?: number;
		admission?: Partial<AdmissionConfig>;
		upstreams?: readonly Model[];
		retries?: RetrySettings;
		breakers?: BreakerTable;
		keys?: readonly KeyRecord[];
		alerts?: Alerts;
		images?: ImageRules;
		feedback?: FeedbackDesk;
	} = {},
): { runtime: Runtime; traces: TraceList } {
	const traces = parts.traces ?? new TraceList();
	const random = seededRandom(parts.seed ?? 1);
	const snapshot: Snapshot = {
		features: new Map(features.map((one) => [one.release.contract.feature, one])),
		upstreams: new Map((parts.upstreams ?? []).map((model) => [model.upstream.name, model])),
		switchedOff: new Map([['test/off', ['TEST_KEY']]]),
		embedders: new Map((parts.embedders?.targets ?? []).flatMap((one) => one.names.map((name) => [name, one.target]))),
		bare: { deadlineMs: 10_000, attemptsMax: 2, images: parts.images ?? IMAGES },
		admission: { ...NO_QUEUE, ...parts.admission },
		limits: parts.limits ?? NO_LIMITS,
		retries: parts.retries ?? RETRIES,
		breakers: parts.breakers ?? new Map(),
		requestMsMax: 10_000,
	};
	const runtime = new Runtime(
		{
			clock,
			random,
			newId: createIds(clock, random),
			retriever: parts.retriever ?? retrieverOf([]),
			embedders: parts.embedders?.source ?? NO_EMBEDDERS,
			traces,
			authenticator: authenticatorOf(clock, parts.keys),
			feedback: parts.feedback ?? NO_FEEDBACK,
			sharedState: parts.sharedState ?? new MemoryState(),
			alerts: parts.alerts ?? NO_ALERTS,
			onFault: (error) => {
				throw error;
			},
			hashUser: (tenant, user) => sha256(`${tenant}/${user}`).slice(0, 16),
		},
		snapshot,
	);
	return { runtime, traces };
}
