import type { DocumentMeta } from '../spec/document.ts';
import { type Chunk, type ChunkerConfig, chunkDocument } from './chunker.ts';
import { mergeMeta } from './document-meta.ts';
import { type DocumentText, plainText } from './document-text.ts';
import { readHtml } from './html.ts';
import { readMarkdown } from './markdown.ts';
import { readPdf } from './pdf.ts';
import type { SourceDocument } from './source-item.ts';

export interface ChunkedDocument {
	readonly title: string;
	readonly meta: DocumentMeta;
	readonly chunks: readonly Chunk[];
}

/** A document's bytes as chunks. Throws an Error whose message says why it has none. */
export async function readDocument(document: SourceDocument, chunker: ChunkerConfig): Promise<ChunkedDocument> {
	const read = await readText(document);
	const chunks = chunkDocument(read, chunker);
	if (chunks.length === 0) throw new Error(document.format === 'pdf' ? 'it has no text layer' : 'it has no text');
	return { title: read.title, meta: mergeMeta(document.meta, read.meta), chunks };
}

async function readText({ format, bytes, title }: SourceDocument): Promise<DocumentText> {
	if (format === 'pdf') {
		return readPdf(bytes, title).catch((cause: unknown) => {
			throw new Error(`a broken PDF: ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
		});
	}
	const text = decode(bytes);
	if (format === 'markdown') return readMarkdown(text, title);
	if (format === 'html') return readHtml(text, title);
	return plainText(text, title);
}

function decode(bytes: Uint8Array): string {
	// NUL is valid UTF-8, but no text holds it: an image or archive with the wrong name does.
	if (bytes.includes(0)) throw new Error('not text: it holds NUL bytes');
	try {
		return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
	} catch (cause) {
		throw new Error('not valid UTF-8', { cause });
	}
}
