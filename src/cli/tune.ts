import type { Command } from 'commander';
import { z } from 'zod';
import type { SearchEdit } from '../app/edit-search.ts';
import type { SearchReply } from '../app/gateway-reply.ts';
import type { Session } from '../app/session.ts';
import type { Estimate } from '../base/bootstrap.ts';
import { systemClock } from '../base/clock.ts';
import { seededRandom } from '../base/random.ts';
import type { Fusion, LabelledLegs, Tuning } from '../retrieval/tuning.ts';
import { PlimsollError } from '../spec/errors.ts';
import type { RowRef } from '../spec/index-store.ts';
import { watchInterrupts } from './interrupt.ts';
import { example, inSession, integerBetween, type ServerOptions, withJson, withServer } from './options.ts';
import { Progress } from './progress.ts';
import { requireProject } from './project-folder.ts';
import { readQueryLines } from './query-file.ts';
import { showTable } from './table.ts';
import type { Terminal } from './terminal.ts';

interface TuneOptions extends ServerOptions {
	readonly queries: string;
	readonly k: number;
	readonly candidates: number;
	readonly seed: number;
	readonly write?: true;
}

const AT_ONCE = 4;
/** With fewer, every interval includes zero. */
const QUERIES_MIN = 20;
const QUERIES_MAX = 20_000;

const labelled = z.object({
	query: z.string().min(1).max(100_000),
	relevant: z.union([
		z.array(z.string().min(1)).min(1),
		z.record(z.string(), z.number().gt(0).max(10)).refine((grades) => Object.keys(grades).length > 0),
	]),
});
const EXPECTED = '{"query": text, "relevant": [document, …] or {document: grade, …}}';

type Labelled = z.output<typeof labelled>;

/** plimsoll index tune */
export function addTune(index: Command, terminal: Terminal): void {
	const command = index
		.command('tune')
		.argument('<collection>', 'the collection')
		.summary('find out whether hybrid search helps, and with which weight')
		.description(
			'Measures both legs alone and fused on labelled queries, by cross-validation with bootstrap intervals, and recommends a fusion only where it is better than the better leg for more than chance. Each query is searched once by each leg, so that an embedder is asked, and paid, once for each.',
		)
		.requiredOption('--queries <file>', `lines of ${EXPECTED}; - for standard input`)
		.option('--k <number>', 'how many documents count: nDCG@k', integerBetween(1, 1_000), 10)
		.option('--candidates <number>', 'candidates of each leg, as search.candidates', integerBetween(1, 1_000), 100)
		.option('--seed <number>', 'of the folds and the bootstrap', integerBetween(0, 2 ** 31), 1)
		.option('--write', 'write the recommendation into plimsoll.yaml, whose comments stay')
		.action((collection: string, options: TuneOptions) => runTune(collection, options, terminal));
	withJson(withServer(command), 'the measurements and the recommendation as one JSON document');
	example(
		command,
		'plimsoll index tune docs --queries labelled.jsonl\nplimsoll index tune docs --queries labelled.jsonl --write',
	);
}

async function runTune(collection: string, options: TuneOptions, terminal: Terminal): Promise<void> {
	const interrupts = watchInterrupts();
	try {
		const queries = await readLabelled(options.queries, interrupts.signal);
		const { legs, documents } = await inSession(options, terminal, (session) =>
			searchLegs(session, { collection, queries, options, terminal, signal: interrupts.signal }),
		);
		const { tune } = await import('../retrieval/tuning.ts');
		const documentOf = (chunk: RowRef) => documents.get(chunk) ?? String(chunk);
		const tuning = tune(legs, { k: options.k, documentOf, random: seededRandom(options.seed) });
		const edit = editOf(tuning.recommended);
		if (options.write) {
			const { editSearch } = await import('../app/edit-search.ts');
			await editSearch(requireProject(options.dir), collection, edit);
		}
		if (terminal.json) terminal.record({ collection, ...tuning, search: edit, written: options.write === true });
		else show(collection, { tuning, edit, written: options.write === true }, terminal);
	} finally {
		interrupts.stop();
	}
}

async function readLabelled(file: string, signal: AbortSignal): Promise<readonly Labelled[]> {
	const queries: Labelled[] = [];
	for await (const { line, value, wrong } of readQueryLines(file, signal)) {
		const parsed = wrong === null ? labelled.safeParse(value) : null;
		if (!parsed?.success)
			throw unreadable(`Line ${line} of the queries: ${wrong ?? 'found something else'}; expected ${EXPECTED}.`);
		queries.push(parsed.data);
		if (queries.length > QUERIES_MAX) throw unreadable(`There are more than ${QUERIES_MAX} queries.`);
	}
	if (queries.length < QUERIES_MIN) {
		throw unreadable(
			`${queries.length} labelled queries say nothing about a weight; ${QUERIES_MIN} are the least, 200 are good.`,
		);
	}
	return queries;
}

