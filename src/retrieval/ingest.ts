import { canonicalJson } from '../base/canonical-json.ts';
import type { Clock } from '../base/clock.ts';
import { sha256 } from '../base/hash.ts';
import { asPlimsollError, PlimsollError } from '../spec/errors.ts';
import type { IndexStore, IndexWriter } from '../spec/index-store.ts';
import type { RecordStore, RunRecord } from '../spec/records.ts';
import type { Embedder, Ingester, IngestProgress, IngestReport, SourceReport } from '../spec/retrieval.ts';
import type { Catalogue, CollectionState } from './catalogue.ts';
import { census, documentRef } from './census.ts';
import { DocumentReader } from './document-reader.ts';
import type { EmbedderPool } from './embedding/embedder-pool.ts';
import type { EmbeddingSpaces, NamedSpace } from './embedding/spaces.ts';
import { runIngestion } from './ingest-run.ts';
import { chunkerIdentity, fusionDescription, type Manifest, tableFor, tablePrefix } from './manifest.ts';

/** Runs of one collection that may wait for the one that runs. Each finds less to do than the one before. */
const WAITING_MAX = 8;

interface IngestOptions {
	readonly signal: AbortSignal;
	readonly onProgress?: (progress: IngestProgress) => void;
}

interface Parts {
	readonly store: IndexStore;
	readonly catalogue: Catalogue;
	readonly embedders: EmbedderPool;
	readonly spaces: EmbeddingSpaces;
	readonly records: RecordStore;
	readonly clock: Clock;
	readonly ids: (prefix: string) => string;
	readonly warn: (message: string) => void;
}

/** Builds generations, one run at a time for each collection. */
export class CollectionIngester implements Ingester {
	readonly #parts: Parts;
	readonly #queues = new Map<string, { tail: Promise<unknown>; length: number }>();

	constructor(parts: Parts) {
		this.#parts = parts;
	}

	/** Marks runs that a killed process left behind. */
	async open(): Promise<void> {
		const { records, clock } = this.#parts;
		for (const run of await records.listRuns(null, 1_000)) {
			if (run.outcome !== 'running') continue;
			await records.putRun({
				...run,
				endedAt: clock.now(),
				outcome: 'failed',
				error: 'the process ended before the run did',
			});
		}
	}

	async ingest(collection: string, options: IngestOptions): Promise<IngestReport> {
		this.#parts.catalogue.state(collection);
		const queue = this.#queues.get(collection) ?? { tail: Promise.resolve(), length: 0 };
		if (queue.length > WAITING_MAX) {
			throw new PlimsollError(
				'concurrency_exceeded',
				`${WAITING_MAX} ingestions of ${collection} are waiting already.`,
			);
		}
		queue.length++;
		this.#queues.set(collection, queue);
		const run = queue.tail.then(() => this.#recorded(collection, options));
		queue.tail = run.catch(() => null).finally(() => queue.length--);
		const ended = new AbortController();
		return Promise.race([run, aborted(options.signal, ended.signal)]).finally(() => ended.abort());
	}

	/** Resolves when no run is under way. */
	async idle(): Promise<void> {
		await Promise.all([...this.#queues.values()].map(({ tail }) => tail));
	}

	async #recorded(collection: string, options: IngestOptions): Promise<IngestReport> {
		options.signal.throwIfAborted();
		const { records, clock, ids } = this.#parts;
		const running: RunRecord = {
			id: ids('run'),
			collection,
			startedAt: clock.now(),
			endedAt: null,
			outcome: 'running',
			report: null,
			error: null,
		};
		await records.putRun(running);
		try {
			const report = await this.#run(running.id, collection, options);
			await records.putRun({ ...running, endedAt: clock.now(), outcome: 'succeeded', report });
			return report;
		} catch (thrown) {
			const outcome = options.signal.aborted ? 'cancelled' : 'failed';
			const { message } = asPlimsollError(thrown);
			await records.putRun({ ...running, endedAt: clock.now(), outcome, error: message });
			throw thrown;
		}
	}

	async #run(
		runId: string,
		collection: string,
		{ signal, onProgress = () => {} }: IngestOptions,
	): Promise<IngestReport> {
		const { catalogue, embedders, clock } = this.#parts;
		const examined = await catalogue.examine(collection, { thorough: false });
		const { config } = examined;
		const embedder = config.embedder === null ? null : await embedders.get(config.embedder);
		const space = embedder && (await this.#parts.spaces.register(embedder, signal));
		const table = await this.#openTable(examined, space);
		const state = catalogue.state(collection);
		const reader = new DocumentReader(clock);
		try {
			const before = state.index?.manifest ?? null;
			const sameTable = before?.table === table.table;
			const written = await census(table.documents());
			const live = sameTable && state.index ? await census(state.index.reader.documents()) : new Map<string, string>();
			const sources = await runIngestion({
				config,
				embedder,
				reader,
				table,
				written,
				live,
				clock,
				signal,
				onProgress,
				liveSources: before?.sources ?? {},
			});
			signal.throwIfAborted();
			const report = { runId, collection, sources };
			if (before && sameTable && (await table.version()) === before.version)
				return this.#unchanged(state, { before, embedder, space }, report);
			onProgress({ source: '', phase: 'index', done: 0, total: 1 });
			const manifest = await this.#seal(state, table, { runId, embedder, space, documents: [...written.keys()] });
			onProgress({ source: '', phase: 'index', done: 1, total: 1 });
			return { ...report, generation: manifest.generation, promoted: true };
		} finally {
			table.close();
			await reader.close();
		}
	}

	/** The table to write to. One that cannot be read is set aside, so that a new one takes its name. */
	async #openTable({ config, index, problem }: CollectionState, space: NamedSpace | null): Promise<IndexWriter> {
		const { catalogue, store } = this.#parts;
		const dimensions = space?.identity.dimensions ?? null;
		const live = index?.manifest ?? null;
		const name = tableFor(config.name, { store, space, chunker: chunkerIdentity(config.chunker), live });
		const shape = { table: name, dimensions, fields: new Map() };
		if (problem) await this.#setAside(name);
		try {
			const table = await store.writer(shape);
			await census(table.documents());
			return table;
		} catch (cause) {
			// A table that is served goes only when its own files are to blame, not a passing fault.
			const { index } = await catalogue.examine(config.name, { thorough: true });
			if (index?.manifest.table === name) throw cause;
			await this.#setAside(name);
			return store.writer(shape);
		}
	}

	async #setAside(name: string): Promise<void> {
		const { store, clock, warn } = this.#parts;
		const moved = await store.setAside(name, clock.now());
		warn(
			moved
				? `the index table ${name} is damaged: it was renamed to ${moved}, which may be removed, and is built anew`
				: `the index table ${name} is gone and is built anew`,
		);
	}

