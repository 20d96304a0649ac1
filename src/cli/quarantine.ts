import type { Command } from 'commander';
import type { QuarantineReply } from '../app/gateway-reply.ts';
import { QUARANTINE_STATES, type QuarantineState } from '../spec/quarantine.ts';
import { day } from './key-time.ts';
import { example, inSession, integerBetween, type ServerOptions, withJson, withServer } from './options.ts';
import { oneLine, type Terminal } from './terminal.ts';
import { count, whole } from './units.ts';

interface ListOptions extends ServerOptions {
	readonly source?: string;
	readonly state?: QuarantineState;
	readonly limit: number;
}

/** plimsoll quarantine */
export function addQuarantine(program: Command, terminal: Terminal): void {
	const quarantine = program
		.command('quarantine')
		.summary('show documents that did not come in, and why')
		.description(
			'Shows the documents that the last run of an ingestion did not take in, with every reason, and decides about them.',
		);
	const list = quarantine
		.command('list')
		.argument('<collection>')
		.description('Shows the documents, by source and id.')
		.option('--source <name>', 'only this source')
		.option('--state <state>', `${QUARANTINE_STATES.join(', ')} (default: all but the dropped ones)`)
		.option('--limit <n>', 'at most this many', integerBetween(1, 10_000), 100)
		.action((collection: string, options: ListOptions) => listEntries(collection, options, terminal));
	withJson(withServer(list), 'the documents as one JSON document');
	example(list, 'plimsoll quarantine list docs\nplimsoll quarantine list docs --source manual --json');
	const show = quarantine
		.command('show')
		.argument('<collection>')
		.argument('<id>', 'its id, as the list shows it')
		.description('Shows one of them.')
		.action(async (collection: string, id: string, options: ServerOptions) => {
			const entry = await inSession(options, terminal, (session) => session.quarantineEntry(collection, id));
			if (terminal.json) terminal.record(entry);
			else showEntry(entry, terminal);
		});
	withJson(withServer(show), 'the document as one JSON document');
	example(show, 'plimsoll quarantine show docs qua_3f2a1b4c5d6e');
	addMark(quarantine, terminal, {
		name: 'retry',
		description: 'Has the next run read documents again that have not changed.',
		done: 'will be read again by the next run',
	});
	addMark(quarantine, terminal, {
		name: 'drop',
		description: 'Lets documents stay out without being shown, until they or the rules change.',
		done: 'may stay out',
	});
	example(quarantine, 'plimsoll quarantine list docs\nplimsoll quarantine retry docs');
}

function addMark(
	quarantine: Command,
	terminal: Terminal,
	{ name, description, done }: { name: 'retry' | 'drop'; description: string; done: string },
): void {
	const command = quarantine
		.command(name)
		.argument('<collection>')
		.argument('[id...]', 'their ids, as the list shows them; all when left out')
		.description(description)
		.action(async (collection: string, ids: string[], options: ServerOptions) => {
			const asked = ids.length === 0 ? null : ids;
			const documents = await inSession(options, terminal, (session) =>
				session.markQuarantine(collection, asked, name),
			);
			if (terminal.json) terminal.record({ collection, documents });
			else terminal.line(`${count(documents, 'document')} of ${collection} ${done}.`);
		});
	withJson(withServer(command), 'how many there were, as one JSON document');
	example(command, `plimsoll quarantine ${name} docs qua_3f2a1b4c5d6e`);
}

async function listEntries(collection: string, options: ListOptions, terminal: Terminal): Promise<void> {
	const { source = null, state = null, limit } = options;
	const query = { source, state, limit };
	const reply = await inSession(options, terminal, (session) => session.quarantine(collection, query));
	if (terminal.json) {
		terminal.record(reply);
		return;
	}
	for (const entry of reply.documents) showEntry(entry, terminal);
	const { held, retry, dropped, unlisted } = reply.count;
	const parts = [`${whole(held)} held`, `${whole(retry)} to be read again`, `${whole(dropped)} dropped`];
	if (unlisted > 0) parts.push(`${whole(unlisted)} more that there was no room to list`);
	terminal.note(`${collection}: ${parts.join(', ')}`);
}

function showEntry(entry: QuarantineReply, terminal: Terminal): void {
	const { id, source, document, kind, reasons, kept, state, last_at: lastAt } = entry;
	const what = kind === 'misfit' ? 'does not fit' : 'failed';
	terminal.line(
		`${terminal.paint('yellow', what)}  ${terminal.paint('bold', `${oneLine(source)}: ${oneLine(document)}`)}  ${terminal.paint('dim', id)}`,
	);
	for (const reason of reasons) terminal.line(`    ${oneLine(reason)}`);
	const version = kept ? '; its last good version is in the index' : '';
	terminal.line(terminal.paint('dim', `    ${state}, last met ${day(lastAt)} UTC by ${entry.run_id}${version}`));
}
