import type { CollectionStatus, IngestReport } from './retrieval.ts';
import type { Counter } from './shared-state.ts';

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
}

/** Which index generation of a collection is live, and what is in it. */
export interface IndexPointer extends CollectionStatus {
	readonly generation: string;
	readonly promotedAt: number;
	/** How the generation was built and how it is searched: JSON, see retrieval/manifest. */
	readonly manifest: unknown;
}

export interface RunRecord {
	readonly id: string;
	readonly collection: string;
	readonly startedAt: number;
	readonly endedAt: number | null;
	readonly outcome: 'running' | 'succeeded' | 'failed' | 'cancelled';
	readonly report: IngestReport | null;
	readonly error: string | null;
}

/** Money that counts as used in one day or month: what was used, and the block that may be used next without a write. */
export interface Allowance extends Counter {
	readonly tenantId: string;
	/** End of the day or month, milliseconds since the epoch. */
	readonly until: number;
	readonly micros: number;
}

/** Durable records. Every write is on disk when its promise resolves. Throws PlimsollError `storage_failed`. */
export interface RecordStore {
	putKey(key: KeyRecord): Promise<void>;
	/** All keys, revoked ones too, oldest first. */
	listKeys(): Promise<readonly KeyRecord[]>;
	/** False when no such key exists or it was revoked before. */
	revokeKey(id: string, at: number): Promise<boolean>;
	/** Replaces the collection's pointer atomically. */
	putIndexPointer(pointer: IndexPointer): Promise<void>;
	listIndexPointers(): Promise<readonly IndexPointer[]>;
	putRun(run: RunRecord): Promise<void>;
	/** Newest first. */
	listRuns(collection: string | null, limit: number): Promise<readonly RunRecord[]>;
	/** Replaces these allowances, all or none. */
	putAllowances(allowances: readonly Allowance[]): Promise<void>;
	/** Those whose day or month has not ended at `now`; the others are deleted. */
	listAllowances(now: number): Promise<readonly Allowance[]>;
	close(): Promise<void>;
}
