import { execFileSync } from 'node:child_process';
import { chmod, mkdir, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { loadProject } from '../../src/app/load-project.ts';
import { formatProblem } from '../../src/spec/problem.ts';
import { projectFolder, VALID_PROJECT, writeInto } from '../support/project-folder.ts';

async function problemsIn(dir: string): Promise<string[]> {
	return (await loadProject(dir, {})).problems.map(formatProblem);
}

async function problemsWith(files: Record<string, string | Uint8Array>): Promise<string[]> {
	return problemsIn(await projectFolder({ ...VALID_PROJECT, ...files }));
}

test('this repository is a project that passes, with and without a key', async () => {
	const root = fileURLToPath(new URL('../..', import.meta.url));
	const without = await loadProject(root, {});
	expect(without.problems).toEqual([]);
	expect(without.value?.releases.get('ask-docs')?.contract.models.route).toEqual(['local/extractive']);
	const withKey = await loadProject(root, { OPENAI_API_KEY: 'k' });
	expect(withKey.value?.releases.get('ask-docs')?.contract.models.route).toEqual([
		'openai/default',
		'local/extractive',
	]);
	const local = await loadProject(root, { OPENAI_BASE_URL: 'http://127.0.0.1:11434/v1/' });
	expect(local.value?.config.upstreams.get('openai/default')).toMatchObject({
		available: true,
		baseUrl: 'http://127.0.0.1:11434/v1',
		apiKey: null,
	});
});

test('a loaded project has each feature’s prompt in the version that its contract names', async () => {
	const prompt = VALID_PROJECT['features/ask/prompts/answer.prompt'] ?? '';
	const files = {
		...VALID_PROJECT,
		'features/ask/contract.yaml': `${VALID_PROJECT['features/ask/contract.yaml']}prompt: answer@1.0.0\n`,
		'features/ask/prompts/answer.next.prompt': prompt.replaceAll('1.0.0', '2.0.0'),
	};
	const pinned = await loadProject(await projectFolder(files), {});
	expect(pinned.value?.prompts.get('ask')?.version).toBe('1.0.0');
	const latest = await loadProject(
		await projectFolder({ ...files, 'features/ask/contract.yaml': VALID_PROJECT['features/ask/contract.yaml'] ?? '' }),
		{},
	);
	expect(latest.value?.prompts.get('ask')?.version).toBe('2.0.0');
});

test('a folder without plimsoll.yaml says how to make one', async () => {
	expect(await problemsIn(await projectFolder({}))).toEqual([
		'plimsoll.yaml: does not exist (plimsoll init makes a new project)',
	]);
	expect(await problemsIn(await projectFolder({ 'plimsoll.yml': '' }))).toEqual([
		'plimsoll.yaml: does not exist (rename plimsoll.yml to plimsoll.yaml)',
	]);
	expect(await problemsIn('/nowhere/at/all')).toEqual([expect.stringContaining('plimsoll.yaml: does not exist')]);
});

test.each([
	['plimsoll.yaml', 'plimsoll.yaml'],
	['a contract', 'features/ask/contract.yaml'],
	['a prompt', 'features/ask/prompts/answer.prompt'],
])('%s that is not UTF-8 is refused at its line', async (_, file) => {
	const bytes = Buffer.concat([Buffer.from('a: 1\nb: 2\nc: '), Buffer.from([0xff, 0xfe]), Buffer.from('\n')]);
	expect(await problemsWith({ [file]: bytes })).toContainEqual(
		expect.stringContaining(`${file}:3:1: is not valid UTF-8`),
	);
});

test.each([['plimsoll.yaml'], ['features/ask/contract.yaml'], ['features/ask/prompts/answer.prompt']])(
	'%s over 1 MiB is refused',
	async (file) => {
		const large = `# ${'x'.repeat(1_048_576)}\n`;
		expect(await problemsWith({ [file]: large })).toContainEqual(
			expect.stringContaining(`${file}: is larger than 1048576 bytes`),
		);
	},
);

test('links that lead in circles or out of the folder are refused; links within are followed', async () => {
	const dir = await projectFolder();
	const prompts = join(dir, 'features/ask/prompts');
	await symlink('loop.prompt', join(prompts, 'loop.prompt'));
	await writeFile(join(dir, 'secret.txt'), 'x');
	await symlink('../../../secret.txt', join(prompts, 'stolen.prompt'));
	await symlink('nothing', join(prompts, 'dangling.prompt'));
	await symlink('..', join(dir, 'features/ask/golden'));
	await symlink('circle', join(dir, 'features/circle'));
	expect(await problemsIn(dir)).toEqual([
		'features/ask/prompts/dangling.prompt: does not exist',
		'features/ask/prompts/loop.prompt: is a symbolic link that leads back to itself',
		'features/ask/prompts/stolen.prompt: is a link that leads out of its folder (copy the file into the folder)',
		'features/circle: is a symbolic link that leads back to itself',
	]);
});

test('a named pipe and a folder in place of a file are refused without waiting', async () => {
	const dir = await projectFolder();
	await mkdir(join(dir, 'features/ask/prompts/folder.prompt'));
	execFileSync('mkfifo', [join(dir, 'features/ask/prompts/pipe.prompt')]);
	expect(await problemsIn(dir)).toEqual([
		'features/ask/prompts/folder.prompt: is not a regular file',
		'features/ask/prompts/pipe.prompt: is not a regular file',
	]);
});

/** Root may read everything, so that permissions show only to somebody else. */
async function withoutPrivilege<T>(run: () => Promise<T>): Promise<T> {
	if (process.geteuid?.() !== 0) return run();
	process.seteuid?.(65_534);
	try {
		return await run();
	} finally {
		process.seteuid?.(0);
	}
}

test('what may not be read is refused', async () => {
	const dir = await projectFolder();
	await chmod(dir, 0o755);
	await chmod(join(dir, 'features/ask/contract.yaml'), 0);
	await chmod(join(dir, 'features/ask/prompts'), 0);
	const problems = await withoutPrivilege(() => problemsIn(dir));
	await chmod(join(dir, 'features/ask/prompts'), 0o755);
	expect(problems).toEqual([
		'features/ask/contract.yaml: cannot be read: permission denied',
		'features/ask/prompts: cannot be read: permission denied',
	]);
});

test('what editors and systems leave behind breaks nothing', async () => {
	expect(
		await problemsWith({
			'features/.DS_Store': 'x',
			'features/README.md': 'x',
			'features/ask/.DS_Store': 'x',
			'features/ask/contract.yaml~': 'x',
			'features/ask/.contract.yaml.swp': 'x',
			'features/ask/#contract.yaml#': 'x',
			'features/ask/contract.yaml.tmp.1234': 'x',
			'features/ask/4913': 'x',
			'features/ask/notes.txt': 'x',
			'features/ask/README.md': 'x',
			'features/ask/golden/basic.jsonl': '{}',
			'features/ask/prompts/answer.prompt~': 'x',
			'features/ask/prompts/.answer.prompt.swp': 'x',
			'features/.git/HEAD': 'x',
		}),
	).toEqual([]);
});

test('the empty folder of a deleted feature is no feature', async () => {
	const dir = await projectFolder();
	await mkdir(join(dir, 'features/gone'));
	const { value } = await loadProject(dir, {});
	expect([...(value?.releases.keys() ?? [])]).toEqual(['ask']);
});

test.each([
	['features/ask/promts/answer.prompt', 'features/ask/promts: is not part of a feature', 'did you mean prompts?'],
	['features/ask/tools/lookup.yaml', 'features/ask/tools: is not part of a feature', 'expected contract.yaml'],
	[
		'features/ask/contracts.yaml',
		'features/ask/contracts.yaml: is not part of a feature',
		'did you mean contract.yaml?',
	],
	['features/ask/answer.prompt', 'features/ask/answer.prompt: is not part of a feature', 'move it to prompts/'],
	['features/ask/prompts/answer.md', 'features/ask/prompts/answer.md: does not belong here', '.prompt'],
	['features/ask/schemas/output.yaml', 'features/ask/schemas/output.yaml: does not belong here', '.json'],
	['features/new/contract.yml', 'features/new/contract.yaml: does not exist', 'rename contract.yml to contract.yaml'],
	['features/new/README.md', 'features/new/contract.yaml: does not exist', 'every folder of a feature needs one'],
	['features/New Feature/contract.yaml', 'features/New Feature: is not a valid name for a feature', 'lower-case'],
])('%s is named as a likely mistake', async (file, message, help) => {
	const problems = (await problemsWith({ [file]: 'owner: x\n' })).filter((problem) => problem.startsWith(message));
	expect(problems).toHaveLength(1);
	expect(problems[0]).toContain(help);
});

test('problems of prompts stand beside those of contracts', async () => {
	const problems = await problemsWith({
		'features/ask/contract.yaml': 'owner: x\nmodels: {route: [local/extractive]}\nprompt: other\n',
		'features/ask/prompts/answer.prompt': 'no front matter\n',
	});
	expect(problems).toContainEqual(expect.stringContaining('contract.yaml:3:9: prompt: there is no prompt other'));
	expect(problems).toContainEqual(expect.stringContaining('prompts/answer.prompt:1:'));
});

test('features can live in another folder', async () => {
	const dir = await projectFolder({ 'plimsoll.yaml': `features_dir: ai\n${VALID_PROJECT['plimsoll.yaml']}` });
	for (const [file, content] of Object.entries(VALID_PROJECT)) {
		if (file.startsWith('features/')) await writeInto(dir, file.replace('features/', 'ai/'), content);
	}
	const { value, problems } = await loadProject(dir, {});
	expect(problems).toEqual([]);
	expect([...(value?.releases.keys() ?? [])]).toEqual(['ask']);
});

test('a broken plimsoll.yaml does not hide the mistakes of a contract', async () => {
	const problems = await problemsWith({ 'plimsoll.yaml': 'a: [\n', 'features/ask/contract.yaml': 'owner: 5\n' });
	expect(problems[0]).toMatch(/^plimsoll\.yaml:2:1: is not valid YAML/);
	expect(problems).toContainEqual(expect.stringContaining('contract.yaml:1:8: owner: found 5'));
});
