/**
 * JSON with sorted keys and no white space, so that equal values have equal text (RFC 8785 for everything but
 * exotic numbers). `undefined` members are left out; a non-finite number, a function or a cycle throws.
 */
export function canonicalJson(value: unknown): string {
	return write(value, 0);
}

function write(value: unknown, depth: number): string {
	if (depth > 200) throw new TypeError('canonicalJson: nested deeper than 200 levels');
	if (value === null || typeof value === 'boolean' || typeof value === 'string') return JSON.stringify(value);
	if (typeof value === 'number') {
		if (!Number.isFinite(value)) throw new TypeError(`canonicalJson: ${value} has no JSON form`);
		return JSON.stringify(value);
	}
	if (Array.isArray(value)) return `[${value.map((item) => write(item ?? null, depth + 1)).join(',')}]`;
	if (typeof value === 'object') {
		const members = Object.entries(value)
			.filter(([, member]) => member !== undefined)
			.sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));
		return `{${members.map(([key, member]) => `${JSON.stringify(key)}:${write(member, depth + 1)}`).join(',')}}`;
	}
	throw new TypeError(`canonicalJson: a ${typeof value} has no JSON form`);
}
