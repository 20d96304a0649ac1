import type { CanarySet } from '../contracts/canary-set.ts';
import { wordsOf } from './canary-query.ts';

/** Queries and documents of canaries that there are, and of suggestions so far. */
export class TakenQueries {
	readonly #queries = new Set<string>();
	readonly #documents = new Set<string>();

	constructor({ groups }: CanarySet) {
		for (const { query, documents } of groups.flatMap(({ canaries }) => canaries)) this.add(query, documents);
	}

	add(query: string, documents: readonly string[]): void {
		this.#queries.add(flat(query));
		for (const document of documents) this.#documents.add(document);
	}

	holdsQuery(query: string): boolean {
		return this.#queries.has(flat(query));
	}

	holdsDocument(documentId: string): boolean {
		return this.#documents.has(documentId);
	}
}

/** What two texts have in common that differ only in white space, case and punctuation. */
export function flat(text: string): string {
	return wordsOf(text).join(' ') || text.trim();
}
