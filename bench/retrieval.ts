import { availableParallelism } from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { bootstrapMean, type Estimate } from '../src/base/bootstrap.ts';
import { systemClock } from '../src/base/clock.ts';
import { seededRandom } from '../src/base/random.ts';
import type { CollectionConfig } from '../src/contracts/collection.ts';
import type { EmbedderConfig } from '../src/contracts/embedder.ts';
import { type Fusion, type LabelledLegs, ranked, tune } from '../src/retrieval/tuning.ts';
import type { SearchRequest } from '../src/spec/retrieval.ts';
import {
	cacmRanking,
	type QueryFigures,
	queryFigures,
	type RankingDocument,
	type RankingQuery,
	squadRanking,
} from '../test/support/ranking-data.ts';
import {
	BUILTIN,
	collection,
	folderSource,
	jsonlSource,
	openRetrievalFixture,
	type RetrievalFixture,
	retrievalConfig,
} from '../test/support/retrieval-fixture.ts';
import { NO_SHARED_DATA, sharedData } from '../test/support/shared-data.ts';

/** Searches under way at once. */
const CONCURRENCY = 16;
/** Queries whose vector search is compared with an exact one. */
const RECALL_QUERIES = 200;
const SEED = 1;
const WHOLE: CollectionConfig['chunker'] = {
	kind: 'whole',
	tokensMax: 8_000,
	tokensMin: 0,
	overlapTokens: 0,
	rowsMax: null,
	header: { template: '{title}\n{headings}\n{context}', tokensMax: 128 },
};
const RUNS: readonly { readonly name: string; readonly fusion: Fusion }[] = [
	{ name: 'BM25 alone', fusion: { kind: 'lexical' } },
	{ name: 'vectors alone', fusion: { kind: 'vector' } },
	{ name: 'hybrid, convex 0.1', fusion: { kind: 'convex', vectorWeight: 0.1 } },
	{ name: 'hybrid, convex 0.3', fusion: { kind: 'convex', vectorWeight: 0.3 } },
	{ name: 'hybrid, convex 0.5', fusion: { kind: 'convex', vectorWeight: 0.5 } },
	{ name: 'hybrid, convex 0.7', fusion: { kind: 'convex', vectorWeight: 0.7 } },
	{ name: 'hybrid, rrf 60', fusion: { kind: 'rrf', rrfK: 60 } },
];

interface Corpus {
	readonly name: string;
	readonly files: Readonly<Record<string, string>>;
	readonly kind: 'jsonl' | 'folder';
	readonly queries: readonly RankingQuery[];
	/** Then its figures are not held against anybody's. */
	readonly isSample?: boolean;
	/** Candidates of each leg. */
	readonly candidates: number;
	/** Least figures that BM25 alone must reach, and whose they are. */
	readonly floor: { readonly hitAt5: number; readonly mrrAt10: number; readonly map: number; readonly source: string };
}

function jsonl(documents: readonly RankingDocument[]): Record<string, string> {
	return { 'all.jsonl': documents.map((document) => JSON.stringify(document)).join('\n') };
}

/** Both legs alone and together, side by side. True when BM25 reaches its floor. */
async function measure(corpus: Corpus, embedder: EmbedderConfig): Promise<boolean> {
	const config = (dir: string) => {
		const source = corpus.kind === 'jsonl' ? jsonlSource(path.join(dir, 'all.jsonl')) : folderSource(dir);
		const base = collection([source], { chunker: WHOLE, embedder: embedder.name });
		const patient = { timeoutMs: 600_000, lexicalTimeoutMs: 600_000, vectorTimeoutMs: 600_000 };
		return retrievalConfig([{ ...base, search: { ...base.search, ...patient } }], [embedder]);
	};
	const fixture = await openRetrievalFixture(config);
	try {
		await fixture.write(corpus.files);
		const [seconds, { sources }] = await timed(() => fixture.ingest());
		const documents = sources[0]?.new ?? 0;
		console.log(
			`\n${corpus.name}, ${embedder.name}: ${documents} documents, ${sources[0]?.failed.length} failed, ${corpus.queries.length} queries; ingested at ${Math.round(documents / seconds)} documents/s`,
		);
		const documentsOf = new Map<string, string>();
		const [lexicalSeconds, lexical] = await timed(() => leg(fixture, { corpus, mode: 'lexical', documentsOf }));
		const [vectorSeconds, vector] = await timed(() => leg(fixture, { corpus, mode: 'vector', documentsOf }));
		const rate = (taken: number) => Math.round(corpus.queries.length / taken);
		console.log(`BM25 ${rate(lexicalSeconds)} queries/s, vectors ${rate(vectorSeconds)} queries/s`);
		const legs = corpus.queries.map(({ relevant }, at) => ({
			lexical: lexical[at] ?? [],
			vector: vector[at] ?? [],
			grades: new Map([...relevant].map((document) => [document, 1])),
		}));
		const documentOf = (chunk: string) => documentsOf.get(chunk) ?? chunk;
		const reached = table(corpus, legs, documentOf);
		recommend(legs, documentOf);
		console.log(await approximation(fixture, corpus));
		return reached;
	} finally {
		await fixture.close();
	}
}

