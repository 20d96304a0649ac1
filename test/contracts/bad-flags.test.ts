import { expect, test } from 'vitest';
import { loadProject } from '../../src/app/load-project.ts';
import { formatProblem } from '../../src/spec/problem.ts';
import { projectFolder, VALID_PROJECT } from '../support/project-folder.ts';

const CONTRACT = 'features/ask/contract.yaml';
const PROJECT = VALID_PROJECT['plimsoll.yaml'] ?? '';
const PROMPT = 'features/ask/prompts/answer.prompt';

const FLAGS = `flags:
  ask-open:
    description: Kill switch.
    variants: {on: true, off: false}
    default_variant: on
  ask-route:
    variants:
      fast: default
      careful: careful
    default_variant: fast
    rules:
      - name: staff
        when: {tenant: [acme], feature: [ask]}
        variant: careful
      - split:
          by: user
          percent: {careful: 12.5, fast: 87.5}
  ask-version:
    variants: {now: 1.0.0, next: 2.0.0}
    default_variant: now
  ask-tone:
    variants: {warm: warm, plain: plain}
    default_variant: plain
`;
const USES = `owner: docs-team
models:
  route: [openai/default, local/extractive]
  routes:
    careful: [local/extractive]
on_failure:
  feature_disabled: {fall_back: Call us.}
flags:
  enabled: ask-open
  route: ask-route
  prompt_version: ask-version
  variables:
    tone: ask-tone
`;
const prompt = (version: string) =>
	(VALID_PROJECT[PROMPT] ?? '')
		.replaceAll('1.0.0', version)
		.replace('---\n{{role', 'input:\n  schema:\n    tone?(enum): [warm, plain]\n---\n{{role')
		.replace('{{question}}', '{{question}} {{tone}}');

const FILES = {
	...VALID_PROJECT,
	'flags.yaml': FLAGS,
	[CONTRACT]: USES,
	[PROMPT]: prompt('1.0.0'),
	'features/ask/prompts/answer.next.prompt': prompt('2.0.0'),
};

async function problemsWith(files: Record<string, string>, env: Record<string, string> = {}): Promise<string[]> {
	const dir = await projectFolder({ ...FILES, ...files });
	return (await loadProject(dir, env)).problems.map(formatProblem);
}

function flags(from: string, to: string): Record<string, string> {
	expect(FLAGS).toContain(from);
	return { 'flags.yaml': FLAGS.replace(from, to) };
}

function uses(from: string, to: string): Record<string, string> {
	expect(USES).toContain(from);
	return { [CONTRACT]: USES.replace(from, to) };
}

test('the files that the cases below break are valid', async () => {
	const { value, problems } = await loadProject(await projectFolder(FILES), {});
	expect(problems).toEqual([]);
	expect(value?.releases.get('ask')?.contract).toMatchObject({
		models: { route: ['local/extractive'], routes: { careful: ['local/extractive'] } },
		flags: { enabled: 'ask-open', route: 'ask-route', promptVersion: 'ask-version', variables: { tone: 'ask-tone' } },
	});
	expect(value?.flags.get('ask-route')).toMatchObject({
		enabled: true,
		type: 'string',
		salt: 'ask-route',
		rules: [
			{ name: 'staff', outcome: { variant: 'careful' } },
			{ name: 'rule 2', outcome: { split: { by: 'user' } } },
		],
	});
	expect(Object.isFrozen(value?.flags.get('ask-route')?.rules)).toBe(true);
});

test.each([
	['an unknown key', 'default_variant: on', 'default_varient: on', ':5:5: flags.ask-open.default_varient: unknown key'],
	[
		'an unknown variant',
		'default_variant: on',
		'default_variant: onn',
		':5:22: flags.ask-open.default_variant: there is no variant onn',
	],
	[
		'variants of two kinds',
		'off: false',
		'off: 0',
		'flags.ask-open.variants.off: is a number, and the first variant is a boolean',
	],
	[
		'a feature that is not there',
		'feature: [ask]',
		'feature: [aks]',
		':13:42: flags.ask-route.rules[0].when.feature[0]: there is no feature aks',
	],
	[
		'a rule without an outcome',
		'        variant: careful\n',
		'',
		':12:9: flags.ask-route.rules[0]: says neither variant nor split',
	],
	[
		'a rule with two outcomes',
		'        variant: careful\n',
		'        variant: careful\n        split: {percent: {fast: 100}}\n',
		'says both variant and split',
	],
	[
		'shares that are not 100',
		'careful: 12.5',
		'careful: 12',
		':17:20: flags.ask-route.rules[1].split.percent: the shares add up to 99.5 percent',
	],
	['a share of an unknown variant', '{careful: 12.5', '{slow: 12.5', 'there is no variant slow'],
	['a share below 0', 'careful: 12.5', 'careful: -12.5', 'expected a number from 0 to 100'],
	[
		'a rule that hides others',
		'        when: {tenant: [acme], feature: [ask]}\n',
		'',
		':12:9: flags.ask-route.rules[0]: fits every request',
	],
	['an empty condition', '{tenant: [acme], feature: [ask]}', '{}', 'flags.ask-route.rules[0].when: names no condition'],
	[
		'a condition on something else',
		'{tenant: [acme]',
		'{country: [de]',
		'flags.ask-route.rules[0].when.country: unknown key',
	],
	['a key that stands twice', '  ask-tone:', '  ask-open:', 'this key stands here twice'],
	['no YAML', 'flags:\n', 'flags: [\n', 'flags.yaml:'],
])('flags.yaml with %s is refused at its place', async (_, from, to, problem) => {
	expect((await problemsWith(flags(from, to))).join('\n')).toContain(problem);
});

