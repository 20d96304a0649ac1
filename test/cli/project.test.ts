import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { json, plimsoll } from '../support/cli-process.ts';
import { writeTinyModel } from '../support/tiny-model.ts';

async function temporary(): Promise<string> {
	const dir = await mkdtemp(join(tmpdir(), 'plimsoll-cli-'));
	onTestFinished(() => rm(dir, { recursive: true, force: true }));
	return dir;
}

test('init writes a project that check finds nothing wrong with, from any folder inside it', async () => {
	const cwd = await temporary();
	const made = await plimsoll(['init', 'my shop'], { cwd });
	expect(made.code).toBe(0);
	expect(made.stdout).toContain("npx plimsoll check --dir 'my shop'");
	expect(made.stdout).toContain("npx plimsoll start --dir 'my shop'");
	const checked = await plimsoll(['check'], { cwd: join(cwd, 'my shop', 'docs') });
	expect(checked.stderr).toBe('');
	expect(checked.stdout).toContain('ask-docs');
	expect(checked.stdout).toContain('off: set OPENAI_API_KEY');
	expect(checked.stdout).not.toContain('\u001b');
	expect(checked.code).toBe(0);
});

test('init names the files in its way, touches none and ends with 3', async () => {
	const cwd = await temporary();
	await writeFile(join(cwd, 'plimsoll.yaml'), 'mine');
	const { code, stderr } = await plimsoll(['init'], { cwd });
	expect(stderr).toContain('plimsoll.yaml: exists already');
	expect(await readFile(join(cwd, 'plimsoll.yaml'), 'utf8')).toBe('mine');
	expect(code).toBe(3);
});

test('check --json tells what the project is', async () => {
	const cwd = await temporary();
	expect(json(await plimsoll(['init', '--json'], { cwd })).files).toContain('plimsoll.yaml');
	const checked = json(await plimsoll(['check', '--json'], { cwd, env: { OPENAI_API_KEY: 'sk-x' } }));
	expect(checked).toMatchObject({
		ok: true,
		features: [{ feature: 'ask-docs', upstream: 'openai/default', collection: 'docs', tokens_in_max: 5000 }],
		upstreams: [
			{ upstream: 'openai/default', available: true, reason: null },
			{ upstream: 'local/extractive', available: true },
		],
		collections: [{ collection: 'docs' }],
	});
	expect(JSON.stringify(checked)).not.toContain('sk-x');
});

test('check names every problem with its place, for people and machines, and ends with 3', async () => {
	const cwd = await temporary();
	await plimsoll(['init'], { cwd });
	await writeFile(
		join(cwd, 'plimsoll.yaml'),
		'servr: {}\ncollections:\n  docs: {sources: {a: {kind: folder, path: 7}}}\n',
	);
	await mkdir(join(cwd, 'features', 'empty-handed', 'prompts'), { recursive: true });
	const people = await plimsoll(['check'], { cwd });
	expect(people.code).toBe(3);
	expect(people.stdout).toBe('');
	expect(people.stderr).toMatch(/plimsoll\.yaml:1:1: servr: .*did you mean server/);
	expect(people.stderr).toContain('plimsoll.yaml:3:');
	expect(people.stderr).toContain('features/empty-handed/contract.yaml: does not exist');
	const machines = await plimsoll(['check', '--json'], { cwd });
	expect(machines.code).toBe(3);
	expect(machines.stderr).toBe('');
	const { ok, problems } = json(machines);
	expect(ok).toBe(false);
	expect(problems).toContainEqual(
		expect.objectContaining({ file: 'plimsoll.yaml', line: 1, column: 1, field: 'servr' }),
	);
});

test('start refuses a broken project with its problems and ends with 3', async () => {
	const cwd = await temporary();
	await writeFile(join(cwd, 'plimsoll.yaml'), 'server: {port: many}\n');
	const { code, stderr } = await plimsoll(['start'], { cwd });
	expect(stderr).toContain('plimsoll.yaml:1:16: server.port');
	expect(code).toBe(3);
});

test('check names a package that an upstream needs and that is not installed, with the command', async () => {
	const cwd = await temporary();
	await plimsoll(['init'], { cwd });
	const file = join(cwd, 'plimsoll.yaml');
	const upstream = '  any/model: {family: ai-sdk, package: "@ai-sdk/nobody", model: m}\n';
	await writeFile(file, (await readFile(file, 'utf8')).replace('upstreams:\n', `upstreams:\n${upstream}`));
	const { code, stderr } = await plimsoll(['check'], { cwd });
	expect(stderr).toContain('upstreams.any/model.family: the package @ai-sdk/nobody is not installed');
	expect(stderr).toContain('npm install --save-prod --ignore-scripts @ai-sdk/nobody');
	expect(code).toBe(3);
});

test('check says what is wrong with the folders of local models, and names the package that reads them', async () => {
	const cwd = await temporary();
	await plimsoll(['init'], { cwd });
	const file = join(cwd, 'plimsoll.yaml');
	await writeTinyModel(join(cwd, 'models/tiny'), { east: [1, 0, 0] });
	const written = `embedders:
  narrow: {family: local, model: ./models/tiny, dimensions: 384}
collections:
  reranked:
    search: {rerank: {format: local, model: ./models/tiny}}
    sources: {pages: {kind: folder, path: docs}}
  lost:
    search: {rerank: {format: local, model: ./models/nowhere}}
    sources: {pages: {kind: folder, path: docs}}
`;
	await writeFile(file, (await readFile(file, 'utf8')).replace('collections:\n', written));
	const { code, stderr } = await plimsoll(['check'], { cwd });
	expect(stderr).toMatch(/embedders\.narrow\.model: the model in .*tiny has 3 dimensions, the configuration says 384/);
	expect(stderr).toMatch(/collections\.reranked\.search\.rerank\.model: .* is a BertModel, and no cross-encoder/);
	expect(stderr).toMatch(/collections\.lost\.search\.rerank\.model: there is no folder .*nowhere/);
	expect(code).toBe(3);
});
