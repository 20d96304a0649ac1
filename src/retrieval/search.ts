import type { Clock } from '../base/clock.ts';
import { PlimsollError } from '../spec/errors.ts';
import type { Candidate, LegRequest } from '../spec/index-store.ts';
import type { Filter, Hit, Retriever, SearchMode, SearchRequest, SearchResult } from '../spec/retrieval.ts';
import type { Catalogue, CollectionState } from './catalogue.ts';
import type { QueryEmbedder } from './embedding/query-embedder.ts';
import { type Fused, firstWithTies, fuse, inOrder } from './fusion.ts';
import type { LiveIndex } from './live-index.ts';
import { PartitionGates } from './partition-gates.ts';
import { finalRanking, poolSize, type RerankerSource } from './ranking.ts';
import { restrictionOf } from './restriction.ts';

/** More words than any question has; beyond it a query only costs time. */
const QUERY_CHARS_MAX = 8_192;
const K_MAX = 1_000;
/** Candidates beyond the cut that are looked at, so that equal scores there are put in order too. */
const TIES_MAX = 16;
/** An index that was found whole is not looked at again for this long, whatever fails meanwhile. */
const EXAMINE_EVERY_MS = 60_000;

/** What one leg did. `failure` says why it has no candidates. */
interface Leg {
	readonly candidates: readonly Candidate[] | null;
	readonly ms: number;
	readonly failure: string | null;
	readonly cause: unknown;
}

/** A leg or a read that took too long: this says nothing about the files. */
class NoAnswer extends Error {
	constructor(timeoutMs: number) {
		super(`no answer within ${timeoutMs} ms`);
	}
}

/** `limit` is of each leg's candidates. */
interface Query extends Omit<LegRequest, 'timeoutMs'> {
	readonly text: string;
	readonly exact: boolean;
	readonly timeouts: Timeouts;
	readonly signal: AbortSignal | null;
	/** Hears that the query has a vector, and whether that was known. */
	readonly onEmbedded: (cached: boolean) => void;
}

/** Milliseconds. */
interface Timeouts {
	readonly lexical: number;
	readonly vector: number;
	readonly read: number;
	readonly rerank: number;
}

/** Of the time that a whole search may take, for reading what was found: the legs must have ended before. */
const READ_SHARE = 0.2;
/** The same for a re-ranker, where there is one. */
const RERANK_SHARE = 0.3;
/** What a widened search takes from each leg, in the place of one part. */
const WIDENING = 4;

interface SearchParts {
	/** Of one collection or all. */
	readonly catalogue: Pick<Catalogue, 'state' | 'status' | 'examine'>;
	readonly queries: Pick<QueryEmbedder, 'embed'>;
	readonly clock: Clock;
	/** Left out: the fused order stands, whatever is configured. */
	readonly rerankers?: RerankerSource | undefined;
}

/** Searches the live generation: both legs at once, each within its time-out, then fused. */
export function createRetriever(parts: SearchParts): Retriever {
	const { catalogue } = parts;
	const examiner = new Examiner(parts);
	const gates = new PartitionGates(parts.clock);
	return {
		status: () => catalogue.status(),
		partitions: (collection) => gates.view(catalogue.state(collection).config.name),
		async search(request) {
			const state = catalogue.state(request.collection);
			const index = liveIndex(state);
			const filter = restrictionOf(request, state, index.manifest);
			const passage = await gates.enter(request, { config: state.config, filter });
			if (passage === null) return searchIn({ state, index, filter, busy: null }, request);
			try {
				return await searchIn({ state, index, filter, busy: passage.degraded }, request);
			} finally {
				passage.leave();
			}
		},
	};

	/** @param ask.busy why the search is by words alone; null: it is as planned. */
	async function searchIn(
		ask: { state: CollectionState; index: LiveIndex; filter: Filter | null; busy: string | null },
		request: SearchRequest,
	): Promise<SearchResult> {
		const { state, index, filter, busy } = ask;
		const { search } = state.config;
		const planned = plan(request, state);
		const mode = busy === null ? planned.mode : 'lexical';
		const degraded = busy === null ? planned.degraded : [...planned.degraded, busy];
		let queryCached: boolean | null = null;
		const query: Query = {
			text: request.query.slice(0, QUERY_CHARS_MAX).toWellFormed(),
			limit: limitOf(request, mode, search),
			filter,
			exact: request.widened === true,
			timeouts: timeoutsOf(request, search),
			signal: request.signal,
			onEmbedded: (cached) => {
				queryCached = cached;
			},
		};
		const [lexical, vector] = await Promise.all([
			mode === 'vector' ? null : lexicalLeg(parts, index, query),
			mode === 'lexical' ? null : vectorLeg(parts, state, index, query),
		]);
		request.signal?.throwIfAborted();
		const refused = refusal(vector, mode, state);
		if (refused) throw refused;
		const failures = [lexical, vector].flatMap((leg) => leg?.failure ?? []);
		if (!lexical?.candidates && !vector?.candidates) {
			throw await examiner.explain(noLeg(request.collection, failures, (lexical ?? vector)?.cause), index, query);
		}
		const fused = fuse({ lexical: kept(lexical, mode, query), vector: kept(vector, mode, query) }, search);
		const read = await readHits(parts, index, { fused, pool: poolSize(request.k, search) }, query).catch(
			async (error: PlimsollError) => {
				throw await examiner.explain(error, index, query);
			},
		);
		const ofRanking = {
			k: request.k,
			query: query.text,
			search,
			timeoutMs: query.timeouts.rerank,
			signal: query.signal,
			payer: request.payer,
		};
		const { hits, rerank } = await finalRanking(read, ofRanking, parts);
		const stands = rerank?.failure ? [`the re-ranker failed: ${rerank.failure}`] : [];
		const cut =
			request.query.length > QUERY_CHARS_MAX
				? [`only the first ${QUERY_CHARS_MAX} characters of the query were used`]
				: [];
		return {
			collection: request.collection,
			generation: index.manifest.generation,
			mode,
			answered: answeredBy(lexical, vector),
			hits,
			lexicalMs: lexical?.ms ?? null,
			vectorMs: vector?.ms ?? null,
			queryCached,
			...(rerank && { rerank }),
			degraded: [...degraded, ...failures, ...stands, ...cut].join('; ') || null,
		};
	}
}

