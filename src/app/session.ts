import type { FeedbackRemoval } from '../gateway/feedback-operator.ts';
import type { SettingsTarget } from '../gateway/settings-operator.ts';
import type { SuggestionAsk } from '../spec/canaries.ts';
import type { Description } from '../spec/description.ts';
import type { FeedbackQuery } from '../spec/feedback.ts';
import type { QuarantineState } from '../spec/quarantine.ts';
import type { Scope } from '../spec/records.ts';
import type { CollectionStatus, IngestOptions, IngestReport, SearchMode } from '../spec/retrieval.ts';
import type { SettingsKind } from '../spec/tenants.ts';
import type { CanaryHealthReply, CanaryRunReply, SuggestionsReply } from './canary-reply.ts';
import type { DocumentsSession } from './documents-session.ts';
import type { EmbedderReply } from './embedder-reply.ts';
import type { FeedbackReply, TracedReply } from './feedback-reply.ts';
import type {
	AdmissionReply,
	AlertReply,
	AskReply,
	AuditReply,
	ExplanationReply,
	FlagReply,
	KeyReply,
	LimitReply,
	NewKeyReply,
	QuarantineListReply,
	QuarantineReply,
	SearchReply,
	SettingsReply,
	TracesReply,
	UpstreamReply,
} from './gateway-reply.ts';

import type { IndexSession } from './index-session.ts';

export interface SessionAsk {
	readonly question: string;
	/** Called once, as soon as the id under which the trace will be found is known; also for requests that then fail. */
	readonly onRequestId?: (requestId: string) => void;
	/** Called with each piece of the answer; awaited before the next. */
	readonly onText?: (text: string) => void | Promise<void>;
	readonly signal?: AbortSignal;
}

export interface SessionSearch {
	readonly query: string;
	readonly k: number;
	/** Null: as the collection is configured. */
	readonly mode: SearchMode | null;
	/** As in the API; left out: nothing. */
	readonly filter?: unknown;
	readonly signal?: AbortSignal;
}

export interface SessionKey {
	readonly name: string;
	readonly tenant: string;
	readonly scopes: readonly Scope[];
	/** Null: every feature, upstream and collection. */
	readonly features: readonly string[] | null;
	/** ISO 8601; null: never. */
	readonly expires_at: string | null;
}

export interface SessionRotation {
	readonly overlap_ms: number;
	/** ISO 8601; null: after as long a life as the old key was given. */
	readonly expires_at: string | null;
}

export interface SessionFlag {
	readonly tenant: string;
	readonly user: string | null;
	readonly feature: string | null;
	/** The id of a key. */
	readonly key: string | null;
	readonly caller: 'key' | 'token' | 'in_process';
	/** How many made-up users to draw for; null: none. */
	readonly sample: number | null;
}

export type SessionSuggestion = Omit<SuggestionAsk, 'tenant'> & Partial<Pick<SuggestionAsk, 'tenant'>>;

/** An ingestion that somebody watches. */
export type SessionIngest = Omit<Required<IngestOptions>, 'fresh' | 'runId' | 'pushedOnly'> &
	Pick<IngestOptions, 'fresh'>;

