import { canonicalJson } from '../../base/canonical-json.ts';
import { sha256, sha256Of } from '../../base/hash.ts';
import type { DocumentRules } from '../../contracts/document-rules.ts';
import type { HashedDocument, ListedDocument, SourceDocument } from '../source-item.ts';

/** An id as every engine stores it: half a surrogate pair or U+0000 would come back as something else. */
export function storable(id: string): string {
	return id.toWellFormed().replaceAll('\0', '\uFFFD');
}

/** Which stated fields of a source's documents are taken, as part of their content hashes; null: none. */
export function takenFields(rules: DocumentRules): string | null {
	const taken = Object.entries(rules.fields).map(([name, { from }]) => [name, from]);
	return taken.length === 0 ? null : canonicalJson(taken);
}

/**
 * Of what is indexed for a document: what the source gives, and which stated fields are taken. When it was last touched
 * does not count: a fresh checkout changes nothing.
 * @param taken see `takenFields`.
 */
export function contentHash(document: SourceDocument | ListedDocument | HashedDocument, taken: string | null): string {
	if ('hash' in document) return sha256(`${document.hash}${taken ?? ''}`).slice(0, 32);
	const content = 'bytes' in document ? document.bytes : `version ${document.version}`;
	const { fields, language, url } = document.meta;
	const parts = [document.format, document.title, content, canonicalJson({ fields, language, url })];
	return sha256Of(taken === null ? parts : [...parts, taken]).slice(0, 32);
}
