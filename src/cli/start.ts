import { relative } from 'node:path';
import type { Command } from 'commander';
import type { Logger } from 'pino';
import type { RunningServer, ServeEvents } from '../app/serve.ts';
import { systemClock } from '../base/clock.ts';
import type { CollectionHealth } from '../spec/canaries.ts';
import type { CollectionStatus, IngestReport } from '../spec/retrieval.ts';
import { describeUpstream } from './check.ts';
import { reportError, reportProblems } from './error-report.ts';
import { EXIT } from './exit-code.ts';
import { describeIndex, progressOf } from './ingest.ts';
import { aborted, watchInterrupts } from './interrupt.ts';
import { createLog } from './log.ts';
import { example, integerBetween, type ProjectOption, withJson, withProject } from './options.ts';
import { Progress } from './progress.ts';
import { requireProject } from './project-folder.ts';
import { oneLine, type Terminal } from './terminal.ts';
import { count, duration } from './units.ts';

interface StartOptions extends ProjectOption {
	readonly host?: string;
	readonly port?: number;
}

export function addStart(program: Command, terminal: Terminal): void {
	const command = program
		.command('start')
		.summary('serve the project')
		.description(
			'Opens the project, listens, brings its collections up to date and serves until it is told to stop. Edits of the project’s files take effect at once; a broken edit is reported and the last good files serve on. Ctrl-C or SIGTERM lets running requests end; a second one stops at once.',
		)
		.option('--host <address>', 'the address to listen on (default: server.host)')
		.option('--port <number>', 'the port, 0 for a free one (default: server.port)', integerBetween(0, 65_535))
		.action((options: StartOptions) => start(options, terminal));
	withJson(withProject(command), 'what happens as lines of JSON');
	example(
		command,
		'plimsoll start\nplimsoll start --port 0 --json\nOPENAI_API_KEY=… plimsoll start\nOPENAI_BASE_URL=http://127.0.0.1:11434/v1 OPENAI_MODEL=qwen3 plimsoll start',
	);
}

async function start(options: StartOptions, terminal: Terminal): Promise<void> {
	const dir = requireProject(options.dir);
	const interrupts = watchInterrupts();
	const { serve } = await import('../app/serve.ts');
	const log = await createLog('info', terminal);
	watchFaults(log);
	const { host, port } = options;
	const server = await serve(
		{ dir, ...(host === undefined ? {} : { host }), ...(port === undefined ? {} : { port }) },
		{ log, events: createEvents(terminal) },
	);
	try {
		await greet(server, terminal);
		void server.firstIngest.then(() => {
			if (!interrupts.signal.aborted) return invite(server, terminal);
		});
		await aborted(interrupts.signal);
		sayStopping(server, terminal);
	} finally {
		await server.stop();
	}
	if (terminal.json) terminal.record({ event: 'stopped' });
	else terminal.line('Stopped.');
	interrupts.stop();
}

/** A fault that nobody caught leaves the process in an unknown state: say what it was and end. */
function watchFaults(log: Logger): void {
	const fatal = (thrown: unknown) => {
		log.fatal({ internal: thrown instanceof Error ? thrown.stack : String(thrown) }, 'a fault of Plimsoll’s own');
		process.exit(EXIT.failed);
	};
	process.on('uncaughtException', fatal);
	process.on('unhandledRejection', fatal);
}

async function greet({ url, developmentKey, services }: RunningServer, terminal: Terminal): Promise<void> {
	const { version } = await import('../app/version.ts');
	if (terminal.json) {
		terminal.record({ event: 'listening', url, version, pid: process.pid, key_file: developmentKey.file });
		return;
	}
	const file = relative(process.cwd(), developmentKey.file);
	const name = (text: string) => terminal.paint('dim', `  ${text.padEnd(8)}`);
	terminal.line(`${terminal.paint('bold', `Plimsoll ${version}`)} listens on ${terminal.paint('cyan', url)}`);
	terminal.line(`${name('key')} ${developmentKey.secret}`);
	terminal.line(`${name('')} for development, kept in ${file.startsWith('..') ? developmentKey.file : file}`);
	terminal.line(`${name('answers')} ${whoAnswers(services.project)}`);
}

/** Which upstream answers the first feature, and, when it is not a language model, how to get one. */
function whoAnswers({ config, releases }: RunningServer['services']['project']): string {
	const first = [...releases.values()][0]?.contract.models.route[0] ?? [...config.upstreams.keys()][0];
	const upstream = first === undefined ? undefined : config.upstreams.get(first);
	if (!upstream) return 'nobody: the project has no upstreams';
	const off = [...config.upstreams.values()].find(
		({ available, switchedOnBy }) => !available && switchedOnBy.length > 0,
	);
	const better = upstream.family === 'extractive' && off ? `; set ${off.switchedOnBy[0]} for one` : '';
	return oneLine(`${upstream.name}: ${describeUpstream(upstream)}${better}`);
}

