import type { QuarantineCount, QuarantineEntry, QuarantineQuery } from '../spec/quarantine.ts';

/** What an operator can do with documents that did not come in. */
export interface QuarantineOperator {
	list(
		query: QuarantineQuery & { readonly collection: string },
	): Promise<{ readonly entries: readonly QuarantineEntry[]; readonly count: QuarantineCount }>;
	/** Throws `quarantine_entry_not_found`. */
	find(collection: string, id: string): Promise<QuarantineEntry>;
	/**
	 * Has the next run read documents again, or lets them stay out.
	 * @param ids null: all.
	 * @returns how many changed. Throws `quarantine_entry_not_found`.
	 */
	mark(collection: string, ids: readonly string[] | null, state: 'retry' | 'dropped'): Promise<number>;
}
