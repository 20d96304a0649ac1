import { execFile } from 'node:child_process';
import { cp, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, onTestFinished, test } from 'vitest';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const ASK = join(ROOT, 'examples', 'library', 'ask.ts');
const run = promisify(execFile);

/** This repository's project with a data folder of its own, so that a running server is left alone. */
async function copyOfProject(): Promise<string> {
	const dir = await mkdtemp(join(tmpdir(), 'plimsoll-example-'));
	onTestFinished(() => rm(dir, { recursive: true, force: true }));
	for (const part of ['plimsoll.yaml', 'features', 'docs'])
		await cp(join(ROOT, part), join(dir, part), { recursive: true });
	return dir;
}

test('the library example answers from the manual with citations and shows the trace', async () => {
	const env = { ...process.env, OPENAI_API_KEY: '', OPENAI_BASE_URL: '' };
	const question = 'What happens when the token budget is exceeded?';
	const { stdout, stderr } = await run(process.execPath, [ASK, question, await copyOfProject()], { env });
	expect(stdout).toMatch(/^\[1\] \S+\.md/m);
	for (const stage of ['admit', 'retrieve', 'generate', 'respond']) expect(stderr).toContain(stage);
});

test('the library example says what is wrong with a project', async () => {
	const failed = run(process.execPath, [ASK, 'x', tmpdir()]);
	await expect(failed).rejects.toMatchObject({ code: 1, stderr: expect.stringContaining('configuration_invalid') });
});
