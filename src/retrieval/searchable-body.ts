import type { Passage } from '../spec/retrieval.ts';

/**
 * What is searched and embedded for a chunk: its title and headings tell what its text is about. Those that the text
 * holds itself are not repeated, because BM25 would count them twice; an id that stands in for a title says nothing.
 */
export function searchableBody(chunk: Pick<Passage, 'documentId' | 'title' | 'headingPath' | 'text'>): {
	body: string;
	textAt: number;
} {
	const names = new Set([chunk.title, ...chunk.headingPath]);
	const above = [...names].filter((name) => name && name !== chunk.documentId && !chunk.text.includes(name)).join('\n');
	return above ? { body: `${above}\n\n${chunk.text}`, textAt: above.length + 2 } : { body: chunk.text, textAt: 0 };
}
