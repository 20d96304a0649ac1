import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import pino from 'pino';
import { expect, onTestFinished, test } from 'vitest';
import { createRuntime } from '../../src/app/create-runtime.ts';
import { loadProject } from '../../src/app/load-project.ts';
import { openServices } from '../../src/app/services.ts';
import { watchProject } from '../../src/app/watch-project.ts';
import { systemClock } from '../../src/base/clock.ts';
import { asPlimsollError } from '../../src/spec/errors.ts';
import { projectFolder, VALID_PROJECT } from '../support/project-folder.ts';

const FLAGS = `flags:
  open: {variants: {on: true, off: false}, default_variant: on}
  version:
    variants: {now: 1.0.0, next: 2.0.0}
    default_variant: now
    rules: [{split: {percent: {now: 50, next: 50}}}]
`;
const PROMPT = VALID_PROJECT['features/ask/prompts/answer.prompt'] ?? '';
const FILES = {
	'plimsoll.yaml': VALID_PROJECT['plimsoll.yaml'] ?? '',
	'flags.yaml': FLAGS,
	'features/ask/contract.yaml':
		'owner: docs-team\nmodels: {route: [local/extractive]}\nflags: {enabled: open, prompt_version: version}\n',
	'features/ask/prompts/answer.prompt': PROMPT,
	'features/ask/prompts/answer.next.prompt': PROMPT.replaceAll('1.0.0', '2.0.0'),
	'docs/a.md': '# A\n\nText.\n',
};
const SILENT = pino({ level: 'silent' });

async function openRuntime(dir: string, env: Record<string, string> = {}) {
	const runtime = await createRuntime({ dir, env, log: SILENT });
	const versionFor = async (user: string) => {
		const { requestId } = await runtime.ask('ask', { question: 'What is it?', user });
		let version: string | null | undefined;
		await expect
			.poll(
				async () => {
					version = (await runtime.trace(requestId))?.prompt_version;
					return version;
				},
				{ timeout: 20_000 },
			)
			.toBeTruthy();
		const trace = await runtime.trace(requestId);
		expect(trace?.flags).toEqual({ open: 'on', version: version === '2.0.0' ? 'next' : 'now' });
		expect(trace?.flag_reasons).toEqual({ open: 'DEFAULT', version: 'SPLIT' });
		return version;
	};
	return { runtime, versionFor };
}

test('users keep their variants over a restart, and on a replica with the same configured secret', async () => {
	const users = ['ada', 'grace', 'edsger'];
	const versions = async (dir: string, env: Record<string, string> = {}) => {
		const { runtime, versionFor } = await openRuntime(dir, env);
		const all: unknown[] = [];
		for (const user of users) all.push(await versionFor(user));
		await runtime.close();
		return all;
	};
	const dir = await projectFolder(FILES);
	expect(await versions(dir)).toEqual(await versions(dir));

	const shared = { ...FILES, 'plimsoll.yaml': `${FILES['plimsoll.yaml']}flags: {hmac_secret: {env: FLAGS_SECRET}}\n` };
	const env = { FLAGS_SECRET: 'f'.repeat(32) };
	expect(await versions(await projectFolder(shared), env)).toEqual(await versions(await projectFolder(shared), env));
}, 60_000);

test('an edit of flags.yaml counts for the next request, and a broken one changes nothing', async () => {
	const dir = await projectFolder(FILES);
	const loaded = await loadProject(dir, {});
	if (!loaded.ok) throw new Error(JSON.stringify(loaded.problems));
	const services = await openServices(loaded.value, SILENT);
	onTestFinished(async () => {
		await services.runtime.drain();
		await services.close();
	});
	const refusals: string[] = [];
	const watcher = watchProject(
		dir,
		{},
		{
			clock: systemClock,
			current: loaded.value,
			onLoaded: (project) => services.update(project),
			onRefused: (problems) => refusals.push(JSON.stringify(problems)),
		},
	);
	onTestFinished(() => watcher.close());
	const outcome = async () => {
		const context = services.runtime.open();
		await services.runtime.admit(context, { kind: 'in_process', tenantId: 'default' });
		const messages = [{ role: 'user', content: 'What is it?' }];
		const request = { model: 'ask', messages, variables: {}, parameters: {}, sink: null, user: null };
		return services.runtime.chat(context, request).then(
			() => 'answered',
			(error: unknown) => asPlimsollError(error).code,
		);
	};
	expect(await outcome()).toBe('answered');
	await writeFile(join(dir, 'flags.yaml'), FLAGS.replace('default_variant: on', 'default_variant: off'));
	await expect.poll(outcome, { timeout: 20_000 }).toBe('feature_disabled');
	await writeFile(join(dir, 'flags.yaml'), FLAGS.replace('default_variant: on', 'default_variant: onn'));
	await expect.poll(() => refusals.join('\n'), { timeout: 20_000 }).toContain('there is no variant onn');
	expect(await outcome()).toBe('feature_disabled');
	await writeFile(join(dir, 'flags.yaml'), FLAGS);
	await expect.poll(outcome, { timeout: 20_000 }).toBe('answered');
}, 60_000);

test('a project without flags makes no secret for them', async () => {
	const { runtime } = await openRuntime(await projectFolder({ ...VALID_PROJECT, 'docs/a.md': '# A\n\nText.\n' }));
	await runtime.close();
	const dir = await projectFolder(FILES);
	await (await openRuntime(dir)).runtime.close();
	expect((await readFile(join(dir, '.plimsoll', 'flag-key'), 'utf8')).trim()).toMatch(/^\S{52}$/);
});
