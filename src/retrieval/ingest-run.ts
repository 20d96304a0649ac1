import type { Clock } from '../base/clock.ts';
import type { CollectionConfig, SourceConfig } from '../contracts/collection.ts';
import type { Embedder } from '../spec/embedding.ts';
import { PlimsollError } from '../spec/errors.ts';
import type { DocumentRef, IndexWriter } from '../spec/index-store.ts';
import type { EmbeddingReport, IngestProgress, SourceReport } from '../spec/retrieval.ts';
import { chunkIds } from './chunkers/chunker.ts';
import { documentKey } from './document-key.ts';
import type { DocumentReader } from './document-reader.ts';
import type { EmbeddingBudget } from './embedding/embedding-budget.ts';
import { BatchWriter, type Pending } from './ingestion/batch-writer.ts';
import type { SourceTerms } from './ingestion/conserve.ts';
import { Counts, whyNothing } from './ingestion/counts.ts';
import { contentHash, storable } from './ingestion/document-identity.ts';
import { type Fit, withEveryField } from './ingestion/fit-document.ts';
import type { Ledger } from './ingestion/ledger.ts';
import { assertPlausible } from './ingestion/plausible.ts';
import { allRulesHash, type QuarantineLog } from './ingestion/quarantine-log.ts';
import { readAhead } from './ingestion/read-ahead.ts';
import { SourceRules } from './ingestion/source-rules.ts';
import { tableFields } from './ingestion/table-fields.ts';
import type { ChunkedDocument } from './readers/read-document.ts';
import { searchableBody } from './searchable-body.ts';
import {
	bytesOf,
	type FailedItem,
	type HashedDocument,
	type ListedDocument,
	type OpenSource,
	type SourceDocument,
	type SourceItem,
} from './source-item.ts';
import type { SourceAccess } from './sources/access.ts';
import { openSource } from './sources/source.ts';

/** Items between two reports of progress. */
const PROGRESS_EVERY = 20;
/** Documents, and bytes of them, that are read before a batch has room for them. */
const AHEAD = { itemsMax: 64, weightMax: 33_554_432 };
/** Documents that are removed at once. */
const REMOVED_AT_ONCE = 500;

/** A run's inputs. */
export interface RunContext {
	readonly access: SourceAccess;
	readonly config: CollectionConfig;
	readonly embedder: Embedder | null;
	/** What the run spends on embedding. */
	readonly budget: EmbeddingBudget;
	readonly reader: DocumentReader;
	/** Holds what was written so far, perhaps by a run that was killed. */
	readonly table: IndexWriter;
	readonly ledger: Ledger;
	readonly quarantine: QuarantineLog;
	/** Whether what is written has to be held against the rules again: they have changed. */
	readonly recheck: boolean;
	/** Documents of each source in the live generation, whatever table it is in. */
	readonly liveSources: Readonly<Record<string, number>>;
	/** Whether what is found is taken for right, however much it differs from what is live. */
	readonly accept: boolean;
	/** Reads only sources of kind `push`; documents of the others stay as the table holds them. */
	readonly pushedOnly: boolean;
	readonly clock: Clock;
	readonly signal: AbortSignal;
	readonly onProgress: (progress: IngestProgress) => void;
}

export interface RunResult {
	/** One for each source, and one for each source that is gone. */
	readonly sources: readonly SourceReport[];
	readonly terms: readonly SourceTerms[];
	readonly embedding: EmbeddingReport | null;
}

/** Brings the table to the state of the sources. */
export async function runIngestion(context: RunContext): Promise<RunResult> {
	const run = new IngestRun(context);
	await run.read();
	await run.remove();
	const { embedder, budget } = context;
	const counts = [...run.counts.values()];
	return {
		sources: counts.map(({ report }) => report),
		terms: counts.map(({ terms }) => terms),
		embedding: embedder && budget.spend,
	};
}

class IngestRun {
	readonly #context: RunContext;
	readonly #writer: BatchWriter;
	readonly #fieldNames: readonly string[];
	readonly #rules: SourceRules;
	readonly counts = new Map<string, Counts>();
	/** Folders that could not be listed, with their source: what is below them is unknown, not gone. */
	readonly #closedFolders: string[] = [];
	/** Documents that no longer fit and are not to be kept. */
	readonly #misfits: DocumentRef[] = [];

