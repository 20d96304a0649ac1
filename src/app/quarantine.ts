import type { QuarantineOperator } from '../gateway/quarantine-operator.ts';
import { PlimsollError } from '../spec/errors.ts';
import type { RecordStore } from '../spec/records.ts';

/** What an operator can do with documents that did not come in. */
export function quarantineOperator({ records }: { readonly records: RecordStore }): QuarantineOperator {
	const { quarantine } = records;
	return {
		list: async (query) => ({
			entries: await quarantine.list(query),
			count: await quarantine.count(query.collection),
		}),
		async find(collection, id) {
			const entry = await quarantine.find(id);
			if (entry?.collection === collection) return entry;
			throw notFound(collection, id);
		},
		async mark(collection, ids, state) {
			const entries = ids ? await quarantine.findAll(ids) : [];
			const known = new Set(entries.flatMap((entry) => (entry.collection === collection ? [entry.id] : [])));
			for (const id of ids ?? []) if (!known.has(id)) throw notFound(collection, id);
			return quarantine.mark(collection, ids, state);
		},
	};
}

function notFound(collection: string, id: string): PlimsollError {
	const message = `No document of ${collection} is in quarantine as "${id.slice(0, 100)}".`;
	return new PlimsollError('quarantine_entry_not_found', message);
}
