import type { DocumentRef } from '../../spec/index-store.ts';
import type { Condition, Filter } from '../../spec/retrieval.ts';
import { fieldColumn } from './rows.ts';

/** Documents that one statement names. */
const NAMED_MAX = 500;

/**
 * A filter as a predicate of the engine's SQL. No condition is ever unknown (NULL), so that `not` is a true complement.
 * Names of fields are those of declared ones: letters, digits and underscores.
 */
export function predicate(filter: Filter): string {
	if ('all' in filter) return joined(filter.all, ' AND ', 'true');
	if ('any' in filter) return joined(filter.any, ' OR ', 'false');
	if ('not' in filter) return `(NOT ${predicate(filter.not)})`;
	return condition(filter);
}

/** The rows of these documents, in as many statements as it takes. Those of two have no row in common. */
export function documentsPredicates(documents: readonly DocumentRef[]): string[] {
	const count = Math.ceil(documents.length / NAMED_MAX);
	return Array.from({ length: count }, (_, at) =>
		documentsPredicate(documents.slice(at * NAMED_MAX, (at + 1) * NAMED_MAX)),
	);
}

/** The rows of these documents. */
export function documentsPredicate(documents: readonly DocumentRef[]): string {
	const bySource = Map.groupBy(documents, ({ source }) => source);
	const clauses = [...bySource].map(([source, those]) => {
		const ids = those.map(({ documentId }) => quote(documentId));
		return `(source = ${quote(source)} AND document_id IN (${ids.join(', ')}))`;
	});
	return clauses.join(' OR ');
}

function joined(filters: readonly Filter[], operator: string, none: string): string {
	return filters.length === 0 ? none : `(${filters.map(predicate).join(operator)})`;
}

function condition(asked: Condition): string {
	const column = fieldColumn(asked.field);
	return `(${column} IS NOT NULL AND ${test(column, asked)})`;
}

function test(column: string, asked: Condition): string {
	switch (asked.is) {
		case 'equal':
			return `${column} = ${literal(asked.value)}`;
		case 'one_of':
			return asked.values.length === 0 ? 'false' : `${column} IN (${asked.values.map(literal).join(', ')})`;
		case 'between': {
			const ends = [
				...(asked.least === null ? [] : [`${column} >= ${literal(asked.least)}`]),
				...(asked.most === null ? [] : [`${column} <= ${literal(asked.most)}`]),
			];
			return ends.join(' AND ') || 'true';
		}
		case 'any_label':
			return asked.values.length === 0 ? 'false' : `array_has_any(${column}, [${asked.values.map(quote).join(', ')}])`;
		case 'present':
			return 'true';
	}
}

function literal(value: string | number | boolean): string {
	return typeof value === 'string' ? quote(value) : String(Number(value));
}

function quote(text: string): string {
	return `'${text.toWellFormed().replaceAll("'", "''")}'`;
}