	constructor(context: RunContext) {
		this.#context = context;
		this.#writer = new BatchWriter(context);
		this.#fieldNames = [...tableFields(context.config).keys()];
		this.#rules = new SourceRules(context.config.ingestion);
	}

	/** Reads every source and writes what is new or changed. */
	async read(): Promise<void> {
		const { access, config, signal, quarantine } = this.#context;
		// All sources are opened before anything is written: a missing one fails the run while it costs nothing.
		const sources: [SourceConfig, OpenSource][] = [];
		for (const source of config.sources) {
			if (this.#isRead(source)) sources.push([source, await openSource(source, access, signal)]);
		}
		await quarantine.open();
		try {
			for (const [source, opened] of sources) await this.#readSource(source.name, opened);
		} finally {
			await quarantine.flush();
		}
	}

	/** Removes what is gone, once it is plausible that it is. */
	async remove(): Promise<void> {
		const { config, table, ledger, quarantine, signal, accept } = this.#context;
		const unmet = await this.#unmet();
		this.#assertSourcesAlive(unmet.length);
		if (!accept) assertPlausible(config, this.#standings(unmet));
		const gone = [...unmet, ...this.#misfits];
		for (let start = 0; start < gone.length; start += REMOVED_AT_ONCE) {
			signal.throwIfAborted();
			await table.remove(gone.slice(start, start + REMOVED_AT_ONCE));
		}
		for (const { source, documentId } of gone) ledger.setRemoved(ledger.slot(source, documentId));
		for (let slot = 0; slot < ledger.size; slot++) {
			if (ledger.outcome(slot) !== 'pending') continue;
			ledger.end(slot, ledger.isLive(slot) ? 'deleted' : 'undone');
			if (ledger.isLive(slot)) this.#countsOf(ledger.sourceOf(slot)).deleted++;
		}
		const read = config.sources.filter((source) => this.#isRead(source)).map(({ name }) => name);
		const losses = read.map((name) => this.#countsOf(name).losses);
		await quarantine.accept(losses, accept);
		if (this.#context.pushedOnly) await quarantine.settlePart(read);
		else await quarantine.settle({ table: table.table, rulesHash: allRulesHash(config.ingestion) });
	}

	async #readSource(source: string, opened: OpenSource): Promise<void> {
		const { clock, signal, budget, embedder, quarantine, onProgress } = this.#context;
		const started = clock.monotonic();
		const counts = this.#countsOf(source);
		const live = this.#context.liveSources[source] ?? 0;
		const progress = (phase: 'scan' | 'write') => {
			const { tokens, costMicros } = budget.spend;
			const spent = embedder ? { tokens, costMicros } : {};
			const total = opened.total ?? (live > counts.seen ? live : null);
			onProgress({ source, phase, done: counts.seen, total, ...spent });
		};
		progress('scan');
		const begin = (item: SourceItem) => {
			signal.throwIfAborted();
			counts.seen++;
			if (counts.seen % PROGRESS_EVERY === 0) progress('write');
			return this.#prepare(counts, item);
		};
		const prepared = readAhead(opened.items(), begin, { ...AHEAD, weigh: bytesOf });
		await this.#writer.writeAll(prepared, () => quarantine.flushFull());
		counts.seconds = (clock.monotonic() - started) / 1_000;
		progress('write');
	}

	/** A new or changed document, chunked; null when there is nothing to write, undefined for one that is as it was. */
	#prepare(counts: Counts, item: SourceItem): Promise<Pending | null> | undefined {
		const { ledger, recheck } = this.#context;
		if ('failed' in item) return Promise.resolve(this.#fail(counts, item.failed));
		const found = 'hashed' in item ? item.hashed : 'listed' in item ? item.listed : item.document;
		const id = storable(found.id);
		const slot = ledger.slot(counts.source, id);
		if (!ledger.meet(slot)) return Promise.resolve(this.#repeat(counts, id));
		const hash = contentHash(found, this.#rules.of(counts.source).taken);
		if (!ledger.isWrittenAs(slot, hash) || recheck || ledger.isStale(slot)) {
			return this.#load(counts, { ...found, id }, { slot, hash });
		}
		this.#end(counts, slot);
	}

	async #load(
		counts: Counts,
		found: SourceDocument | ListedDocument | HashedDocument,
		{ slot, hash }: { slot: number; hash: string },
	): Promise<Pending | null> {
		const { quarantine, signal } = this.#context;
		const held = { contentHash: hash, rulesHash: this.#rules.of(counts.source).hash };
		const known = quarantine.known({ source: counts.source, document: found.id }, held);
		if (known) return this.#misfit(counts, { found, slot, hash }, known);
		const loaded = 'load' in found ? await found.load(signal) : { document: found };
		if ('failed' in loaded) return this.#fail(counts, { ...loaded.failed, document: found.id });
		return this.#read(counts, { ...loaded.document, id: found.id }, { slot, hash });
	}

	async #read(
		counts: Counts,
		document: SourceDocument,
		{ slot, hash }: { slot: number; hash: string },
	): Promise<Pending | null> {
		const { config, reader, ledger, clock, signal } = this.#context;
		const { rules } = this.#rules.of(counts.source);
		const answer = await reader.read({ document, chunker: config.chunker, rules, now: clock.now() }, signal);
		if (!answer.ok) return this.#fail(counts, { document: document.id, reason: answer.reason });
		const { chunked, fit } = answer;
		if (fit.misfits.length > 0) return this.#misfit(counts, { found: document, slot, hash }, fit.misfits);
		if (ledger.isWrittenAs(slot, hash)) return this.#end(counts, slot);
		const rows = this.#rows(document, { chunked, fit }, { source: counts.source, hash });
		return {
			slot,
			hash,
			rows,
			key: documentKey(counts.source, document.id),
			texts: rows.map(({ body }) => body),
			ended: (failure) => {
				if (failure === null) this.#written(counts, { slot, rows });
				else this.#fail(counts, { document: document.id, reason: failure }, hash);
			},
		};
	}

	#rows(
		document: SourceDocument,
		{ chunked: { title, chunks }, fit }: { chunked: ChunkedDocument; fit: Fit },
		{ source, hash }: { source: string; hash: string },
	): Pending['rows'] {
		const ids = chunkIds(source, document.id, chunks);
		const fields = withEveryField(fit.fields, this.#fieldNames);
		return chunks.map((chunk, index) => {
			const passage = { ...chunk, chunkId: ids[index] ?? '', documentId: document.id, source, title, fields };
			return { ...passage, ...searchableBody(passage), contentHash: hash };
		});
	}

	#written(counts: Counts, { slot, rows }: Pick<Pending, 'slot' | 'rows'>): void {
		this.#end(counts, slot);
		counts.chunks += rows.length;
		for (const { tokens } of rows) counts.tokens += tokens;
	}

	/** The document is in the table as its source has it. */
	#end(counts: Counts, slot: number): null {
		const { ledger } = this.#context;
		const outcome = !ledger.isLive(slot) ? 'new' : ledger.isUnchanged(slot) ? 'unchanged' : 'changed';
		counts[outcome]++;
		ledger.end(slot, outcome);
		return null;
	}

	#repeat(counts: Counts, document: string): null {
		counts.repeated++;
		counts.fail(document, 'its id was used before in this source; the first one counts');
		return null;
	}

	/** A document that fails stays as it was last indexed: a file that is unreadable today is not a file that is gone. */
	#fail(counts: Counts, { document, reason, isFolder }: FailedItem, hash: string | null = null): null {
		const { ledger } = this.#context;
		const { source } = counts;
		const slot = ledger.slot(source, document);
		ledger.meet(slot);
		if (ledger.outcome(slot) !== 'pending') {
			// Two lines that cannot be read may share a name.
			counts.repeated++;
			counts.fail(document, reason);
			return null;
		}
		counts.fail(document, reason);
		ledger.end(slot, 'failed');
		if (isFolder) this.#closedFolders.push(documentKey(source, document));
		this.#leaveOut(counts, { slot, document, kind: 'failed', reasons: [reason], hash });
		return null;
	}

	#misfit(
		counts: Counts,
		{ found, slot, hash }: { found: { readonly id: string }; slot: number; hash: string },
		reasons: readonly string[],
	): null {
		const { config, ledger } = this.#context;
		counts.misfit(found.id, reasons);
		ledger.end(slot, 'quarantined');
		this.#leaveOut(counts, { slot, document: found.id, kind: 'misfit', reasons, hash });
		if (config.ingestion.misfits === 'remove' && ledger.isWritten(slot)) {
			this.#misfits.push({ source: counts.source, documentId: found.id });
		}
		return null;
	}

	#leaveOut(
		counts: Counts,
		what: {
			slot: number;
			document: string;
			kind: 'misfit' | 'failed';
			reasons: readonly string[];
			hash: string | null;
		},
	): void {
		const { config, ledger, quarantine } = this.#context;
		const { slot, document, kind, reasons, hash } = what;
		const kept = ledger.isWritten(slot) && !(kind === 'misfit' && config.ingestion.misfits === 'remove');
		if (kept) counts.kept++;
		const why = { kind, reasons, contentHash: hash, rulesHash: this.#rules.of(counts.source).hash, kept };
		quarantine.put({ source: counts.source, document }, why);
	}

	/** What the table holds of documents that no source has any more; what lies in closed folders is counted and stays. */
	async #unmet(): Promise<DocumentRef[]> {
		const { table, ledger } = this.#context;
		const unmet: DocumentRef[] = [];
		if (!this.#passUnread()) return unmet;
		for await (const documents of table.documents()) {
			for (const { source, documentId } of documents) {
				const slot = ledger.slot(source, documentId);
				if (ledger.isMet(slot) || ledger.outcome(slot) !== 'pending') continue;
				const key = documentKey(source, documentId);
				if (this.#closedFolders.some((folder) => key.startsWith(folder))) {
					ledger.end(slot, 'failed');
					this.#countsOf(source).unreachable++;
					this.#countsOf(source).kept++;
				} else unmet.push({ source, documentId });
			}
		}
		return unmet;
	}

	/** What sources hold that were not read stays as it is. Returns whether a source that was read has lost something. */
	#passUnread(): boolean {
		const { config, ledger } = this.#context;
		const unread = new Set(config.sources.flatMap((one) => (this.#isRead(one) ? [] : [one.name])));
		let isLost = false;
		for (let slot = 0; slot < ledger.size; slot++) {
			if (!ledger.isWritten(slot) || ledger.isMet(slot)) continue;
			const source = ledger.sourceOf(slot);
			if (unread.has(source)) this.#end(this.#countsOf(source), slot);
			else isLost = true;
		}
		return isLost;
	}

	#standings(unmet: readonly DocumentRef[]) {
		const { config, ledger, liveSources, quarantine } = this.#context;
		const next = new Map<string, number>();
		const add = (source: string, documents: number) => next.set(source, (next.get(source) ?? 0) + documents);
		for (let slot = 0; slot < ledger.size; slot++) if (ledger.isWritten(slot)) add(ledger.sourceOf(slot), 1);
		for (const { source } of [...unmet, ...this.#misfits]) add(source, -1);
		return config.sources.map(({ name, kind }) => {
			const [live, left] = [liveSources[name] ?? 0, next.get(name) ?? 0];
			const found = { counts: this.#countsOf(name), accepted: quarantine.accepted(name) };
			return { ...found, live, next: left, isDeclared: kind === 'push' };
		});
	}

	/** An emptied source is more often a broken mount or a failed checkout than a wish to forget everything. */
	#assertSourcesAlive(unmet: number): void {
		const { config, ledger, liveSources } = this.#context;
		const mounted = new Set(
			config.sources.flatMap((one) => (one.kind !== 'push' && this.#isRead(one) ? [one.name] : [])),
		);
		for (const { source, seen } of this.counts.values()) {
			const documents = liveSources[source] ?? 0;
			if (seen > 0 || documents === 0 || !mounted.has(source)) continue;
			throw new PlimsollError(
				'source_unusable',
				`Source ${source} of ${config.name} is empty, and the live index holds ${documents} documents of it. To remove them, remove the source from the collection.`,
			);
		}
		let written = 0;
		for (let slot = 0; slot < ledger.size; slot++) if (ledger.isWritten(slot)) written++;
		if (written > unmet + this.#misfits.length) return;
		// What was sent is deleted on purpose: nothing is left, and searches must not go on finding it.
		const isPushed = config.sources.some(({ kind }) => kind === 'push');
		const others = config.sources.filter(({ kind }) => kind !== 'push').map(({ name }) => this.#countsOf(name));
		if (isPushed && others.every(({ seen }) => seen === 0)) return;
		throw new PlimsollError(
			'source_unusable',
			`${config.name} has nothing to index: ${whyNothing([...this.counts.values()])}.`,
		);
	}

	#countsOf(source: string): Counts {
		const known = this.counts.get(source) ?? new Counts(source);
		this.counts.set(source, known);
		return known;
	}

	#isRead({ kind }: SourceConfig): boolean {
		return kind === 'push' || !this.#context.pushedOnly;
	}
}
