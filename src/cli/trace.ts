import type { Command } from 'commander';
import type { TracesReply } from '../app/gateway-reply.ts';
import type { Release } from '../contracts/release.ts';
import type { RequestTrace } from '../spec/trace.ts';
import { showFeedback } from './feedback.ts';
import { example, inSession, integerBetween, type ServerOptions, withJson, withServer } from './options.ts';
import { findProject } from './project-folder.ts';
import { showTable } from './table.ts';
import { cut, oneLine, type Terminal } from './terminal.ts';
import { dollars, duration, whole } from './units.ts';

interface TraceOptions extends ServerOptions {
	readonly feature?: string;
	readonly limit: number;
}

type Objectives = ReadonlyMap<string, Release['contract']['objective']>;

export function addTrace(program: Command, terminal: Terminal): void {
	const command = program
		.command('trace')
		.argument('[request-id]', 'the x-request-id of a response, or the id of an answer')
		.summary('show what happened to a request, or the latest requests')
		.description(
			'Shows every step of one request: time, tokens, cost, documents, prompt, attempts, verdicts and ratings, with the contract’s promise drawn in. Without an id: the latest requests, and how each feature did in the last day against its promise.',
		)
		.option('--feature <name>', 'only this feature’s requests')
		.option('--limit <number>', 'how many requests to list', integerBetween(1, 500), 20)
		.action((id: string | undefined, options: TraceOptions) =>
			id === undefined ? list(options, terminal) : show(id, options, terminal),
		);
	withJson(withServer(command), 'the trace, or the list, as one JSON document');
	example(
		command,
		"plimsoll trace req_01k9w3b7v4t8m2q6x0c5n1d9fz\nplimsoll trace --feature ask-docs --limit 50\nplimsoll trace --json | jq '.stats'",
	);
}

async function show(id: string, options: TraceOptions, terminal: Terminal): Promise<void> {
	const trace = await inSession(options, terminal, (session) => session.trace(id));
	if (terminal.json) {
		terminal.record(trace);
		return;
	}
	const { formatTrace } = await import('../telemetry/format-trace.ts');
	const objectives = trace.feature === null ? null : await objectivesOf(options);
	const objectiveMs = objectives?.get(trace.feature ?? '')?.latencyMsP95 ?? null;
	await terminal.write(formatTrace(trace, { colour: terminal.colours, width: terminal.columns, objectiveMs }));
	if (trace.feedback.length === 0) return;
	terminal.line(`\n${terminal.paint('bold', 'How it was rated')}`);
	for (const one of trace.feedback) showFeedback(one, terminal);
}

async function list(options: TraceOptions, terminal: Terminal): Promise<void> {
	const { feature = null, limit } = options;
	const found = await inSession(options, terminal, (session) => session.traces({ feature, limit }));
	if (terminal.json) {
		terminal.record(found);
		return;
	}
	if (found.requests.length === 0) {
		terminal.note('No requests are traced yet.');
		return;
	}
	showTable(REQUEST_COLUMNS, found.requests.map(requestRow), terminal);
	if (found.stats.length === 0) return;
	terminal.line();
	terminal.line(terminal.paint('bold', 'The last day'));
	showTable(STATS_COLUMNS, statsRows(found, await objectivesOf(options), terminal), terminal);
}

function requestRow(request: TracesReply['requests'][number]): string[] {
	return [
		request.request_id,
		new Date(request.started_at).toISOString().replace('T', ' ').slice(0, 19),
		oneLine(
			request.feature ?? (request.retrieval_collection === null ? '-' : `search ${request.retrieval_collection}`),
		),
		outcomeOf(request),
		oneLine(request.upstream ?? '-'),
		duration(request.latency_ms),
		whole(request.tokens_in),
		whole(request.tokens_out),
		dollars(request.cost_usd_micros),
	];
}

function outcomeOf({
	outcome,
	error_code,
	degraded_reason,
}: Pick<RequestTrace, 'outcome' | 'error_code' | 'degraded_reason'>): string {
	const why = error_code ?? degraded_reason;
	return why === null ? outcome : `${outcome} (${cut(oneLine(why), 40)})`;
}

function statsRows({ stats }: TracesReply, objectives: Objectives | null, terminal: Terminal): string[][] {
	return stats.map((feature) => {
		const objective = objectives?.get(feature.feature) ?? null;
		return [
			oneLine(feature.feature),
			whole(feature.requests),
			whole(feature.failed),
			whole(feature.degraded),
			amplification(feature),
			duration(feature.latency_ms_p50),
			duration(feature.latency_ms_p95),
			objective === null ? '-' : duration(objective.latencyMsP95),
			objective === null ? '' : verdictOn(objective, feature, terminal),
			feature.time_to_first_token_ms_p95 === null ? '-' : duration(feature.time_to_first_token_ms_p95),
			dollars(feature.cost_usd_micros),
		];
	});
}

/** Attempts for each request that a client meant: what its own retries and ours made of it. */
function amplification({ requests, retries, client_retries: again }: TracesReply['stats'][number]): string {
	return requests === again ? '-' : `×${((requests + retries) / (requests - again)).toFixed(2)}`;
}

/** Whether a feature kept what its contract promises, and what it broke. */
function verdictOn(
	objective: Release['contract']['objective'],
	feature: TracesReply['stats'][number],
	terminal: Terminal,
): string {
	const { latencyMsP95, timeToFirstTokenMsP95, availability } = objective;
	const firstToken = feature.time_to_first_token_ms_p95;
	const broken = [
		feature.latency_ms_p95 > latencyMsP95 && 'p95',
		timeToFirstTokenMsP95 !== null && firstToken !== null && firstToken > timeToFirstTokenMsP95 && 'first token',
		// What was refused is the caller's doing.
		feature.requests - feature.failed < feature.requests * availability && 'availability',
	].filter((name) => name !== false);
	return broken.length === 0 ? terminal.paint('green', 'kept') : terminal.paint('red', `broken: ${broken.join(', ')}`);
}

/** What this project's contracts promise; null without a project, or with one that has problems: `check` tells those. */
async function objectivesOf({ dir }: ServerOptions): Promise<Objectives | null> {
	const root = findProject(dir);
	if (root === null) return null;
	const { loadProject } = await import('../app/load-project.ts');
	const { environment } = await import('../app/environment.ts');
	const loaded = await loadProject(root, environment());
	if (!loaded.ok) return null;
	return new Map([...loaded.value.releases].map(([name, { contract }]) => [name, contract.objective]));
}

const REQUEST_COLUMNS = [
	{ title: 'request' },
	{ title: 'started (UTC)' },
	{ title: 'feature' },
	{ title: 'outcome' },
	{ title: 'upstream' },
	{ title: 'took', right: true },
	{ title: 'tokens in', right: true },
	{ title: 'out', right: true },
	{ title: 'cost', right: true },
];

const STATS_COLUMNS = [
	{ title: 'feature' },
	{ title: 'requests', right: true },
	{ title: 'failed', right: true },
	{ title: 'degraded', right: true },
	{ title: 'amplified', right: true },
	{ title: 'p50', right: true },
	{ title: 'p95', right: true },
	{ title: 'promised p95', right: true },
	{ title: '' },
	{ title: 'first token p95', right: true },
	{ title: 'cost', right: true },
];
