import type { Clock } from '../base/clock.ts';
import type { HttpClient } from '../base/http.ts';
import type { CollectionConfig } from '../contracts/collection.ts';
import type { Alerts } from '../spec/alerts.ts';
import type { Embedder } from '../spec/embedding.ts';
import { asPlimsollError, type PlimsollError } from '../spec/errors.ts';
import type { GenerationRecord } from '../spec/generations.ts';
import type { IndexReader, IndexStore, IndexWriter } from '../spec/index-store.ts';
import type { RecordStore, RunRecord } from '../spec/records.ts';
import type { Ingester, IngestOptions, IngestReport } from '../spec/retrieval.ts';
import type { Catalogue, CollectionState } from './catalogue.ts';
import { chunkerIdentity } from './chunkers/chunker.ts';
import type { CollectionQueue } from './collection-queue.ts';
import { DocumentReader } from './document-reader.ts';
import type { EmbedderPool } from './embedding/embedder-pool.ts';
import { EmbeddingBudget } from './embedding/embedding-budget.ts';
import type { EmbeddingSpaces, NamedSpace } from './embedding/spaces.ts';
import type { Generations } from './generations.ts';
import type { Housekeeping } from './housekeeping.ts';
import { type RunResult, runIngestion } from './ingest-run.ts';
import type { Ledger } from './ingestion/ledger.ts';
import { openLedger } from './ingestion/open-ledger.ts';
import { allRulesHash, QuarantineLog } from './ingestion/quarantine-log.ts';
import { tableFields } from './ingestion/table-fields.ts';
import type { IngestionTally } from './ingestion-tally.ts';
import { tableFor } from './manifest.ts';
import type { SourceAccess } from './sources/access.ts';

interface Parts {
	readonly store: IndexStore;
	readonly catalogue: Catalogue;
	readonly embedders: EmbedderPool;
	readonly spaces: EmbeddingSpaces;
	readonly records: RecordStore;
	readonly clock: Clock;
	readonly alerts: Alerts;
	readonly warn: (message: string) => void;
	readonly generations: Generations;
	readonly housekeeping: Housekeeping;
	readonly queue: CollectionQueue;
	readonly tally: IngestionTally;
	readonly ids: (prefix: string) => string;
	/** For sources behind HTTP. */
	readonly http: HttpClient;
	/** For web sites. */
	readonly web: SourceAccess['web'];
}

/** Builds generations, one run at a time for each collection. */
export class CollectionIngester implements Ingester {
	readonly #parts: Parts;

	constructor(parts: Parts) {
		this.#parts = parts;
	}

	/** Marks runs that a killed process left behind. */
	async open(): Promise<void> {
		const { records, clock, generations } = this.#parts;
		await generations.open();
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
		return this.#parts.queue.run(collection, () => this.#recorded(collection, options), options.signal);
	}

