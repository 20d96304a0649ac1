import type { AuditEntry } from './audit.ts';
import type { FeedbackStore } from './feedback.ts';
import type { GenerationStore } from './generations.ts';
import type { PageStore } from './pages.ts';
import type { PushedStore, PushPlace } from './pushed.ts';
import type { QuarantineStore } from './quarantine.ts';
import type { IngestReport } from './retrieval.ts';
import type { Counter } from './shared-state.ts';
import type { SettingsRecord } from './tenants.ts';

export { AUDIT_ACTIONS, type AuditEntry } from './audit.ts';

/** `invoke` calls features and searches; `ingest` writes collections; `read` sees traces; `admin` manages keys. */
export const SCOPES = ['invoke', 'ingest', 'read', 'admin'] as const;
export type Scope = (typeof SCOPES)[number];

/** A stored key. The secret itself is never stored. */
export interface KeyRecord {
	/** The public part of the key, also in front of its secret: `plim_<id>_<secret>`. */
	readonly id: string;
	readonly tenantId: string;
	readonly name: string;
	readonly scopes: readonly Scope[];
	/** SHA-256 of the secret, hex. The secret has 256 random bits, so that a slow hash would add nothing. */
	readonly secretHash: string;
	/** Milliseconds since the epoch. */
	readonly createdAt: number;
	readonly revokedAt: number | null;
	/** The only features that the key may call; null: every feature, upstream and collection. */
	readonly features: readonly string[] | null;
	/** From this instant on the key is refused; null: never. */
	readonly expiresAt: number | null;
	/** To the minute; null: never. */
	readonly lastUsedAt: number | null;
}

export interface KeyUse {
	readonly id: string;
	readonly at: number;
}

/** A space that vectors of some index are in. */
export interface SpaceRecord {
	readonly name: string;
	/** What its embedder said it is, and what was measured: JSON, see retrieval/embedding. */
	readonly space: unknown;
	readonly measuredAt: number;
	/** When an ingestion last wrote vectors of it. */
	readonly usedAt: number;
}

export interface RunRecord {
	readonly id: string;
	readonly collection: string;
	readonly startedAt: number;
	readonly endedAt: number | null;
	readonly outcome: 'running' | 'succeeded' | 'refused' | 'failed' | 'cancelled';
	readonly report: IngestReport | null;
	readonly error: string | null;
}

/** Money that counts as used in one day or month: what was used, and the block that may be used next without a write. */
export interface Allowance extends Counter {
	/** Whose counter it is; empty for an organisation's, which its scope names. */
	readonly tenantId: string;
	/** End of the day or month, milliseconds since the epoch. */
	readonly until: number;
	readonly micros: number;
}

/** A record before and after another replica's knowledge of it was taken in; null: it was unknown here. */
export type SharedChange =
	| { readonly kind: 'key'; readonly before: KeyRecord | null; readonly after: KeyRecord }
	| { readonly kind: 'settings'; readonly before: SettingsRecord | null; readonly after: SettingsRecord };

/** Durable records. Every write is on disk when its promise resolves. Throws PlimsollError `storage_failed`. */
export interface RecordStore {
	/** A key and what is told about it are written together or not at all; so are the two of the next methods. */
	putKey(key: KeyRecord, entry?: AuditEntry): Promise<void>;
	/** All keys, revoked ones too, oldest first. */
	listKeys(): Promise<readonly KeyRecord[]>;
	/** False when no such key exists or it was revoked before. */
	revokeKey(id: string, at: number, entry?: AuditEntry): Promise<boolean>;
	/** Writes the new key and lets the old one expire at `expiresAt`, or when it would have, if that is sooner. False when it is not in force. */
	rotateKey(change: {
		id: string;
		at: number;
		expiresAt: number;
		replacement: KeyRecord;
		entry: AuditEntry;
	}): Promise<boolean>;
	/** Moves last-used times forward, never back. */
	touchKeys(uses: readonly KeyUse[]): Promise<void>;
	/** What operators set while the server ran, deleted ones too. */
	listSettings(): Promise<readonly SettingsRecord[]>;
	/**
	 * Writes the next version of a record with what is told about it, and revokes the keys of a tenant that is gone. All
	 * of it or nothing: false when the stored version is not the one before.
	 */
	putSettings(record: SettingsRecord, entries: readonly AuditEntry[]): Promise<boolean>;
	/**
	 * Takes in what other replicas know, by the rules of policy/shared-records, all or nothing. Returns what that changed.
	 * @param tell what the audit log says about a change; null: nothing.
	 */
	mergeShared(
		records: { readonly keys: readonly KeyRecord[]; readonly settings: readonly SettingsRecord[] },
		tell: (change: SharedChange) => AuditEntry | null,
	): Promise<readonly SharedChange[]>;
	putAudit(entry: AuditEntry): Promise<void>;
	/** Newest first. The log is bounded: 400 days and 100,000 entries. */
	listAudit(limit: number): Promise<readonly AuditEntry[]>;
	/** The generations of indexes, and which of them are live. */
	readonly generations: GenerationStore;
	/** Adds or replaces a space. Of many, those that were not used for longest are forgotten. */
	putSpace(space: SpaceRecord): Promise<void>;
	/** The latest used first. */
	listSpaces(): Promise<readonly SpaceRecord[]>;
	/** Ratings of requests. Those of a tenant go with it. */
	readonly feedback: FeedbackStore;
	/** Documents that did not come in. */
	readonly quarantine: QuarantineStore;
	/** Pages of web sites that were read. */
	readonly pages: PageStore;
	/** Documents that were sent. */
	readonly pushed: PushedStore;
	/**
	 * Removes what the quarantine and the reports of runs say of documents, and overwrites where it lay.
	 * @param ids null: all of the source.
	 */
	forgetDocuments(place: PushPlace, ids: readonly string[] | null): Promise<void>;
	putRun(run: RunRecord): Promise<void>;
	/** Newest first. */
	listRuns(collection: string | null, limit: number): Promise<readonly RunRecord[]>;
	/**
	 * Of each collection removes runs that are older, or not among its newest, without those that go on and those that a
	 * generation or the quarantine names. At most so many at once. How many are gone.
	 */
	pruneRuns(bounds: { readonly before: number; readonly keep: number; readonly most: number }): Promise<number>;
	/** Null when the collection has no such run. */
	findRun(collection: string, id: string): Promise<RunRecord | null>;
	/** Replaces these allowances, all or none. */
	putAllowances(allowances: readonly Allowance[]): Promise<void>;
	/** Those whose day or month has not ended at `now`; the others are deleted. */
	listAllowances(now: number): Promise<readonly Allowance[]>;
	close(): Promise<void>;
}