/** Finds out whether a search failed because its index is damaged. */
class Examiner {
	readonly #catalogue: SearchParts['catalogue'];
	readonly #clock: Clock;
	readonly #last = new WeakMap<LiveIndex, { at: number; examined: Promise<CollectionState> }>();

	constructor({ catalogue, clock }: Pick<SearchParts, 'catalogue' | 'clock'>) {
		this.#catalogue = catalogue;
		this.#clock = clock;
	}

	/** The error to throw: `index_not_ready` with the remedy when the files are to blame, else the one given. */
	async explain(error: PlimsollError, index: LiveIndex, { timeouts }: Query): Promise<PlimsollError> {
		if (error.cause instanceof NoAnswer) return error;
		const now = this.#clock.monotonic();
		let last = this.#last.get(index);
		if (!last || now - last.at > EXAMINE_EVERY_MS) {
			const examined = this.#catalogue.examine(index.manifest.collection, { thorough: true });
			last = { at: now, examined };
			this.#last.set(index, last);
		}
		// A large index takes longer to read than a search may take; the look goes on and marks it by itself.
		const { promise: timeUp, resolve } = Promise.withResolvers<null>();
		const cancelTimer = this.#clock.after(timeouts.read, () => resolve(null));
		const state = await Promise.race([last.examined.catch(() => null), timeUp]);
		cancelTimer();
		return state?.problem ?? error;
	}
}

/** Throws PlimsollError `index_not_ready` where nothing is live. */
export function liveIndex({ config, index, problem }: CollectionState): LiveIndex {
	if (index) return index;
	if (problem) throw problem;
	throw new PlimsollError(
		'index_not_ready',
		`${config.name} has no live index yet; plimsoll ingest ${config.name} builds one.`,
	);
}

/** Which legs run. Throws PlimsollError `request_invalid` for what the collection cannot do. */
function plan({ k, mode }: SearchRequest, { config }: CollectionState): { mode: SearchMode; degraded: string[] } {
	if (!Number.isInteger(k) || k < 1 || k > K_MAX) {
		throw new PlimsollError('request_invalid', `k must be an integer from 1 to ${K_MAX}.`, { param: 'k' });
	}
	if (mode === 'vector' && config.embedder === null) {
		throw new PlimsollError('request_invalid', `${config.name} has no embedder, so that it has no vectors to search.`, {
			param: 'mode',
		});
	}
	if (mode === 'hybrid' && config.embedder === null) {
		return { mode: 'lexical', degraded: [`${config.name} has no embedder: the search was lexical`] };
	}
	const wanted = mode ?? (config.embedder === null ? 'lexical' : 'hybrid');
	return { mode: wanted === 'hybrid' && config.search.vectorWeight === 0 ? 'lexical' : wanted, degraded: [] };
}

function limitOf({ k, widened }: SearchRequest, mode: SearchMode, search: CollectionState['config']['search']): number {
	const { candidates } = search;
	const pool = poolSize(k, search);
	const limit = mode === 'hybrid' ? Math.max(candidates, pool) : pool;
	return (widened ? limit * WIDENING : limit) + TIES_MAX;
}

/** What a leg brings into the fusion. */
function kept(leg: Leg | null, mode: SearchMode, { limit }: Query): readonly Candidate[] | null {
	if (!leg?.candidates || mode !== 'hybrid') return leg?.candidates ?? null;
	return firstWithTies(inOrder(leg.candidates), limit - TIES_MAX);
}

