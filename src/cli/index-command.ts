import type { Command } from 'commander';
import type { IndexSession } from '../app/index-session.ts';
import type { Session } from '../app/session.ts';
import { systemClock } from '../base/clock.ts';
import { EXIT } from './exit-code.ts';
import { showDiff, showGeneration, showGenerations, showVerification } from './index-view.ts';
import { progressOf, showReport } from './ingest.ts';
import { watchInterrupts } from './interrupt.ts';
import { example, inSession, type ServerOptions, withJson, withServer } from './options.ts';
import { Progress } from './progress.ts';
import { oneLine, type Terminal } from './terminal.ts';
import { addTune } from './tune.ts';
import { count, dollars, duration, whole } from './units.ts';

interface WhyOptions extends ServerOptions {
	readonly why: string;
}

interface RebuildOptions extends ServerOptions {
	readonly dryRun?: true;
	readonly accept?: true;
}

/** plimsoll index */
export function addIndex(program: Command, terminal: Terminal): void {
	const index = program
		.command('index')
		.summary('look after the generations of an index')
		.description(
			'Shows what builds of a collection’s index there are, compares and checks them, and moves between them. A generation may be named by its number, such as g7.',
		);
	for (const add of [addList, addShow, addDiff, addVerify, addPromote, addRollback, addRebuild, addGc, addTune]) {
		add(index, terminal);
	}
	example(
		index,
		'plimsoll index list docs\nplimsoll index diff docs g6 g7\nplimsoll index rollback docs --why "g7 lost the price list"',
	);
}

function addList(index: Command, terminal: Terminal): void {
	const command = index
		.command('list')
		.argument('<collection>', 'the collection')
		.description('Lists a collection’s generations, newest first, whatever became of them, and the moves between them.')
		.action(async (collection: string, options: ServerOptions) => {
			const list = await inSession(options, terminal, (session) => session.index.list(collection));
			if (terminal.json) terminal.record(list);
			else showGenerations(list, terminal);
		});
	withJson(withServer(command), 'the generations and moves as one JSON document');
	example(command, 'plimsoll index list docs');
}

function addShow(index: Command, terminal: Terminal): void {
	const command = index
		.command('show')
		.argument('<collection>', 'the collection')
		.argument('<generation>', 'its name or number')
		.description('Shows how a generation was built, what is in it, and what its checks found.')
		.action(async (collection: string, generation: string, options: ServerOptions) => {
			const found = await inSession(options, terminal, (session) => session.index.show(collection, generation));
			if (terminal.json) terminal.record(found);
			else showGeneration(found, terminal);
		});
	withJson(withServer(command), 'the generation with its manifest as one JSON document');
	example(command, 'plimsoll index show docs g7');
}

function addDiff(index: Command, terminal: Terminal): void {
	const command = index
		.command('diff')
		.argument('<collection>', 'the collection')
		.argument('<left>', 'the earlier generation')
		.argument('<right>', 'the later one')
		.description(
			'Compares two generations: documents that came, went or changed, embedder, chunker, fields and statistics. Exit status 1 when they differ.',
		)
		.action(async (collection: string, left: string, right: string, options: ServerOptions) => {
			const diff = await inSession(options, terminal, (session) => session.index.diff(collection, left, right));
			if (terminal.json) terminal.record(diff);
			const differs = showDiff(diff, terminal);
			if (differs) process.exitCode = EXIT.failed;
		});
	withJson(withServer(command), 'the differences as one JSON document');
	example(command, 'plimsoll index diff docs g6 g7');
}

function addVerify(index: Command, terminal: Terminal): void {
	const command = index
		.command('verify')
		.argument('<collection>', 'the collection')
		.argument('<generation>', 'its name or number')
		.description('Runs a generation’s checks again, past every cache. Exit status 1 when one fails.')
		.action((collection: string, generation: string, options: ServerOptions) =>
			interruptible(options, terminal, async (session, signal) => {
				const report = await session.index.verify(collection, generation, signal);
				if (terminal.json) terminal.record(report);
				else showVerification(report, terminal);
				if (!report.passed) process.exitCode = EXIT.failed;
			}),
		);
	withJson(withServer(command), 'the findings as one JSON document');
	example(command, 'plimsoll index verify docs g7');
}

function addPromote(index: Command, terminal: Terminal): void {
	const command = index
		.command('promote')
		.argument('<collection>', 'the collection')
		.argument('<generation>', 'its name or number')
		.description(
			'Makes a generation live although a check refused it, or one that was live before. Who and why are kept. Damage and another embedder cannot be overruled.',
		)
		.requiredOption('--why <reason>', 'why, for whoever looks at it later')
		.action((collection: string, generation: string, { why, ...options }: WhyOptions) =>
			move(options, terminal, (each, signal) => each.promote({ collection, generation, why }, signal)),
		);
	withJson(withServer(command), 'the move as one JSON document');
	example(command, 'plimsoll index promote docs g8 --why "the price list was dropped on purpose"');
}