/** What a command can do with a project, by way of its server or in process. Throws PlimsollError. */
export interface Session {
	/** The server that answers; null in process. */
	readonly url: string | null;
	/** Whether other replicas may not have heard of what this session changed. */
	readonly isTellingOthers: boolean;
	ask(feature: string, ask: SessionAsk): Promise<AskReply>;
	search(collection: string, ask: SessionSearch): Promise<SearchReply>;
	collections(): Promise<readonly CollectionStatus[]>;
	ingest(collection: string, options: SessionIngest): Promise<IngestReport>;
	/** The generations of indexes. */
	readonly index: IndexSession;
	/** Documents that are pushed. */
	readonly documents: DocumentsSession;
	/** Throws `trace_not_found`. */
	trace(requestId: string): Promise<TracedReply>;
	/** Ratings, newest first. */
	feedback(query: FeedbackQuery): Promise<readonly FeedbackReply[]>;
	/** How many there were. */
	removeFeedback(which: FeedbackRemoval): Promise<number>;
	/** The latest requests, newest first, and how features did in the last day. */
	traces(filter: { feature: string | null; limit: number }): Promise<TracesReply>;
	listKeys(): Promise<readonly KeyReply[]>;
	createKey(ask: SessionKey): Promise<NewKeyReply>;
	/** Throws `key_not_found`. */
	rotateKey(id: string, ask: SessionRotation): Promise<NewKeyReply>;
	/** Throws `key_not_found`. */
	revokeKey(id: string): Promise<void>;
	/** The version of the new secret. */
	rotateUserHash(): Promise<string>;
	/** Tenants or organisations, by name. */
	listSettings(kind: SettingsKind): Promise<readonly SettingsReply[]>;
	/** Throws `tenant_not_found` or `organisation_not_found`. */
	showSettings(kind: SettingsKind, name: string): Promise<SettingsReply>;
	/** Replaces what is set live. Throws `version_conflict`, `managed_by_file` and what is wrong with the settings. */
	setSettings(target: SettingsTarget, settings: unknown): Promise<SettingsReply>;
	/** How many keys were revoked with it. */
	removeSettings(target: SettingsTarget): Promise<number>;
	/** Who changed which key, tenant or organisation, newest first. */
	audit(limit: number): Promise<readonly AuditReply[]>;
	/** The configured limits of every tenant that the caller may see, and how they stand. */
	limits(): Promise<readonly LimitReply[]>;
	/** Embedders, and whether they still fit the indexes that they search. */
	embedders(): Promise<readonly EmbedderReply[]>;
	/** Measures one now. Throws `model_not_found`. */
	checkEmbedder(embedder: string): Promise<EmbedderReply>;
	/** How upstreams stand; only a running server knows. */
	upstreams(): Promise<readonly UpstreamReply[]>;
	/** Takes an upstream out for a time, or in again when that is null. Throws `model_not_found`. */
	orderBreaker(upstream: string, openForMs: number | null): Promise<UpstreamReply>;
	/** Newest first; of a stopped project what is on record. */
	alerts(ask: { readonly open: boolean; readonly limit: number }): Promise<readonly AlertReply[]>;
	/** Throws `alert_not_found`. */
	orderAlert(id: string, order: 'acknowledge' | 'close'): Promise<AlertReply>;
	/** Documents that did not come in. Throws `collection_not_found`. */
	quarantine(
		collection: string,
		query: { readonly source: string | null; readonly state: QuarantineState | null; readonly limit: number },
	): Promise<QuarantineListReply>;
	/** Throws `quarantine_entry_not_found`. */
	quarantineEntry(collection: string, id: string): Promise<QuarantineReply>;
	/** How many changed; null: all. Throws `quarantine_entry_not_found`. */
	markQuarantine(collection: string, ids: readonly string[] | null, order: 'retry' | 'drop'): Promise<number>;
	/** Runs all canaries of a collection. Throws `collection_not_found`, `canaries_missing`. */
	runCanaries(collection: string, signal: AbortSignal): Promise<CanaryRunReply>;
	/** The same, and later runs are compared with it. */
	acceptCanaries(collection: string): Promise<CanaryRunReply>;
	/** Proposes canaries. @param ask.tenant left out: the session's own. Throws `collection_not_found`, `index_not_ready`. */
	suggestCanaries(collection: string, ask: SessionSuggestion): Promise<SuggestionsReply>;
	/** How collections stand with their canaries. */
	canaries(): Promise<readonly CanaryHealthReply[]>;
	/** Newest first. */
	canaryRuns(ask: { readonly collection: string | null; readonly limit: number }): Promise<readonly CanaryRunReply[]>;
	/** The flags that there are, by name. */
	flags(): Promise<readonly FlagReply[]>;
	/** Throws `flag_not_found`. */
	explainFlag(flag: string, ask: SessionFlag): Promise<ExplanationReply>;
	/** What the deployment is, to be compared with another one. */
	describe(): Promise<Description>;
	/** Who runs and who waits; null without a server, where nobody does. */
	admission(): Promise<AdmissionReply | null>;
	close(): Promise<void>;
}
