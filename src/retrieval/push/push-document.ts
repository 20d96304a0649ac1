import { canonicalJson } from '../../base/canonical-json.ts';
import { sha256Of } from '../../base/hash.ts';
import type { CollectionConfig } from '../../contracts/collection.ts';
import { rulesOf } from '../../contracts/document-rules.ts';
import { DOCUMENT_FORMATS } from '../../spec/document.ts';
import type { PushInput, Refused } from '../../spec/push.ts';
import type { PushedDocument } from '../../spec/pushed.ts';
import { CONTENT_TYPES, isFormat } from '../source-item.ts';
import type { ConfigOf } from '../sources/access.ts';

interface Given {
	readonly collection: CollectionConfig;
	readonly source: ConfigOf<'push'>;
	/** Only in this tenant's name, where the collection keeps tenants apart; null: in anybody's. */
	readonly tenant: string | null;
	readonly now: number;
}

const TEXT_IN_BYTES = new Set(['pdf', 'docx']);

/** A document as it is stored, or why it is not. */
export function storedDocument(input: PushInput, given: Given): PushedDocument | Refused {
	const { id, title, content } = input;
	const refuse = (code: Refused['code'], reason: string): Refused => ({ id, code, reason });
	if (!id.isWellFormed() || id.includes('\0')) {
		return refuse('malformed', 'its id holds half a surrogate pair or U+0000, which no index stores');
	}
	const format = input.format ?? 'text';
	if (!isFormat(format)) {
		return refuse('malformed', `format: expected ${DOCUMENT_FORMATS.join(', ')}`);
	}
	if ('reason' in content) return refuse('malformed', content.reason);
	const { bytes: body, isText, isBlank } = content;
	if (isText && TEXT_IN_BYTES.has(format)) {
		return refuse('malformed', `a document of format ${format} is sent as base64`);
	}
	const { documentBytesMax } = given.source;
	if (body.byteLength > documentBytesMax) {
		return refuse('too_large', `${body.byteLength} bytes, larger than document_bytes_max (${documentBytesMax} bytes)`);
	}
	if (isBlank) return refuse('empty', 'it has no text');
	const stated = { ...input.meta, contentType: CONTENT_TYPES[format] };
	const place = { collection: given.collection.name, source: given.source.name };
	const owned = owner(stated.fields, given);
	if ('reason' in owned) return refuse('other_tenant', owned.reason);
	const meta = { ...stated, fields: owned.fields };
	const hash = sha256Of([format, title ?? '', body, canonicalJson(meta)]).slice(0, 32);
	const dated = { ...meta, updatedAt: meta.updatedAt ?? given.now };
	return { ...place, id, format, title, meta: dated, tenant: owned.tenant, hash, pushedAt: given.now, body };
}

/** Whose document it is. A caller of one tenant sends documents of this tenant and no other. */
function owner(
	fields: PushedDocument['meta']['fields'],
	{ collection, source, tenant }: Given,
): { fields: PushedDocument['meta']['fields']; tenant: string | null } | { reason: string } {
	const { tenantField = null } = collection.access ?? {};
	if (tenantField === null) return { fields, tenant: null };
	const name = rulesOf(collection.ingestion, source.name).fields[tenantField]?.from ?? tenantField;
	const stated = fields[name];
	if (tenant === null) return { fields, tenant: stated === undefined ? null : String(stated) };
	if (stated !== undefined && stated !== tenant) {
		return { reason: `its field ${name} says that it is another tenant's; this key sends documents of ${tenant}` };
	}
	return { fields: { ...fields, [name]: tenant }, tenant };
}