function addRollback(index: Command, terminal: Terminal): void {
	const command = index
		.command('rollback')
		.argument('<collection>', 'the collection')
		.argument('[generation]', 'the one to go back to (default: the one that was live before)')
		.description(
			'Goes back to a generation that was live before, at once. The same content does not come back by itself: a run that finds it again is refused.',
		)
		.requiredOption('--why <reason>', 'why, for whoever looks at it later')
		.action((collection: string, generation: string | undefined, { why, ...options }: WhyOptions) =>
			move(options, terminal, (each, signal) =>
				each.rollBack({ collection, generation: generation ?? null, why }, signal),
			),
		);
	withJson(withServer(command), 'the move as one JSON document');
	example(command, 'plimsoll index rollback docs --why "g7 lost the price list"');
}

function addRebuild(index: Command, terminal: Terminal): void {
	const command = index
		.command('rebuild')
		.argument('<collection>', 'the collection')
		.description(
			'Builds a collection’s index from nothing beside the live one, which serves meanwhile; a build that broke off goes on. Says first what it will take. When it comes to the same content, nothing is promoted.',
		)
		.option('--dry-run', 'say what it would take, and stop')
		.option('--accept', 'take what is found for right, however much it differs from what is live')
		.action((collection: string, { dryRun, accept, ...options }: RebuildOptions) =>
			interruptible(options, terminal, (session, signal) =>
				rebuild(session, collection, { terminal, signal, dryRun: dryRun === true, accept: accept === true }),
			),
		);
	withJson(withServer(command), 'the estimate, progress and report as lines of JSON');
	example(command, 'plimsoll index rebuild docs --dry-run\nplimsoll index rebuild docs');
}

function addGc(index: Command, terminal: Terminal): void {
	const command = index
		.command('gc')
		.argument('<collection>', 'the collection')
		.description(
			'Removes generations beyond those that generations.keep keeps, what broken-off builds left, and tables that nothing needs. What a running request may use stays.',
		)
		.action((collection: string, options: ServerOptions) =>
			interruptible(options, terminal, async (session, signal) => {
				const removed = await session.index.collect(collection, signal);
				if (terminal.json) return terminal.record(removed);
				const { generations, tables } = removed;
				terminal.line(`removed ${count(generations.length, 'generation')} and ${count(tables.length, 'table')}`);
				for (const name of [...generations, ...tables]) terminal.line(`  ${oneLine(name)}`);
			}),
		);
	withJson(withServer(command), 'what was removed as one JSON document');
	example(command, 'plimsoll index gc docs');
}

async function interruptible(
	options: ServerOptions,
	terminal: Terminal,
	run: (session: Session, signal: AbortSignal) => Promise<void>,
): Promise<void> {
	const interrupts = watchInterrupts();
	try {
		await inSession(options, terminal, (session) => run(session, interrupts.signal));
	} finally {
		interrupts.stop();
	}
}

function move(
	options: ServerOptions,
	terminal: Terminal,
	ask: (index: IndexSession, signal: AbortSignal) => ReturnType<IndexSession['promote']>,
): Promise<void> {
	return interruptible(options, terminal, async (session, signal) => {
		const moved = await ask(session.index, signal);
		if (terminal.json) terminal.record(moved);
		else terminal.line(`${oneLine(moved.to)} is live${moved.from === null ? '' : `; ${oneLine(moved.from)} was`}`);
	});
}

async function rebuild(
	session: Session,
	collection: string,
	{ terminal, signal, dryRun, accept }: { terminal: Terminal; signal: AbortSignal; dryRun: boolean; accept: boolean },
): Promise<void> {
	const estimate = await session.index.estimate(collection);
	if (terminal.json) terminal.record({ collection, estimate });
	else terminal.note(describe(estimate));
	if (dryRun) return;
	const progress = new Progress(terminal, systemClock);
	try {
		const report = await session.ingest(collection, {
			fresh: true,
			accept,
			signal,
			onProgress: (state) => {
				if (terminal.json) terminal.record({ collection, progress: state });
				else progress.update(progressOf(collection, state));
			},
		});
		progress.clear();
		if (terminal.json) terminal.record({ collection, report });
		else showReport(report, null, terminal);
		if (!terminal.json && !report.promoted && !report.refused) {
			terminal.note('It came to the same content, so that nothing was promoted.');
		}
		if (report.refused || report.sources.some(({ failed }) => failed.length > 0)) process.exitCode = EXIT.failed;
	} finally {
		progress.clear();
	}
}

function describe(estimate: Awaited<ReturnType<IndexSession['estimate']>>): string {
	const { documents, chunks, tokens, seconds, cost_micros: cost, price_unknown: isUnknown } = estimate;
	const size = `${count(documents, 'document')} in ${count(chunks, 'chunk')}`;
	if (tokens === null || seconds === null || cost === null) {
		return `${size}; how long it takes is not known, since no run has written any`;
	}
	const price = cost === 0 ? 'no cost' : `${isUnknown ? 'at most about ' : 'about '}${dollars(cost)}`;
	return `${size}: about ${whole(tokens)} tokens, ${price}, ${duration(seconds * 1_000)}, as earlier runs went`;
}
