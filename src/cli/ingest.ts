import type { Command } from 'commander';
import type { Session } from '../app/session.ts';
import { systemClock } from '../base/clock.ts';
import { asPlimsollError, type PlimsollError } from '../spec/errors.ts';
import type {
	CollectionStatus,
	EmbeddingReport,
	IngestProgress,
	IngestReport,
	SourceReport,
} from '../spec/retrieval.ts';
import { errorRecord, reportError } from './error-report.ts';
import { EXIT, EXIT_OF } from './exit-code.ts';
import { watchInterrupts } from './interrupt.ts';
import { example, inSession, type ServerOptions, withJson, withServer } from './options.ts';
import { Progress } from './progress.ts';
import { showTable } from './table.ts';
import { oneLine, type Terminal } from './terminal.ts';
import { count, whole } from './units.ts';

/** More documents than this are counted, not listed. */
const LEFT_OUT_SHOWN = 20;
const UNITS = {
	scan: ['document', 'documents'],
	write: ['document', 'documents'],
	index: ['step', 'steps'],
} as const satisfies Record<IngestProgress['phase'], readonly [string, string]>;

export function addIngest(program: Command, terminal: Terminal): void {
	const command = program
		.command('ingest')
		.argument('[collection]', 'one collection; all of them when left out')
		.summary('bring collections up to date with their sources')
		.description(
			'Reads what is new or changed in a collection’s sources and puts a new index generation in force once it is whole; searches see the old one until then. Exit status 1 when a document or a collection failed, or the new generation was refused.',
		)
		.option('--accept', 'take what is found for right, however much is gone, failed or does not fit')
		.action((collection: string | undefined, options: IngestCommand) => ingest(collection, options, terminal));
	withJson(withServer(command), 'progress, reports and errors as lines of JSON');
	example(command, 'plimsoll ingest\nplimsoll ingest docs --json | tail -n 1');
}

interface IngestCommand extends ServerOptions {
	readonly accept?: true;
}

async function ingest(asked: string | undefined, options: IngestCommand, terminal: Terminal): Promise<void> {
	const interrupts = watchInterrupts();
	try {
		await inSession(options, terminal, async (session) => {
			const names = asked === undefined ? (await session.collections()).map(({ collection }) => collection) : [asked];
			if (names.length === 0 && !terminal.json) terminal.note('The project has no collections.');
			for (const name of names) {
				const { accept = false } = options;
				await ingestOne(session, name, { terminal, signal: interrupts.signal, accept, alone: names.length === 1 });
			}
		});
	} finally {
		interrupts.stop();
	}
}

/** One failed collection does not keep the others from being ingested. */
async function ingestOne(
	session: Session,
	collection: string,
	{ terminal, signal, accept, alone }: { terminal: Terminal; signal: AbortSignal; accept: boolean; alone: boolean },
): Promise<void> {
	const progress = new Progress(terminal, systemClock);
	try {
		const report = await session.ingest(collection, {
			signal,
			accept,
			onProgress: (state) => {
				if (terminal.json) terminal.record({ collection, progress: state });
				else progress.update(progressOf(collection, state));
			},
		});
		progress.clear();
		if (terminal.json) terminal.record({ collection, report });
		else showReport(report, await held(session, collection), terminal);
		if (report.refused || report.sources.some(({ failures }) => failures > 0)) process.exitCode = EXIT.failed;
	} catch (thrown) {
		progress.clear();
		const error = asPlimsollError(thrown);
		if (alone || signal.aborted) throw error;
		fail(collection, error, terminal);
	}
}

/** What the index holds now; null when the collection has gone meanwhile. */
async function held(session: Session, collection: string): Promise<CollectionStatus | null> {
	return (await session.collections()).find((status) => status.collection === collection) ?? null;
}

function fail(collection: string, error: PlimsollError, terminal: Terminal): void {
	if (terminal.json) terminal.record({ collection, ...errorRecord(error) });
	else reportError(error, terminal);
	process.exitCode = EXIT_OF[error.category];
}

