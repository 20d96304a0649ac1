import type { Problem } from '../spec/problem.ts';
import type { ProjectNames } from './compile-project.ts';
import { DEADLINE_DEFAULT_MS, PROMPT_DEFAULT } from './contract-schema.ts';
import { dangling } from './dangling.ts';
import { checkFlagUse } from './flag-checks.ts';
import type { PromptNames } from './prompt-names.ts';
import { DEFAULT_ROUTE, FAILURE_POLICIES } from './release.ts';
import { checkRetrieval, checkRetrievalBudget } from './retrieval-checks.ts';
import { isMapping, valueAt } from './schema-node.ts';
import { problemAt } from './validation.ts';
import type { FieldPath, YamlDocument } from './yaml-document.ts';

interface Surroundings {
	/** Null when plimsoll.yaml is too broken to tell. */
	readonly project: ProjectNames | null;
	/** Files of `schemas/`, e.g. `schemas/output.json`. */
	readonly schemas: readonly string[];
	readonly prompts: PromptNames;
}

/** What a schema cannot say about a contract. Works on the tree as written, see `checkProject`. */
export function checkContract(document: YamlDocument, around: Surroundings): readonly Problem[] {
	const problems: Problem[] = [];
	const report = (path: FieldPath, what: Parameters<typeof problemAt>[2]) => {
		problems.push(problemAt(document, path, what));
	};
	checkModels(document.value, around.project, report);
	checkRetrieval(document.value, around.project, report);
	const prompt = valueAt(document.value, ['prompt']) ?? PROMPT_DEFAULT;
	if (typeof prompt === 'string') {
		const [name = '', version = null] = prompt.split('@', 2);
		if (!around.prompts.has(name, null)) report(['prompt'], missingPrompt(name, around.prompts.names));
		else if (!around.prompts.has(name, version))
			report(['prompt'], { message: `the prompt ${name} has no version ${version}` });
	}
	const schema = valueAt(document.value, ['guards', 'output_schema']);
	if (typeof schema === 'string' && schema.startsWith('schemas/') && !around.schemas.includes(schema)) {
		report(['guards', 'output_schema'], dangling('file', schema, around.schemas));
	}
	checkRetrievalBudget(document.value, report);
	if (typeof prompt === 'string') {
		const [name = '', version = null] = prompt.split('@', 2);
		const flags = around.project?.flags ?? null;
		checkFlagUse(document.value, { flags, prompt: { name, version }, prompts: around.prompts }, report);
	}
	return problems;
}

type Report = (path: FieldPath, what: Parameters<typeof problemAt>[2]) => void;

function checkModels(contract: unknown, project: ProjectNames | null, report: Report): void {
	const route = valueAt(contract, ['models', 'route']);
	const names = Array.isArray(route) ? route.filter((name) => typeof name === 'string') : [];
	const escalateTo = valueAt(contract, ['models', 'escalate_to']);
	const options = valueAt(contract, ['models', 'parameters', 'provider_options']);
	if (options !== undefined && !(isMapping(options) && Object.values(options).every(isMapping))) {
		const expected = 'a mapping of providers to their options, such as {anthropic: {thinking: …}}';
		report(['models', 'parameters', 'provider_options'], { message: 'does not say whose options these are', expected });
	}
	if (project) {
		const known = [...project.upstreams.keys()];
		const routes = valueAt(contract, ['models', 'routes']);
		checkRoute(route, ['models', 'route'], { known, report });
		for (const [name, other] of Object.entries(isMapping(routes) ? routes : {})) {
			if (name === DEFAULT_ROUTE) report(['models', 'routes', name], { message: 'is the name of models.route' });
			checkRoute(other, ['models', 'routes', name], { known, report });
		}
		checkEquals(valueAt(contract, ['models']), { known, report });
		if (typeof escalateTo === 'string' && !project.upstreams.has(escalateTo)) {
			report(['models', 'escalate_to'], dangling('upstream', escalateTo, known));
		}
		// An unknown name has its own problem already.
		if (names.length > 0 && names.every((name) => project.upstreams.get(name) === false)) {
			const hint = 'set one of the environment variables that they refer to, or add an upstream that is not optional';
			report(['models', 'route'], { message: 'every upstream of the route is optional and switched off', hint });
		}
	}
	checkHedge(contract, names, report);
	for (const situation of Object.keys(FAILURE_POLICIES)) {
		const action = valueAt(contract, ['on_failure', situation]);
		if (action === 'fail_over' && names.length === 1) {
			const hint = 'add another one, or choose another action';
			report(['on_failure', situation], { message: 'fail_over needs a second upstream in models.route', hint });
		}
		if (action === 'escalate' && typeof escalateTo !== 'string') {
			const hint = 'name an upstream there, or choose another action';
			report(['on_failure', situation], { message: 'escalate needs models.escalate_to', hint });
		}
	}
}

