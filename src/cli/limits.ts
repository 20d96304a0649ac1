import type { Command } from 'commander';
import type { AdmissionReply, LimitReply } from '../app/gateway-reply.ts';
import { example, inSession, type ServerOptions, withJson, withServer } from './options.ts';
import { table } from './table.ts';
import { oneLine, type Terminal } from './terminal.ts';
import { dollars, whole } from './units.ts';

export function addLimits(program: Command, terminal: Terminal): void {
	const command = program
		.command('limits')
		.summary('show the limits of tenants, what is left of them, and who runs and waits')
		.description(
			'Shows every configured limit with what is used, reserved by running requests, and left; then how many requests run and wait, by tenant. Limits are set in plimsoll.yaml, whose edits count at once, or with plimsoll tenants set.',
		)
		.action((options: ServerOptions) => showLimits(options, terminal));
	withJson(withServer(command), 'the limits as one JSON document, costs in micro-dollars');
	example(command, 'plimsoll limits\nplimsoll limits --json');
}

async function showLimits(options: ServerOptions, terminal: Terminal): Promise<void> {
	const { limits, admission } = await inSession(options, terminal, async (session) => ({
		limits: await session.limits(),
		admission: await session.admission(),
	}));
	if (terminal.json) {
		terminal.record({ limits, admission });
		return;
	}
	sayLimits(limits, terminal);
	if (admission !== null) sayAdmission(admission, terminal);
}

function sayLimits(limits: readonly LimitReply[], terminal: Terminal): void {
	if (limits.length === 0) {
		terminal.note(
			'No limits are set. They stand under limits, tenants and organisations in plimsoll.yaml, or are set with plimsoll tenants set.',
		);
		return;
	}
	const rows = limits.map((row) => [
		row.tenant ?? '',
		oneLine(row.scope),
		row.limit,
		amount(row, row.max),
		amount(row, row.used),
		amount(row, row.reserved),
		row.left === 0 ? terminal.paint('yellow', amount(row, row.left)) : amount(row, row.left),
	]);
	const [head = '', ...lines] = table(COLUMNS, rows);
	terminal.line(terminal.paint('dim', head));
	for (const line of lines) terminal.line(line);
}

function sayAdmission({ server, tenants }: AdmissionReply, terminal: Terminal): void {
	if (server !== null) {
		const lowered = server.limit < server.limit_max ? ` (lowered from ${whole(server.limit_max)})` : '';
		const { running, queued } = server;
		terminal.note(
			`${whole(running.interactive + running.batch)} of ${whole(server.limit)}${lowered} requests run, ` +
				`${whole(queued.interactive)} wait, ${whole(queued.batch)} more as batch work; ` +
				`${whole(server.buffered_bytes)} of ${whole(server.buffered_bytes_max)} bytes are held.`,
		);
	}
	if (tenants.length === 0) return;
	const rows = tenants.map(({ tenant, running, queued }) => [
		tenant,
		whole(running),
		whole(queued.interactive),
		whole(queued.batch),
	]);
	const [head = '', ...lines] = table(ADMISSION_COLUMNS, rows);
	terminal.line(terminal.paint('dim', head));
	for (const line of lines) terminal.line(line);
}

/** Users are not listed: for them only the limit is known. */
function amount({ unit }: LimitReply, value: number | null): string {
	if (value === null) return '';
	return unit === 'micro_usd' ? dollars(value) : whole(value);
}

const COLUMNS = [
	{ title: 'tenant' },
	{ title: 'scope' },
	{ title: 'limit' },
	{ title: 'allows', right: true },
	{ title: 'used', right: true },
	{ title: 'reserved', right: true },
	{ title: 'left', right: true },
];

const ADMISSION_COLUMNS = [
	{ title: 'tenant' },
	{ title: 'running', right: true },
	{ title: 'waiting', right: true },
	{ title: 'waiting as batch', right: true },
];
