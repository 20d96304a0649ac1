import { readInstant } from '../base/instant.ts';
import type { DocumentMark, DocumentMeta, StatedValue } from '../spec/document.ts';

const FIELDS_MAX = 100;
const NAME_CHARS_MAX = 100;
const VALUE_CHARS_MAX = 4_000;
const LIST_MAX = 100;
const DEPTH_MAX = 4;

/** Where documents state their language, their last change and their address, best first. */
const LANGUAGE_FIELDS = ['lang', 'language', 'locale', 'content-language', 'dc.language', 'og:locale'];
const UPDATED_FIELDS = [
	'updated',
	'updated_at',
	'updatedat',
	'last_modified',
	'last-modified',
	'lastmod',
	'modified',
	'article:modified_time',
	'dcterms.modified',
	'date',
	'published',
	'article:published_time',
];
const URL_FIELDS = ['url', 'permalink', 'canonical', 'og:url'];

export const NO_META: DocumentMeta = {
	fields: {},
	language: null,
	updatedAt: null,
	contentType: null,
	url: null,
	marks: [],
};

/** What a source or a format states, flattened, with language, last change and address read from the usual fields. */
export function metaOf(stated: unknown, known: Partial<DocumentMeta> = {}): DocumentMeta {
	const { fields, cut } = flattenFields(stated);
	const byName = new Map(Object.entries(fields).map(([name, value]) => [name.toLowerCase(), value]));
	const first = <T>(names: readonly string[], read: (value: StatedValue | undefined) => T | null): T | null => {
		for (const name of names) {
			const value = read(byName.get(name));
			if (value !== null) return value;
		}
		return null;
	};
	return {
		fields,
		language: known.language ?? first(LANGUAGE_FIELDS, readLanguage),
		updatedAt: known.updatedAt ?? first(UPDATED_FIELDS, readInstant),
		contentType: known.contentType ?? null,
		url: known.url ?? first(URL_FIELDS, readUrl),
		marks: marksOf([...(known.marks ?? []), ...(cut ? (['fields_cut'] as const) : [])]),
	};
}

/**
 * What the source says and what the document says of itself. The source has the last word: whoever may write a document
 * must not be able to move it to another tenant by its front matter.
 */
export function mergeMeta(source: DocumentMeta, own: DocumentMeta): DocumentMeta {
	return {
		fields: { ...own.fields, ...source.fields },
		language: source.language ?? own.language,
		// When a file was written says less than what its author states.
		updatedAt: own.updatedAt ?? source.updatedAt,
		contentType: source.contentType ?? own.contentType,
		url: source.url ?? own.url,
		marks: marksOf([...source.marks, ...own.marks]),
	};
}

function marksOf(marks: readonly DocumentMark[]): readonly DocumentMark[] {
	return [...new Set(marks)].sort();
}

function readLanguage(stated: unknown): string | null {
	if (typeof stated !== 'string') return null;
	const text = stated.trim().toLowerCase().replaceAll('_', '-');
	return /^[a-z]{2,3}(-[a-z0-9]{1,8})*$/.test(text) ? text : null;
}

function readUrl(stated: unknown): string | null {
	return typeof stated === 'string' && /^https?:$/.test(URL.parse(stated)?.protocol ?? '') ? stated : null;
}

/** Any JSON as flat fields within bounds; `cut` when something did not fit. */
function flattenFields(stated: unknown): { fields: Record<string, StatedValue>; cut: boolean } {
	const found = new Map<string, StatedValue>();
	let cut = false;
	const visit = (name: string, value: unknown, depth: number): void => {
		if (value === null || value === undefined) return;
		if (isObject(value)) {
			if (depth >= DEPTH_MAX) cut = true;
			else for (const [key, member] of Object.entries(value)) visit(name ? `${name}.${key}` : key, member, depth + 1);
			return;
		}
		const kept = fieldValue(value);
		if (kept === null || name.length === 0 || name.length > NAME_CHARS_MAX || found.size >= FIELDS_MAX) cut = true;
		else found.set(name, kept.value);
		cut ||= kept?.cut ?? false;
	};
	visit('', stated, 0);
	return { fields: Object.fromEntries(found), cut };
}

function fieldValue(value: unknown): { value: StatedValue; cut: boolean } | null {
	if (Array.isArray(value)) {
		const members = value.slice(0, LIST_MAX).map(scalar);
		const kept = members.filter((member) => member !== null);
		return {
			value: kept.map((member) => member.value),
			cut: kept.length < value.length || kept.some((member) => member.cut),
		};
	}
	return scalar(value);
}

function scalar(value: unknown): { value: string | number | boolean; cut: boolean } | null {
	if (typeof value === 'string') {
		const text = value.slice(0, VALUE_CHARS_MAX).toWellFormed();
		return { value: text, cut: value.length > VALUE_CHARS_MAX };
	}
	if (typeof value === 'boolean' || Number.isFinite(value)) return { value: value as boolean | number, cut: false };
	if (typeof value === 'bigint') return { value: String(value), cut: false };
	if (value instanceof Date && Number.isFinite(value.getTime())) return { value: value.toISOString(), cut: false };
	return null;
}

function isObject(value: unknown): value is Record<string, unknown> {
	return typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Date);
}
