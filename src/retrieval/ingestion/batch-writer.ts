import type { Embedder } from '../../spec/embedding.ts';
import { PlimsollError } from '../../spec/errors.ts';
import type { IndexRow, IndexWriter } from '../../spec/index-store.ts';
import { documentRef } from '../document-key.ts';
import type { EmbeddingBudget } from '../embedding/embedding-budget.ts';
import { embedDocuments, type Texts, type Vectors } from './embed-documents.ts';
import type { Ledger } from './ledger.ts';

/** Chunks that are embedded at once. */
const BATCH_CHUNKS = 512;
/** The same for few and large chunks, in UTF-16 code units. */
const BATCH_CHARS = 8_388_608;
/**
 * A commit takes this part of what the run committed before, which is the most that a kill undoes, and a batch at first: each
 * one writes the list of all files anew, so that many small ones cost the square of their number.
 */
const COMMIT_PART = 1 / 64;
/** Beyond these a larger commit takes memory and saves little. */
const COMMIT_CHUNKS_MAX = 4_096;
/** Of texts, a byte for each UTF-16 code unit, and vectors. */
const COMMIT_BYTES_MAX = 16_777_216;
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
	readonly table: Pick<IndexWriter, 'write'>;
	readonly ledger: Ledger;
	readonly signal: AbortSignal;
}

/** A document with its vectors; null without an embedder. */
interface Embedded {
	readonly document: Pending;
	readonly vectors: readonly Float32Array[] | null;
}

/** Embeds documents in batches, while the next one is gathered and no third one, and commits some batches together. */
export class BatchWriter {
	readonly #parts: Parts;
	#batch: Pending[] = [];
	#chunks = 0;
	#chars = 0;
	#underWay: Promise<void> = Promise.resolve();
	/** What waits for the next commit. */
	#embedded: Embedded[] = [];
	#embeddedChunks = 0;
	#embeddedBytes = 0;
	/** Chunks of the run that are in the table. */
	#committed = 0;
	/** Documents of the run that came with all that they need. */
	#taken = 0;
	#failedInARow = 0;

	constructor(parts: Parts) {
		this.#parts = parts;
	}

	/**
	 * Writes what comes, in order. When that breaks off, what was embedded is in the table all the same, since it was paid for.
	 * @param documents null where there is nothing to write.
	 * @param between is waited for after each.
	 */
	async writeAll(documents: AsyncIterable<Pending | null>, between: () => Promise<void>): Promise<void> {
		try {
			for await (const document of documents) {
				this.#parts.signal.throwIfAborted();
				if (document) await this.#add(document);
				await between();
			}
			await this.#send();
			await this.#underWay;
		} catch (cause) {
			// What ended the run is told, not what kept the rest from the table.
			await this.#underWay.catch(() => {});
			await this.#commit().catch(() => {});
			throw cause;
		}
		await this.#commit();
	}

	/** Waits while a full batch cannot go yet. Rejects with what ended the batch before. */
	async #add(document: Pending): Promise<void> {
		this.#batch.push(document);
		this.#chunks += document.rows.length;
		this.#chars += document.texts.reduce((all, { length }) => all + length, 0);
		if (this.#chunks >= BATCH_CHUNKS || this.#chars >= BATCH_CHARS) await this.#send();
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
		const vectors = await this.#embed(batch);
		this.#parts.signal.throwIfAborted();
		let taken = 0;
		for (const document of batch) {
			const own = vectors?.get(document);
			if (own && 'reason' in own) document.ended(own.reason);
			else if (own || !vectors) {
				taken++;
				this.#take({ document, vectors: own?.vectors ?? null });
			}
		}
		this.#judge(batch, { taken, vectors });
		const chunks = Math.max(BATCH_CHUNKS, Math.min(COMMIT_CHUNKS_MAX, this.#committed * COMMIT_PART));
		if (this.#embeddedChunks >= chunks || this.#embeddedBytes >= COMMIT_BYTES_MAX) await this.#commit();
	}

	#take(embedded: Embedded): void {
		const { document, vectors } = embedded;
		this.#embedded.push(embedded);
		this.#embeddedChunks += document.rows.length;
		for (const { length } of document.texts) this.#embeddedBytes += length;
		for (const { byteLength } of vectors ?? []) this.#embeddedBytes += byteLength;
	}

	async #commit(): Promise<void> {
		const { table, ledger } = this.#parts;
		const embedded = this.#embedded;
		this.#embedded = [];
		this.#embeddedChunks = 0;
		this.#embeddedBytes = 0;
		const replaced = embedded.filter(({ document: { slot } }) => ledger.isWritten(slot));
		const rows = embedded.flatMap(({ document, vectors }) =>
			document.rows.map((row, at): IndexRow => ({ ...row, vector: vectors?.[at] ?? null })),
		);
		if (rows.length > 0) {
			const refs = replaced.map(({ document }) => documentRef(document.key));
			await table.write(refs, rows);
		}
		this.#committed += rows.length;
		for (const { document } of embedded) {
			ledger.setWritten(document.slot, document.hash);
			document.ended(null);
		}
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
		this.#taken += taken;
		this.#failedInARow = taken > 0 ? 0 : this.#failedInARow + 1;
		if (this.#failedInARow === 0 || (this.#taken > 0 && this.#failedInARow < FAILED_IN_A_ROW_MAX)) return;
		const own = batch[0] && vectors?.get(batch[0]);
		const reason = own && 'reason' in own ? own.reason : 'no reason is known';
		throw new PlimsollError('retrieval_failed', `Nothing of ${batch.length} documents could be embedded: ${reason}`);
	}
}
