import { z } from 'zod';
import { canonicalJson } from '../base/canonical-json.ts';
import type { Clock } from '../base/clock.ts';
import type { CollectionConfig } from '../contracts/collection.ts';
import { fieldTypes } from '../contracts/document-rules.ts';
import type { Alerts } from '../spec/alerts.ts';
import type { Embedder } from '../spec/embedding.ts';
import { PlimsollError } from '../spec/errors.ts';
import type { GenerationRecord, VerificationReport } from '../spec/generations.ts';
import type { DocumentRef, IndexStore, IndexWriter } from '../spec/index-store.ts';
import type { RecordStore } from '../spec/records.ts';
import type { IngestReport } from '../spec/retrieval.ts';
import type { Catalogue, CollectionState } from './catalogue.ts';
import { DAMAGE } from './checks.ts';
import { chunkerIdentity } from './chunkers/chunker.ts';
import { FINGERPRINT } from './embedding/fingerprint-check.ts';
import type { NamedSpace } from './embedding/spaces.ts';
import { generationHash, generationName } from './generation-hash.ts';
import type { GenerationVerifier } from './generation-verifier.ts';
import type { Housekeeping } from './housekeeping.ts';
import { conserve, type SourceTerms } from './ingestion/conserve.ts';
import type { Ledger } from './ingestion/ledger.ts';
import type { Base } from './live-index.ts';
import { freshPrefix, fusionDescription, type Manifest, type TableParts, tableFor } from './manifest.ts';
import { failures } from './verification.ts';

interface Parts {
	readonly store: IndexStore;
	readonly catalogue: Catalogue;
	readonly records: RecordStore;
	readonly clock: Clock;
	readonly alerts: Alerts;
	readonly verifier: GenerationVerifier;
	readonly housekeeping: Housekeeping;
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
	/** Whether earlier generations are to be removed without a trace: then there is a new one, also with equal content. */
	readonly purging: boolean;
	/** The generation that was live when the run began; null: none was. */
	readonly replaces: string | null;
	readonly signal: AbortSignal;
}

type Conclusion = Pick<IngestReport, 'generation' | 'promoted' | 'refused'>;

/** Seals what was built, checks it, and makes it live or refuses it. */
export class Generations {
	readonly #parts: Parts;

	constructor(parts: Parts) {
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

	/** The generation that the pointer names, whether or not it can be read. */
	async liveName(collection: string): Promise<string | null> {
		const live = await this.#parts.records.generations.live();
		return live.find((record) => record.collection === collection)?.generation ?? null;
	}

	/** A table of its own for a build from nothing: that of one which broke off, or a new one. */
	async freshTable(collection: string, parts: TableParts): Promise<string> {
		const prefix = freshPrefix(tableFor(collection, { ...parts, live: null }));
		const all = await this.#parts.records.generations.list(collection, 1_000);
		const brokenOff = all.find(({ state, table }) => state === 'failed' && table.startsWith(prefix));
		return brokenOff?.table ?? `${prefix}${(all[0]?.sequence ?? 0) + 1}`;
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
		const { catalogue, records, housekeeping } = this.#parts;
		const state = catalogue.state(build.collection);
		const live = state.index?.manifest ?? null;
		const unsealed = this.#describe(state.config, build, built);
		if (live && !built.purging && (await isSame(live, unsealed, built.table))) {
			await records.generations.discard(build.collection, build.sequence);
			await assertConserved(build.collection, built);
			await this.#follow(live, unsealed);
			await housekeeping.sweepQuietly(build.collection);
			return { generation: live.generation, promoted: false, refused: null };
		}
		const record = await this.#seal(await this.#refusedBefore(build, unsealed), unsealed, built);
		const base = baseOf(state, built.table);
		const evidence = { ...built, run: built, base, statistics: null };
		const { report: verification, statistics } = await this.#parts.verifier.verify(state, record.manifest, evidence);
		const manifest: Manifest = { ...record.manifest, ...readIn(verification, base) };
		const verifiedAt = verification.at;
		const verified: GenerationRecord = { ...record.record, manifest, statistics, verification, verifiedAt };
		if (!verification.passed) {
			if (isOfTwoSpaces(verification)) await forgetWritten(built);
			return this.#refuse(state, verified, verification);
		}
		await records.generations.put(verified);
		const why = `run ${build.runId}`;
		const at = this.#parts.clock.now();
		await catalogue.promote(verified, {
			kind: 'promotion',
			from: built.replaces,
			actor: 'process',
			why,
			at,
			entry: null,
		});
		this.#parts.alerts.resolve(refusalKey(build.collection));
		if (!built.purging) await housekeeping.sweepQuietly(build.collection);
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
		const { housekeeping } = this.#parts;
		const { generations } = this.#parts.records;
		const { version, chunks } = await built.table.seal(
			await housekeeping.versionsToKeep(build.collection, unsealed.table),
		);
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
			statistics: null,
			reason: null,
		};
		await generations.put(record);
		return { record, manifest };
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

/** What was written is what the sources hold, also when nothing of it was new. */
async function assertConserved(collection: string, { ledger, table, terms }: Built): Promise<void> {
	const { passed, message } = await conserve(ledger, table.documents(), terms);
	if (!passed) throw new PlimsollError('ingestion_stopped', `The ingestion of ${collection} is wrong: ${message}.`);
}

/** What the newest version of a table was made of, when only what one run wrote lies between it and what is live. */
function baseOf({ index }: CollectionState, { table, changes: { since, documents } }: IndexWriter): Base | null {
	if (!index || documents === null) return null;
	const { manifest } = index;
	const isKnown = manifest.table === table && manifest.version === since && manifest.digest !== undefined;
	return isKnown ? { index, documents } : null;
}

/** What all rows came to when they were read, and when that was. */
function readIn({ at, checks }: VerificationReport, base: Base | null): Pick<Manifest, 'digest' | 'readAt'> {
	const damage = checks.find(({ check }) => check === DAMAGE);
	if (!damage?.passed) return { digest: null, readAt: null };
	const { digest } = z.object({ digest: z.string().nullable() }).parse(damage.detail);
	return { digest, readAt: base ? (base.index.manifest.readAt ?? null) : at };
}

function isOfTwoSpaces({ checks }: VerificationReport): boolean {
	return checks.some(({ check, passed }) => check === FINGERPRINT && !passed);
}

/**
 * Takes back what is not live: when the embedder makes the vectors of before again, nothing would tell that these are
 * others. The next run embeds them anew.
 */
async function forgetWritten({ table, ledger }: Built): Promise<void> {
	const written: DocumentRef[] = [];
	for await (const documents of table.documents()) {
		for (const { source, documentId } of documents) {
			const outcome = ledger.outcome(ledger.slot(source, documentId));
			if (outcome === 'new' || outcome === 'changed') written.push({ source, documentId });
		}
	}
	await table.remove(written);
}

/** The alert that a collection's newest generation was refused. */
export function refusalKey(collection: string): string {
	return `index_refused:${collection}`;
}
