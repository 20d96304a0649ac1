import { type Command, Option } from 'commander';
import type { UpstreamReply } from '../app/gateway-reply.ts';
import { day, duration as span } from './key-time.ts';
import { example, inSession, type ServerOptions, withJson, withServer } from './options.ts';
import { showTable } from './table.ts';
import { oneLine, type Terminal } from './terminal.ts';
import { duration, whole } from './units.ts';

interface OpenOptions extends ServerOptions {
	readonly for: number;
}

/** plimsoll upstreams */
export function addUpstreams(program: Command, terminal: Terminal): void {
	const upstreams = program
		.command('upstreams')
		.summary('show how upstreams stand, take one out or in')
		.description(
			'Shows and moves the breakers of a running server’s upstreams. Changes by hand are in plimsoll audit.',
		);
	const list = upstreams
		.command('list', { isDefault: true })
		.description('Shows each upstream’s breaker, the calls of its window, and its latest error.')
		.action((options: ServerOptions) => listUpstreams(options, terminal));
	withJson(withServer(list), 'the upstreams with their latest errors as one JSON document');
	example(list, 'plimsoll upstreams list');
	const open = upstreams
		.command('open')
		.argument('<upstream>', 'its name, such as openai/default')
		.description('Takes an upstream out: nobody asks it, no probe either, until the time is over or it is closed.')
		.addOption(
			new Option('--for <time>', 'how long, such as 30m or 2h; at most 7d').argParser(span).default(86_400_000, '24h'),
		)
		.action((name: string, options: OpenOptions) => order(name, { ...options, forMs: options.for }, terminal));
	withJson(withServer(open), 'the upstream as one JSON document');
	example(open, 'plimsoll upstreams open openai/default --for 30m');
	const close = upstreams
		.command('close')
		.argument('<upstream>', 'its name, such as openai/default')
		.description('Lets everyone ask an upstream again, whatever kept it open.')
		.action((name: string, options: ServerOptions) => order(name, { ...options, forMs: null }, terminal));
	withJson(withServer(close), 'the upstream as one JSON document');
	example(close, 'plimsoll upstreams close openai/default');
	example(upstreams, 'plimsoll upstreams\nplimsoll upstreams open openai/default --for 30m');
}

async function listUpstreams(options: ServerOptions, terminal: Terminal): Promise<void> {
	const upstreams = await inSession(options, terminal, (session) => session.upstreams());
	if (terminal.json) {
		terminal.record({ upstreams });
		return;
	}
	if (upstreams.length === 0) {
		terminal.note('No upstream is available. They stand under upstreams in plimsoll.yaml.');
		return;
	}
	const rows = upstreams.map((row) => [
		oneLine(row.upstream),
		stateOf(row, terminal),
		row.since === null ? '' : day(row.since),
		row.wait_ms === null ? '' : duration(row.wait_ms),
		whole(row.calls),
		whole(row.failures),
		whole(row.slow),
		whole(row.retries_left),
		lastError(row),
	]);
	showTable(COLUMNS, rows, terminal);
}

async function order(
	name: string,
	{ forMs, ...options }: ServerOptions & { readonly forMs: number | null },
	terminal: Terminal,
): Promise<void> {
	const upstream = await inSession(options, terminal, (session) => session.orderBreaker(name, forMs));
	if (terminal.json) terminal.record(upstream);
	else if (upstream.wait_ms === null) terminal.line(`${upstream.upstream} is asked again.`);
	else terminal.line(`${upstream.upstream} is not asked for ${duration(upstream.wait_ms)}.`);
}

function stateOf({ state, why }: UpstreamReply, terminal: Terminal): string {
	if (state === 'closed') return terminal.paint('green', state);
	return state === 'off' ? state : terminal.paint('red', `${state} (${why})`);
}

function lastError({ errors }: UpstreamReply): string {
	const [last] = errors;
	return last ? `${day(last.at)} ${last.kind}${last.status === null ? '' : ` ${last.status}`}` : '';
}

const COLUMNS = [
	{ title: 'upstream' },
	{ title: 'breaker' },
	{ title: 'since (UTC)' },
	{ title: 'asked in', right: true },
	{ title: 'calls', right: true },
	{ title: 'failed', right: true },
	{ title: 'slow', right: true },
	{ title: 'retries left', right: true },
	{ title: 'last error (UTC)' },
];