/** Progress of an ingestion as it is shown everywhere. */
export function progressOf(
	collection: string,
	{ source, phase, done, total, tokens = 0, costMicros = 0 }: IngestProgress,
) {
	const spent =
		tokens === 0 ? '' : `${whole(tokens)} tokens${costMicros === 0 ? '' : ` $${(costMicros / 1_000_000).toFixed(4)}`}`;
	return {
		label: [collection, source, phase].filter((part) => part !== '').join(' · '),
		note: spent,
		done,
		total,
		unit: UNITS[phase],
	};
}

/** The size of a live index as it is shown everywhere. */
export function describeIndex({ documents, chunks }: CollectionStatus): string {
	return `the index holds ${count(documents, 'document')} in ${count(chunks, 'chunk')}`;
}

/** A run's report as it is shown everywhere. */
export function showReport(report: IngestReport, status: CollectionStatus | null, terminal: Terminal): void {
	terminal.line(
		`${terminal.paint('bold', report.collection)}  ${terminal.paint('dim', `${stateOf(report)}${status ? `; ${describeIndex(status)}` : ''}`)}`,
	);
	if (report.refused) showRefusal(report.collection, report.refused, terminal);
	showTable(COLUMNS, report.sources.map(row), terminal, '  ');
	for (const source of report.sources) showLeftOut(source, report.collection, terminal);
	if (report.embedding) terminal.line(`  ${terminal.paint('dim', describeEmbedding(report.embedding))}`);
}

function stateOf({ promoted, generation, refused }: IngestReport): string {
	if (refused) return generation === null ? 'nothing is live' : `${generation} keeps serving`;
	return promoted ? `generation ${generation}` : `unchanged, generation ${generation}`;
}

/** Why what was built did not go live, and what can be done about it. */
function showRefusal(
	collection: string,
	{ generation, verification }: NonNullable<IngestReport['refused']>,
	terminal: Terminal,
): void {
	terminal.note(`  ${terminal.paintNote('red', 'refused')} ${generation}`);
	for (const { check, passed, message } of verification.checks) {
		if (!passed) terminal.note(`    ${check}: ${oneLine(message)}`);
	}
	terminal.note(`  plimsoll index promote ${collection} ${generation} --why "…" makes it live all the same`);
}

/** The documents that did not come in, with their reasons. */
function showLeftOut(report: SourceReport, collection: string, terminal: Terminal): void {
	const source = oneLine(report.source);
	const kinds = [
		['failed', report.failed, report.failures],
		['quarantined', report.misfits, report.quarantined],
	] as const;
	for (const [kind, documents, total] of kinds) {
		for (const { document, reason } of documents.slice(0, LEFT_OUT_SHOWN)) {
			terminal.note(`  ${terminal.paintNote('yellow', kind)} ${source}: ${oneLine(document)}: ${oneLine(reason)}`);
		}
		const more = total - Math.min(documents.length, LEFT_OUT_SHOWN);
		if (more > 0)
			terminal.note(`  and ${whole(more)} more ${kind} of ${source}; plimsoll quarantine list ${collection}`);
	}
	if (report.unreachable > 0)
		terminal.note(
			`  ${count(report.unreachable, 'document')} of ${source} in folders that could not be listed stay as they were`,
		);
	if (report.kept > 0) terminal.note(`  ${count(report.kept, 'document')} of ${source} stay as they were last indexed`);
}

function describeEmbedding({ texts, tokens, costMicros, costSource, failed: failedCalls }: EmbeddingReport): string {
	const cost = `${costSource === 'estimated' ? 'about ' : ''}$${(costMicros / 1_000_000).toFixed(4)}`;
	const failed = failedCalls === 0 ? '' : `, ${count(failedCalls, 'failed call')}`;
	return `embedded ${count(texts, 'text')}, ${whole(tokens)} tokens, ${cost}${failed}`;
}

function row({ source, failures, quarantined, seconds, ...numbers }: SourceReport): string[] {
	const { seen, changed, unchanged, deleted, chunks, tokens } = numbers;
	const counts = [seen, numbers.new, changed, unchanged, deleted, quarantined, failures, chunks, tokens];
	return [oneLine(source), ...counts.map(whole), seconds.toFixed(1)];
}

const COLUMNS = [
	{ title: 'source' },
	...['seen', 'new', 'changed', 'unchanged', 'deleted', 'quarantined', 'failed', 'chunks', 'tokens', 'seconds'].map(
		(title) => ({
			title,
			right: true,
		}),
	),
];
