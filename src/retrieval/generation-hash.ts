import { canonicalJson } from '../base/canonical-json.ts';
import { sha256Of } from '../base/hash.ts';
import type { Manifest } from './manifest.ts';

/**
 * SHA-256 over everything that decides what an index holds, hex: equal inputs give equal hashes, on any machine and in any
 * order of reading.
 * @param documents the ledger's digest of all documents; it covers text, fields and what the source says of a document.
 * @param built how they were cut, embedded and indexed, and the columns of their fields.
 */
export function generationHash(
	documents: string,
	built: Pick<Manifest, 'embedding' | 'space' | 'chunker' | 'lexical' | 'engine' | 'fields'>,
): string {
	const { embedding, space, chunker, lexical, engine, fields } = built;
	// A measured space says what the vectors are, whatever their embedder is called.
	return sha256Of([documents, canonicalJson({ vectors: space ?? embedding, chunker, lexical, engine, fields })]);
}

/** Of the hash, in the name of a generation. */
export const HASH_CHARS = 8;

/** `docs-g7-3fa9c2d1`: the collection, the count of its generations, and what went in. */
export function generationName(collection: string, sequence: number, hash: string): string {
	return `${collection}-g${sequence}-${hash.slice(0, HASH_CHARS)}`;
}
