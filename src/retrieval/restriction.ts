import { allOf, readFilter } from '../policy/filter.ts';
import { accessFilter } from '../policy/passage-access.ts';
import { PlimsollError } from '../spec/errors.ts';
import type { FieldType, Filter, SearchRequest } from '../spec/retrieval.ts';
import type { CollectionState } from './catalogue.ts';
import type { Manifest } from './manifest.ts';

/**
 * What a search may find: what its caller may, and of that what was asked for. Each part only ever narrows the others.
 * Throws PlimsollError `request_invalid` for a filter that does not fit, `index_not_ready` where the live generation does
 * not know who may find what: then nothing is found.
 */
export function restrictionOf(
	{ caller, filter, where }: SearchRequest,
	{ config }: CollectionState,
	manifest: Manifest,
): Filter | null {
	const fields = fieldsOf(manifest);
	const asked = where === undefined || where === null ? null : readFilter(where, fields);
	if (config.access === null || caller === 'operator') return allOf([filter, asked]);
	const { tenantField, readersField } = config.access;
	for (const [field, type] of [[tenantField, 'text'] as const, [readersField, 'labels'] as const]) {
		if (field === null || fields.get(field) === type) continue;
		const message = `${config.name} says by its field ${field} who may find what, and its live generation has no such field of type ${type}; declare it under documents.fields and run plimsoll ingest ${config.name}.`;
		throw new PlimsollError('index_not_ready', message);
	}
	if (caller === undefined) throw new Error(`a search in ${config.name}, which is restricted, names no caller`);
	return allOf([accessFilter(config.access, caller), filter, asked]);
}

/** What documents of a generation can be filtered by. */
function fieldsOf(manifest: Manifest): ReadonlyMap<string, FieldType> {
	return new Map(Object.entries(manifest.fields ?? {}));
}
