import { canonicalJson } from '../base/canonical-json.ts';
import type { Clock } from '../base/clock.ts';
import { sha256Of } from '../base/hash.ts';
import type { CollectionConfig, SourceConfig } from '../contracts/collection.ts';
import type { Embedder } from '../spec/embedding.ts';
import { PlimsollError } from '../spec/errors.ts';
import type { IndexRow, IndexWriter } from '../spec/index-store.ts';
import type { IngestProgress, SourceReport } from '../spec/retrieval.ts';
import { documentKey, documentRef } from './census.ts';
import { chunkIds } from './chunkers/chunker.ts';
import type { DocumentReader } from './document-reader.ts';
import type { EmbeddingBudget } from './embedding/embedding-budget.ts';
import type { ChunkedDocument } from './readers/read-document.ts';
import { searchableBody } from './searchable-body.ts';
import { openSource } from './source.ts';
import type { ListedDocument, OpenSource, SourceDocument } from './source-item.ts';

/** Chunks that are embedded and written at once: large enough that a commit costs little, small enough for memory. */
const BATCH_CHUNKS = 512;
/** Documents between two reports of progress. */
const PROGRESS_EVERY = 20;

/** A run's inputs. `table` holds what was written so far, perhaps by a run that was killed; `live` what searches see. */
export interface RunContext {
	readonly config: CollectionConfig;
	readonly embedder: Embedder | null;
	/** What the run spends on embedding. */
	readonly budget: EmbeddingBudget;
	readonly reader: DocumentReader;
	readonly table: IndexWriter;
	/** Content hashes by document key. */
	readonly written: Map<string, string>;
	readonly live: ReadonlyMap<string, string>;
	/** Documents of each source in the live generation, whatever table it is in. */
	readonly liveSources: Readonly<Record<string, number>>;
	readonly clock: Clock;
	readonly signal: AbortSignal;
	readonly onProgress: (progress: IngestProgress) => void;
}

/** The documents that this run met. A folder that could not be read (its name ends in a slash) stands for all below it. */
class Seen {
	readonly #keys = new Set<string>();
	readonly #folders: string[] = [];

	add(key: string): void {
		this.#keys.add(key);
		if (key.endsWith('/')) this.#folders.push(key);
	}

	met(key: string): boolean {
		return this.#keys.has(key);
	}

	covers(key: string): boolean {
		return this.#keys.has(key) || this.#folders.some((folder) => key.startsWith(folder));
	}
}

interface Counts {
	source: string;
	seen: number;
	new: number;
	changed: number;
	unchanged: number;
	deleted: number;
	failed: { document: string; reason: string }[];
	chunks: number;
	tokens: number;
	seconds: number;
}

function nothingYet(source: string): Counts {
	return {
		source,
		seen: 0,
		new: 0,
		changed: 0,
		unchanged: 0,
		deleted: 0,
		failed: [],
		chunks: 0,
		tokens: 0,
		seconds: 0,
	};
}

/** A document that waits for its batch. */
interface Pending {
	readonly key: string;
	readonly hash: string;
	readonly rows: readonly Omit<IndexRow, 'vector'>[];
	readonly counts: Counts;
}

/** Brings the table to the state of the sources. Returns one report per source, and one for each source that is gone. */
export async function runIngestion(context: RunContext): Promise<SourceReport[]> {
	const { config, signal } = context;
	// All sources are opened before anything is written: a missing one fails the run while it costs nothing.
	const sources: [SourceConfig, OpenSource][] = [];
	for (const source of config.sources) sources.push([source, await openSource(source, signal)]);
	const seen = new Seen();
	const reports: Counts[] = [];
	for (const [source, opened] of sources) reports.push(await ingestSource(context, { source, opened, seen }));
	assertSourcesAlive(context, reports, seen);
	reports.push(...(await removeUnseen(context, reports, seen)));
	return reports;
}

async function ingestSource(
	context: RunContext,
	{ source, opened, seen }: { source: SourceConfig; opened: OpenSource; seen: Seen },
): Promise<Counts> {
	const { clock, signal, onProgress } = context;
	const started = clock.monotonic();
	const counts = nothingYet(source.name);
	const progress = () => onProgress({ source: source.name, phase: 'write', done: counts.seen, total: opened.total });
	onProgress({ source: source.name, phase: 'scan', done: 0, total: opened.total });
	let batch: Pending[] = [];
	let chunks = 0;
	const flush = async () => {
		await writeBatch(context, batch);
		batch = [];
		chunks = 0;
		progress();
	};
	for await (const item of opened.items()) {
		signal.throwIfAborted();
		counts.seen++;
		const pending =
			'failed' in item
				? fail(counts, seen, item.failed)
				: await prepare(context, 'listed' in item ? item.listed : item.document, { counts, seen });
		if (pending) batch.push(pending);
		chunks += pending?.rows.length ?? 0;
		if (chunks >= BATCH_CHUNKS) await flush();
		else if (counts.seen % PROGRESS_EVERY === 0) progress();
	}
	await flush();
	counts.seconds = (clock.monotonic() - started) / 1_000;
	return counts;
}