test.each([
	[
		'an unknown flag',
		'enabled: ask-open',
		'enabled: ask-opn',
		':9:12: flags.enabled: there is no flag ask-opn',
		'did you mean ask-open?',
	],
	[
		'a flag of another type',
		'enabled: ask-open',
		'enabled: ask-route',
		':9:12: flags.enabled: the flag ask-route is a string flag',
		'a boolean flag',
	],
	[
		'a route that is not there',
		'    careful:',
		'    other:',
		':10:10: flags.route: the flag ask-route can be "careful", which is no route of models.routes (default, other)',
		'',
	],
	[
		'a variable that the prompt does not declare',
		'    tone:',
		'    tine:',
		':13:11: flags.variables.tine: there is no variable tine in the input of the prompt answer',
		'did you mean tone?',
	],
	[
		'a value that the variable does not take',
		'tone: ask-tone',
		'tone: ask-route',
		'flags.variables.tone: the flag ask-route can be "default", which is nothing that the prompt’s variable tone takes',
		'',
	],
	[
		'a route of the name default',
		'    careful:',
		'    default:',
		':5:14: models.routes.default: is the name of models.route',
		'',
	],
	[
		'an upstream that is not there in a route',
		'careful: [local/extractive]',
		'careful: [local/extractiv]',
		':5:15: models.routes.careful[0]: there is no upstream local/extractiv',
		'',
	],
	[
		'an upstream twice in a route',
		'careful: [local/extractive]',
		'careful: [local/extractive, local/extractive]',
		'models.routes.careful[1]: local/extractive stands twice',
		'',
	],
])('a contract with %s is refused at its place', async (_, from, to, problem, hint) => {
	const text = (await problemsWith(uses(from, to))).join('\n');
	expect(text).toContain(problem);
	expect(text).toContain(hint);
});

test('a version of the prompt that is not there is refused where the contract uses the flag', async () => {
	expect(await problemsWith(flags('next: 2.0.0', 'next: 3.0.0'))).toEqual([
		expect.stringContaining(
			'contract.yaml:11:19: flags.prompt_version: the flag ask-version can be "3.0.0", which is no version of the prompt answer',
		),
	]);
});

test('a contract that uses flags without a flags.yaml is told where they belong', async () => {
	const { 'flags.yaml': _, ...without } = FILES;
	const { problems } = await loadProject(await projectFolder(without), {});
	expect(problems.map(formatProblem).join('\n')).toContain('expected one that flags.yaml defines');
});

test('another provider and a flags.yaml exclude each other, and what another provider has is not checked', async () => {
	const provider = { 'plimsoll.yaml': `${PROJECT}flags: {provider: {module: '@x/y'}}\n` };
	expect(await problemsWith(provider)).toEqual([expect.stringContaining('flags.yaml: is not read')]);
	const { 'flags.yaml': _, ...without } = { ...FILES, ...provider };
	const { problems } = await loadProject(await projectFolder(without), {});
	expect(problems).toEqual([]);
});

test('replicas that share their state must share the secret that splits are drawn with', async () => {
	const redis = `${PROJECT}shared_state: {redis: 'redis://127.0.0.1:6379'}\n`;
	expect(await problemsWith({ 'plimsoll.yaml': redis })).toEqual([
		expect.stringContaining('without flags.hmac_secret each would give the same user other variants'),
	]);
	const file = { 'plimsoll.yaml': `${redis}flags: {hmac_secret: {env: FLAGS_SECRET}}\n` };
	expect(await problemsWith(file, { FLAGS_SECRET: 'x'.repeat(32) })).toEqual([]);
	expect(await problemsWith(file, { FLAGS_SECRET: 'short-and-secret' })).toEqual([
		expect.not.stringContaining('short-and-secret'),
	]);
	const literal = { 'plimsoll.yaml': `${redis}flags: {hmac_secret: written-out-for-everybody-to-see}\n` };
	expect(await problemsWith(literal)).toEqual([expect.stringMatching(/holds the secret itself(?!.*everybody)/)]);
});

test('the hash of a release covers its use of flags and the routes that they choose, not the flags themselves', async () => {
	const hashWith = async (files: Record<string, string>) => {
		const { value, problems } = await loadProject(await projectFolder({ ...FILES, ...files }), {});
		expect(problems).toEqual([]);
		return value?.releases.get('ask')?.hash;
	};
	const before = await hashWith({});
	expect(await hashWith(uses('  enabled: ask-open\n', ''))).not.toBe(before);
	const upstream = {
		'plimsoll.yaml': PROJECT.replace('family: extractive', 'family: extractive\n    model: other'),
	};
	expect(await hashWith(upstream)).not.toBe(before);
	expect(await hashWith(flags('careful: 12.5, fast: 87.5', 'careful: 20, fast: 80'))).toBe(before);
});