async function timed<T>(run: () => Promise<T>): Promise<[number, T]> {
	const started = systemClock.monotonic();
	const result = await run();
	return [(systemClock.monotonic() - started) / 1_000, result];
}

/** What one leg alone finds for each query. */
async function leg(
	{ retrieval }: RetrievalFixture,
	{ corpus, mode, documentsOf }: { corpus: Corpus; mode: 'lexical' | 'vector'; documentsOf: Map<string, string> },
): Promise<LabelledLegs['lexical'][]> {
	const found = new Array<LabelledLegs['lexical']>(corpus.queries.length);
	await eachQuery(corpus, async (query, at) => {
		const ask = { collection: 'docs', query, k: corpus.candidates, mode, filter: null, signal: null };
		const { hits, degraded } = await retrieval.retriever.search(ask);
		if (degraded) throw new Error(degraded);
		for (const hit of hits) documentsOf.set(hit.chunkId, nameOf(corpus, hit.documentId));
		found[at] = hits.map(({ chunkId, score }) => ({ chunkId, row: chunkId, score }));
	});
	return found;
}

function nameOf({ kind }: Corpus, document: string): string {
	return kind === 'folder' ? path.basename(document, '.html') : document;
}

async function eachQuery({ queries }: Pick<Corpus, 'queries'>, run: (query: string, at: number) => Promise<void>) {
	let next = 0;
	const worker = async () => {
		for (let at = next++; at < queries.length; at = next++) await run(queries[at]?.query ?? '', at);
	};
	await Promise.all(Array.from({ length: CONCURRENCY }, worker));
}

function table(corpus: Corpus, legs: readonly LabelledLegs[], documentOf: (chunk: string) => string): boolean {
	const figuresOf = (fusion: Fusion) =>
		legs.map((one, at) => queryFigures(corpus.queries[at] as RankingQuery, ranked(one, fusion, documentOf)));
	const lexical = figuresOf({ kind: 'lexical' });
	const random = seededRandom(SEED);
	const estimate = (list: readonly QueryFigures[], of: keyof QueryFigures) =>
		bootstrapMean(
			list.map((figures) => figures[of]),
			random,
		);
	console.log('| search | hit@5 | MRR@10 | MAP | MAP against BM25 alone |\n|---|---|---|---|---|');
	for (const { name, fusion } of RUNS) {
		const list = figuresOf(fusion);
		const gains = list.map(({ map }, at) => map - (lexical[at]?.map ?? 0));
		const cells = (['hitAt5', 'mrrAt10', 'map'] as const).map((of) => interval(estimate(list, of)));
		const gain = fusion.kind === 'lexical' ? '' : interval(bootstrapMean(gains, random), true);
		console.log(`| ${name} | ${cells.join(' | ')} | ${gain} |`);
	}
	if (corpus.isSample) return true;
	const { hitAt5, mrrAt10, map, source } = corpus.floor;
	const mean = (of: keyof QueryFigures) => lexical.reduce((sum, figures) => sum + figures[of], 0) / lexical.length;
	const reached = mean('hitAt5') >= hitAt5 && mean('mrrAt10') >= mrrAt10 && mean('map') >= map;
	console.log(
		`| ${reached ? 'reached' : 'MISSED'} by BM25: ${source} | ${hitAt5 || ''} | ${mrrAt10 || ''} | ${map || ''} | |`,
	);
	return reached;
}

