/** What a reference within a schema points at, `#` or a JSON pointer; undefined when there is nothing, or it is another kind. */
export function targetOf(root: unknown, ref: string): unknown {
	if (ref === '#') return root;
	if (!ref.startsWith('#/')) return undefined;
	let node: unknown = root;
	for (const raw of ref.slice(2).split('/')) {
		let part = raw.replaceAll('~1', '/').replaceAll('~0', '~');
		try {
			part = decodeURIComponent(part);
		} catch {
			return undefined;
		}
		if (typeof node !== 'object' || node === null || !Object.hasOwn(node, part)) return undefined;
		node = (node as Readonly<Record<string, unknown>>)[part];
	}
	return node;
}
