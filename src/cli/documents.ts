import { type Command, InvalidArgumentError } from 'commander';
import type { ReceiptReply } from '../app/document-reply.ts';
import { PlimsollError } from '../spec/errors.ts';
import { type Batch, batchesOf } from './document-files.ts';
import { EXIT } from './exit-code.ts';
import { watchInterrupts } from './interrupt.ts';
import { day } from './key-time.ts';
import { example, inSession, integerBetween, type ServerOptions, withJson, withServer } from './options.ts';
import { showTable } from './table.ts';
import { oneLine, type Terminal } from './terminal.ts';
import { count, whole } from './units.ts';

interface SourceOption extends ServerOptions {
	readonly source?: string;
}

interface WaitOption extends SourceOption {
	readonly wait: boolean;
	readonly waitS: number;
}

/** plimsoll documents */
export function addDocuments(program: Command, terminal: Terminal): void {
	const documents = program
		.command('documents')
		.summary('push documents into a collection, list, delete and purge them, see what is stored')
		.description(
			'Sends documents to a source of kind push, shows how they stand, deletes them, and leaves no trace of them.',
		);
	addPush(documents, terminal);
	addList(documents, terminal);
	addDelete(documents, terminal);
	addPurge(documents, terminal);
	addStored(documents, terminal);
	example(documents, 'plimsoll documents push docs notes/*.md\nplimsoll documents list docs');
}

function addPush(documents: Command, terminal: Terminal): void {
	const command = documents
		.command('push')
		.argument('<collection>')
		.argument('<file...>', 'files; - reads JSON lines from standard input')
		.description(
			'Stores documents and brings them into the index. Lines of a .jsonl file, and the object or list in a .json file, are documents as the API takes them (id, text, format, title, fields); any other file is one document with its path as its id. Exit status 1 when one was refused, does not fit or failed.',
		)
		.option('--id <id>', 'the id of the document, for a single file')
		.option('--accept', 'take what is found for right, however much differs from what is live')
		.action((collection: string, files: string[], options: PushOptions) => push(collection, files, options, terminal));
	withJson(withServer(withWait(command)), 'results as lines of JSON');
	example(command, 'plimsoll documents push docs notes/*.md\nplimsoll documents push docs tickets.jsonl --json');
}

interface PushOptions extends WaitOption {
	readonly id?: string;
	readonly accept?: true;
}

async function push(
	collection: string,
	files: readonly string[],
	options: PushOptions,
	terminal: Terminal,
): Promise<void> {
	const { id = null, accept = false } = options;
	if (id !== null && files.length > 1) {
		throw new PlimsollError('request_invalid', '--id names one document; send its file alone.');
	}
	await acting(options, terminal, async (session, order) => {
		const place = { collection, ...order };
		const send = (batch: Batch, waitMs: number) =>
			session.documents.push({ ...place, waitMs, documents: batch.documents, accept });
		// Only the last batch is waited for: one run takes them all.
		let held: Batch | null = null;
		for await (const batch of batchesOf(files, id)) {
			if (held) showReceipt(await send(held, 0), terminal);
			held = batch;
		}
		if (held === null) throw new PlimsollError('request_invalid', 'The files hold no document.');
		showReceipt(await send(held, order.waitMs), terminal);
	});
}

function addList(documents: Command, terminal: Terminal): void {
	const command = documents
		.command('list')
		.argument('<collection>')
		.description('Shows pushed documents by id: whether they are live, wait for a run, do not fit, or failed, and why.')
		.option('--after <id>', 'only ids after this one')
		.option('--limit <n>', 'at most this many', integerBetween(1, 1_000), 100)
		.action(async (collection: string, options: SourceOption & { after?: string; limit: number }) => {
			const { source = null, after = null, limit } = options;
			const reply = await inSession(options, terminal, (session) =>
				session.documents.list({ collection, source, after, limit }),
			);
			if (terminal.json) return terminal.record(reply);
			for (const { id, state, reasons, bytes, pushed_at: at } of reply.documents) {
				terminal.line(
					`${terminal.paint(state === 'live' ? 'green' : 'yellow', state.padEnd(11))}  ${oneLine(id)}  ${terminal.paint('dim', `${whole(bytes)} bytes, ${day(at)} UTC`)}`,
				);
				for (const reason of reasons) terminal.line(`    ${oneLine(reason)}`);
			}
			if (reply.next !== null) terminal.note(`There are more: --after ${JSON.stringify(reply.next)}`);
		});
	withJson(withServer(withSource(command)), 'the documents as one JSON document');
	example(command, 'plimsoll documents list docs --limit 1000');
}

function addDelete(documents: Command, terminal: Terminal): void {
	const command = documents
		.command('delete')
		.argument('<collection>')
		.argument('<id...>', 'their ids')
		.description(
			'Deletes pushed documents and takes them out of the index; earlier generations keep them until these go.',
		)
		.action((collection: string, ids: string[], options: WaitOption) =>
			acting(options, terminal, async (session, order) => {
				showReceipt(await session.documents.remove({ collection, ids, ...order }), terminal);
			}),
		);
	withJson(withServer(withWait(command)), 'the results as one JSON document');
	example(command, 'plimsoll documents delete docs notes/old.md');
}

