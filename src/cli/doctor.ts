import { type Command, Option } from 'commander';
import { deploymentDifferences } from '../app/deployment-difference.ts';
import type { HealthLine } from '../app/health-line.ts';
import { systemClock } from '../base/clock.ts';
import { EXIT } from './exit-code.ts';
import { example, inSession, type ServerOptions, withJson, withServer } from './options.ts';
import { findProject } from './project-folder.ts';
import { showTable } from './table.ts';
import { cut, oneLine, type Terminal } from './terminal.ts';
import { count } from './units.ts';

interface DoctorOptions extends ServerOptions {
	readonly against?: string;
	readonly againstKeyEnv: string;
}

const KEY_VARIABLE = 'PLIMSOLL_API_KEY';
const VALUE_CHARS_MAX = 48;
const ROWS_SHOWN = 60;

/** plimsoll doctor */
export function addDoctor(program: Command, terminal: Terminal): void {
	const command = program
		.command('doctor')
		.summary('say how a deployment is, or how two of them differ')
		.description(
			'Looks at configuration, stores, indexes, embedders, upstreams, canaries, alerts, disk and clock, and says what to do. With --against, compares with another deployment instead. Changes no setting and no index. Exit status 1 when something fails, or a difference matters.',
		)
		.option('--against <address>', 'a server of another deployment, to compare with')
		.addOption(
			new Option(
				'--against-key-env <name>',
				'the variable that holds a key of that server, with the scope admin',
			).default(KEY_VARIABLE),
		)
		.action((options: DoctorOptions) =>
			options.against === undefined ? examine(options, terminal) : compare(options, options.against, terminal),
		);
	withJson(withServer(command), 'the findings or the differences as one JSON document');
	example(
		command,
		'plimsoll doctor\nplimsoll doctor --against https://plimsoll.example.com --against-key-env PRODUCTION_KEY',
	);
}

async function compare(options: DoctorOptions, against: string, terminal: Terminal): Promise<void> {
	const { openOther } = await import('../app/open-session.ts');
	const other = openOther(against, options.againstKeyEnv);
	try {
		const there = await other.describe();
		const own = { ...options, keyIsElsewhere: options.againstKeyEnv === KEY_VARIABLE };
		const here = await inSession(own, terminal, (session) => session.describe());
		const differences = deploymentDifferences(here, there);
		const same = !differences.some(({ matters }) => matters);
		if (terminal.json) terminal.record({ against, same, differences, here, there });
		else showDifferences(differences, terminal);
		if (!same) process.exitCode = EXIT.failed;
	} finally {
		await other.close();
	}
}

function showDifferences(differences: ReturnType<typeof deploymentDifferences>, terminal: Terminal): void {
	const mattering = differences.filter(({ matters }) => matters);
	if (mattering.length === 0) {
		terminal.line(`${terminal.paint('green', 'the same')}  Nothing differs that can change an answer.`);
		return;
	}
	const rows = mattering
		.slice(0, ROWS_SHOWN)
		.map(({ path, here, there }) => [oneLine(path), shown(here), shown(there)]);
	showTable([{ title: 'what' }, { title: 'here' }, { title: 'there' }], rows, terminal);
	const more = mattering.length - rows.length;
	if (more > 0) terminal.note(`and ${count(more, 'more difference')}; --json lists all`);
}

function shown(value: unknown): string {
	return cut(oneLine(value === null ? '-' : JSON.stringify(value)), VALUE_CHARS_MAX);
}

async function examine(options: DoctorOptions, terminal: Terminal): Promise<void> {
	const { hasAddress } = await import('../app/open-session.ts');
	const { machineHealth } = await import('../app/machine-health.ts');
	const dir = hasAddress(options.url ?? null) ? null : findProject(options.dir);
	const lines = [...(dir === null ? [] : await machineHealth(dir)), ...(await deployment(options, terminal))];
	if (terminal.json) terminal.record({ ok: !lines.some(isFailure), findings: lines });
	else for (const line of lines) show(line, terminal);
	if (lines.some(isFailure)) process.exitCode = EXIT.failed;
}

/** Traces have a session of their own: without a server, their store is opened to read or with all the rest, not both. */
async function deployment(options: DoctorOptions, terminal: Terminal): Promise<readonly HealthLine[]> {
	const { sessionHealth, traceHealth, unreachable } = await import('../app/session-health.ts');
	try {
		return [
			...(await inSession(options, terminal, (session) => traceHealth(session, systemClock.now()))),
			...(await inSession(options, terminal, sessionHealth)),
		];
	} catch (thrown) {
		return [unreachable(thrown)];
	}
}

function show({ subject, status, message, action }: HealthLine, terminal: Terminal): void {
	const painted = terminal.paint(COLOURS[status], status.padEnd(4));
	terminal.line(`${painted}  ${terminal.paint('bold', oneLine(subject))}: ${oneLine(message)}`);
	if (action !== null) terminal.line(`      ${oneLine(action)}`);
}

const COLOURS = { ok: 'green', warn: 'yellow', fail: 'red' } as const;

function isFailure({ status }: HealthLine): boolean {
	return status === 'fail';
}
