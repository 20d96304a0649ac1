import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { availableParallelism, cpus, loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { setDefaults } from '../src/app/environment.ts';
import { LANCE_SETTINGS } from '../src/index-stores/lancedb/settings.ts';
import { LanceStore } from '../src/index-stores/lancedb/store.ts';
import { Corpus } from './search/corpus.ts';
import { type Figures, measure } from './search/measure.ts';
import { build, recall, searcher } from './search/plimsoll.ts';
import { report, type SizeResult, type SystemResult } from './search/report.ts';
import { ORAMA, SQLITE } from './search/rivals.ts';

/**
 * Searches over synthetic chunks of 384 dimensions: latency, throughput, recall of approximate against exact search, and how
 * long the event loop is held up; beside SQLite (FTS5 and sqlite-vec) and Orama in the same process and run.
 *
 *   npm run bench:search -- [--chunks 100000] [--chunks 1000000] [--seconds 10] [--rivals-max 100000] [--out results]
 *
 * Writes results.json and results.md where `--out` says so. A million chunks need 6 GB of disk and some minutes to build.
 */
const { values } = parseArgs({
	options: {
		chunks: { type: 'string', multiple: true, default: ['100000'] },
		seconds: { type: 'string', default: '10' },
		'rivals-max': { type: 'string', default: '100000' },
		out: { type: 'string' },
	},
});
const SECONDS = Number(values.seconds);
const SEARCHES_MAX = 5_000;
const CLIENTS = [1, 32];
const MODES = ['lexical', 'vector', 'hybrid'] as const;
const QUERIES = 400;
const RECALL_QUERIES = 100;

const tell = (message: string) => process.stderr.write(`bench: ${message}\n`);

type Runs = (mode: (typeof MODES)[number], filtered: boolean) => (query: Query) => Promise<unknown>;
type Query = ReturnType<Corpus['queries']>[number];

async function figures(name: string, runs: Runs, queries: readonly Query[]): Promise<SystemResult> {
	const cells: { mode: string; filtered: boolean; clients: number; figures: Figures }[] = [];
	for (const mode of MODES) {
		for (const filtered of [false, true]) {
			for (const clients of CLIENTS) {
				const asked = { clients, seconds: SECONDS, searchesMax: SEARCHES_MAX };
				cells.push({ mode, filtered, clients, figures: await measure(runs(mode, filtered), queries, asked) });
			}
		}
		tell(`${name}: ${mode} is measured`);
	}
	return { name, cells };
}

async function one(chunks: number): Promise<SizeResult> {
	const corpus = new Corpus(chunks);
	const queries = corpus.queries(QUERIES);
	const folder = await mkdtemp(join(tmpdir(), 'plimsoll-bench-'));
	setDefaults(LANCE_SETTINGS);
	const store = new LanceStore(folder);
	try {
		await store.open();
		const { reader, writeSeconds, sealSeconds } = await build(store, corpus, tell);
		const built = { chunks, writeSeconds, sealSeconds, peakMegabytes: process.resourceUsage().maxRSS / 1_024 };
		const systems = [await figures('Plimsoll', searcher(store, reader), queries)];
		const some = queries.slice(0, RECALL_QUERIES);
		const found = { all: await recall(reader, some, false), filtered: await recall(reader, some, true) };
		reader.close();
		for (const rival of chunks <= Number(values['rivals-max']) ? [SQLITE, ORAMA] : []) {
			tell(`${rival.name} is built`);
			systems.push(await figures(rival.name, await rival.build(corpus), queries));
		}
		return { ...built, recall: found, systems };
	} finally {
		store.close();
		await rm(folder, { recursive: true });
	}
}

const machine = `${availableParallelism()} × ${cpus()[0]?.model ?? 'unknown'}, Node ${process.version}, load ${loadavg()[0]?.toFixed(1)} at the start`;
const sizes: SizeResult[] = [];
for (const chunks of values.chunks) sizes.push(await one(Number(chunks)));
const text = report(machine, sizes);
process.stdout.write(text);
if (values.out !== undefined) {
	await writeFile(`${values.out}.md`, text);
	await writeFile(`${values.out}.json`, `${JSON.stringify({ machine, sizes }, null, '\t')}\n`);
}
