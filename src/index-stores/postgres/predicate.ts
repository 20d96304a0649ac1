import type { Condition, Filter } from '../../spec/retrieval.ts';
import type { Columns } from './columns.ts';
import { storable } from './storable.ts';

/** The values of one statement, in the order of their placeholders. */
export class Parameters {
	readonly values: unknown[] = [];

	/** Returns the placeholder. */
	add(value: unknown): string {
		return `$${this.values.push(value)}`;
	}
}

/**
 * A filter as a predicate. Values are parameters, and names of columns are our own. No condition is ever unknown (NULL),
 * so that `not` is a true complement. Throws for a field that the table does not have.
 */
export function predicate(filter: Filter, columns: Columns, parameters: Parameters): string {
	const all = (filters: readonly Filter[], operator: string, none: string) =>
		filters.length === 0 ? none : `(${filters.map((one) => predicate(one, columns, parameters)).join(operator)})`;
	if ('all' in filter) return all(filter.all, ' AND ', 'true');
	if ('any' in filter) return all(filter.any, ' OR ', 'false');
	if ('not' in filter) return `(NOT ${predicate(filter.not, columns, parameters)})`;
	return condition(filter, columns, parameters);
}

function condition(asked: Condition, columns: Columns, parameters: Parameters): string {
	const { column, type } = columns.of(asked.field);
	const value = (one: unknown, cast = type) => `${parameters.add(storable(one))}::${cast}`;
	const test = () => {
		switch (asked.is) {
			case 'equal':
				return `${column} = ${value(asked.value)}`;
			case 'one_of':
				return `${column} = ANY(${value(asked.values.map(storable), `${type}[]`)})`;
			case 'between': {
				const least = asked.least === null ? 'true' : `${column} >= ${value(asked.least)}`;
				return asked.most === null ? least : `${least} AND ${column} <= ${value(asked.most)}`;
			}
			case 'any_label':
				return `${column} && ${value(asked.values.map(storable), 'text[]')}`;
			case 'present':
				return 'true';
		}
	};
	return `(${column} IS NOT NULL AND ${test()})`;
}
