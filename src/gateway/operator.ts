import type { UpstreamStatus } from '../policy/breakers.ts';
import type { LimitRow } from '../runtime/limit-report.ts';
import type { AlertRecord } from '../spec/alerts.ts';
import type { CanaryRun, CanaryRunKind, CanarySuggestions, CollectionHealth, SuggestionAsk } from '../spec/canaries.ts';
import type { Description } from '../spec/description.ts';

import type { EmbedderDesk } from '../spec/embedder-desk.ts';
import type { FlagValue } from '../spec/flags.ts';
import type { KeyStoreHealth } from '../spec/idempotency.ts';
import type { Caller } from '../spec/identity.ts';
import type { AuditEntry, KeyRecord, Scope } from '../spec/records.ts';
import type { Ingester, IngestReport, Retriever } from '../spec/retrieval.ts';
import type { StateHealth } from '../spec/shared-state.ts';
import type { TraceReader } from '../spec/trace.ts';
import type { DocumentOperator } from './document-operator.ts';
import type { FeedbackOperator } from './feedback-operator.ts';
import type { IndexOperator } from './index-operator.ts';
import type { QuarantineOperator } from './quarantine-operator.ts';
import type { SettingsOperator } from './settings-operator.ts';

/** A key as it is shown: never its secret or the hash of it. */
export type KeyView = Omit<KeyRecord, 'secretHash'>;

export interface NewKey {
	readonly name: string;
	readonly tenantId: string;
	readonly scopes: readonly Scope[];
	/** Null: every feature, upstream and collection. */
	readonly features: readonly string[] | null;
	/** Milliseconds since the epoch; null: never. */
	readonly expiresAt: number | null;
}

export interface KeyRotation {
	/** How long the old key still works. */
	readonly overlapMs: number;
	/** Of the new key; null: after as long a life as the old one was given. */
	readonly expiresAt: number | null;
}

/** How an upstream stands, with the retries that its budget has left. */
export interface UpstreamView extends UpstreamStatus {
	readonly retriesLeft: number;
}

/** What is said by hand: keep everyone away for a time, or let everyone in. */
export type BreakerOrder = { readonly state: 'open'; readonly forMs: number } | { readonly state: 'closed' };

/** A flag as it is shown. What only flags.yaml says is null for the flags of another provider. */
export interface FlagView {
	readonly name: string;
	readonly description: string | null;
	readonly provider: string;
	readonly state: 'enabled' | 'disabled' | null;
	readonly variants: Readonly<Record<string, FlagValue>> | null;
	readonly defaultVariant: string | null;
	/** How many. */
	readonly rules: number | null;
	/** Such as `ask-docs: route`. */
	readonly usedBy: readonly string[];
}

/** Whom a flag is explained for. */
export interface FlagQuestion {
	readonly tenantId: string;
	readonly user: string | null;
	readonly feature: string | null;
	readonly keyId: string | null;
	readonly caller: 'key' | 'token' | 'in_process';
	/** How many made-up users of the tenant to draw for; null: none. */
	readonly sample: number | null;
}

export interface FlagExplanation {
	readonly flag: string;
	readonly value: FlagValue;
	readonly variant: string | null;
	readonly reason: string;
	/** In words; null where the provider alone knows. */
	readonly decidedBy: string | null;
	readonly error: string | null;
	/** How many of the sample got which variant. */
	readonly sample: Readonly<Record<string, number>> | null;
}

