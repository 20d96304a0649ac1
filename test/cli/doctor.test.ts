import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pino from 'pino';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type RunningServer, serve } from '../../src/app/serve.ts';
import type { Session } from '../../src/app/session.ts';
import { traceHealth } from '../../src/app/session-health.ts';
import { json, plimsoll } from '../support/cli-process.ts';
import { VALID_PROJECT, writeInto } from '../support/project-folder.ts';

const DOCS = { 'docs/a.md': '# Load lines\n\nA load line is a mark on the hull of a ship.\n' };
const MELTED = {
	'docs/a.md': '# Load lines\n\nA load line is a mark on the keel.\n',
	'docs/b.md': '# Keels\n\nDeep.\n',
};
const PROJECT_YAML = VALID_PROJECT['plimsoll.yaml'] ?? '';
const EVENTS = { onIngestProgress() {}, onIngested() {}, onIngestFailed() {}, onReloaded() {}, onReloadRefused() {} };

const dirs: string[] = [];
const servers: RunningServer[] = [];

async function project(files: Readonly<Record<string, string>>): Promise<string> {
	const dir = await mkdtemp(join(tmpdir(), 'plimsoll-doctor-'));
	dirs.push(dir);
	for (const [file, content] of Object.entries({ ...VALID_PROJECT, ...files })) await writeInto(dir, file, content);
	return dir;
}

async function deployment(files: Readonly<Record<string, string>>): Promise<{ dir: string; server: RunningServer }> {
	const dir = await project(files);
	const server = await serve({ dir, port: 0 }, { log: pino({ level: 'silent' }), events: EVENTS });
	servers.push(server);
	await server.firstIngest;
	return { dir, server };
}

let staging: { dir: string; server: RunningServer };
let twin: typeof staging;
let production: typeof staging;

beforeAll(async () => {
	staging = await deployment(DOCS);
	twin = await deployment(DOCS);
	const chunked = PROJECT_YAML.replace(
		'    sources:',
		'    chunker: {tokens_max: 96}\n    embedder: words\n    sources:',
	);
	production = await deployment({ ...MELTED, 'plimsoll.yaml': `${chunked}embedders: {words: {family: builtin}}\n` });
});
afterAll(async () => {
	for (const server of servers) await server.stop();
	for (const dir of dirs) await rm(dir, { recursive: true, force: true });
});

const against = (other: typeof staging, ...more: string[]) =>
	plimsoll(['doctor', '--against', other.server.url, ...more], {
		cwd: staging.dir,
		env: { PLIMSOLL_API_KEY: other.server.developmentKey.secret },
	});

describe('doctor --against', () => {
	test('finds two deployments of one project the same, whatever their keys and folders', async () => {
		const { code, stdout } = await against(twin);
		expect(stdout).toBe('the same  Nothing differs that can change an answer.\n');
		expect(code).toBe(0);
	});

	test('shows why what works in staging melts in production', async () => {
		const shown = await against(production);
		expect(shown.code).toBe(1);
		expect(shown.stdout).toMatch(/collections\.docs\.live\.built\.chunker\.tokensMax +\d+ +96\n/);
		expect(shown.stdout).toMatch(/collections\.docs\.live\.built\.embedding +- +\{"provider":"builtin"/);
		expect(shown.stdout).toMatch(/collections\.docs\.live\.documents +1 +2\n/);
		expect(shown.stdout).toMatch(/collections\.docs\.live\.hash +"[0-9a-f]{40}/);
		expect(shown.stdout).toMatch(/features\.ask\.release +"[0-9a-f]{40}/);
		expect(shown.stdout).not.toMatch(/upstreams\.|version/);
		expect(json(await against(production, '--json'))).toMatchObject({ same: false, here: { features: { ask: {} } } });
	});

	test('holds no secret and no path', async () => {
		const text = (await against(production, '--json')).stdout;
		for (const secret of [staging.dir, production.dir, production.server.developmentKey.secret, 'api.openai.com']) {
			expect(text).not.toContain(secret);
		}
	});

	test('needs a key, and says in which variable it looked', async () => {
		const refused = await against(twin, '--against-key-env', 'NO_SUCH_KEY');
		expect(refused).toMatchObject({ code: 2, stderr: expect.stringContaining('NO_SUCH_KEY is not set') });
	});
});

describe('doctor', () => {
	test('finds a running deployment well, but for the upstream whose key is missing', async () => {
		const { code, stdout } = await plimsoll(['doctor'], { cwd: staging.dir });
		expect(stdout).toMatch(/^ok +collection docs: docs-g1-\S+ holds 1 documents in \d+ chunks; all checks passed$/m);
		expect(stdout).toMatch(/^warn +upstream openai\/default: is off[^\n]*\n +Set OPENAI_API_KEY/m);
		for (const subject of ['configuration', 'disk', 'server', 'traces', 'records', 'canaries of docs', 'alerts']) {
			expect(stdout).toMatch(new RegExp(`^ok +${subject}: `, 'm'));
		}
		expect(stdout).not.toMatch(/^fail/m);
		expect(code).toBe(0);
	});

	test('without a server it opens the project itself, and an index that is not there fails', async () => {
		const run = await plimsoll(['doctor', '--json'], { cwd: await project(DOCS) });
		expect(run.code).toBe(1);
		expect(json(run)).toMatchObject({ ok: false });
		expect(json(run).findings).toContainEqual({
			...{ subject: 'collection docs', status: 'fail', message: 'has no live generation' },
			action: 'Run plimsoll ingest docs.',
		});
	});

	test('what did not come into an index is a finding', async () => {
		const cwd = await project({ ...DOCS, 'docs/torn.pdf': 'not a PDF' });
		await plimsoll(['ingest', 'docs'], { cwd });
		const { stdout } = await plimsoll(['doctor'], { cwd });
		expect(stdout).toMatch(
			/^warn +quarantine of docs: documents that are not in the index: 1, e\.g\. torn\.pdf: [^\n]+\n +See plimsoll quarantine list docs/m,
		);
	});

	test('a mistake in the files is a finding, once', async () => {
		const dir = await project(DOCS);
		await writeFile(join(dir, 'plimsoll.yaml'), PROJECT_YAML.replace('sources:', 'sauces:'));
		const { code, stdout } = await plimsoll(['doctor'], { cwd: dir });
		expect(stdout).toMatch(/^fail +configuration: .*sauces/m);
		expect(stdout).not.toContain('configuration_invalid');
		expect(code).toBe(1);
	});

	test('a key that is none is one finding', async () => {
		const wrong = await plimsoll(['doctor', '--url', staging.server.url, '--key', 'plim_none'], { cwd: tmpdir() });
		expect(wrong.code).toBe(1);
		expect(wrong.stdout).toMatch(/^fail +server: .*\(key_invalid\)\n[^\n]+\n$/);
	});

	test('a trace of the future says that a clock is wrong', async () => {
		const at = (started: number) =>
			({ traces: async () => ({ requests: [{ started_at: started }], stats: [] }) }) as unknown as Session;
		const statusAt = async (started: number) => (await traceHealth(at(started), 1_000_000)).at(-1)?.status;
		expect([await statusAt(1_004_000), await statusAt(1_006_000)]).toEqual(['ok', 'warn']);
	});
});
