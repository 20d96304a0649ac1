import type { DocumentRef } from '../spec/index-store.ts';

/** A document in a collection, as one text: two sources may use the same id. */
export function documentKey(source: string, documentId: string): string {
	return `${source}\u0000${documentId}`;
}

export function documentRef(key: string): DocumentRef {
	const end = key.indexOf('\u0000');
	return { source: key.slice(0, end), documentId: key.slice(end + 1) };
}