function checkHedge(contract: unknown, names: readonly string[], report: Report): void {
	const hedge = valueAt(contract, ['models', 'hedge']);
	if (!isMapping(hedge)) return;
	const path = ['models', 'hedge'];
	const { after_ms: afterMs = null, after_quantile: afterQuantile = null } = hedge;
	if ((afterMs === null) === (afterQuantile === null)) {
		const message = afterMs === null ? 'does not say after how long' : 'says twice after how long';
		report(path, { message, expected: 'one of after_ms and after_quantile' });
	}
	const deadlineMs = valueAt(contract, ['budget', 'deadline_ms']) ?? DEADLINE_DEFAULT_MS;
	if (typeof afterMs === 'number' && typeof deadlineMs === 'number' && afterMs >= deadlineMs) {
		const expected = `less than budget.deadline_ms (${deadlineMs})`;
		report([...path, 'after_ms'], { message: `${afterMs} ms are never waited`, expected });
	}
	if (names.length === 1) {
		const hint = 'add another one, or leave hedge out';
		report(path, { message: 'needs a second upstream in models.route', hint });
	}
	if (valueAt(contract, ['models', 'attempts_max']) === 1) {
		const expected = 'at least 2, or no models.hedge';
		report(['models', 'attempts_max'], { message: 'leaves no attempt for a hedge', expected });
	}
}

function checkRoute(
	route: unknown,
	path: FieldPath,
	{ known, report }: { known: readonly string[]; report: Report },
): void {
	const names: readonly unknown[] = Array.isArray(route) ? route : [];
	for (const [index, name] of names.entries()) {
		if (typeof name !== 'string') continue;
		if (!known.includes(name)) report([...path, index], dangling('upstream', name, known));
		if (names.indexOf(name) !== index) report([...path, index], { message: `${name} stands twice in the route` });
	}
}

function checkEquals(models: unknown, { known, report }: { known: readonly string[]; report: Report }): void {
	const groups = valueAt(models, ['equals']);
	const routes = valueAt(models, ['routes']);
	const asked = [valueAt(models, ['route']), ...Object.values(isMapping(routes) ? routes : {})].flat();
	const seen = new Set<string>();
	for (const [index, group] of (Array.isArray(groups) ? groups : []).entries()) {
		const upstreams = valueAt(group, ['upstreams']);
		for (const name of Object.keys(isMapping(upstreams) ? upstreams : {})) {
			const path = ['models', 'equals', index, 'upstreams', name];
			if (!known.includes(name)) report(path, dangling('upstream', name, known));
			else if (!asked.includes(name))
				report(path, { message: `${name} stands in no route`, hint: 'add it to models.route' });
			if (seen.has(name)) report(path, { message: `${name} stands twice in models.equals` });
			seen.add(name);
		}
	}
}

function missingPrompt(name: string, known: readonly string[]) {
	const { hint, expected, message } = dangling('prompt', name, known);
	if (known.length > 0) return { message, expected, hint };
	return { message, expected: `a file prompts/${name}.prompt`, hint: 'add it' };
}