/** What an operator can do beside calling features. The composition root implements it; HTTP and the CLI call it. */
export interface Operator {
	readonly traces: TraceReader;
	readonly retriever: Retriever;
	listKeys(): Promise<readonly KeyView[]>;
	/** The secret is returned this once and never again. Throws `request_invalid` for an expiry that has passed. */
	createKey(ask: NewKey, by: Caller): Promise<{ key: KeyView; secret: string }>;
	/** A new key with the same rights; the old one expires after the overlap. Throws `key_not_found`. */
	rotateKey(id: string, ask: KeyRotation, by: Caller): Promise<{ key: KeyView; secret: string }>;
	/** Works for new requests at once. Throws `key_not_found`. */
	revokeKey(id: string, by: Caller): Promise<void>;
	/** Takes a new secret for the hashes of users. Returns its version, which stands in front of every hash. */
	rotateUserHash(by: Caller): Promise<string>;
	/** Tenants and organisations. */
	readonly settings: SettingsOperator;
	/** Newest first. */
	listAudit(limit: number): Promise<readonly AuditEntry[]>;
	/** The configured limits and how they stand; of one tenant, or of all that are known when null. */
	limits(tenantId: string | null): Promise<readonly LimitRow[]>;
	readonly embedders: EmbedderDesk;
	upstreams(): readonly UpstreamView[];
	/** Holds for new attempts at once. Throws `model_not_found`. */
	orderBreaker(upstream: string, order: BreakerOrder, by: Caller): Promise<UpstreamView>;
	/** Newest first. */
	alerts(ask: { readonly open: boolean; readonly limit: number }): Promise<readonly AlertRecord[]>;
	/** Throws `alert_not_found`. */
	orderAlert(id: string, order: 'acknowledge' | 'close', by: Caller): Promise<AlertRecord>;
	/** How live indexes stand with their canaries. */
	collectionHealth(): readonly CollectionHealth[];
	/** Runs all canaries of a collection now. Throws `collection_not_found`, `canaries_missing`. */
	runCanaries(
		collection: string,
		options: { readonly signal: AbortSignal; readonly onDone?: (done: number) => void },
	): Promise<CanaryRun>;
	/** The same, and takes its outcomes as what later runs are compared with. */
	acceptCanaries(collection: string, by: Caller): Promise<CanaryRun>;
	/** Proposes canaries from the live index. Throws `collection_not_found`, `index_not_ready`. */
	suggestCanaries(collection: string, ask: SuggestionAsk): Promise<CanarySuggestions>;
	/** Newest first. */
	listCanaryRuns(ask: {
		readonly collection: string | null;
		readonly kind: CanaryRunKind | null;
		readonly limit: number;
	}): Promise<readonly CanaryRun[]>;
	/** Those of flags.yaml, or those that contracts use of another provider; by name. */
	flags(): readonly FlagView[];
	/** Throws `flag_not_found`, or `request_invalid` for a sample of a provider that cannot be asked so often. */
	explainFlag(name: string, ask: FlagQuestion): Promise<FlagExplanation>;
	/** The page of metrics in Prometheus' text format; with those that name tenants, where they are kept. */
	metrics(options: { readonly withTenants: boolean }): Promise<string>;
	/** Whether other replicas may not have heard of a change of keys, tenants or organisations yet. */
	isTellingOthers(): boolean;
	/** Ratings of requests. */
	readonly feedback: FeedbackOperator;
	/** Documents that did not come in. */
	readonly quarantine: QuarantineOperator;
	/** Documents that are sent. */
	readonly documents: DocumentOperator;
	/** The generations of indexes. */
	readonly index: IndexOperator;
	/** What this deployment is, to be compared with another one. */
	describe(): Promise<Description>;
	/** Throws `collection_not_found`. */
	ingest(collection: string, options: Parameters<Ingester['ingest']>[1]): Promise<IngestReport>;
	/**
	 * Whether new requests can be answered, the collections whose index they wait for, the state behind limits and the store of idempotency keys. Never
	 * ready while the server stops.
	 */
	readiness(): {
		readonly ready: boolean;
		readonly waitingFor: readonly string[];
		/** Why it waits for each of them. */
		readonly reasons: readonly Pick<CollectionHealth, 'collection' | 'status' | 'why'>[];
		readonly sharedState: StateHealth;
		/** Shown alone: without it only requests with a key are refused. */
		readonly idempotency: KeyStoreHealth;
	};
}
