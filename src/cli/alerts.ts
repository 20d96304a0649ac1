import type { Command } from 'commander';
import type { AlertReply } from '../app/gateway-reply.ts';
import { day } from './key-time.ts';
import { example, inSession, integerBetween, type ServerOptions, withJson, withServer } from './options.ts';
import { oneLine, type Terminal } from './terminal.ts';
import { count } from './units.ts';

interface ListOptions extends ServerOptions {
	readonly all?: true;
	readonly limit: number;
}

/** plimsoll alerts */
export function addAlerts(program: Command, terminal: Terminal): void {
	const alerts = program
		.command('alerts')
		.summary('show what somebody should look at')
		.description('Shows the alerts of a server, or what is on record of them. Each replica has its own.');
	const list = alerts
		.command('list', { isDefault: true })
		.description('Shows the alerts that are open, newest first.')
		.option('--all', 'also those that are over')
		.option('--limit <n>', 'at most this many', integerBetween(1, 1_000), 100)
		.action((options: ListOptions) => listAlerts(options, terminal));
	withJson(withServer(list), 'the alerts as one JSON document');
	example(list, 'plimsoll alerts\nplimsoll alerts list --all --json');
	addOrder(alerts, terminal, {
		name: 'acknowledge',
		description: 'Says that somebody looks after an alert. It stays open until its cause is gone.',
		done: 'is acknowledged',
	});
	addOrder(alerts, terminal, {
		name: 'close',
		description: 'Ends an alert by hand; it opens again when its rule finds its cause again.',
		done: 'is closed',
	});
	example(alerts, 'plimsoll alerts\nplimsoll alerts acknowledge alert_01k3…');
}

function addOrder(
	alerts: Command,
	terminal: Terminal,
	{ name, description, done }: { name: 'acknowledge' | 'close'; description: string; done: string },
): void {
	const command = alerts
		.command(name)
		.argument('<id>', 'its id, as the list shows it')
		.description(description)
		.action(async (id: string, options: ServerOptions) => {
			const alert = await inSession(options, terminal, (session) => session.orderAlert(id, name));
			if (terminal.json) terminal.record(alert);
			else terminal.line(`${oneLine(alert.key)} ${done}.`);
		});
	withJson(withServer(command), 'the alert as one JSON document');
	example(command, `plimsoll alerts ${name} alert_01k3…`);
}

async function listAlerts({ all, limit, ...options }: ListOptions, terminal: Terminal): Promise<void> {
	const open = all !== true;
	const alerts = await inSession(options, terminal, (session) => session.alerts({ open, limit }));
	if (terminal.json) {
		terminal.record({ alerts });
		return;
	}
	for (const alert of alerts) show(alert, terminal);
	if (alerts.length === 0) terminal.note(open ? 'No alert is open.' : 'There has been no alert yet.');
}

function show(alert: AlertReply, terminal: Terminal): void {
	const { severity, resolved_at: resolvedAt, acknowledged_by: seenBy } = alert;
	const state = resolvedAt === null ? severity : `over since ${day(resolvedAt)}`;
	const painted = terminal.paint(resolvedAt !== null ? 'dim' : severity === 'page' ? 'red' : 'yellow', state);
	terminal.line(`${painted}  ${terminal.paint('bold', oneLine(alert.key))}  ${terminal.paint('dim', alert.id)}`);
	terminal.line(`    ${oneLine(alert.message)}`);
	const seen = seenBy === null ? '' : `; acknowledged by ${oneLine(seenBy)}`;
	terminal.line(
		terminal.paint(
			'dim',
			`    since ${day(alert.opened_at)}, raised ${count(alert.count, 'time')}, last ${day(alert.raised_at)} UTC${seen}`,
		),
	);
}
