import type { DocumentFormat, DocumentMeta } from '../spec/document.ts';

export type { DocumentFormat } from '../spec/document.ts';

export const CONTENT_TYPES: Readonly<Record<DocumentFormat, string>> = {
	markdown: 'text/markdown',
	html: 'text/html',
	text: 'text/plain',
	pdf: 'application/pdf',
	docx: 'application/vnd.openxmlformats-officedocument.wordprocessingml.document',
	csv: 'text/csv',
	code: 'text/plain',
};

/** Whether there is a reader of this name. */
export function isFormat(name: string): name is DocumentFormat {
	return Object.hasOwn(CONTENT_TYPES, name);
}

/** A document as its source holds it: bytes that still have to be read. */
export interface SourceDocument {
	readonly id: string;
	readonly format: DocumentFormat;
	readonly bytes: Uint8Array;
	/** What the source calls it; the document's own title, where it has one, wins. */
	readonly title: string;
	/** The encoding that the source states; without, the bytes tell. */
	readonly charset?: string | null;
	/** What the source says of it; the document's own statements are added when it is read. */
	readonly meta: DocumentMeta;
}

/**
 * A document of which the source knows, without its bytes, whether it changed: an object in a bucket, a page. They are
 * only fetched when the index does not hold this version.
 */
export interface ListedDocument extends Omit<SourceDocument, 'bytes'> {
	/** Changes with the document's content. */
	readonly version: string;
	load(signal: AbortSignal): Promise<LoadedItem>;
}

/** A document of which the source has a hash of all that is indexed of it, so that nothing else of it is looked at while that stays. */
export interface HashedDocument {
	readonly id: string;
	/** 32 hex digits. */
	readonly hash: string;
	load(signal: AbortSignal): Promise<LoadedItem>;
}

export type LoadedItem = { readonly document: SourceDocument } | { readonly failed: FailedItem };

/** What a source yields: a document, the promise of one, or why there is none. */
export type SourceItem = LoadedItem | { readonly listed: ListedDocument } | { readonly hashed: HashedDocument };

export interface FailedItem {
	readonly document: string;
	readonly reason: string;
	/** It stands for all documents whose ids begin so: they are unknown, not gone. */
	readonly isFolder?: true;
}

export interface OpenSource {
	/** How many items there are, as far as it is known by now; null when only reading to the end can tell. */
	readonly total: number | null;
	/** One document at a time, in a stable order. */
	items(): AsyncIterable<SourceItem>;
}

/** What an item counts whose size only its source knows. */
const UNKNOWN_BYTES = 8_388_608;

/** What an item takes of memory until it is read. */
export function bytesOf(item: SourceItem): number {
	if ('failed' in item) return 0;
	return 'document' in item ? item.document.bytes.byteLength : UNKNOWN_BYTES;
}
