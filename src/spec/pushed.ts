import type { DocumentMeta } from './document.ts';

/** Where a pushed document lies: a source of kind `push` of a collection. */
export interface PushPlace {
	readonly collection: string;
	readonly source: string;
}

/** A pushed document without its body. */
export interface PushedEntry extends PushPlace {
	readonly id: string;
	/** How its body is read: one of DOCUMENT_FORMATS, unless a later version wrote it. */
	readonly format: string;
	/** Null: the document's own, or its id. */
	readonly title: string | null;
	readonly meta: DocumentMeta;
	/** Whose it is, where the collection keeps tenants apart; null: nobody's. */
	readonly tenant: string | null;
	/** Of all that is stored of it, hex. */
	readonly hash: string;
	/** Of its body. */
	readonly bytes: number;
	/** Milliseconds since the epoch. */
	readonly pushedAt: number;
	/** Counts the changes of its collection; a run that read up to here has met it. */
	readonly sequence: number;
}

/** What a source holds. */
export interface PushedTotal {
	readonly documents: number;
	readonly bytes: number;
}

export interface PushedDocument extends Omit<PushedEntry, 'sequence' | 'bytes'> {
	readonly body: Uint8Array;
}

export interface PushLimits {
	readonly documentsMax: number;
	readonly bytesMax: number;
	/** Whose documents may be replaced; null: everybody's. */
	readonly tenant: string | null;
}

/** What is to be removed without a trace. */
export interface Purge {
	readonly source: string;
	/** Null: all that the source held. */
	readonly id: string | null;
}

/** What became of a document. `full`: the source holds as much as it may. `taken`: another tenant has this id. */
export type Stored = 'new' | 'changed' | 'unchanged' | 'full' | 'taken';

/** How far a collection is: what was changed, and what the live generation holds of it. */
export interface PushMark {
	/** The last change. */
	readonly sequence: number;
	/** The last change that a run has brought into the live generation. */
	readonly ingested: number;
	/** Whether something of before still has to be removed without a trace. */
	readonly purging: boolean;
}

/** What tells whether a stored document is another one than before. */
export type PushedVersion = Pick<PushedEntry, 'id' | 'hash'>;

export interface PushedQuery extends PushPlace {
	/** Only those after this id; null: from the first. In the order of their UTF-8 bytes. */
	readonly after: string | null;
	readonly limit: number;
	/** Only this tenant's; null: all. */
	readonly tenant: string | null;
}

/** Documents that were sent, durable before they are acknowledged. Throws PlimsollError `storage_failed`. */
export interface PushedStore {
	/** Adds or replaces documents, in order, all or nothing; those that are as they were are not written. */
	put(place: PushPlace, documents: readonly PushedDocument[], limits: PushLimits): Promise<readonly Stored[]>;
	/** Removes documents. @param tenant as in a query. @returns for each id whether it was there. */
	remove(place: PushPlace, ids: readonly string[], tenant: string | null): Promise<readonly boolean[]>;
	/**
	 * Removes documents, overwrites where their bytes lay, and notes that indexes still have to be cleared of them; also
	 * of those that were removed before. @param ids null: all of the source. @returns how many were there.
	 */
	purge(place: PushPlace, ids: readonly string[] | null): Promise<number>;
	list(query: PushedQuery): Promise<readonly PushedEntry[]>;
	/** The same in short. */
	versions(query: PushedQuery): Promise<readonly PushedVersion[]>;
	/** Those of these ids that are there, in no order. */
	find(place: PushPlace, ids: readonly string[]): Promise<readonly PushedEntry[]>;
	/** Null when it is gone, or not what it was. */
	body(entry: PushedEntry): Promise<Uint8Array | null>;
	total(place: PushPlace): Promise<PushedTotal>;
	/** Sources that hold documents, or of which a purge is not finished, by collection and name. */
	places(): Promise<readonly (PushPlace & PushedTotal)[]>;
	mark(collection: string): Promise<PushMark>;
	/** What is still to be cleared of all that was purged until then. */
	purges(collection: string, sequence: number): Promise<readonly Purge[]>;
	/**
	 * The live generation holds all changes up to here. @param cleared whether what was purged up to here is gone from
	 * every index, too.
	 */
	settle(collection: string, at: { readonly sequence: number; readonly cleared: boolean }): Promise<void>;
}
