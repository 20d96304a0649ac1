import path from 'node:path';
import { CODE_EXTENSIONS } from './readers/source-code.ts';
import type { DocumentFormat } from './source-item.ts';

const FORMATS: ReadonlyMap<string, DocumentFormat> = new Map([
	...['.md', '.markdown', '.mdx'].map((extension): [string, DocumentFormat] => [extension, 'markdown']),
	...['.html', '.htm', '.xhtml'].map((extension): [string, DocumentFormat] => [extension, 'html']),
	...['.txt', '.text', '.rst', '.log'].map((extension): [string, DocumentFormat] => [extension, 'text']),
	['.pdf', 'pdf'],
	['.docx', 'docx'],
	['.csv', 'csv'],
	['.tsv', 'csv'],
	...CODE_EXTENSIONS.map((extension): [string, DocumentFormat] => [extension, 'code']),
]);

export const EXTENSIONS = [...FORMATS.keys()].join(' ');

/** How a file is read, by its extension; null when there is no reader for it. */
export function formatOf(name: string): DocumentFormat | null {
	return FORMATS.get(path.posix.extname(name).toLowerCase()) ?? null;
}
