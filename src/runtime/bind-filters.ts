import { type BoundCondition, isBound } from '../contracts/bound-filter.ts';
import { PlimsollError } from '../spec/errors.ts';

/**
 * A contract's filters with the values of one request, as JSON: what they are is checked where the fields are known.
 * Throws PlimsollError `request_invalid` for a variable that the request lacks.
 */
export function bindFilters(
	filters: readonly BoundCondition[],
	variables: Readonly<Record<string, unknown>>,
): { all: readonly object[] } | null {
	const all = filters.flatMap(({ field, ...tests }) => {
		const values = Object.entries(tests).map(([test, value]) => [test, isBound(value) ? read(value) : value] as const);
		const given = values.filter(([, value]) => value !== undefined && value !== null);
		return given.length === 0 ? [] : [{ field, ...Object.fromEntries(given) }];
	});
	return all.length === 0 ? null : { all };

	function read({ input, optional }: { input: string; optional?: boolean | undefined }): unknown {
		const value = Object.hasOwn(variables, input) ? variables[input] : undefined;
		if (value !== undefined && value !== null) return value;
		if (optional) return null;
		const message = `The request lacks the variable "${input}", by which the passages are filtered.`;
		throw new PlimsollError('request_invalid', message, { param: `input.${input}` });
	}
}
