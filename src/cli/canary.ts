import type { Command } from 'commander';
import type { CanaryRunReply } from '../app/canary-reply.ts';
import type { Session } from '../app/session.ts';
import { addCanarySuggest } from './canary-suggest.ts';
import { EXIT } from './exit-code.ts';
import { watchInterrupts } from './interrupt.ts';
import { day } from './key-time.ts';
import { example, inSession, integerBetween, type ServerOptions, withJson, withServer } from './options.ts';
import { showTable } from './table.ts';
import { oneLine, type Terminal } from './terminal.ts';
import { count, whole } from './units.ts';

interface HistoryOptions extends ServerOptions {
	readonly limit: number;
}

/** plimsoll canary */
export function addCanary(program: Command, terminal: Terminal): void {
	const canary = program
		.command('canary')
		.summary('check that searches find known answers')
		.description('Runs queries with known answers against live indexes, and shows how they did over time.');
	const run = canary
		.command('run', { isDefault: true })
		.argument('[collections...]', 'which collections; default: all that have canaries')
		.description('Runs all canaries now. The exit status is 1 when a floor is not met, or less is found than before.')
		.action((collections: string[], options: ServerOptions) => runAll(collections, options, terminal));
	withJson(withServer(run), 'the runs as one JSON document');
	example(run, 'plimsoll canary\nplimsoll canary docs --json');
	const history = canary
		.command('history')
		.argument('[collection]', 'only of this one')
		.description(
			'Shows runs that are on record, newest first: those of the start, of promotions, of each day and by hand.',
		)
		.option('--limit <n>', 'at most this many', integerBetween(1, 1_000), 30)
		.action((collection: string | undefined, options: HistoryOptions) => showHistory(collection, options, terminal));
	withJson(withServer(history), 'the runs as one JSON document');
	example(history, 'plimsoll canary history docs --limit 7');
	const accept = canary
		.command('accept')
		.argument('<collection>', 'the collection')
		.description(
			'Runs all canaries, and compares later runs with what they came to: a loss that was meant is then none.',
		)
		.action((collection: string, options: ServerOptions) => acceptOne(collection, options, terminal));
	withJson(withServer(accept), 'the run as one JSON document');
	example(accept, 'plimsoll canary accept docs');
	addCanarySuggest(canary, terminal);
	example(canary, 'plimsoll canary\nplimsoll canary history docs');
}

async function runAll(collections: readonly string[], options: ServerOptions, terminal: Terminal): Promise<void> {
	const interrupts = watchInterrupts();
	try {
		const runs = await inSession(options, terminal, async (session) => {
			const names = collections.length > 0 ? collections : await checkedCollections(session);
			const done: CanaryRunReply[] = [];
			for (const name of names) done.push(await session.runCanaries(name, interrupts.signal));
			return done;
		});
		if (runs.some(isBad)) process.exitCode = EXIT.failed;
		if (terminal.json) {
			terminal.record({ runs });
			return;
		}
		if (runs.length === 0)
			terminal.note(
				'No collection has canaries. They stand in canaries.jsonl of a feature, or in a file that a collection names.',
			);
		else showRuns(runs, terminal);
		for (const one of runs) explain(one, terminal);
	} finally {
		interrupts.stop();
	}
}

async function checkedCollections(session: Session): Promise<string[]> {
	const all = await session.canaries();
	return all
		.filter(({ status }) => status !== 'unchecked' && status !== 'no_index')
		.map(({ collection }) => collection);
}

async function showHistory(
	collection: string | undefined,
	{ limit, ...options }: HistoryOptions,
	terminal: Terminal,
): Promise<void> {
	const ask = { collection: collection ?? null, limit };
	const runs = await inSession(options, terminal, (session) => session.canaryRuns(ask));
	if (terminal.json) terminal.record({ runs });
	else if (runs.length === 0) terminal.note('No run is on record yet.');
	else showRuns(runs, terminal);
}

async function acceptOne(collection: string, options: ServerOptions, terminal: Terminal): Promise<void> {
	const run = await inSession(options, terminal, (session) => session.acceptCanaries(collection));
	if (terminal.json) terminal.record(run);
	else terminal.line(`Later runs of ${oneLine(collection)} are compared with recall ${percent(run.recall.value)}.`);
}

function isBad({ verdict, comparison }: CanaryRunReply): boolean {
	return verdict !== 'passed' || comparison?.dropped === true;
}

function showRuns(runs: readonly CanaryRunReply[], terminal: Terminal): void {
	const rows = runs.map((run) => [
		day(run.at),
		oneLine(run.collection),
		run.kind,
		oneLine(run.generation),
		whole(run.queries),
		`${percent(run.recall.value)} (${percent(run.recall.low)} to ${percent(run.recall.high)})`,
		`${run.mrr.value.toFixed(3)} (${run.mrr.low.toFixed(3)} to ${run.mrr.high.toFixed(3)})`,
		run.comparison === null ? '' : `−${run.comparison.lost} +${run.comparison.gained}`,
		terminal.paint(isBad(run) ? 'red' : 'green', run.comparison?.dropped ? 'dropped' : run.verdict),
	]);
	showTable(COLUMNS, rows, terminal);
}

function explain(run: CanaryRunReply, terminal: Terminal): void {
	const { collection, why, missed, comparison, unanswered, approximate_recall: approximate } = run;
	const say = (text: string) => terminal.note(`${terminal.paintNote('bold', oneLine(collection))}: ${oneLine(text)}`);
	if (why !== '') say(why);
	if (unanswered > 0) say(`${count(unanswered, 'query', 'queries')} went unanswered`);
	if (missed.length > 0) say(`not found: ${missed.join(', ')}${missed.length === 50 ? ', …' : ''}`);
	if (comparison) {
		const { common, lost, gained, recall_p: recallP, mrr_p: mrrP, baseline } = comparison;
		say(
			`against ${baseline}: ${lost} lost and ${gained} gained of ${common} (p = ${short(recallP)}), ranks p = ${short(mrrP)}`,
		);
	}
	if (approximate !== null) say(`approximate search finds ${percent(approximate)} of what exact search does`);
}

function percent(share: number): string {
	return `${(share * 100).toFixed(1)} %`;
}

function short(p: number): string {
	return p < 0.001 ? p.toExponential(1) : p.toFixed(3);
}

const COLUMNS = [
	{ title: 'when (UTC)' },
	{ title: 'collection' },
	{ title: 'kind' },
	{ title: 'generation' },
	{ title: 'queries', right: true },
	{ title: 'recall (95 %)' },
	{ title: 'MRR (95 %)' },
	{ title: 'changed' },
	{ title: '' },
];
