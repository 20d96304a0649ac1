import type { DocumentRef, TableChanges } from '../spec/index-store.ts';

/** To read a row for its document costs more than to read it among all. */
const DOCUMENTS_MAX = 1_000;

/** Keeps the documents that a writer wrote or removed, while they are few. */
export class ChangedDocuments {
	readonly #since: number;
	#documents: Map<string, DocumentRef> | null = new Map();

	constructor(since: number) {
		this.#since = since;
	}

	add(documents: readonly DocumentRef[]): void {
		for (const { source, documentId } of documents) {
			if (this.#documents === null) return;
			this.#documents.set(JSON.stringify([source, documentId]), { source, documentId });
			if (this.#documents.size > DOCUMENTS_MAX) this.addAll();
		}
	}

	addAll(): void {
		this.#documents = null;
	}

	get changes(): TableChanges {
		return { since: this.#since, documents: this.#documents && [...this.#documents.values()] };
	}
}
