import type { ChunkerConfig } from '../../contracts/collection.ts';
import type { DocumentMeta } from '../../spec/document.ts';
import { type Chunk, chunkDocument } from '../chunkers/chunker.ts';
import { headerOf } from '../chunkers/header.ts';
import { mergeMeta } from '../document-meta.ts';
import { type DocumentText, plainText } from '../document-text.ts';
import type { DocumentFormat, SourceDocument } from '../source-item.ts';
import { readCsv } from './csv-table.ts';
import { decodeText } from './decode.ts';
import { readHtml } from './html.ts';
import { readMarkdown } from './markdown.ts';
import { readPdf } from './pdf.ts';
import { readCode } from './source-code.ts';
import { suspicionsOf } from './suspicion.ts';

/** A chunk with what is searched in front of it. */
interface HeadedChunk extends Chunk {
	readonly header: string;
}

export interface ChunkedDocument {
	readonly title: string;
	readonly meta: DocumentMeta;
	readonly chunks: readonly HeadedChunk[];
}

/** A document's bytes as chunks. Throws an Error whose message says why it has none. */
export async function readDocument(document: SourceDocument, chunker: ChunkerConfig): Promise<ChunkedDocument> {
	const read = await readText(document);
	const chunks = chunkDocument(read, chunker);
	if (chunks.length === 0) throw new Error(document.format === 'pdf' ? 'it has no text layer' : 'it has no text');
	const own = { ...read.meta, marks: [...read.meta.marks, ...suspicionsOf(read.text)] };
	const meta = mergeMeta(document.meta, own);
	const about = { documentId: document.id, title: read.title, fields: meta.fields };
	const headed = chunks.map((chunk) => ({ ...chunk, header: headerOf({ ...about, ...chunk }, chunker.header) }));
	return { title: read.title, meta, chunks: headed };
}

/** Formats that are not text, each with its name in messages. */
const BINARY: Partial<Record<DocumentFormat, { name: string; read: typeof readPdf }>> = {
	pdf: { name: 'PDF', read: readPdf },
	docx: { name: 'DOCX', read: async (...document) => (await import('./docx.ts')).readDocx(...document) },
};

async function readText({ id, format, bytes, title, charset }: SourceDocument): Promise<DocumentText> {
	const binary = BINARY[format];
	if (binary) {
		return binary.read(bytes, title).catch((cause: unknown) => {
			throw new Error(`a broken ${binary.name}: ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
		});
	}
	const { text, guessed } = decodeText(bytes, charset ?? null);
	const read = textReader(format)(text, title, id);
	return guessed ? { ...read, meta: { ...read.meta, marks: [...read.meta.marks, 'encoding_guessed'] } } : read;
}

function textReader(format: DocumentFormat): (text: string, title: string, id: string) => DocumentText {
	switch (format) {
		case 'markdown':
			return readMarkdown;
		case 'html':
			return readHtml;
		case 'csv':
			return readCsv;
		case 'code':
			return (text, title, id) => readCode(text, id, title);
		default:
			return plainText;
	}
}