/** A leg that would outlast the search is cut short, so that the other one still answers in time. */
function timeoutsOf({ msMax }: SearchRequest, search: CollectionState['config']['search']): Timeouts {
	const { timeoutMs, lexicalTimeoutMs, vectorTimeoutMs } = search;
	const rerank = search.rerank?.timeoutMs ?? 0;
	if (msMax === undefined) return { lexical: lexicalTimeoutMs, vector: vectorTimeoutMs, read: timeoutMs, rerank };
	const legMs = Math.max(1, msMax * (1 - READ_SHARE - (rerank > 0 ? RERANK_SHARE : 0)));
	return {
		rerank: Math.min(rerank, msMax * RERANK_SHARE),
		lexical: Math.min(lexicalTimeoutMs, legMs),
		vector: Math.min(vectorTimeoutMs, legMs),
		read: Math.min(timeoutMs, Math.max(1, msMax)),
	};
}

/** A leg that answered with nothing has answered. */
function answeredBy(lexical: Leg | null, vector: Leg | null): SearchMode {
	if (!lexical?.candidates) return 'vector';
	return vector?.candidates ? 'hybrid' : 'lexical';
}

function lexicalLeg({ clock }: { clock: Clock }, index: LiveIndex, query: Query): Promise<Leg> {
	const timeoutMs = query.timeouts.lexical;
	return runLeg('lexical', clock, query, () => index.reader.lexical(query.text, { ...query, timeoutMs }));
}

function vectorLeg(
	{ clock, queries }: Pick<SearchParts, 'clock' | 'queries'>,
	{ config }: CollectionState,
	index: LiveIndex,
	query: Query,
): Promise<Leg> {
	return runLeg('vector', clock, query, async (signal) => {
		const { vector, cached } = await queries.embed(query.text, { config, manifest: index.manifest, signal });
		query.onEmbedded(cached);
		// A query without content words has no direction, so that nothing is near it.
		if (vector === null) return [];
		return index.reader.vector(vector, { ...query, timeoutMs: query.timeouts.vector });
	});
}

/** A collection may have it that nothing is answered without vectors; and where they were all that was asked for, nothing is. */
function refusal(vector: Leg | null, mode: SearchMode, { config }: CollectionState): PlimsollError | null {
	const { cause } = vector ?? {};
	if (!(cause instanceof PlimsollError) || cause.code !== 'embedding_identity_changed') return null;
	return config.onIdentityChange === 'refuse' || mode === 'vector' ? cause : null;
}

/** Never rejects: a leg that fails or stalls says so, and the other one answers. */
async function runLeg(
	name: 'lexical' | 'vector',
	clock: Clock,
	{ timeouts, signal }: Query,
	run: (signal: AbortSignal) => Promise<Candidate[]>,
): Promise<Leg> {
	const timeoutMs = timeouts[name];
	const started = clock.monotonic();
	const stop = new AbortController();
	const { promise: stopped, reject } = Promise.withResolvers<never>();
	const abort = (reason: unknown) => {
		stop.abort(reason);
		reject(reason);
	};
	const cancelTimer = clock.after(timeoutMs, () => abort(new NoAnswer(timeoutMs)));
	const onAbort = () => abort(signal?.reason);
	signal?.addEventListener('abort', onAbort, { once: true });
	try {
		const candidates = await Promise.race([run(stop.signal), stopped]);
		return { candidates, ms: clock.monotonic() - started, failure: null, cause: null };
	} catch (cause) {
		const reason = cause instanceof Error ? cause.message : String(cause);
		return { candidates: null, ms: clock.monotonic() - started, failure: `the ${name} leg failed: ${reason}`, cause };
	} finally {
		cancelTimer();
		signal?.removeEventListener('abort', onAbort);
	}
}

/** The passages of the pool, best first, equal scores by chunk id. */
async function readHits(
	{ clock }: { clock: Clock },
	index: LiveIndex,
	{ fused, pool }: { fused: readonly Fused[]; pool: number },
	query: Query,
): Promise<Hit[]> {
	const { promise: expired, reject } = Promise.withResolvers<never>();
	const timeoutMs = query.timeouts.read;
	const cancelTimer = clock.after(timeoutMs, () => reject(new NoAnswer(timeoutMs)));
	try {
		const candidates = firstWithTies(fused, pool).slice(0, pool + TIES_MAX);
		const rows = candidates.map(({ row }) => row);
		const passages = await Promise.race([index.reader.passages(rows, timeoutMs), expired]);
		const hits = candidates.map(({ row, ...scores }) => {
			const passage = passages.get(row);
			if (!passage) throw new Error(`row ${row} was found and is not there`);
			return { ...passage, ...scores };
		});
		hits.sort((a, b) => b.score - a.score || (a.chunkId < b.chunkId ? -1 : 1));
		return hits.slice(0, pool).map((hit, at) => ({ ...hit, rank: at + 1 }));
	} catch (cause) {
		throw noLeg(index.manifest.collection, [cause instanceof Error ? cause.message : String(cause)], cause);
	} finally {
		cancelTimer();
	}
}

function noLeg(collection: string, failures: readonly string[], cause?: unknown): PlimsollError {
	return new PlimsollError('retrieval_failed', `The search in ${collection} failed.`, {
		internal: failures.join('; '),
		cause,
	});
}
