import { availableParallelism } from 'node:os';
import path from 'node:path';
import { systemClock } from '../src/base/clock.ts';
import type { CollectionConfig } from '../src/contracts/collection.ts';
import type { SearchMode } from '../src/spec/retrieval.ts';
import {
	cacmRanking,
	type RankingDocument,
	type RankingFigures,
	type RankingQuery,
	rankingFigures,
	squadRanking,
} from '../test/support/ranking-data.ts';
import {
	BUILTIN,
	collection,
	folderSource,
	jsonlSource,
	openRetrievalFixture,
	retrievalConfig,
} from '../test/support/retrieval-fixture.ts';
import { NO_SHARED_DATA, sharedData } from '../test/support/shared-data.ts';

/** Searches under way at once. */
const CONCURRENCY = 16;
const WHOLE: CollectionConfig['chunker'] = {
	kind: 'whole',
	tokensMax: 8_000,
	tokensMin: 0,
	overlapTokens: 0,
	rowsMax: null,
	header: { template: '{title}\n{headings}\n{context}', tokensMax: 128 },
};
const EMBEDDER = { ...BUILTIN, dimensions: 512 };
const RUNS: readonly {
	readonly name: string;
	readonly mode: SearchMode;
	readonly vectorWeight: number;
	readonly fusion: 'convex' | 'rrf';
}[] = [
	{ name: 'lexical (BM25 alone)', mode: 'lexical', vectorWeight: 0, fusion: 'convex' },
	{ name: 'vector (built-in)', mode: 'vector', vectorWeight: 1, fusion: 'convex' },
	{ name: 'hybrid, convex 0.1', mode: 'hybrid', vectorWeight: 0.1, fusion: 'convex' },
	{ name: 'hybrid, convex 0.3', mode: 'hybrid', vectorWeight: 0.3, fusion: 'convex' },
	{ name: 'hybrid, convex 0.5', mode: 'hybrid', vectorWeight: 0.5, fusion: 'convex' },
	{ name: 'hybrid, rrf 60', mode: 'hybrid', vectorWeight: 0.5, fusion: 'rrf' },
];

interface Corpus {
	readonly name: string;
	readonly files: Readonly<Record<string, string>>;
	readonly kind: 'jsonl' | 'folder';
	readonly queries: readonly RankingQuery[];
	readonly k: number;
	/** Least figures that the lexical search must reach, and whose they are. */
	readonly floor: { readonly hitAt5: number; readonly mrrAt10: number; readonly map: number; readonly source: string };
}

function jsonl(documents: readonly RankingDocument[]): Record<string, string> {
	return { 'all.jsonl': documents.map((document) => JSON.stringify(document)).join('\n') };
}

/** True when the lexical search reaches its floor. */
async function measure(corpus: Corpus): Promise<boolean> {
	const base = (dir: string) =>
		collection([corpus.kind === 'jsonl' ? jsonlSource(path.join(dir, 'all.jsonl')) : folderSource(dir)], {
			chunker: WHOLE,
			embedder: EMBEDDER.name,
		});
	const fixture = await openRetrievalFixture((dir) => retrievalConfig([base(dir)], [EMBEDDER]));
	try {
		await fixture.write(corpus.files);
		const started = systemClock.monotonic();
		const { sources } = await fixture.ingest();
		const seconds = (systemClock.monotonic() - started) / 1_000;
		const documents = sources[0]?.new ?? 0;
		console.log(
			`\n${corpus.name}: ${documents} documents, ${sources[0]?.failed.length} failed, ${corpus.queries.length} queries; ingested at ${Math.round(documents / seconds)} documents/s`,
		);
		console.log('| search | hit@5 | MRR@10 | MAP | queries/s |\n|---|---|---|---|---|');
		let reached = true;
		for (const run of RUNS) {
			const settings = base(fixture.dir);
			const search = { ...settings.search, vectorWeight: run.vectorWeight, fusion: run.fusion };
			await fixture.retrieval.update(retrievalConfig([{ ...settings, search }], [EMBEDDER]));
			const { figures, rate } = await ask(fixture, corpus, run.mode);
			const cells = [figures.hitAt5, figures.mrrAt10, figures.map].map((figure) => figure.toFixed(4));
			console.log(`| ${run.name} | ${cells.join(' | ')} | ${Math.round(rate)} |`);
			if (run.mode === 'lexical') reached = reaches(corpus, figures);
		}
		return reached;
	} finally {
		await fixture.close();
	}
}

function reaches({ floor }: Corpus, figures: RankingFigures): boolean {
	const { hitAt5, mrrAt10, map } = floor;
	const reached = figures.hitAt5 >= hitAt5 && figures.mrrAt10 >= mrrAt10 && figures.map >= map;
	console.log(
		`| ${reached ? 'reached' : 'MISSED'}: ${floor.source} | ${hitAt5 || ''} | ${mrrAt10 || ''} | ${map || ''} | |`,
	);
	return reached;
}

async function ask(
	fixture: Awaited<ReturnType<typeof openRetrievalFixture>>,
	{ queries, k, kind }: Corpus,
	mode: SearchMode,
): Promise<{ figures: RankingFigures; rate: number }> {
	const ranked: string[][] = new Array(queries.length);
	let next = 0;
	const started = systemClock.monotonic();
	const worker = async () => {
		for (let at = next++; at < queries.length; at = next++) {
			const { hits, degraded } = await fixture.search(queries[at]?.query ?? '', { k, mode });
			if (degraded) throw new Error(degraded);
			ranked[at] = hits.map(({ documentId }) => (kind === 'folder' ? path.basename(documentId, '.html') : documentId));
		}
	};
	await Promise.all(Array.from({ length: CONCURRENCY }, worker));
	const seconds = (systemClock.monotonic() - started) / 1_000;
	return { figures: rankingFigures(queries, ranked), rate: queries.length / seconds };
}

/** Each corpus twice: as it comes, and with less to go by. */
function corpora(squad: string, cacm: string): Corpus[] {
	const paragraphs = squadRanking(squad);
	const untitled = paragraphs.documents.map((document) => ({ ...document, title: '' }));
	const abstracts = cacmRanking(cacm);
	const pages = Object.fromEntries([...abstracts.pages].map(([id, page]) => [`${id}.html`, page]));
	const plainBm25 = { hitAt5: 0.927, mrrAt10: 0.847, map: 0, source: 'plain BM25' };
	const anserini = { hitAt5: 0, mrrAt10: 0, map: 0.305, source: 'BM25 (Anserini over the pages: 0.3123)' };
	const questions = { kind: 'jsonl', queries: paragraphs.queries, k: 10, floor: plainBm25 } as const;
	const topics = { queries: abstracts.queries, k: 1_000, floor: anserini } as const;
	return [
		{ ...questions, name: 'SQuAD 2.0, paragraphs with titles', files: jsonl(paragraphs.documents) },
		{ ...questions, name: 'SQuAD 2.0, paragraphs alone', files: jsonl(untitled) },
		{ ...topics, name: 'CACM, HTML pages', files: pages, kind: 'folder' },
		{ ...topics, name: 'CACM, titles and abstracts', files: jsonl(abstracts.documents), kind: 'jsonl' },
	];
}

const squad = sharedData('squad2-dev');
const cacm = sharedData('cacm');
if (!squad || !cacm) {
	console.log(NO_SHARED_DATA);
} else {
	console.log(`${availableParallelism()} cores, ${CONCURRENCY} searches at once, Node ${process.version}`);
	for (const corpus of corpora(squad, cacm)) if (!(await measure(corpus))) process.exitCode = 1;
}
