import type { Clock } from '../base/clock.ts';
import { sha256Of } from '../base/hash.ts';
import type { CanarySet } from '../contracts/canary-set.ts';
import {
	type CanarySuggestion,
	type CanarySuggestions,
	type RatedTraffic,
	type SuggestionAsk,
	UNUSED_REASONS,
	type UnusedReason,
} from '../spec/canaries.ts';
import { PlimsollError } from '../spec/errors.ts';
import type { DocumentRef, IndexReader } from '../spec/index-store.ts';
import type { Hit, Passage, Retriever } from '../spec/retrieval.ts';
import { headingQuery, type MadeQuery, sentenceQuery, WordCensus, wordsOf } from './canary-query.ts';
import type { Catalogue } from './catalogue.ts';
import { liveIndex } from './search.ts';
import { flat, TakenQueries } from './taken-queries.ts';
import { suggestFromTraffic } from './traffic-suggest.ts';

/** Documents that are looked at for each suggestion that is asked for. */
const TRIES = 5;
/** What is read of each document. */
const CHUNKS = 6;
const DOCUMENTS_AT_ONCE = 50;
const READ_MS = 60_000;
/** What is suggested by then is answered with. */
const SUGGEST_MS_MAX = 300_000;
/** Of a document's id in the id of its canary. */
const SLUG_CHARS_MAX = 60;

interface Parts {
	readonly catalogue: Pick<Catalogue, 'state'>;
	readonly retriever: Pick<Retriever, 'search'>;
	readonly clock: Clock;
}

type DocumentAsk = Omit<SuggestionAsk, 'tenant'> & { readonly set: CanarySet };

/**
 * Proposes canaries from rated traffic, and then from documents of the live generation, spread over its sources. Each was
 * asked as a canary is, and finds its document. Throws `collection_not_found`, `index_not_ready` and what a search throws.
 * @param ask.set what the collection is held to already.
 */
export async function suggestCanaries(
	parts: Parts,
	ask: DocumentAsk & { traffic: RatedTraffic | null },
): Promise<CanarySuggestions> {
	const { set, count, seed, signal } = ask;
	const { collection, checks } = set;
	const state = parts.catalogue.state(collection);
	const { manifest, reader } = liveIndex(state);
	if (reader.chunks === 0) {
		const advice = `look at what its sources hold, and run plimsoll ingest ${collection}`;
		throw new PlimsollError('index_not_ready', `The live index of ${collection} holds no document: ${advice}.`);
	}
	const deadline = parts.clock.monotonic() + SUGGEST_MS_MAX;
	const taken = new TakenQueries(set);
	const isRestricted = state.config.access !== null;
	const asked = ask.traffic && { ...ask.traffic, set, taken, count, deadline, signal, isRestricted };
	const traffic = asked && (await suggestFromTraffic(parts, asked));
	const suggestions: CanarySuggestion[] = traffic?.suggestions ?? [];
	// Questions that are enough spare the index a walk through all its documents.
	const sample = suggestions.length < count ? await sampled(reader, { count: count * TRIES, seed, signal }) : [];
	const texts = await read(reader, sample, signal);
	const census = new WordCensus();
	for (const passages of texts.values()) census.add(passages);
	const unused = Object.fromEntries(UNUSED_REASONS.map((reason) => [reason, 0])) as Record<UnusedReason, number>;
	let documents = 0;
	let isCutShort = false;
	for (const document of sample) {
		signal.throwIfAborted();
		isCutShort = parts.clock.monotonic() > deadline;
		if (suggestions.length >= count || isCutShort) break;
		documents++;
		const passages = texts.get(keyOf(document)) ?? [];
		const made = await suggestion(parts, { document, passages, census, taken, ask });
		if (typeof made === 'string') unused[made]++;
		else suggestions.push(made);
	}
	const { generation } = manifest;
	const report = traffic?.report ?? null;
	return { collection, generation, seed, k: checks.k, documents, isCutShort, suggestions, unused, traffic: report };
}

/** The suggestion that a document comes to, or why it comes to none. */
async function suggestion(
	parts: Parts,
	about: {
		readonly document: DocumentRef;
		readonly passages: readonly Passage[];
		readonly census: WordCensus;
		readonly taken: TakenQueries;
		readonly ask: DocumentAsk;
	},
): Promise<CanarySuggestion | UnusedReason> {
	const { document, passages, census, taken, ask } = about;
	if (taken.holdsDocument(document.documentId)) return 'covered';
	const made = [sentenceQuery(passages, census), headingQuery(passages)].filter((query) => query !== null);
	// By turns, as the id of the document falls.
	if (Number.parseInt(idOf(document).slice(-1), 16) % 2 === 1) made.reverse();
	const title = passages[0]?.title ?? '';
	let reason: UnusedReason = 'no_text';
	for (const one of made) {
		const rank = await rankOf(parts, { made: one, title, document, taken, ask });
		if (typeof rank === 'number') {
			const { documentId, source } = document;
			taken.add(one.query, []);
			const found = { id: idOf(document), query: one.query, documents: [documentId], source, title, rank };
			return { ...found, method: one.method, tenant: null, traffic: null };
		}
		reason = rank;
	}
	return reason;
}