interface PurgeOptions extends WaitOption {
	readonly all?: true;
	readonly why: string;
}

function addPurge(documents: Command, terminal: Terminal): void {
	const command = documents
		.command('purge')
		.argument('<collection>')
		.argument('[id...]', 'their ids')
		.description(
			'Deletes pushed documents without a trace: from the store, the quarantine, reports of runs and the index. All earlier generations of the collection go, so that nothing can be rolled back to. A source that left the configuration can be purged too; when its collection did, only with --all, and its index goes with it.',
		)
		.option('--all', 'all documents of the source')
		.requiredOption('--why <reason>', 'why, for the audit log')
		.action((collection: string, ids: string[], options: PurgeOptions) => {
			if (ids.length > 0 === (options.all === true)) {
				throw new InvalidArgumentError('Name the ids of documents, or --all.');
			}
			return acting(options, terminal, async (session, order) => {
				const asked = options.all ? null : ids;
				const reply = await session.documents.purge({ collection, ids: asked, why: options.why, ...order });
				if (!reply.done) process.exitCode = EXIT.failed;
				if (terminal.json) return terminal.record(reply);
				terminal.line(`${count(reply.purged, 'document')} of ${reply.source} purged from what is stored.`);
				const rest = reply.problem ?? `run ${reply.run} goes on`;
				terminal.note(reply.done ? 'No index holds any of it.' : `Indexes are not cleared yet: ${rest}`);
			});
		});
	withJson(withServer(withWait(command)), 'what was purged, as one JSON document');
	example(command, 'plimsoll documents purge docs customer/4711 --why "erasure request 12"');
}

function addStored(documents: Command, terminal: Terminal): void {
	const command = documents
		.command('stored')
		.description(
			'Shows of which sources pushed documents are stored, and which of them the configuration no longer names: these are found by nobody, and stay until they are purged or put back.',
		)
		.action(async (options: ServerOptions) => {
			const reply = await inSession(options, terminal, (session) => session.documents.stored());
			if (terminal.json) return terminal.record(reply);
			if (reply.sources.length === 0) return terminal.note('No pushed document is stored.');
			const rows = reply.sources.map(({ collection, source, documents: stored, bytes, configured }) => [
				...[oneLine(collection), oneLine(source), whole(stored), whole(bytes)],
				configured ? terminal.paint('green', 'yes') : terminal.paint('yellow', 'no'),
			]);
			const columns = ['collection', 'source', 'documents', 'bytes', 'configured'];
			showTable(
				columns.map((title) => ({ title, right: title === 'documents' || title === 'bytes' })),
				rows,
				terminal,
			);
		});
	withJson(withServer(command), 'the sources as one JSON document');
	example(command, 'plimsoll documents stored');
}

function withSource(command: Command): Command {
	return command.option('--source <name>', 'the source, where the collection has several of kind push');
}

function withWait(command: Command): Command {
	return withSource(command)
		.option('--no-wait', 'end when it is stored; the next run brings it into the index')
		.option('--wait-s <seconds>', 'how long to wait for the index', integerBetween(1, 600), 300);
}

type Acting = Parameters<Parameters<typeof inSession>[2]>[0];

async function acting(
	options: WaitOption,
	terminal: Terminal,
	run: (session: Acting, order: { source: string | null; waitMs: number; signal: AbortSignal }) => Promise<void>,
): Promise<void> {
	const interrupts = watchInterrupts();
	try {
		const { signal } = interrupts;
		const { source = null, wait, waitS } = options;
		await inSession(options, terminal, (session) => run(session, { source, waitMs: wait ? waitS * 1_000 : 0, signal }));
	} finally {
		interrupts.stop();
	}
}

const GOOD = new Set<string>(['live', 'pending']);

function showReceipt(reply: ReceiptReply, terminal: Terminal): void {
	const left = reply.documents.filter(
		({ outcome, state }) => outcome === 'refused' || (state !== null && !GOOD.has(state)),
	);
	if (left.length > 0 || reply.problem !== null) process.exitCode = EXIT.failed;
	if (terminal.json) {
		terminal.record(reply);
		return;
	}
	for (const { id, outcome, state, reasons } of left) {
		const what = outcome === 'refused' ? 'refused' : (state ?? '');
		terminal.note(`${terminal.paintNote('yellow', what)} ${oneLine(id)}: ${oneLine(reasons.join('; '))}`);
	}
	const outcomes = [...Map.groupBy(reply.documents, ({ outcome }) => outcome)].map(
		([outcome, all]) => `${whole(all.length)} ${outcome}`,
	);
	const index = reply.done
		? 'the index holds them'
		: (reply.problem ?? `run ${reply.run} will bring them into the index`);
	terminal.line(`${reply.collection}, ${oneLine(reply.source)}: ${outcomes.join(', ')}; ${oneLine(index)}`);
}