/** What `plimsoll index tune` says. */
function recommend(legs: readonly LabelledLegs[], documentOf: (chunk: string) => string): void {
	const { recommended, gain, notWorth } = tune(legs, { k: 10, documentOf, random: seededRandom(SEED) });
	const says = gain
		? `hybrid helps, nDCG@10 ${interval(gain, true)} against the better leg`
		: `hybrid does not help, nDCG@10 ${notWorth ? interval(notWorth, true) : ''} against the better leg`;
	console.log(`tuned by cross-validation: ${says}; recommended: ${JSON.stringify(recommended)}`);
}

/** How many of the ten nearest the vector leg finds, against comparing with every vector. */
async function approximation({ retrieval }: RetrievalFixture, corpus: Corpus): Promise<string> {
	const queries = corpus.queries.slice(0, RECALL_QUERIES);
	let common = 0;
	let all = 0;
	await eachQuery({ queries }, async (query) => {
		const ask: SearchRequest = { collection: 'docs', query, k: 10, mode: 'vector', filter: null, signal: null };
		const [usual, exact] = [
			await retrieval.retriever.search(ask),
			await retrieval.retriever.search({ ...ask, widened: true }),
		];
		const nearest = new Set(exact.hits.map(({ chunkId }) => chunkId));
		common += usual.hits.filter(({ chunkId }) => nearest.has(chunkId)).length;
		all += nearest.size;
	});
	return `vector search against exact search: recall@10 ${(common / Math.max(1, all)).toFixed(4)} over ${queries.length} queries`;
}

function interval({ mean, low, high }: Estimate, signed = false): string {
	const text = (value: number) => `${signed && value >= 0 ? '+' : ''}${value.toFixed(3)}`;
	return `${text(mean)} [${text(low)}, ${text(high)}]`;
}

function corpora(squad: string, cacm: string): Corpus[] {
	const paragraphs = squadRanking(squad);
	const abstracts = cacmRanking(cacm);
	const pages = Object.fromEntries([...abstracts.pages].map(([id, page]) => [`${id}.html`, page]));
	const plainBm25 = { hitAt5: 0.927, mrrAt10: 0.847, map: 0, source: 'plain BM25' };
	const anserini = { hitAt5: 0, mrrAt10: 0, map: 0.305, source: 'BM25 (Anserini over the pages: 0.3123)' };
	const { queries, documents } = paragraphs;
	const questions = { queries, candidates: 100, floor: plainBm25, files: jsonl(documents), kind: 'jsonl' } as const;
	const topics = {
		queries: abstracts.queries,
		candidates: 1_000,
		floor: anserini,
		files: pages,
		kind: 'folder',
	} as const;
	return [
		{ ...questions, name: 'SQuAD 2.0, paragraphs with titles' },
		{ ...topics, name: 'CACM, HTML pages' },
	];
}

function sampled(corpus: Corpus): Corpus {
	const random = seededRandom(SEED);
	const drawn = corpus.queries.map((query) => ({ query, at: random.next() })).sort((a, b) => a.at - b.at);
	const isSample = drawn.length > queriesMax;
	return { ...corpus, isSample, queries: drawn.slice(0, queriesMax).map(({ query }) => query) };
}

/** An ONNX sentence transformer in a folder; the built-in embedder is always measured. */
const { values } = parseArgs({
	options: {
		model: { type: 'string' },
		dimensions: { type: 'string', default: '384' },
		/** At most so many questions of each corpus, drawn by a fixed seed. */
		queries: { type: 'string', default: '100000' },
	},
});
const queriesMax = Number(values.queries);
const embedders: EmbedderConfig[] = [{ ...BUILTIN, dimensions: 512 }];
if (values.model) {
	const { model, dimensions } = { model: path.resolve(values.model), dimensions: Number(values.dimensions) };
	embedders.push({
		name: path.basename(model),
		family: 'local',
		model,
		dimensions,
		queryPrefix: '',
		documentPrefix: '',
		aliases: [],
	});
} else
	console.log('No sentence embedder is measured: --model <folder> names one that @huggingface/transformers can load.');

const squad = sharedData('squad2-dev');
const cacm = sharedData('cacm');
if (!squad || !cacm) {
	console.log(NO_SHARED_DATA);
} else {
	console.log(`${availableParallelism()} cores, ${CONCURRENCY} searches at once, Node ${process.version}`);
	for (const embedder of embedders) {
		for (const corpus of corpora(squad, cacm).map(sampled))
			if (!(await measure(corpus, embedder))) process.exitCode = 1;
	}
}
