import type { Embedder } from '../../spec/embedding.ts';
import { PlimsollError } from '../../spec/errors.ts';
import type { IndexRow, IndexWriter } from '../../spec/index-store.ts';
import { documentRef } from '../document-key.ts';
import type { EmbeddingBudget } from '../embedding/embedding-budget.ts';
import { embedDocuments, type Texts, type Vectors } from './embed-documents.ts';
import type { Ledger } from './ledger.ts';

/** Chunks that are embedded and written at once: large enough that a commit costs little, small enough for memory. */
const BATCH_CHUNKS = 512;
/** The same for few and large chunks, in UTF-16 code units. */
const BATCH_CHARS = 8_388_608;
/** So many batches of which nothing could be embedded are no bad luck: the run stops. */
const FAILED_IN_A_ROW_MAX = 3;

/** A document that waits for its batch. */
export interface Pending extends Texts {
	readonly slot: number;
	readonly key: string;
	readonly hash: string;
	readonly rows: readonly Omit<IndexRow, 'vector'>[];
	/** Hears once whether it was written, and why not. */
	readonly ended: (failure: string | null) => void;
}

interface Parts {
	readonly embedder: Embedder | null;
	readonly budget: EmbeddingBudget;
	readonly table: IndexWriter;
	readonly ledger: Ledger;
	readonly signal: AbortSignal;
}

/** Embeds and writes documents in batches: while one is on its way the next is gathered, and no third one. */
export class BatchWriter {
	readonly #parts: Parts;
	#batch: Pending[] = [];
	#chunks = 0;
	#chars = 0;
	#underWay: Promise<void> = Promise.resolve();
	#written = 0;
	#failedInARow = 0;

	constructor(parts: Parts) {
		this.#parts = parts;
	}

	/** Waits while a full batch cannot go yet. Rejects with what ended the batch before. */
	async add(document: Pending): Promise<void> {
		this.#batch.push(document);
		this.#chunks += document.rows.length;
		this.#chars += document.texts.reduce((all, { length }) => all + length, 0);
		if (this.#chunks >= BATCH_CHUNKS || this.#chars >= BATCH_CHARS) await this.#send();
	}

	/** Writes what was gathered and waits for it. */
	async end(): Promise<void> {
		await this.#send();
		await this.#underWay;
	}

	async #send(): Promise<void> {
		const batch = this.#batch;
		this.#batch = [];
		this.#chunks = 0;
		this.#chars = 0;
		await this.#underWay;
		if (batch.length === 0) return;
		this.#underWay = this.#write(batch);
		// Whoever waits next hears of it; until then it is not unhandled.
		this.#underWay.catch(() => {});
	}

	async #write(batch: readonly Pending[]): Promise<void> {
		const { table, ledger, signal } = this.#parts;
		const vectors = await this.#embed(batch);
		signal.throwIfAborted();
		const taken = batch.filter((document) => !vectors || isEmbedded(vectors.get(document)));
		const replaced = taken.filter(({ slot }) => ledger.isWritten(slot)).map(({ key }) => documentRef(key));
		const rows = taken.flatMap((document) => {
			const own = vectors?.get(document);
			const those = isEmbedded(own) ? own.vectors : null;
			return document.rows.map((row, at): IndexRow => ({ ...row, vector: those?.[at] ?? null }));
		});
		if (rows.length > 0) await table.write(replaced, rows);
		for (const document of taken) {
			ledger.setWritten(document.slot, document.hash);
			document.ended(null);
		}
		for (const document of batch) {
			const own = vectors?.get(document);
			if (own && 'reason' in own) document.ended(own.reason);
		}
		this.#judge(batch, { taken: taken.length, vectors });
	}

	async #embed(batch: readonly Pending[]): Promise<Map<Pending, Vectors> | null> {
		const { embedder, budget, signal } = this.#parts;
		return embedder ? embedDocuments(batch, { embedder, budget, signal }) : null;
	}

	/** An embedder that does nothing is not asked for every document of a large source. */
	#judge(
		batch: readonly Pending[],
		{ taken, vectors }: { taken: number; vectors: Map<Pending, Vectors> | null },
	): void {
		this.#written += taken;
		this.#failedInARow = taken > 0 ? 0 : this.#failedInARow + 1;
		if (this.#failedInARow === 0 || (this.#written > 0 && this.#failedInARow < FAILED_IN_A_ROW_MAX)) return;
		const own = batch[0] && vectors?.get(batch[0]);
		const reason = own && 'reason' in own ? own.reason : 'no reason is known';
		throw new PlimsollError('retrieval_failed', `Nothing of ${batch.length} documents could be embedded: ${reason}`);
	}
}

function isEmbedded(vectors: Vectors | undefined): vectors is { readonly vectors: readonly Float32Array[] } {
	return vectors !== undefined && 'vectors' in vectors;
}
