/** What stands in the shared directory under one name, or nothing. */
export type Exchange = { readonly stored: true } | { readonly stored: false; readonly current: string | null };

/**
 * Small texts by name that all replicas see: keys (their hashes only), tenants and organisations. Whoever changes one says
 * what it saw, so that nothing is overwritten unseen. Every operation rejects when the directory does not answer.
 */
export interface SharedDirectory {
	/** Everything, and how often anything was changed so far. */
	list(): Promise<{ readonly revision: string; readonly entries: ReadonlyMap<string, string> }>;
	revision(): Promise<string>;
	/** Puts `next` where `expected` stands (null: nothing), and tells whoever listens; or says what stands there. */
	exchange(name: string, expected: string | null, next: string): Promise<Exchange>;
	/**
	 * Tells of changes, as long as the connection stands. Messages may be lost.
	 * @param on.joined called when messages come from now on: what was changed before is to be listed.
	 */
	listen(on: { message(text: string): void; joined(): void }): void;
}
