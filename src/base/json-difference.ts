import { isDeepStrictEqual } from 'node:util';

interface JsonDifference {
	readonly path: string;
	readonly left: unknown;
	readonly right: unknown;
}

/** The members in which two JSON documents differ, by path such as `chunker.tokensMax`; undefined where one has none. Lists are compared whole. */
export function jsonDifferences(left: unknown, right: unknown, path = ''): JsonDifference[] {
	if (isDeepStrictEqual(left, right)) return [];
	if (!isObject(left) || !isObject(right)) return [{ path, left, right }];
	const names = [...new Set([...Object.keys(left), ...Object.keys(right)])].sort();
	return names.flatMap((name) => jsonDifferences(left[name], right[name], path === '' ? name : `${path}.${name}`));
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
	return typeof value === 'object' && value !== null && !Array.isArray(value);
}