/** A document that fails stays as it was last indexed: a file that is unreadable today is not a file that is gone. */
function fail(counts: Counts, seen: Seen, failed: { document: string; reason: string }): null {
	counts.failed.push(failed);
	seen.add(documentKey(counts.source, failed.document));
	return null;
}

/** A new or changed document, chunked; null when there is nothing to write. */
async function prepare(
	{ config, reader, written, live, signal }: RunContext,
	found: SourceDocument | ListedDocument,
	{ counts, seen }: { counts: Counts; seen: Seen },
): Promise<Pending | null> {
	const key = documentKey(counts.source, found.id);
	if (seen.met(key))
		return fail(counts, seen, {
			document: found.id,
			reason: 'its id was used before in this source; the first one counts',
		});
	seen.add(key);
	const hash = contentHash(found);
	const liveHash = live.get(key);
	const count = () => {
		if (liveHash === undefined) counts.new++;
		else if (liveHash === hash) counts.unchanged++;
		else counts.changed++;
	};
	if (written.get(key) === hash) {
		count();
		return null;
	}
	const loaded = 'load' in found ? await found.load(signal) : { document: found };
	if ('failed' in loaded) return fail(counts, seen, loaded.failed);
	const { document } = loaded;
	const answer = await reader.read({ document, chunker: config.chunker }, signal);
	if (!answer.ok) return fail(counts, seen, { document: document.id, reason: answer.reason });
	count();
	return { key, hash, counts, rows: toRows(document, answer.chunked, { source: counts.source, hash }) };
}

/** Of what is indexed for a document. When it was last touched does not count: a fresh checkout changes nothing. */
function contentHash(document: SourceDocument | ListedDocument): string {
	const content = 'bytes' in document ? document.bytes : `version ${document.version}`;
	const { fields, language, url } = document.meta;
	return sha256Of([document.format, document.title, content, canonicalJson({ fields, language, url })]).slice(0, 32);
}

function toRows(
	document: SourceDocument,
	{ title, chunks }: ChunkedDocument,
	{ source, hash }: { source: string; hash: string },
) {
	const ids = chunkIds(source, document.id, chunks);
	return chunks.map((chunk, index) => {
		const passage = { ...chunk, chunkId: ids[index] ?? '', documentId: document.id, source, title, fields: {} };
		return { ...passage, ...searchableBody(passage), contentHash: hash };
	});
}

async function writeBatch(
	{ embedder, budget, table, written, signal }: RunContext,
	batch: readonly Pending[],
): Promise<void> {
	if (batch.length === 0) return;
	const bare = batch.flatMap(({ rows }) => rows);
	const embedded = embedder
		? await embedder.embed(
				bare.map((row) => row.body),
				'document',
				{ signal, run: budget },
			)
		: null;
	const vectors = embedded?.vectors ?? null;
	if (vectors && vectors.length !== bare.length)
		throw new RangeError(`the embedder gave ${vectors.length} vectors for ${bare.length} texts`);
	signal.throwIfAborted();
	const replaced = batch.filter(({ key }) => written.has(key)).map(({ key }) => documentRef(key));
	await table.write(
		replaced,
		bare.map((row, index) => ({ ...row, vector: vectors?.[index] ?? null })),
	);
	for (const { key, hash, rows, counts } of batch) {
		written.set(key, hash);
		counts.chunks += rows.length;
		for (const { tokens } of rows) counts.tokens += tokens;
	}
}

/** An emptied source is more often a broken mount or a failed checkout than a wish to forget everything. */
function assertSourcesAlive(
	{ config, written, liveSources }: RunContext,
	reports: readonly Counts[],
	found: Seen,
): void {
	for (const { source, seen } of reports) {
		const documents = liveSources[source] ?? 0;
		if (seen > 0 || documents === 0) continue;
		throw new PlimsollError(
			'source_unusable',
			`Source ${source} of ${config.name} is empty, and the live index holds ${documents} documents of it. To remove them, remove the source from the collection.`,
		);
	}
	if ([...written.keys()].some((key) => found.covers(key))) return;
	const failed = reports.flatMap((report) => report.failed);
	const why = failed[0]
		? `all ${failed.length} documents failed, e.g. ${failed[0].document}: ${failed[0].reason}`
		: 'its sources are empty';
	throw new PlimsollError('source_unusable', `${config.name} has nothing to index: ${why}.`);
}

async function removeUnseen(
	{ table, written, live }: RunContext,
	reports: readonly Counts[],
	seen: Seen,
): Promise<Counts[]> {
	const removed = [...written.keys()].filter((key) => !seen.covers(key));
	await table.remove(removed.map(documentRef));
	for (const key of removed) written.delete(key);
	const gone = new Map<string, Counts>();
	for (const key of live.keys()) {
		if (seen.covers(key)) continue;
		const source = key.slice(0, key.indexOf('\u0000'));
		const known = reports.find((report) => report.source === source);
		const counts = known ?? gone.get(source) ?? nothingYet(source);
		if (!known) gone.set(source, counts);
		counts.deleted++;
	}
	return [...gone.values()];
}
