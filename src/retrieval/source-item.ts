export type DocumentFormat = 'markdown' | 'html' | 'text' | 'pdf';

/** A document as its source holds it: bytes that still have to be read. */
export interface SourceDocument {
	readonly id: string;
	readonly format: DocumentFormat;
	readonly bytes: Uint8Array;
	/** What the source calls it; the document's own title, where it has one, wins. */
	readonly title: string;
}

/** What a source yields: a document, or why there is none. */
export type SourceItem =
	| { readonly document: SourceDocument }
	| { readonly failed: { readonly document: string; readonly reason: string } };

export interface OpenSource {
	/** How many items there are; null when only reading to the end can tell. */
	readonly total: number | null;
	/** One document at a time, in a stable order. */
	items(): AsyncIterable<SourceItem>;
}
