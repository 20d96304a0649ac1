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
	load(signal: AbortSignal): Promise<Exclude<SourceItem, { listed: unknown }>>;
}

/** What a source yields: a document, the promise of one, or why there is none. */
export type SourceItem =
	| { readonly document: SourceDocument }
	| { readonly listed: ListedDocument }
	| { readonly failed: FailedItem };

export interface FailedItem {
	readonly document: string;
	readonly reason: string;
	/** It stands for all documents whose ids begin so: they are unknown, not gone. */
	readonly isFolder?: true;
}

export interface OpenSource {
	/** How many items there are; null when only reading to the end can tell. */
	readonly total: number | null;
	/** One document at a time, in a stable order. */
	items(): AsyncIterable<SourceItem>;
}
