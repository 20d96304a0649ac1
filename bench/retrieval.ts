import { availableParallelism } from 'node:os';
import path from 'node:path';
import { systemClock } from '../src/base/clock.ts';
import type { CollectionConfig } from '../src/contracts/project.ts';
import type { SearchMode } from '../src/spec/retrieval.ts';
import {
	cacmRanking,
	type RankingDocument,
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
const WHOLE: CollectionConfig['chunker'] = { kind: 'whole', tokensMax: 8_000, tokensMin: 0 };
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
	readonly floor: string;
}

function jsonl(documents: readonly RankingDocument[]): Record<string, string> {
	return { 'all.jsonl': documents.map((document) => JSON.stringify(document)).join('\n') };
}

async function measure(corpus: Corpus): Promise<void> {
	const base = (dir: string) =>
		collection([corpus.kind === 'jsonl' ? jsonlSource(path.join(dir, 'all.jsonl')) : folderSource(dir)], {
			chunker: WHOLE,
			embedder: EMBEDDER.name,
		});
	const fixture = await openRetrievalFixture((dir) => retrievalConfig([base(dir)], [EMBEDDER]));
	try {
		await fixture.write(corpus.files);
		const started = systemClock.monotonic();
		const report = await fixture.ingest();
		const seconds = (systemClock.monotonic() - started) / 1_000;
		const [source] = report.sources;
		console.log(
			`\n${corpus.name}: ${source?.new} documents, ${source?.failed.length} failed, ${source?.chunks} chunks, ${source?.tokens} tokens, ${corpus.queries.length} queries; ingested at ${Math.round((source?.new ?? 0) / seconds)} documents/s. ${corpus.floor}`,
		);
		console.log('| search | hit@5 | MRR@10 | MAP | queries/s |\n|---|---|---|---|---|');
		for (const run of RUNS) {
			const settings = base(fixture.dir);
			const search = { ...settings.search, vectorWeight: run.vectorWeight, fusion: run.fusion };
			await fixture.retrieval.update(retrievalConfig([{ ...settings, search }], [EMBEDDER]));
			console.log(`| ${run.name} | ${await ask(fixture, corpus, run.mode)} |`);
		}
	} finally {
		await fixture.close();
	}
}

async function ask(
	fixture: Awaited<ReturnType<typeof openRetrievalFixture>>,
	{ queries, k }: Corpus,
	mode: SearchMode,
): Promise<string> {
	const ranked: string[][] = new Array(queries.length);
	let next = 0;
	const started = systemClock.monotonic();
	const worker = async () => {
		for (let at = next++; at < queries.length; at = next++) {
			const { hits, degraded } = await fixture.search(queries[at]?.query ?? '', { k, mode });
			if (degraded) throw new Error(degraded);
			ranked[at] = [
				...new Set(
					hits.map(({ documentId }) =>
						path.posix.basename(documentId) === documentId ? documentId.replace(/\.html$/, '') : documentId,
					),
				),
			];
		}
	};
	await Promise.all(Array.from({ length: CONCURRENCY }, worker));
	const seconds = (systemClock.monotonic() - started) / 1_000;
	const { hitAt5, mrrAt10, map } = rankingFigures(queries, ranked);
	return [hitAt5, mrrAt10, map]
		.map((figure) => figure.toFixed(4))
		.concat(String(Math.round(queries.length / seconds)))
		.join(' | ');
}

const squad = sharedData('squad2-dev');
const cacm = sharedData('cacm');
if (!squad || !cacm) {
	console.log(NO_SHARED_DATA);
} else {
	console.log(`${availableParallelism()} cores, ${CONCURRENCY} searches at once, Node ${process.version}`);
	const paragraphs = squadRanking(squad);
	const floor = 'To reach: hit@5 0.927, MRR@10 0.847 (plain BM25).';
	await measure({
		name: 'SQuAD 2.0, paragraphs with titles',
		files: jsonl(paragraphs.documents),
		kind: 'jsonl',
		queries: paragraphs.queries,
		k: 10,
		floor,
	});
	if (process.argv.includes('x')) process.exit();
	const untitled = paragraphs.documents.map((document) => ({ ...document, title: '' }));
	await measure({
		name: 'SQuAD 2.0, paragraphs alone',
		files: jsonl(untitled),
		kind: 'jsonl',
		queries: paragraphs.queries,
		k: 10,
		floor,
	});
	const abstracts = cacmRanking(cacm);
	const pages = Object.fromEntries([...abstracts.pages].map(([id, page]) => [`${id}.html`, page]));
	const target = 'To reach: MAP 0.305 (Anserini BM25 over the pages: 0.3123).';
	await measure({
		name: 'CACM, HTML pages',
		files: pages,
		kind: 'folder',
		queries: abstracts.queries,
		k: 1_000,
		floor: target,
	});
	await measure({
		name: 'CACM, titles and abstracts',
		files: jsonl(abstracts.documents),
		kind: 'jsonl',
		queries: abstracts.queries,
		k: 1_000,
		floor: target,
	});
}
