/** Freezes a value all the way down and returns it. For trees of plain objects, arrays and scalars. */
export function deepFreeze<T>(value: T): T {
	if (typeof value !== 'object' || value === null || Object.isFrozen(value)) return value;
	Object.freeze(value);
	for (const member of Object.values(value)) deepFreeze(member);
	return value;
}

/** A Map that cannot change: `Object.freeze` alone leaves a Map's entries open. */
export function frozenMap<K, V>(entries: Iterable<readonly [K, V]>): ReadonlyMap<K, V> {
	const map = new Map(entries);
	const refuse = () => {
		throw new TypeError('this map is frozen');
	};
	for (const method of ['set', 'delete', 'clear'] as const) Object.defineProperty(map, method, { value: refuse });
	return Object.freeze(map);
}
