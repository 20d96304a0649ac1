import type { DocumentFields } from '../../spec/document.ts';
import { chunkTokens, cutAnywhere } from './split-text.ts';

interface HeaderTemplate {
	/** Lines with `{title}`, `{headings}`, `{context}` and `{field.NAME}` in them; empty: no header. */
	readonly template: string;
	readonly tokensMax: number;
}

interface Described {
	readonly documentId: string;
	readonly title: string;
	readonly fields: DocumentFields;
	readonly headingPath: readonly string[];
	readonly context: string;
	readonly text: string;
}

/** What a header names may be joined by; alone it says nothing. */
const JOINTS = /^[\s›»>/|:–—-]+|[\s›»>/|:–—-]+$/g;

/**
 * What is searched and embedded in front of a chunk's text, which tells what the text is about. Names that the text holds
 * itself are not repeated, because BM25 would count them twice; an id that stands in for a title says nothing.
 */
export function headerOf(chunk: Described, { template, tokensMax }: HeaderTemplate): string {
	const said = (name: string) => name !== '' && !chunk.text.includes(name);
	const headings = [...new Set(chunk.headingPath)].filter((name) => name !== chunk.title && said(name));
	const values: Record<string, string> = {
		title: chunk.title !== chunk.documentId && said(chunk.title) ? chunk.title : '',
		headings: headings.join(' › '),
		context: said(chunk.context) ? chunk.context : '',
	};
	const lines = template.split('\n').flatMap((line) => {
		let named = false;
		const filled = line.replaceAll(
			/\{(title|headings|context|field\.([^{}]+))\}/g,
			(_, name: string, field?: string) => {
				const value = field === undefined ? values[name] : [chunk.fields[field] ?? []].flat().join(', ');
				named ||= Boolean(value);
				return value ?? '';
			},
		);
		return named ? [filled.replaceAll(JOINTS, '')] : [];
	});
	const header = lines.join('\n');
	if (chunkTokens(header) <= tokensMax) return header;
	return header.slice(0, cutAnywhere(header, 0, header.length, tokensMax)).trimEnd();
}
