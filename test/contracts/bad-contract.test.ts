import fc from 'fast-check';
import { expect, test } from 'vitest';
import { parseDocument } from 'yaml';
import { loadProject } from '../../src/app/load-project.ts';
import { formatProblem } from '../../src/spec/problem.ts';
import { projectFolder, VALID_PROJECT } from '../support/project-folder.ts';

const CONTRACT = 'features/ask/contract.yaml';
const FULL = `owner: docs-team
objective:
  latency_ms_p95: 4000
budget:
  tokens_in_max: 5000
  step_share: {retrieve: 0.2}
retrieval:
  collection: docs
  k: 5
prompt: answer
models:
  route:
    - local/extractive
  parameters: {temperature: 0}
guards:
  citations: required
on_failure:
  empty_retrieval:
    fall_back: nothing found
`;

async function problemsWith(files: Record<string, string | Uint8Array>): Promise<string[]> {
	const dir = await projectFolder({ ...VALID_PROJECT, ...files });
	return (await loadProject(dir, {})).problems.map(formatProblem);
}

function edited(from: string, to: string): Record<string, string> {
	expect(FULL).toContain(from);
	return { [CONTRACT]: FULL.replace(from, to) };
}

test.each(['{thinking: 1}', 'fast', '[1]'])('provider_options of %s belong to no provider', async (options) => {
	const files = edited('parameters: {temperature: 0}', `parameters: {provider_options: ${options}}`);
	expect(await problemsWith(files)).toEqual([
		expect.stringMatching(/:14:34: models\.parameters\.provider_options: does not say whose options these are/),
	]);
	const whole = edited('parameters: {temperature: 0}', 'parameters: {provider_options: {anthropic: {thinking: 1}}}');
	expect(await problemsWith(whole)).toEqual([]);
});

test('the contract that the cases below break is valid', async () => {
	expect(await problemsWith({ [CONTRACT]: FULL })).toEqual([]);
});

