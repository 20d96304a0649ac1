import type { DocumentMeta } from './document.ts';
import type { RunRecord } from './records.ts';

/** A document as it is sent. */
export interface PushInput {
	readonly id: string;
	readonly content: PushContent;
	/** Null: text. */
	readonly format: string | null;
	readonly title: string | null;
	/** What was stated of it, but for its content type. */
	readonly meta: DocumentMeta;
}

/** What a document holds, and whether it came as text; or why that cannot be said. */
export type PushContent =
	| { readonly bytes: Uint8Array; readonly isText: boolean; readonly isBlank: boolean }
	| { readonly reason: string };

/** Why a document was not stored. */
export const REFUSALS = ['malformed', 'duplicate_id', 'empty', 'too_large', 'storage_full', 'other_tenant'] as const;

export interface Refused {
	/** Its id, or where it stands where that is no id. */
	readonly id: string;
	readonly code: (typeof REFUSALS)[number];
	readonly reason: string;
}

/** `pending`: the next run reads it. `quarantined`: it does not fit its rules. `failed`: it could not be read or embedded. */
export const PUSH_STATES = ['live', 'pending', 'quarantined', 'failed'] as const;

export interface PushState {
	readonly state: (typeof PUSH_STATES)[number];
	/** Of what is quarantined or failed. */
	readonly reasons: readonly string[];
	/** Whether an earlier version of it is found while this one is not. */
	readonly kept: boolean;
}

export const PUSH_OUTCOMES = ['new', 'changed', 'unchanged', 'refused', 'deleted', 'absent'] as const;

/** What became of one document of an order, in the order's order. */
export interface PushResult {
	readonly id: string;
	readonly outcome: (typeof PUSH_OUTCOMES)[number];
	/** Of a stored document. */
	readonly state: PushState | null;
	/** Of a refused one. */
	readonly refused: Omit<Refused, 'id'> | null;
}

/** How far the order is. */
export interface PushReceipt {
	readonly source: string;
	/** The run that brings it into the index; null where nothing has to be done. */
	readonly runId: string | null;
	/** Whether the live generation holds it; what is quarantined or failed does not hinder that. */
	readonly isDone: boolean;
	/** Why the run that was waited for did not end well; null: it did, or it goes on. */
	readonly problem: string | null;
	readonly results: readonly PushResult[];
}

export interface PurgeReceipt extends Omit<PushReceipt, 'results'> {
	/** Documents that were stored until now. */
	readonly purged: number;
}

/** What is stored of a source. */
export interface StoredSource {
	readonly collection: string;
	readonly source: string;
	readonly documents: number;
	readonly bytes: number;
	/** Whether the configuration names it: what it does not name is found by nobody and stays until it is purged. */
	readonly isConfigured: boolean;
}

interface Order {
	readonly collection: string;
	/** Null: the only one of kind `push`. */
	readonly source: string | null;
	/** Only this tenant's documents, where the collection keeps tenants apart; null: all. */
	readonly tenant: string | null;
}

interface Waiting {
	/** How long to wait until it is done; 0: not at all. */
	readonly waitMs: number;
	readonly signal: AbortSignal;
}

export interface PushOrder extends Order, Waiting {
	readonly documents: readonly (PushInput | Refused)[];
	/** Takes what the run finds for right, however much it differs from what is live. */
	readonly accept: boolean;
}

export interface DeleteOrder extends Order, Waiting {
	readonly ids: readonly string[];
}

export interface PurgeOrder extends Omit<Order, 'tenant'>, Waiting {
	/** Null: all of the source. */
	readonly ids: readonly string[] | null;
	/** Called once it cannot be undone, before it is waited for. */
	readonly onPurged: (source: string, purged: number) => Promise<void>;
}

/** A stored document as it is shown. */
export interface PushedView extends PushState {
	readonly id: string;
	readonly source: string;
	readonly format: string;
	readonly title: string | null;
	readonly bytes: number;
	readonly hash: string;
	readonly pushedAt: number;
}

/** A run that was asked for. `queued`: it has not begun. */
export interface PushRun extends Pick<RunRecord, 'id' | 'collection' | 'error'> {
	readonly state: RunRecord['outcome'] | 'queued';
	readonly startedAt: number | null;
	readonly endedAt: number | null;
	readonly generation: string | null;
}

/** Documents that are sent. Throws PlimsollError `collection_not_found`, `push_source_unknown`, `storage_failed`. */
export interface PushAdmin {
	/** Stores documents, each for itself, and has a run bring them into the index. */
	push(order: PushOrder): Promise<PushReceipt>;
	/** Deletes documents; the run takes them out of the index. Earlier generations have them until these go. */
	remove(order: DeleteOrder): Promise<PushReceipt>;
	/**
	 * The same without a trace: neither store nor index nor earlier generations hold them when it is done. Also of a source
	 * that the configuration does not name any more; where it does not name the collection, all of its index goes, at once.
	 */
	purge(order: PurgeOrder): Promise<PurgeReceipt>;
	list(
		ask: Order & { readonly after: string | null; readonly limit: number },
	): Promise<{ readonly documents: readonly PushedView[]; readonly next: string | null }>;
	/** Throws `document_not_found`. */
	find(ask: Order & { readonly id: string }): Promise<PushedView>;
	/** Sources that hold documents, by collection and name. */
	stored(): Promise<readonly StoredSource[]>;
	/** Throws `run_not_found`. */
	run(collection: string, runId: string): Promise<PushRun>;
}
