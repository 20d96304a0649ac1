import { canonicalJson } from '../../base/canonical-json.ts';
import type { Clock } from '../../base/clock.ts';
import { sha256, sha256Of } from '../../base/hash.ts';
import type { DocumentRules, IngestionConfig } from '../../contracts/document-rules.ts';
import type { AcceptedLoss, QuarantineEntry, QuarantineStore } from '../../spec/quarantine.ts';

/** Entries that are written at once. */
const BATCH = 500;

interface Place {
	readonly source: string;
	readonly document: string;
}

/** What a run knows and tells of documents that do not come in. */
export class QuarantineLog {
	readonly #parts: { store: QuarantineStore; clock: Clock; collection: string; runId: string; max: number };
	readonly #known = new Map<string, QuarantineEntry>();
	readonly #accepted = new Map<string, AcceptedLoss>();
	#batch: QuarantineEntry[] = [];
	#unlisted = 0;

	constructor(parts: { store: QuarantineStore; clock: Clock; collection: string; runId: string; max: number }) {
		this.#parts = parts;
	}

	/** Reads what runs of before left. */
	async open(): Promise<void> {
		const { store, collection, max } = this.#parts;
		for (const state of [null, 'dropped'] as const) {
			const entries = await store.list({ collection, source: null, state, limit: max });
			for (const entry of entries) this.#known.set(entry.id, entry);
		}
		for (const loss of await store.acceptedLosses(collection)) this.#accepted.set(loss.source, loss);
	}

	/** The reasons of before, when the same content was held against the same rules and nobody asks for another look. */
	known(
		place: Place,
		{ contentHash, rulesHash }: { contentHash: string; rulesHash: string },
	): readonly string[] | null {
		const entry = this.#known.get(entryId(this.#parts.collection, place));
		if (entry?.kind !== 'misfit' || entry.state === 'retry') return null;
		return entry.contentHash === contentHash && entry.rulesHash === rulesHash ? entry.reasons : null;
	}

	/** How many documents of a source were known not to come in, and taken for right. */
	accepted(source: string): AcceptedLoss {
		return this.#accepted.get(source) ?? { source, failed: 0, misfits: 0 };
	}

	/** What a run found of the sources that it read is taken for right; without `isAll`, no more of it than before. */
	async accept(found: readonly AcceptedLoss[], isAll: boolean): Promise<void> {
		const losses = found.map(({ source, failed, misfits }) => {
			const before = isAll ? { failed, misfits } : this.accepted(source);
			return { source, failed: Math.min(failed, before.failed), misfits: Math.min(misfits, before.misfits) };
		});
		await this.#parts.store.acceptLosses(this.#parts.collection, losses);
	}

	put(place: Place, why: Pick<QuarantineEntry, 'kind' | 'reasons' | 'contentHash' | 'rulesHash' | 'kept'>): void {
		const { clock, collection, runId } = this.#parts;
		const at = clock.now();
		const id = entryId(collection, place);
		this.#batch.push({ id, collection, ...place, ...why, runId, firstAt: at, lastAt: at, state: 'held' });
	}

	/** Writes what there is once that is worth a write. */
	async flushFull(): Promise<void> {
		if (this.#batch.length >= BATCH) await this.flush();
	}

	async flush(): Promise<void> {
		const batch = this.#batch;
		this.#batch = [];
		if (batch.length > 0) this.#unlisted += await this.#parts.store.put(batch, this.#parts.max);
	}

	/** The run came to the end of the sources that it read. */
	async settlePart(sources: readonly string[]): Promise<void> {
		await this.flush();
		const { store, collection, runId } = this.#parts;
		await store.settlePart(collection, { runId, sources });
	}

	/** The run came to the end of every source: what it did not meet is in quarantine no longer. */
	async settle(whole: { table: string; rulesHash: string }): Promise<void> {
		await this.flush();
		const { store, collection, runId } = this.#parts;
		await store.settle(collection, { runId, unlisted: this.#unlisted, ...whole });
	}
}

/** The id of a document's entry. */
export function entryId(collection: string, { source, document }: Place): string {
	return `qua_${sha256Of([collection, source, document]).slice(0, 12)}`;
}

/** Changes with everything that decides whether a document fits. */
export function rulesHash(rules: DocumentRules): string {
	return sha256(canonicalJson(rules)).slice(0, 16);
}

/** The same for all sources of a collection. */
export function allRulesHash({ documents, sources }: IngestionConfig): string {
	return sha256(canonicalJson({ documents, sources })).slice(0, 16);
}
