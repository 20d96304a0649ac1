import path from 'node:path';
import { CODE_EXTENSIONS } from './readers/source-code.ts';
import type { DocumentFormat } from './source-item.ts';

const TEXTS: ReadonlyMap<string, DocumentFormat> = new Map([
	...['.md', '.markdown', '.mdx'].map((extension): [string, DocumentFormat] => [extension, 'markdown']),
	...['.html', '.htm', '.xhtml'].map((extension): [string, DocumentFormat] => [extension, 'html']),
	...['.txt', '.text', '.rst', '.log'].map((extension): [string, DocumentFormat] => [extension, 'text']),
	['.pdf', 'pdf'],
	['.docx', 'docx'],
	['.csv', 'csv'],
	['.tsv', 'csv'],
]);

const FORMATS: ReadonlyMap<string, DocumentFormat> = new Map([
	...TEXTS,
	...CODE_EXTENSIONS.map((extension): [string, DocumentFormat] => [extension, 'code']),
]);

/** Files of which each line is a document: no reader makes one document of them. */
const LINES = new Set(['.jsonl', '.ndjson']);

/** How a file is read, by its extension; null when there is no reader for it. */
export function formatOf(name: string): DocumentFormat | null {
	return FORMATS.get(path.posix.extname(name).toLowerCase()) ?? null;
}

/** Why a file without a reader is none, and what to do. */
export function whyNoFormat(name: string): string {
	if (LINES.has(path.posix.extname(name).toLowerCase())) {
		return 'each of its lines is a document: name it as a source of its own, of the kind jsonl';
	}
	return `the extension is none of ${[...TEXTS.keys()].join(' ')}, and none of source code`;
}