function unreadable(message: string): PlimsollError {
	return new PlimsollError('request_invalid', message, { param: 'queries' });
}

/** What each leg alone finds for each query. Any failure ends it: half of the legs would tune for outages. */
async function searchLegs(
	session: Session,
	ask: {
		collection: string;
		queries: readonly Labelled[];
		options: TuneOptions;
		terminal: Terminal;
		signal: AbortSignal;
	},
): Promise<{ legs: LabelledLegs[]; documents: ReadonlyMap<RowRef, string> }> {
	const { collection, queries, options, signal } = ask;
	const progress = new Progress(ask.terminal, systemClock);
	const documents = new Map<RowRef, string>();
	const legs = new Array<LabelledLegs>(queries.length);
	let next = 0;
	let done = 0;
	const leg = async (query: string, mode: 'lexical' | 'vector') => {
		const { hits, degraded }: SearchReply = await session.search(collection, {
			query,
			k: options.candidates,
			mode,
			signal,
		});
		if (degraded !== null) throw new PlimsollError('retrieval_failed', `Tuning needs both legs: ${degraded}.`);
		return hits.map((hit) => {
			documents.set(hit.chunk, hit.document);
			return { row: hit.chunk, score: hit[`${mode}_score`] ?? hit.score };
		});
	};
	const worker = async () => {
		for (let at = next++; at < queries.length; at = next++) {
			const { query, relevant } = queries[at] as Labelled;
			const [lexical, vector] = await Promise.all([leg(query, 'lexical'), leg(query, 'vector')]);
			const grades = Array.isArray(relevant)
				? relevant.map((document) => [document, 1] as const)
				: Object.entries(relevant);
			legs[at] = { lexical, vector, grades: new Map(grades) };
			progress.update({
				label: `${collection} · both legs`,
				done: ++done,
				total: queries.length,
				unit: ['query', 'queries'],
			});
		}
	};
	try {
		await Promise.all(Array.from({ length: AT_ONCE }, worker));
	} finally {
		progress.clear();
	}
	return { legs, documents };
}

function editOf(fusion: Fusion): SearchEdit {
	switch (fusion.kind) {
		case 'lexical':
			return { vector_weight: 0 };
		case 'vector':
			return { fusion: 'convex', vector_weight: 1 };
		case 'convex':
			return { fusion: 'convex', vector_weight: fusion.vectorWeight };
		case 'rrf':
			return { fusion: 'rrf', vector_weight: 0.5, rrf_k: fusion.rrfK };
	}
}

const NAMES = { lexical: 'BM25 alone', vector: 'vectors alone', convex: 'hybrid, convex', rrf: 'hybrid, rrf' } as const;

function show(
	collection: string,
	{ tuning, edit, written }: { tuning: Tuning; edit: SearchEdit; written: boolean },
	terminal: Terminal,
): void {
	const { k, queries, folds, measured, recommended, gain, notWorth } = tuning;
	terminal.line(`${queries} queries, nDCG@${k}, ${folds}-fold cross-validation, intervals of 95 %`);
	terminal.line();
	const rows = measured.map(({ name, ndcg, gain: against }) => [
		NAMES[name],
		interval(ndcg),
		name === 'lexical' ? '' : signed(against),
	]);
	showTable([{ title: 'search' }, { title: `nDCG@${k}` }, { title: 'against BM25 alone' }], rows, terminal);
	terminal.line();
	if (notWorth !== null) {
		const better = recommended.kind === 'vector' ? 'vectors alone' : 'BM25 alone';
		terminal.line(`Hybrid does not help: against the better leg it gains ${signed(notWorth)}. Recommended: ${better}.`);
	} else if (gain !== null) terminal.line(`Hybrid helps: against the better leg it gains ${signed(gain)}.`);
	terminal.line();
	const settings = Object.entries(edit).map(([key, value]) => `${key}: ${value}`);
	terminal.line(`collections:\n  ${collection}:\n    search:\n${settings.map((line) => `      ${line}`).join('\n')}`);
	if (written) terminal.note('Written to plimsoll.yaml.');
}

function interval({ mean, low, high }: Estimate): string {
	return `${mean.toFixed(3)} [${low.toFixed(3)}, ${high.toFixed(3)}]`;
}

function signed({ mean, low, high }: Estimate): string {
	const sign = (value: number) => `${value < 0 ? '−' : '+'}${Math.abs(value).toFixed(3)}`;
	return `${sign(mean)} [${sign(low)}, ${sign(high)}]`;
}