	/** Indexes what was written and makes it the live generation; older ones but the last go. */
	async #seal(
		{ config, index }: CollectionState,
		table: IndexWriter,
		{
			runId,
			embedder,
			space,
			documents,
		}: { runId: string; embedder: Embedder | null; space: NamedSpace | null; documents: readonly string[] },
	): Promise<Manifest> {
		const { catalogue, store, clock } = this.#parts;
		const before = index?.manifest ?? null;
		const { version, chunks } = await table.seal(before?.table === table.table ? [before.version] : []);
		const sequence = (before?.sequence ?? 0) + 1;
		const manifest: Manifest = {
			format: 1,
			collection: config.name,
			generation: `${config.name}-g${sequence}-${sha256(runId).slice(0, 6)}`,
			sequence,
			table: table.table,
			version,
			previous: before && { table: before.table, version: before.version },
			embedding: embedder?.identity ?? null,
			space: space?.name ?? null,
			fingerprint: space?.fingerprint ?? null,
			chunker: chunkerIdentity(config.chunker),
			lexical: { ...store.lexical, tokenizer: { ...store.lexical.tokenizer } },
			fusion: fusionDescription(config.search),
			documents: documents.length,
			sources: countBySource(documents),
			chunks,
			createdByRun: runId,
		};
		await catalogue.promote(manifest, clock.now());
		await this.#dropUnused(manifest);
		return manifest;
	}

	/** Tables of earlier settings go once neither this generation nor the one before is in them. */
	async #dropUnused({ collection, table, previous }: Manifest): Promise<void> {
		const { store, warn } = this.#parts;
		try {
			for (const name of await store.tables(tablePrefix(collection))) {
				if (name === table || name === previous?.table) continue;
				await store.drop(name);
			}
		} catch (cause) {
			warn(
				`unused index tables of ${collection} could not be removed: ${cause instanceof Error ? cause.message : String(cause)}`,
			);
		}
	}

	/** Nothing to promote; the manifest follows what needs no new index: settings of the search, and another name of the embedder. */
	async #unchanged(
		{ config }: CollectionState,
		{ before, embedder, space }: { before: Manifest; embedder: Embedder | null; space: NamedSpace | null },
		report: { runId: string; collection: string; sources: readonly SourceReport[] },
	): Promise<IngestReport> {
		const manifest: Manifest = {
			...before,
			fusion: fusionDescription(config.search),
			embedding: embedder?.identity ?? null,
			space: space?.name ?? null,
			fingerprint: space?.fingerprint ?? null,
		};
		if (canonicalJson(manifest) !== canonicalJson(before)) {
			await this.#parts.catalogue.promote(manifest, this.#parts.clock.now());
		}
		return { ...report, generation: before.generation, promoted: false };
	}
}

function countBySource(documentKeys: readonly string[]): Record<string, number> {
	const counts: Record<string, number> = {};
	for (const key of documentKeys) {
		const { source } = documentRef(key);
		counts[source] = (counts[source] ?? 0) + 1;
	}
	return counts;
}

/** Rejects when the signal aborts, so that a caller need not wait for a run that is still to start or to wind down. */
function aborted(signal: AbortSignal, ended: AbortSignal): Promise<never> {
	return new Promise((_, reject) => {
		if (signal.aborted) reject(signal.reason);
		else signal.addEventListener('abort', () => reject(signal.reason), { signal: ended });
	});
}
