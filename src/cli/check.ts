import type { Command } from 'commander';
import type { LoadedProject } from '../app/load-project.ts';
import type { UpstreamConfig } from '../contracts/project.ts';
import { formatProblem } from '../spec/problem.ts';
import { reportProblems } from './error-report.ts';
import { EXIT } from './exit-code.ts';
import { example, type ProjectOption, withJson, withProject } from './options.ts';
import { requireProject } from './project-folder.ts';
import { showTable, table } from './table.ts';
import { oneLine, type Terminal } from './terminal.ts';
import { count, dollars, duration, whole } from './units.ts';

export function addCheck(program: Command, terminal: Terminal): void {
	const command = program
		.command('check')
		.summary('find every mistake in the project’s files')
		.description(
			'Reads plimsoll.yaml and every feature, and reports all problems at once with file, line and column; or says what the project is. Changes nothing, calls nobody.',
		)
		.action((options: ProjectOption) => check(options, terminal));
	withJson(withProject(command), 'problems or the summary as one JSON document');
	example(command, 'plimsoll check\nplimsoll check --dir ../shop --json');
}

async function check({ dir }: ProjectOption, terminal: Terminal): Promise<void> {
	const root = requireProject(dir);
	const { loadProject } = await import('../app/load-project.ts');
	const { environment } = await import('../app/environment.ts');
	const { machineProblems } = await import('../app/machine-problems.ts');
	const loaded = await loadProject(root, environment());
	const problems = loaded.ok ? await machineProblems(loaded.value) : loaded.problems;
	if (!loaded.ok || problems.length > 0) {
		if (terminal.json) terminal.record({ ok: false, dir: root, problems });
		else reportProblems(problems, terminal);
		process.exitCode = EXIT.configuration;
		return;
	}
	if (terminal.json) terminal.record({ ok: true, dir: root, ...summary(loaded.value) });
	else describe(loaded.value, terminal);
}

function summary({ config, releases, prompts, notes }: LoadedProject) {
	return {
		notes,
		features: [...releases.values()].map(({ contract, id, hash }) => ({
			feature: contract.feature,
			release: id,
			release_hash: hash,
			upstream: contract.models.route[0] ?? null,
			route: contract.models.route,
			collection: contract.retrieval?.collection ?? null,
			prompt: contract.prompt.name,
			prompt_version: prompts.get(contract.feature)?.version ?? null,
			tokens_in_max: contract.budget.tokensInMax,
			tokens_out_max: contract.budget.tokensOutMax,
			cost_usd_micros_max: contract.budget.costMicrosMax,
			deadline_ms: contract.budget.deadlineMs,
			latency_ms_p95: contract.objective.latencyMsP95,
		})),
		upstreams: [...config.upstreams.values()].map((upstream) => ({
			upstream: upstream.name,
			family: upstream.family,
			model: upstream.model,
			available: upstream.available,
			reason: unavailableBecause(upstream),
		})),
		collections: [...config.collections.values()].map(({ name, sources, embedder }) => ({
			collection: name,
			sources: sources.map((source) => source.name),
			embedder,
		})),
	};
}

function describe(project: LoadedProject, terminal: Terminal): void {
	const { config, releases, prompts } = project;
	const features = [...releases.values()].map(({ contract, id }) => [
		contract.feature,
		id,
		contract.models.route[0] ?? '-',
		contract.retrieval?.collection ?? '-',
		`${contract.prompt.name}@${prompts.get(contract.feature)?.version ?? '?'}`,
		whole(contract.budget.tokensInMax),
		whole(contract.budget.tokensOutMax),
		contract.budget.costMicrosMax === null ? '-' : dollars(contract.budget.costMicrosMax),
		duration(contract.budget.deadlineMs),
		duration(contract.objective.latencyMsP95),
	]);
	const sum = [
		count(releases.size, 'feature'),
		count(config.upstreams.size, 'upstream'),
		count(config.collections.size, 'collection'),
	];
	terminal.line(`${terminal.paint('green', 'ok')}  ${sum.join(', ')}`);
	if (features.length > 0) {
		terminal.line();
		showTable(FEATURE_COLUMNS, features, terminal);
	}
	terminal.line();
	const upstreams = [...config.upstreams.values()].map((upstream) => [
		upstream.name,
		upstream.available ? oneLine(describeUpstream(upstream)) : (unavailableBecause(upstream) ?? ''),
	]);
	const [, ...lines] = table([{ title: '' }, { title: '' }], upstreams);
	for (const line of lines) terminal.line(line);
	if (project.notes.length === 0) return;
	terminal.line();
	for (const note of project.notes)
		terminal.line(`${terminal.paint('yellow', 'note')}  ${oneLine(formatProblem(note))}`);
}

const FEATURE_COLUMNS = [
	{ title: 'feature' },
	{ title: 'release' },
	{ title: 'answered by' },
	{ title: 'collection' },
	{ title: 'prompt' },
	{ title: 'tokens in', right: true },
	{ title: 'tokens out', right: true },
	{ title: 'cost', right: true },
	{ title: 'deadline', right: true },
	{ title: 'p95 promised', right: true },
];

/** An upstream in a few words, honest about what it is. */
export function describeUpstream(upstream: UpstreamConfig): string {
	const { family, model, baseUrl } = upstream;
	if (family === 'extractive') return 'quotes passages, not a language model';
	return `${model} at ${baseUrl ?? (family === 'ai-sdk' ? `the address of ${upstream.package}` : 'no address')}`;
}

function unavailableBecause({ available, switchedOnBy }: UpstreamConfig): string | null {
	if (available) return null;
	if (switchedOnBy.length === 0) return 'off: it is optional and refers to no environment variable';
	return `off: set ${switchedOnBy.join(' or ')} to switch it on`;
}
