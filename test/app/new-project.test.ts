import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { loadProject } from '../../src/app/load-project.ts';
import { createProject } from '../../src/app/new-project.ts';
import { formatProblem } from '../../src/spec/problem.ts';
import { projectFolder, writeInto } from '../support/project-folder.ts';

test('a new project passes the check, in a folder that need not exist', async () => {
	const dir = join(await projectFolder({}), 'deep', 'new');
	const created = await createProject(dir);
	expect(created.value).toEqual([
		'docs/opening-hours.md',
		'docs/warranty.md',
		'features/ask-docs/contract.yaml',
		'features/ask-docs/prompts/answer.prompt',
		'.gitignore',
		'plimsoll.yaml',
	]);
	const { value, problems } = await loadProject(dir, {});
	expect(problems).toEqual([]);
	expect([...(value?.releases.keys() ?? [])]).toEqual(['ask-docs']);
	expect(value?.config.collections.get('docs')?.sources[0]).toMatchObject({ path: join(dir, 'docs') });
	expect(await readFile(join(dir, 'plimsoll.yaml'), 'utf8')).toMatch(/^# yaml-language-server: \$schema=/);
	expect(await readFile(join(dir, '.gitignore'), 'utf8')).toContain('.plimsoll/');
});

test('files in the way are named and nothing is written', async () => {
	const dir = await projectFolder({ 'plimsoll.yaml': 'mine', '.gitignore': 'mine', 'README.md': 'mine' });
	const created = await createProject(dir);
	expect(created.problems.map(formatProblem)).toEqual([
		'.gitignore: exists already (choose an empty folder, or move the file away)',
		'plimsoll.yaml: exists already (choose an empty folder, or move the file away)',
	]);
	expect(await readFile(join(dir, 'plimsoll.yaml'), 'utf8')).toBe('mine');
	await expect(stat(join(dir, 'docs'))).rejects.toThrow('ENOENT');
});

test('other files stay where they are', async () => {
	const dir = await projectFolder({});
	await writeInto(dir, 'docs/mine.md', 'mine');
	expect((await createProject(dir)).ok).toBe(true);
	expect(await readFile(join(dir, 'docs/mine.md'), 'utf8')).toBe('mine');
});

test('a folder that cannot be made is a problem, not an exception', async () => {
	const dir = await projectFolder({ file: 'x' });
	const created = await createProject(join(dir, 'file', 'below'));
	expect(created.problems.map(formatProblem)).toEqual([expect.stringContaining('cannot be written')]);
});
