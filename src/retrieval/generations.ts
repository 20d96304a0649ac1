import { canonicalJson } from '../base/canonical-json.ts';
import type { Clock } from '../base/clock.ts';
import type { CollectionConfig } from '../contracts/collection.ts';
import { fieldTypes } from '../contracts/document-rules.ts';
import type { Alerts } from '../spec/alerts.ts';
import type { Embedder } from '../spec/embedding.ts';
import { PlimsollError } from '../spec/errors.ts';
import type { GenerationRecord, VerificationReport } from '../spec/generations.ts';
import type { IndexStore, IndexWriter } from '../spec/index-store.ts';
import type { RecordStore } from '../spec/records.ts';
import type { IngestReport } from '../spec/retrieval.ts';
import type { Catalogue, CollectionState } from './catalogue.ts';
import { chunkerIdentity } from './chunkers/chunker.ts';
import type { EmbedderPool } from './embedding/embedder-pool.ts';
import type { QueryEmbedder } from './embedding/query-embedder.ts';
import type { EmbeddingSpaces, NamedSpace } from './embedding/spaces.ts';
import { generationHash, generationName } from './generation-hash.ts';
import { conserve, type SourceTerms } from './ingestion/conserve.ts';
import type { Ledger } from './ingestion/ledger.ts';
import { takeStatistics } from './ingestion/statistics.ts';
import { type LiveIndex, openIndex } from './live-index.ts';
import { fusionDescription, type Manifest, tablePrefix } from './manifest.ts';
import { isRetained } from './retention.ts';
import { createRetriever } from './search.ts';
import { type Candidate, type Check, failures, verify } from './verification.ts';

export interface GenerationParts {
	readonly store: IndexStore;
	readonly catalogue: Catalogue;
	readonly embedders: EmbedderPool;
	readonly spaces: EmbeddingSpaces;
	readonly queries: QueryEmbedder;
	readonly records: RecordStore;
	readonly clock: Clock;
	readonly alerts: Alerts;
	readonly warn: (message: string) => void;
	/** What a generation is held to before it goes live, in order. */
	readonly checks: readonly Check[];
}

/** What a run wrote. */
interface Built {
	readonly table: IndexWriter;
	readonly embedder: Embedder | null;
	/** That its vectors are in. */
	readonly space: NamedSpace | null;
	/** What the run knows of every document, and what it reports of its sources. */
	readonly ledger: Ledger;
	readonly terms: readonly SourceTerms[];
	/** Whether what was found is right, however much it differs from what is live. */
	readonly accept: boolean;
	readonly signal: AbortSignal;
}

type Conclusion = Pick<IngestReport, 'generation' | 'promoted' | 'refused'>;

/** Seals what was built, checks it, and makes it live or refuses it. */
export class Generations {
	readonly #parts: GenerationParts;

	constructor(parts: GenerationParts) {
		this.#parts = parts;
	}

	/** Marks builds that a killed process left behind; the next run goes on with them. */
	async open(): Promise<void> {
		const { generations } = this.#parts.records;
		for (const record of await generations.list(null, 10_000)) {
			if (record.state === 'building' || record.state === 'verifying') {
				await this.fail(record, 'the process ended before the build did');
			}
		}
	}

	async begin(collection: string, table: string, runId: string): Promise<GenerationRecord> {
		return this.#parts.records.generations.begin({ collection, table, runId, at: this.#parts.clock.now() });
	}

	/** The build broke off. What it wrote stays for the next run, which seals it anew. */
	async fail(record: GenerationRecord, reason: string): Promise<void> {
		await this.#parts.records.generations.put({ ...record, state: 'failed', reason, manifest: null });
	}

	/** What a run built becomes live, is refused, or is what is live already. */
	async conclude(build: GenerationRecord, built: Built): Promise<Conclusion> {
		const { catalogue, records } = this.#parts;
		const state = catalogue.state(build.collection);
		const live = state.index?.manifest ?? null;
		const unsealed = this.#describe(state.config, build, built);
		if (live && (await isSame(live, unsealed, built.table))) {
			await records.generations.discard(build.collection, build.sequence);
			await assertConserved(build.collection, built);
			await this.#follow(live, unsealed);
			return { generation: live.generation, promoted: false, refused: null };
		}
		const record = await this.#seal(await this.#refusedBefore(build, unsealed), unsealed, built);
		const verification = await this.#verify(state, record, built);
		const verified: GenerationRecord = { ...record.record, verification, verifiedAt: verification.at };
		if (!verification.passed) return this.#refuse(state, verified, verification);
		await records.generations.put(verified);
		const why = `run ${build.runId}`;
		const at = this.#parts.clock.now();
		await catalogue.promote(verified, { kind: 'promotion', actor: 'process', why, at, entry: null });
		this.#parts.alerts.resolve(refusalKey(build.collection));
		await this.dropUnused(build.collection);
		return { generation: verified.generation, promoted: true, refused: null };
	}