const REMEDY: Readonly<Record<CollectionHealth['status'], string>> = {
	no_index: 'correct what is reported above, then run plimsoll ingest.',
	empty: 'check its sources, then run plimsoll ingest.',
	pending: 'they are made again in a moment; plimsoll canary says more.',
	failing: 'plimsoll canary shows which; plimsoll ingest builds the index anew.',
	passing: '',
	unchecked: '',
};

/** The first request to try, once it can be answered. */
async function invite({ url, developmentKey, services }: RunningServer, terminal: Terminal): Promise<void> {
	const { ready, waitingFor, reasons } = services.operator.readiness();
	if (terminal.json) {
		terminal.record({ event: ready ? 'ready' : 'not_ready', waiting_for: waitingFor, collections: reasons });
		return;
	}
	if (!ready) {
		const says =
			waitingFor.length > 0
				? reasons
						.map(({ collection, status, why }) => `${collection} is not ready: ${why}; ${REMEDY[status]}`)
						.join('\n')
				: 'shared_state.redis does not answer, and shared_state.on_failure refuses what has limits until it does.';
		terminal.note(says);
		return;
	}
	const { reachable } = await import('../app/open-session.ts');
	const contract = [...services.project.releases.values()][0]?.contract;
	const model = contract?.feature ?? [...services.runtime.snapshot.upstreams.keys()][0];
	if (model === undefined) return;
	const content = contract?.exampleQuestion ?? 'What can you tell me?';
	const body = JSON.stringify({ model, messages: [{ role: 'user', content }] });
	const address = reachable(url).replace(/^http:\/\//, '');
	terminal.line();
	terminal.line(terminal.paint('bold', `Ask ${model}:`));
	terminal.line(
		`curl ${address}/v1/chat/completions -H "authorization: Bearer ${developmentKey.secret}" -H 'content-type: application/json' \\`,
	);
	terminal.line(`  -d '${body.replaceAll("'", String.raw`'\''`)}'`);
	terminal.line();
	terminal.line(terminal.paint('bold', 'See what happened, by the answer’s id:'));
	terminal.line('npx plimsoll trace <request id>');
	terminal.line();
	terminal.line(terminal.paint('dim', 'Ctrl-C stops.'));
}

function createEvents(terminal: Terminal): ServeEvents {
	const progress = new Progress(terminal, systemClock);
	const tell = (record: object, say: () => void) => {
		progress.clear();
		if (terminal.json) terminal.record(record);
		else say();
	};
	return {
		onIngestProgress: (collection, state) => progress.update(progressOf(collection, state)),
		onIngested: (report, status) => tell({ event: 'ingested', report }, () => sayIngested(report, status, terminal)),
		onIngestFailed: (collection, error) =>
			tell({ event: 'ingest_failed', collection, code: error.code, message: error.message }, () => {
				terminal.note(`${terminal.paintNote('red', collection)} was not ingested:`);
				reportError(error, terminal);
			}),
		onReloaded: (features, needRestart) =>
			tell({ event: 'reloaded', features, need_restart: needRestart }, () => {
				terminal.note(`reloaded: ${features.join(', ') || 'no features'}`);
				if (needRestart.length === 0) return;
				const settings = needRestart.join(', ');
				terminal.note(terminal.paintNote('yellow', `not in force until the next start: ${settings}`));
			}),
		onReloadRefused: (problems) =>
			tell({ event: 'reload_refused', problems }, () => {
				reportProblems(problems, terminal);
				terminal.note('The edit is not in force; the last good files serve on.');
			}),
	};
}

function sayIngested(
	{ collection, promoted, sources }: IngestReport,
	status: CollectionStatus,
	terminal: Terminal,
): void {
	const sum = (pick: (source: IngestReport['sources'][number]) => number) =>
		sources.reduce((all, one) => all + pick(one), 0);
	const failed = sum((source) => source.failed.length);
	const seconds = duration(sum((source) => source.seconds) * 1_000);
	const written = count(
		sum(({ chunks }) => chunks),
		'chunk',
	);
	const state = promoted ? `this run wrote ${written} in ${seconds}` : 'nothing changed';
	terminal.note(`${collection}: ${describeIndex(status)}; ${state}`);
	if (failed === 0) return;
	const retry = `plimsoll ingest ${collection}`;
	terminal.note(terminal.paintNote('yellow', `${collection}: ${count(failed, 'document')} failed; ${retry} says why`));
}

function sayStopping({ services, drainMs: waitMs }: RunningServer, terminal: Terminal): void {
	const { inside: running } = services.runtime;
	if (terminal.json) {
		terminal.record({ event: 'stopping', running, wait_ms_max: waitMs });
		return;
	}
	const wait = running === 0 ? '' : ` Waiting for ${count(running, 'request')}, at most ${duration(waitMs)};`;
	terminal.line(`\nStopping.${wait}${wait && ' again to stop at once.'}`);
}
