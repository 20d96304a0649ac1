import type { Command } from 'commander';
import { day } from './key-time.ts';
import { example, inSession, integerBetween, type ServerOptions, withJson, withServer } from './options.ts';
import { table } from './table.ts';
import { oneLine, type Terminal } from './terminal.ts';

interface LogOptions extends ServerOptions {
	readonly limit: number;
}

/** plimsoll audit */
export function addAudit(program: Command, terminal: Terminal): void {
	addLog(program.command('audit').summary('show who changed what'), 'plimsoll audit --limit 20', terminal);
}

/** plimsoll keys log: the same log, where people look for it first. */
export function addKeyLog(keys: Command, terminal: Terminal): void {
	addLog(keys.command('log'), 'plimsoll keys log --limit 20', terminal);
}

function addLog(command: Command, line: string, terminal: Terminal): void {
	const log = command
		.description(
			'Shows who changed keys, tenants and organisations, who took upstreams out or in, and who saw which alert; newest first.',
		)
		.option('--limit <n>', 'at most this many entries', integerBetween(1, 1000), 50)
		.action((options: LogOptions) => showLog(options, terminal));
	withJson(withServer(log), 'the entries as one JSON document');
	example(log, line);
}

async function showLog({ limit, ...options }: LogOptions, terminal: Terminal): Promise<void> {
	const entries = await inSession(options, terminal, (session) => session.audit(limit));
	if (terminal.json) {
		terminal.record({ entries });
		return;
	}
	if (entries.length === 0) {
		terminal.note('Nobody has changed anything yet.');
		return;
	}
	const rows = entries.map(({ at, actor, action, subject, tenant, detail }) => [
		day(at),
		action.replaceAll('_', ' '),
		subject,
		tenant ?? '',
		oneLine(actor),
		oneLine(detailText(detail)),
	]);
	const [head = '', ...lines] = table(COLUMNS, rows);
	terminal.line(terminal.paint('dim', head));
	for (const line of lines) terminal.line(line);
}

function detailText(detail: Readonly<Record<string, string | number | null>>): string {
	return Object.entries(detail)
		.filter(([, value]) => value !== null)
		.map(([name, value]) => `${name}=${value}`)
		.join(' ');
}

const COLUMNS = [
	{ title: 'when (UTC)' },
	{ title: 'what' },
	{ title: 'of' },
	{ title: 'tenant' },
	{ title: 'by' },
	{ title: '' },
];
