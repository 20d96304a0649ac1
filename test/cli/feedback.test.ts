import { expect, it, onTestFinished } from 'vitest';
import { createRuntime } from '../../src/app/create-runtime.ts';
import { json, plimsoll } from '../support/cli-process.ts';
import { projectFolder, VALID_PROJECT } from '../support/project-folder.ts';

it('ratings are listed, stand at their trace, and are deleted by request', async () => {
	const dir = await projectFolder({
		...VALID_PROJECT,
		'plimsoll.yaml': `${VALID_PROJECT['plimsoll.yaml']}feedback: {text_retention_days: 7}\n`,
		'docs/a.md': '# Load lines\n\nA load line is a mark on the hull of a ship.\n',
	});
	expect((await plimsoll(['feedback'], { cwd: dir })).stderr).toContain('No rating that fits is kept');
	const library = await createRuntime({ dir, env: {} });
	onTestFinished(() => library.close());
	await library.ingest('docs');
	const { requestId } = await library.ask('ask', { question: 'What is a load line?' });
	await library.rate(requestId, { rating: 'down', label: 'too_short', comment: 'More\u001b[31m, please.' });
	await library.close();

	const listed = await plimsoll(['feedback', 'list', '--rating', 'down'], { cwd: dir });
	expect(listed.stdout).toMatch(/^down {2}0 {2}too_short {2}ask {2}req_/);
	expect(listed.stdout).toContain('    comment: More, please.\n');
	expect((await plimsoll(['trace', requestId], { cwd: dir })).stdout).toContain('How it was rated\ndown  0  too_short');
	expect(json(await plimsoll(['trace', requestId, '--json'], { cwd: dir })).feedback).toMatchObject([
		{ rating: 'down' },
	]);
	const careless = await plimsoll(['feedback', 'delete', '--tenant', 'default'], { cwd: dir });
	expect(careless).toMatchObject({ code: 2, stderr: expect.stringContaining('--all') });
	const gone = await plimsoll(['feedback', 'delete', '--tenant', 'default', '--request', requestId], { cwd: dir });
	expect(gone.stdout).toContain('1 rating of default removed.');
	expect(json(await plimsoll(['feedback', '--json'], { cwd: dir }))).toEqual({ feedback: [] });
});
