import { join } from 'node:path';
import pino from 'pino';
import { expect, onTestFinished, test } from 'vitest';
import { LocalSession } from '../../src/app/local-session.ts';
import type { SessionFlag } from '../../src/app/session.ts';
import { plimsoll, startPlimsoll } from '../support/cli-process.ts';
import { projectFolder, VALID_PROJECT } from '../support/project-folder.ts';

const FILES = {
	'plimsoll.yaml': VALID_PROJECT['plimsoll.yaml'] ?? '',
	'flags.yaml': `flags:
  answer-route:
    description: How much an answer may cost.
    variants: {fast: default, careful: careful}
    default_variant: fast
    rules:
      - name: staff
        when: {tenant: [acme]}
        variant: careful
      - name: tenth
        when: {feature: [ask]}
        split: {percent: {careful: 10, fast: 90}}
  unused: {variants: {on: true, off: false}, default_variant: off, state: disabled}
`,
	'features/ask/contract.yaml':
		'owner: docs-team\nmodels: {route: [local/extractive], routes: {careful: [local/extractive]}}\nflags: {route: answer-route}\n',
	'features/ask/prompts/answer.prompt': VALID_PROJECT['features/ask/prompts/answer.prompt'] ?? '',
	'docs/a.md': '# A\n\nText.\n',
};

const NOBODY: SessionFlag = { tenant: 'default', user: null, feature: null, key: null, caller: 'key', sample: null };

async function localSession(files: Record<string, string>): Promise<LocalSession> {
	const dir = await projectFolder(files);
	const session = new LocalSession({ dir, dataDir: join(dir, '.plimsoll'), log: pino({ level: 'silent' }) });
	onTestFinished(() => session.close());
	return session;
}

test('a server lists its flags, and says which rule decides and how users are spread', async () => {
	const cwd = await projectFolder(FILES);
	const server = startPlimsoll(['start', '--port', '0'], { cwd });
	onTestFinished(() => server.kill());
	await server.saw(/Ctrl-C stops/);
	const listed = await plimsoll(['flags', 'list'], { cwd });
	expect(listed.stdout).toMatch(/answer-route +enabled +fast, careful +2 +ask: route\n/);
	expect(listed.stdout).toMatch(/unused +disabled +off, on +0 +nobody\n/);
	const drawn = await plimsoll(['flags', 'explain', 'answer-route', '--feature', 'ask', '--sample', '2000'], { cwd });
	expect(drawn.stdout).toContain('SPLIT\nthe rule "tenth": drawn by user from careful 10 %, fast 90 %\n');
	expect(drawn.stdout).toMatch(/careful +\d+ +\d+\.\d\d %\n/);
	const unknown = await plimsoll(['flags', 'explain', 'answer-rout'], { cwd });
	expect(unknown.stderr).toContain('Did you mean "answer-route"?');
	expect(unknown.code).toBe(4);
}, 120_000);

test('without a server, the same is found in process', async () => {
	const session = await localSession(FILES);
	expect((await session.flags()).map(({ flag }) => flag)).toEqual(['answer-route', 'unused']);
	const explain = (ask: Partial<SessionFlag>, flag = 'answer-route') =>
		session.explainFlag(flag, { ...NOBODY, ...ask });
	expect(await explain({ tenant: 'acme' })).toMatchObject({
		variant: 'careful',
		reason: 'TARGETING_MATCH',
		decided_by: 'the rule "staff"',
	});
	expect(await explain({})).toMatchObject({
		value: 'default',
		decided_by: 'no rule fits: the default variant fast serves',
	});
	expect(await explain({}, 'unused')).toMatchObject({
		reason: 'DISABLED',
		decided_by: 'the flag is disabled: its default variant off serves',
	});
	const { sample } = await explain({ feature: 'ask', user: 'ada', sample: 2_000 });
	expect((sample?.careful ?? 0) + (sample?.fast ?? 0)).toBe(2_000);
	expect(sample?.careful).toBeGreaterThan(130);
	expect(sample?.careful).toBeLessThan(270);
}, 60_000);

test('flags of another provider are explained by asking it, and never for a sample', async () => {
	const options = '{answer-route: {variants: {a: careful}, defaultVariant: a, disabled: false}}';
	const { 'flags.yaml': _, ...files } = FILES;
	const provider = `flags: {provider: {module: '@openfeature/server-sdk', export: InMemoryProvider, options: ${options}}}\n`;
	const session = await localSession({ ...files, 'plimsoll.yaml': `${files['plimsoll.yaml']}${provider}` });
	expect(await session.flags()).toMatchObject([
		{ flag: 'answer-route', provider: '@openfeature/server-sdk', used_by: ['ask: route'] },
	]);
	expect(await session.explainFlag('answer-route', NOBODY)).toMatchObject({ variant: 'a', reason: 'STATIC' });
	await expect(session.explainFlag('answer-route', { ...NOBODY, sample: 10 })).rejects.toMatchObject({
		code: 'request_invalid',
		message: expect.stringContaining('Only flags of flags.yaml'),
	});
}, 60_000);
