/** A page of a web site as it was read last: enough to ask whether it changed, and to know it when it did not. */
export interface PageRecord {
	/** As the sitemap lists it. */
	readonly url: string;
	/** Where it is after redirects. */
	readonly finalUrl: string;
	/** Validators of its server; null: it gave none that can be relied on. */
	readonly etag: string | null;
	readonly modified: string | null;
	/** When its sitemap said that it changed last; null: nothing. */
	readonly lastmod: string | null;
	/** Of its bytes, hex. */
	readonly version: string;
	/** How it is read: one of DOCUMENT_FORMATS, unless a later version wrote it. */
	readonly format: string;
}

interface Place {
	readonly collection: string;
	readonly source: string;
}

/** Pages that were read. Throws PlimsollError `storage_failed`. */
export interface PageStore {
	/** Null when it was never read. */
	find(place: Place, url: string): Promise<PageRecord | null>;
	/** Adds or replaces pages, all or none. @param at milliseconds since the epoch. */
	put(place: Place, pages: readonly PageRecord[], at: number): Promise<void>;
	/** Forgets what was read before and not since. */
	forget(place: Place, before: number): Promise<void>;
}