test.each([
	[
		'a mistyped key',
		'tokens_in_max: 5000',
		'tokens_in_mx: 5000',
		':5:3: budget.tokens_in_mx: unknown key',
		'did you mean tokens_in_max?',
	],
	[
		'a key without its unit',
		'tokens_in_max: 5000',
		'deadline: 5000',
		':5:3: budget.deadline: unknown key',
		'did you mean deadline_ms?',
	],
	[
		'a key in the wrong place',
		'prompt: answer',
		'deadline_ms: 5',
		':10:1: deadline_ms: unknown key',
		'belongs under budget',
	],
	[
		'text for a number',
		'k: 5',
		'k: five',
		':9:6: retrieval.k: found the text "five"',
		'expected an integer from 1 to 200',
	],
	['a fraction for an integer', 'k: 5', 'k: 5.5', ':9:6: retrieval.k: found 5.5', 'an integer from 1 to 200'],
	[
		'a number out of range',
		'latency_ms_p95: 4000',
		'latency_ms_p95: 0',
		':3:19: objective.latency_ms_p95: found 0',
		'(milliseconds)',
	],
	[
		'a share above one',
		'retrieve: 0.2',
		'retrieve: 1.5',
		':6:26: budget.step_share.retrieve: found 1.5',
		'a number above 0 to 1',
	],
	[
		'a mapping for a scalar',
		'prompt: answer',
		'prompt: {name: answer}',
		':10:9: prompt: found a mapping',
		'a prompt’s name',
	],
	[
		'a reference to the environment',
		'k: 5',
		'k: {env: K}',
		':9:6: retrieval.k: found a mapping',
		'only plimsoll.yaml refers to the environment',
	],
	[
		'a word that is not one of several',
		'citations: required',
		'citations: requird',
		':16:14: guards.citations: found',
		'did you mean required?',
	],
	['an empty route', '\n    - local/extractive', ' []', ':12:10: models.route: found a list', 'at least 1'],
	[
		'an upstream that nobody has',
		'- local/extractive',
		'- local/extractiv',
		':13:7: models.route[0]: there is no upstream local/extractiv',
		'did you mean local/extractive?',
	],
	[
		'an upstream twice',
		'- local/extractive',
		'- local/extractive\n    - local/extractive',
		':14:7: models.route[1]: local/extractive stands twice',
		'',
	],
	[
		'a collection that nobody has',
		'collection: docs',
		'collection: dogs',
		':8:15: retrieval.collection: there is no collection dogs',
		'did you mean docs?',
	],
	[
		'a prompt that nobody has',
		'prompt: answer',
		'prompt: anwser',
		':10:9: prompt: there is no prompt anwser',
		'did you mean answer?',
	],
	[
		'a prompt version that nobody has',
		'prompt: answer',
		'prompt: answer@2.0.0',
		':10:9: prompt: the prompt answer has no version 2.0.0',
		'',
	],
	[
		'a schema file that is not there',
		'citations: required',
		'output_schema: schemas/out.json',
		':16:18: guards.output_schema: there is no file schemas/out.json',
		'',
	],
	[
		'a schema file outside of the feature',
		'citations: required',
		'output_schema: schemas/../../x.json',
		':16:18: guards.output_schema: found',
		'a file of this feature',
	],
	[
		'a parameter that is Plimsoll’s own',
		'temperature: 0',
		'stream: true',
		':14:15: models.parameters: sets one of model',
		'',
	],
	[
		'an action that the situation does not allow',
		'empty_retrieval:\n    fall_back: nothing found',
		'empty_retrieval: escalate',
		':18:20: on_failure.empty_retrieval: found the text "escalate"',
		'expected one of widen_k, lexical, rewrite, fail_closed, degrade, abstain, {fall_back: "a fixed answer"}',
	],
	[
		'a mistyped action',
		'empty_retrieval:\n    fall_back: nothing found',
		'upstream_outage: fail_ovr',
		':18:20: on_failure.upstream_outage',
		'did you mean fail_over?',
	],
	[
		'a mistyped fall_back',
		'fall_back: nothing',
		'fall_bak: nothing',
		':19:5: on_failure.empty_retrieval.fall_bak: unknown key',
		'did you mean fall_back?',
	],
	[
		'fail_over with nowhere to go',
		'empty_retrieval:\n    fall_back: nothing found',
		'upstream_outage: fail_over',
		':18:20: on_failure.upstream_outage: fail_over needs a second upstream',
		'',
	],
	[
		'escalate with nowhere to go',
		'empty_retrieval:\n    fall_back: nothing found',
		'invalid_output: escalate',
		':18:19: on_failure.invalid_output: escalate needs models.escalate_to',
		'',
	],
	[
		'a way that stands behind the end',
		'empty_retrieval:\n    fall_back: nothing found',
		'empty_retrieval: [degrade, widen_k]',
		':18:21: on_failure.empty_retrieval[0]: ends the search',
		'make it the last',
	],
	[
		'a way that stands twice',
		'empty_retrieval:\n    fall_back: nothing found',
		'empty_retrieval: [widen_k, widen_k]',
		':18:30: on_failure.empty_retrieval[1]: widen_k stands twice',
		'',
	],
	[
		'a mistyped way in a list',
		'empty_retrieval:\n    fall_back: nothing found',
		'empty_retrieval: [widen_q, degrade]',
		':18:21: on_failure.empty_retrieval[0]: found the text "widen_q"',
		'did you mean widen_k?',
	],
	[
		'an abstention that nobody wrote',
		'empty_retrieval:\n    fall_back: nothing found',
		'empty_retrieval: abstain',
		':18:20: on_failure.empty_retrieval: abstain needs guards.abstention',
		'',
	],
	[
		'two answers at once',
		'fall_back: nothing found',
		'fall_back: nothing found\n    ask_back: Which ship?',
		':19:5: on_failure.empty_retrieval: needs one of fall_back and ask_back',
		'fall_back',
	],
	[
		'a helper that is never asked',
		'k: 5',
		'k: 5\n  helper: local/extractive',
		':10:11: retrieval.helper: local/extractive is never asked',
		'over_tokens_max: summarise',
	],
	[
		'a helper that does not exist',
		'k: 5',
		'k: 5\n  over_tokens_max: summarise\n  helper: local/extractiv',
		':11:11: retrieval.helper',
		'did you mean local/extractive?',
	],
	[
		'a floor above k',
		'k: 5',
		'k: 5\n  hits_min: 6',
		':10:13: retrieval.hits_min: 6 hits can never be reached',
		'at most k (5)',
	],
])('%s is named with its place', async (_, from, to, place, help) => {
	const problems = (await problemsWith(edited(from, to))).filter((problem) =>
		problem.startsWith(`${CONTRACT}${place}`),
	);
	expect(problems).toHaveLength(1);
	expect(problems[0]).toContain(help);
});

test('a missing required key is reported where its parent stands', async () => {
	const problems = await problemsWith({ [CONTRACT]: 'retrieval:\n  k: 3\nmodels: {route: [local/extractive]}\n' });
	expect(problems).toEqual([
		expect.stringContaining(`${CONTRACT}:1:1: owner: is missing`),
		expect.stringContaining(`${CONTRACT}:1:1: retrieval.collection: is missing`),
	]);
});