	async #recorded(collection: string, options: IngestOptions): Promise<IngestReport> {
		const { records, clock, ids, tally } = this.#parts;
		const { onProgress = () => {}, fresh = false } = options;
		const counted = tally.begin(collection, { rebuild: fresh });
		const running: RunRecord = {
			id: options.runId ?? ids('run'),
			collection,
			startedAt: clock.now(),
			endedAt: null,
			outcome: 'running',
			report: null,
			error: null,
		};
		try {
			await records.putRun(running);
			const report = await this.#run(running.id, collection, {
				...options,
				onProgress(progress) {
					counted.progress(progress);
					onProgress(progress);
				},
			});
			this.#parts.alerts.resolve(failureKey(collection));
			const outcome = report.refused ? 'refused' : 'succeeded';
			await records.putRun({ ...running, endedAt: clock.now(), outcome, report });
			counted.end(outcome, report);
			return report;
		} catch (thrown) {
			const outcome = options.signal.aborted ? 'cancelled' : 'failed';
			const error = asPlimsollError(thrown);
			counted.end(outcome, null);
			if (outcome === 'failed') this.#alert(collection, error);
			// A full disk may be what ended the run: what is told is that, not that it cannot be recorded.
			await records.putRun({ ...running, endedAt: clock.now(), outcome, error: error.message }).catch(() => {});
			throw thrown;
		}
	}

	async #run(runId: string, collection: string, options: IngestOptions): Promise<IngestReport> {
		const { catalogue, embedders, generations, housekeeping, records } = this.#parts;
		const { signal, fresh = false } = options;
		// Before anything is read: what is sent from now on may be missed.
		const { sequence, purging } = await records.pushed.mark(collection);
		if (purging) await this.#forget(collection, sequence);
		const replaces = await generations.liveName(collection);
		const examined = await catalogue.examine(collection, { thorough: false });
		const { config } = examined;
		const embedder = config.embedder === null ? null : await embedders.get(config.embedder);
		const space = embedder && (await this.#parts.spaces.register(embedder, signal));
		const { table, ledger } = await this.#openTable(examined, space, fresh);
		try {
			const build = await generations.begin(collection, table.table, runId);
			const to = { config, embedder, space, table, ledger, purging, replaces };
			const report = await this.#build(build, to, options);
			if (report.refused) return report;
			// What is live stays live, whatever becomes of the rest.
			if (purging) await housekeeping.erase(collection, table);
			await records.pushed.settle(collection, { sequence, cleared: purging });
			return report;
		} finally {
			table.close();
		}
	}

	/** What the quarantine and earlier runs say of documents that are to leave no trace. */
	async #forget(collection: string, sequence: number): Promise<void> {
		const { records } = this.#parts;
		const purges = Map.groupBy(await records.pushed.purges(collection, sequence), ({ source }) => source);
		for (const [source, all] of purges) {
			const ids = all.flatMap(({ id }) => id ?? []);
			await records.forgetDocuments({ collection, source }, ids.length < all.length ? null : ids);
		}
	}

	async #build(
		build: GenerationRecord,
		to: {
			config: CollectionConfig;
			embedder: Embedder | null;
			space: NamedSpace | null;
			table: IndexWriter;
			ledger: Ledger;
			purging: boolean;
			replaces: string | null;
		},
		options: IngestOptions,
	): Promise<IngestReport> {
		const { generations } = this.#parts;
		const { signal, onProgress = () => {}, accept = false } = options;
		const { runId, collection } = build;
		try {
			const run = await this.#write(runId, to, options);
			signal.throwIfAborted();
			onProgress({ source: '', phase: 'index', done: 0, total: 1 });
			if (to.purging) await to.table.rewrite();
			const conclusion = await generations.conclude(build, { ...to, terms: run.terms, accept, signal });
			onProgress({ source: '', phase: 'index', done: 1, total: 1 });
			return { runId, collection, sources: run.sources, embedding: run.embedding, ...conclusion };
		} catch (thrown) {
			// What kept the build from ending is told, not what keeps it from being recorded.
			await generations.fail(build, asPlimsollError(thrown).message).catch(() => {});
			throw thrown;
		}
	}

	/** A run that fails leaves what is live older every day. */
	#alert(collection: string, { code, message }: PlimsollError): void {
		const key = failureKey(collection);
		this.#parts.alerts.raise({ key, severity: 'ticket', subject: { collection }, message, detail: { code } });
	}

	/** Brings the table to the state of the sources. */
	async #write(
		runId: string,
		to: { config: CollectionConfig; table: IndexWriter; ledger: Ledger; embedder: Embedder | null },
		{ signal, onProgress = () => {}, accept = false, pushedOnly = false }: IngestOptions,
	): Promise<RunResult> {
		const { catalogue, clock, records } = this.#parts;
		const { config, table } = to;
		const { name: collection, ingestion } = config;
		const { index } = catalogue.state(collection);
		const isLive = index?.manifest.table === table.table;
		const last = await records.quarantine.lastRun(collection);
		const { quarantineMax: max } = ingestion;
		const recheck = last?.table !== table.table || last.rulesHash !== allRulesHash(ingestion);
		const reader = new DocumentReader(clock);
		try {
			return await runIngestion({
				...to,
				access: {
					clock,
					http: this.#parts.http,
					web: this.#parts.web,
					collection,
					pushed: records.pushed,
					pages: records.pages,
				},
				reader,
				budget: new EmbeddingBudget(ingestion.costMicrosMax),
				quarantine: new QuarantineLog({ store: records.quarantine, clock, collection, runId, max }),
				recheck,
				liveSources: index?.manifest.sources ?? {},
				accept,
				pushedOnly: pushedOnly && isLive && !recheck,
				clock,
				signal,
				onProgress,
			});
		} finally {
			await reader.close();
		}
	}

	/** The table to write to, with what is in it. One that cannot be read is set aside, so that a new one takes its name. */
	async #openTable(
		{ config, index, problem }: CollectionState,
		space: NamedSpace | null,
		fresh: boolean,
	): Promise<{ table: IndexWriter; ledger: Ledger }> {
		const { catalogue, store, generations, clock } = this.#parts;
		const dimensions = space?.identity.dimensions ?? null;
		const live = index?.manifest ?? null;
		const fields = tableFields(config);
		const parts = { store, space, chunker: chunkerIdentity(config.chunker), fields, live };
		const name = fresh ? await generations.freshTable(config.name, parts) : tableFor(config.name, parts);
		const shape = { table: name, dimensions, fields };
		if (problem && !fresh) {
			if (!store.isDamage(problem)) throw problem;
			await this.#setAside(name);
		}
		const open = async (served: IndexReader | null) => {
			const table = await store.writer(shape);
			try {
				return { table, ledger: await openLedger(table, served, { config: config.ingestion, now: clock.now() }) };
			} catch (cause) {
				table.close();
				throw cause;
			}
		};
		try {
			return await open(index?.manifest.table === name ? index.reader : null);
		} catch (cause) {
			// A table goes only when its own files are to blame, not a passing fault; one that is served is looked at as a whole.
			if (!store.isDamage(cause)) throw cause;
			const { index } = await catalogue.examine(config.name, { thorough: true });
			if (index?.manifest.table === name) throw cause;
			await this.#setAside(name);
			return open(null);
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
}

/** The alert that a collection's last run failed. */
function failureKey(collection: string): string {
	return `ingestion_failed:${collection}`;
}