	#describe(config: CollectionConfig, build: GenerationRecord, built: Built): Unsealed {
		const { store } = this.#parts;
		const made = {
			embedding: built.embedder?.identity ?? null,
			space: built.space?.name ?? null,
			fingerprint: built.space?.fingerprint ?? null,
			chunker: chunkerIdentity(config.chunker),
			lexical: { ...store.lexical, tokenizer: { ...store.lexical.tokenizer } },
			engine: store.revision,
			fields: Object.fromEntries(fieldTypes(config.ingestion)),
		};
		const hash = generationHash(built.ledger.digest(), made);
		const sources = built.ledger.written();
		return {
			format: 1,
			collection: config.name,
			table: built.table.table,
			hash,
			...made,
			fusion: fusionDescription(config.search),
			documents: Object.values(sources).reduce((all, count) => all + count, 0),
			sources,
			createdByRun: build.runId,
		};
	}

	/** The same content that was refused by the last run stays the same generation. */
	async #refusedBefore(build: GenerationRecord, { hash, table }: Unsealed): Promise<GenerationRecord> {
		const { generations } = this.#parts.records;
		const records = await generations.list(build.collection, 2);
		const before = records.find(({ sequence }) => sequence < build.sequence);
		if (before?.state !== 'refused' || before.table !== table) return build;
		if (before.generation !== generationName(build.collection, before.sequence, hash)) return build;
		await generations.discard(build.collection, build.sequence);
		return { ...before, runId: build.runId };
	}

	async #seal(build: GenerationRecord, unsealed: Unsealed, built: Built): Promise<Sealed> {
		const { generations } = this.#parts.records;
		const { version, chunks } = await built.table.seal(await this.#versionsToKeep(build.collection, unsealed.table));
		const { sequence } = build;
		const generation = generationName(build.collection, sequence, unsealed.hash);
		const manifest: Manifest = { ...unsealed, generation, sequence, version, chunks };
		const record: GenerationRecord = {
			...build,
			generation,
			state: 'verifying',
			manifest,
			documents: manifest.documents,
			chunks,
			statistics: await takeStatistics(built.table.summaries(), built.embedder?.identity.tokensMax ?? null),
			reason: null,
		};
		await generations.put(record);
		return { record, manifest };
	}

	async #versionsToKeep(collection: string, table: string): Promise<number[]> {
		const kept = (await this.#retained(collection)).filter((record) => record.table === table);
		return kept.flatMap(({ manifest }) => versionOf(manifest) ?? []);
	}

	async #verify(state: CollectionState, { manifest, record }: Sealed, built: Built): Promise<VerificationReport> {
		const { store, clock, checks } = this.#parts;
		let index: LiveIndex;
		try {
			index = await openIndex(store, manifest, { fresh: true });
		} catch (thrown) {
			const reason = thrown instanceof Error ? thrown.message : String(thrown);
			const message = `the sealed generation cannot be opened: ${reason}`;
			const opened = { check: 'damage', passed: false, overrulable: false, message, detail: { reason } };
			return { at: clock.now(), passed: false, checks: [opened] };
		}
		try {
			return await verify(
				await this.#candidate(state, index, { ...built, run: built, statistics: record.statistics }),
				{ checks, clock },
			);
		} finally {
			index.reader.close();
		}
	}

	async #candidate(
		state: CollectionState,
		index: LiveIndex,
		{
			embedder,
			space,
			run,
			statistics,
			signal,
		}: Pick<Candidate, 'embedder' | 'space' | 'run' | 'statistics' | 'signal'>,
	): Promise<Candidate> {
		const { queries, clock, records } = this.#parts;
		const { config } = state;
		const live = (await records.generations.live()).find(({ collection }) => collection === config.name);
		const asLive: CollectionState = { ...state, index, problem: null };
		const view = { state: () => asLive, status: () => [], examine: async () => asLive };
		const retriever = createRetriever({ catalogue: view, queries, clock });
		return {
			config,
			index,
			statistics,
			run,
			live: state.index && { index: state.index, statistics: live?.statistics ?? null },
			embedder,
			space,
			search: (request) => retriever.search({ caller: 'operator', ...request, collection: config.name }),
			signal,
		};
	}

	async #refuse(
		state: CollectionState,
		record: GenerationRecord,
		verification: VerificationReport,
	): Promise<Conclusion> {
		const { records, alerts } = this.#parts;
		const { collection, generation } = record;
		const reason = failures(verification);
		await records.generations.put({ ...record, state: 'refused', reason });
		const live = state.index?.manifest.generation ?? null;
		const serving = live === null ? 'nothing is live' : `${live} keeps serving`;
		const failed = verification.checks.flatMap(({ check, passed }) => (passed ? [] : [check]));
		alerts.raise({
			key: refusalKey(collection),
			severity: live === null ? 'page' : 'ticket',
			subject: { collection },
			message: `Generation ${generation} of ${collection} was refused, and ${serving}: ${reason}. Correct the cause and ingest again, or promote it by hand.`,
			detail: { generation, live, checks: failed.join(', ') },
		});
		return { generation: live, promoted: false, refused: { generation, verification } };
	}

	/** The manifest follows what needs no new index: settings of the search, and another name of the embedder. */
	async #follow(live: Manifest, { fusion, embedding, space, fingerprint }: Unsealed): Promise<void> {
		const manifest: Manifest = { ...live, fusion, embedding, space, fingerprint };
		if (canonicalJson(manifest) !== canonicalJson(live)) await this.#parts.catalogue.amend(manifest);
	}

	/** Generations whose rows must stay: the live one, the newest of those before it, and those that requests may still use. */
	async #retained(collection: string): Promise<GenerationRecord[]> {
		const { records, clock, catalogue } = this.#parts;
		const all = await records.generations.list(collection, 10_000);
		const { keep } = catalogue.state(collection).config.generations;
		return all.filter(isRetained(all, { keep, now: clock.now() }));
	}

	/** Marks generations beyond those that are kept as removed, and drops tables that no other one needs. */
	async dropUnused(collection: string): Promise<void> {
		const { store, records, clock, warn } = this.#parts;
		try {
			const retained = new Set((await this.#retained(collection)).map(({ sequence }) => sequence));
			const all = await records.generations.list(collection, 10_000);
			// On record first: what is marked is never promoted, whether or not its rows are gone yet.
			for (const record of all) {
				if (retained.has(record.sequence) || record.removedAt !== null) continue;
				await records.generations.put({ ...record, removedAt: clock.now() });
			}
			const needed = new Set(all.filter(({ sequence }) => retained.has(sequence)).map(({ table }) => table));
			for (const name of await store.tables(tablePrefix(collection))) if (!needed.has(name)) await store.drop(name);
		} catch (cause) {
			const reason = cause instanceof Error ? cause.message : String(cause);
			warn(`unused index tables of ${collection} could not be removed: ${reason}`);
		}
	}
}

type Unsealed = Omit<Manifest, 'generation' | 'sequence' | 'version' | 'chunks' | 'hash'> & { readonly hash: string };

interface Sealed {
	readonly record: GenerationRecord;
	readonly manifest: Manifest;
}

/** Whether what was built is what is live; a manifest from before there were hashes knows it by its version alone. */
async function isSame(live: Manifest, built: Unsealed, table: IndexWriter): Promise<boolean> {
	if (live.hash !== null) return live.hash === built.hash;
	return live.table === built.table && live.version === (await table.version());
}

function versionOf(manifest: unknown): number | null {
	if (typeof manifest !== 'object' || manifest === null || !('version' in manifest)) return null;
	return typeof manifest.version === 'number' ? manifest.version : null;
}

/** What was written is what the sources hold, also when nothing of it was new. */
async function assertConserved(collection: string, { ledger, table, terms }: Built): Promise<void> {
	const { passed, message } = await conserve(ledger, table.documents(), terms);
	if (!passed) throw new PlimsollError('ingestion_stopped', `The ingestion of ${collection} is wrong: ${message}.`);
}

/** The alert that a collection's newest generation was refused. */
function refusalKey(collection: string): string {
	return `index_refused:${collection}`;
}