test('all problems of all files come at once, in the order of the lines', async () => {
	const problems = await problemsWith({
		'plimsoll.yaml': `server: {port: 99999}\n${VALID_PROJECT['plimsoll.yaml']}bars: {}\n`,
		[CONTRACT]: FULL.replace('owner: docs-team', 'ownr: docs-team')
			.replace('k: 5', 'k: 0')
			.replace('prompt: answer', 'prompt: nope'),
		'features/ask/schemas/broken.json': '{"type": 5}',
		'features/other/contract.yaml': 'owner: [\n',
	});
	expect(problems.map((problem) => problem.split(': ').slice(0, 2).join(': '))).toEqual([
		'plimsoll.yaml:1:16: server.port',
		expect.stringMatching(/^plimsoll\.yaml:\d+:1: bars$/),
		'features/ask/schemas/broken.json:1:10: type',
		`${CONTRACT}:1:1: owner`,
		`${CONTRACT}:1:1: ownr`,
		`${CONTRACT}:9:6: retrieval.k`,
		`${CONTRACT}:10:9: prompt`,
		'features/other/contract.yaml:2:1: is not valid YAML',
	]);
});

test.each([
	['text that is not JSON', '{"type": "object",}', /:1:19: is not valid JSON/],
	['a list', '[]', /:1:1: is not a JSON object/],
	[
		'a keyword that does not exist',
		'{"type": "object", "requierd": ["a"]}',
		/requierd is not a keyword .*did you mean required/,
	],
	[
		'a type that does not exist',
		'{\n"properties": {"a": {"type": "strng"}}}',
		/:2:30: properties\.a\.type: is not valid JSON Schema/,
	],
	['a reference to nowhere', '{"$ref": "#/$defs/nothing"}', /:1:10: \$ref: "#\/\$defs\/nothing" does not exist/],
	['a reference to another place', '{"$ref": "https://example.com/x.json"}', /:1:10: \$ref: .* is not known/],
	['an older draft', '{"$schema": "http://json-schema.org/draft-07/schema#"}', /2020-12/],
])('an output schema with %s is refused', async (_, schema, expected) => {
	const problems = await problemsWith({
		...edited('citations: required', 'output_schema: schemas/output.json'),
		'features/ask/schemas/output.json': schema,
	});
	expect(problems.join('\n')).toMatch(expected);
});

test('an unknown key anywhere is refused at its line', async () => {
	const document = parseDocument(FULL);
	const mappings: (readonly (string | number)[])[] = [
		[],
		['objective'],
		['budget'],
		['retrieval'],
		['models'],
		['guards'],
		['on_failure'],
		['on_failure', 'empty_retrieval'],
		['budget', 'step_share'],
	];
	await fc.assert(
		fc.asyncProperty(fc.constantFrom(...mappings), fc.stringMatching(/^[a-z_]{3,20}$/), async (path, suffix) => {
			const key = `x${suffix}`;
			const copy = document.clone();
			copy.setIn([...path, key], 1);
			const text = copy.toString();
			const dir = await projectFolder({ ...VALID_PROJECT, [CONTRACT]: text });
			const { problems } = await loadProject(dir, {});
			const line = text.split('\n').findIndex((written) => new RegExp(`\\b${key}: 1`).test(written)) + 1;
			const found = problems.filter((problem) => problem.field === [...path, key].join('.'));
			expect(found.map((problem) => [problem.line, problem.message])).toEqual([[line, 'unknown key']]);
		}),
		{ numRuns: 40 },
	);
});

test('a flood of mistakes is cut, and says how many were left out', async () => {
	const flood = Array.from({ length: 20_000 }, (_, i) => `key_${i}: ${i}`).join('\n');
	const problems = await problemsWith({ [CONTRACT]: `${FULL}${flood}\n` });
	expect(problems).toHaveLength(100);
	expect(problems.at(-1)).toContain('and 19901 more problems in this file');
});

test('a hedge says once after how long, in time, and has somebody to ask', async () => {
	for (const [hedge, expected] of [
		['hedge: {}', /does not say after how long/],
		['hedge: {after_ms: 900, after_quantile: 0.9}', /says twice after how long/],
		['hedge: {after_ms: 500000}', /500000 ms are never waited/],
		['hedge: {after_ms: 900}', /needs a second upstream in models\.route/],
		['hedge: {after_ms: 900}\n  attempts_max: 1', /models\.attempts_max: leaves no attempt for a hedge/],
		['hedge: {after_quantile: 95}', /models\.hedge\.after_quantile/],
	] as const) {
		const problems = await problemsWith(edited('parameters: {temperature: 0}', hedge));
		expect(problems, hedge).toContainEqual(expect.stringMatching(expected));
	}
});

test('equal upstreams are known, stand in a route, and in one group only', async () => {
	const groups = 'equals: [{upstreams: {local/extractive: 1, local/else: 2}}, {upstreams: {local/extractive: 1}}]';
	const problems = await problemsWith(edited('parameters: {temperature: 0}', groups));
	for (const what of [
		/there is no upstream local\/else/,
		/stands twice in models\.equals/,
		/fewer than two upstreams/,
	]) {
		expect(problems).toContainEqual(expect.stringMatching(what));
	}
});
