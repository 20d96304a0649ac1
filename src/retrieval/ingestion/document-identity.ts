import { canonicalJson } from '../../base/canonical-json.ts';
import { sha256Of } from '../../base/hash.ts';
import type { DocumentRules } from '../../contracts/document-rules.ts';
import type { ListedDocument, SourceDocument } from '../source-item.ts';

/** An id as every engine stores it: half a surrogate pair or U+0000 would come back as something else. */
export function storable(id: string): string {
	return id.toWellFormed().replaceAll('\0', '\uFFFD');
}

/**
 * Of what is indexed for a document: what the source gives, and which stated fields are taken. When it was last touched
 * does not count: a fresh checkout changes nothing.
 */
export function contentHash(document: SourceDocument | ListedDocument, rules: DocumentRules): string {
	const content = 'bytes' in document ? document.bytes : `version ${document.version}`;
	const { fields, language, url } = document.meta;
	const taken = Object.entries(rules.fields).map(([name, { from }]) => [name, from]);
	const parts = [document.format, document.title, content, canonicalJson({ fields, language, url })];
	return sha256Of(taken.length === 0 ? parts : [...parts, canonicalJson(taken)]).slice(0, 32);
}