/** Where a search for the query finds its document, or why the query is none to keep. */
async function rankOf(
	{ retriever }: Parts,
	about: {
		readonly made: MadeQuery;
		readonly title: string;
		readonly document: DocumentRef;
		readonly taken: TakenQueries;
		readonly ask: DocumentAsk;
	},
): Promise<number | UnusedReason> {
	const { made, title, document, taken, ask } = about;
	const { collection, checks } = ask.set;
	const inTitle = new Set(wordsOf(title));
	if (made.words.every((word) => inTitle.has(word))) return 'trivial';
	if (taken.holdsQuery(made.query)) return 'repeated';
	const { hits } = await retriever.search({
		...{ collection, query: made.query, k: checks.k, mode: null, filter: null },
		...{ caller: 'operator', signal: ask.signal },
	});
	const found = hits.find((hit) => isOf(hit, document));
	if (found === undefined) return 'not_found';
	const others = hits.filter((hit) => !isOf(hit, document));
	return others.some((hit) => answersToo(hit, title, made)) ? 'ambiguous' : found.rank;
}

/** Whether a chunk of another document has the same title, or all words of the query. */
function answersToo(hit: Hit, title: string, { words }: MadeQuery): boolean {
	if (title !== '' && flat(hit.title) === flat(title)) return true;
	const held = new Set(wordsOf([hit.title, ...hit.headingPath, hit.text].join('\n')));
	return words.every((word) => held.has(word));
}

/**
 * Documents drawn by the hash of the seed and their name, so that no order of the index changes the draw; one source after
 * the other.
 */
async function sampled(
	reader: IndexReader,
	{ count, seed, signal }: { count: number; seed: number; signal: AbortSignal },
): Promise<DocumentRef[]> {
	const bySource = new Map<string, { key: string; document: DocumentRef }[]>();
	const least = (drawn: { key: string; document: DocumentRef }[]) =>
		drawn.sort((a, b) => (a.key < b.key ? -1 : 1)).slice(0, count);
	for await (const documents of reader.documents()) {
		signal.throwIfAborted();
		for (const { source, documentId } of documents) {
			const drawn = bySource.get(source) ?? [];
			drawn.push({ key: sha256Of([String(seed), source, documentId]), document: { source, documentId } });
			bySource.set(source, drawn.length > 2 * count ? least(drawn) : drawn);
		}
	}
	const lists = [...bySource].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, drawn]) => least(drawn));
	return Array.from({ length: count }, (_, at) => lists.flatMap((drawn) => drawn[at]?.document ?? []))
		.flat()
		.slice(0, count);
}

/** The first chunks of documents, in order, by `keyOf`. */
async function read(
	reader: IndexReader,
	documents: readonly DocumentRef[],
	signal: AbortSignal,
): Promise<Map<string, Passage[]>> {
	const texts = new Map<string, Passage[]>();
	for (let start = 0; start < documents.length; start += DOCUMENTS_AT_ONCE) {
		signal.throwIfAborted();
		const some = documents.slice(start, start + DOCUMENTS_AT_ONCE);
		const passages = await reader.openings(some, { chunks: CHUNKS, timeoutMs: READ_MS });
		for (const [key, those] of Map.groupBy(passages, keyOf)) {
			texts.set(
				key,
				those.sort((a, b) => a.ordinal - b.ordinal),
			);
		}
	}
	return texts;
}

function isOf(hit: Hit, { source, documentId }: DocumentRef): boolean {
	return hit.source === source && hit.documentId === documentId;
}

function keyOf({ source, documentId }: DocumentRef): string {
	return JSON.stringify([source, documentId]);
}

/** The same for a document whatever the seed, so that a file never holds two suggestions about one. */
function idOf({ source, documentId }: DocumentRef): string {
	const slug = documentId
		.replace(/[^A-Za-z0-9]+/g, '-')
		.slice(-SLUG_CHARS_MAX)
		.replace(/^-+|-+$/g, '');
	return `${slug || 'document'}-${sha256Of([source, documentId]).slice(0, 8)}`;
}
