import { execFileSync } from 'node:child_process';
import { appendFile, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createProject } from '../../src/app/new-project.ts';
import { json, jsonLines, plimsoll, type Running, startPlimsoll } from '../support/cli-process.ts';
import { startUpstreamDouble, type UpstreamDouble } from '../support/upstream-double.ts';

const CITED = { text: 'Twelve months. [1]' };

let cwd = '';
let double: UpstreamDouble;
let server: Running;
let url = '';

async function newProject(): Promise<string> {
	const dir = await mkdtemp(join(tmpdir(), 'plimsoll-cli-'));
	await createProject(dir);
	return dir;
}

beforeAll(async () => {
	cwd = await newProject();
	double = await startUpstreamDouble({ record: true });
	server = startPlimsoll(['start', '--port', '0'], { cwd });
	[, url = ''] = await server.saw(/listens on (http:\S+)/);
	await server.saw(/Ctrl-C stops/);
});
afterAll(async () => {
	await server.kill();
	await double.close();
	await rm(cwd, { recursive: true, force: true });
});

describe('with a server, commands talk to it', () => {
	test('start says who answers, and its curl line works when pasted', async () => {
		expect((await server.saw(/answers +(.*)/))[1]).toBe(
			'local/extractive: quotes passages, not a language model; set OPENAI_API_KEY for one',
		);
		const [line = ''] = await server.saw(/^curl .*\n.*\n/m);
		// The shell reads the line; Node sends it, since not every machine has curl.
		const shell = execFileSync('sh', ['-c', `curl() { printf '%s\\0' "$@"; }; ${line}`], { encoding: 'utf8' });
		const [address = '', , key = '', , type = '', , body = ''] = shell.split('\0');
		const headers = Object.fromEntries([key, type].map((header) => header.split(': ')));
		const response = await fetch(`http://${address}`, { method: 'POST', headers, body });
		expect(await response.json()).toMatchObject({
			choices: [{ message: { content: expect.stringContaining('twelve months') } }],
			plimsoll: { citations: [{ document: 'warranty.md' }] },
		});
	});

	test('the development key lies in a file that only its owner can read', async () => {
		const [, key] = await server.saw(/key +(plim_\S+)/);
		const file = join(cwd, '.plimsoll', 'development-key');
		expect((await readFile(file, 'utf8')).trim()).toBe(key);
		expect((await stat(file)).mode & 0o777).toBe(0o600);
	});

	test('ask streams from the server, and its trace is there at once', async () => {
		const asked = await plimsoll(['ask', 'ask-docs', 'How long is the warranty on a repair?'], { cwd });
		expect(asked).toMatchObject({ code: 0, stdout: expect.stringContaining('twelve months') });
		expect(asked.stdout).toMatch(/^\[1\] warranty\.md/m);
		const id = /req_[0-9a-z]{26}/.exec(asked.stderr)?.[0] ?? '';
		const trace = json(await plimsoll(['trace', id, '--json'], { cwd }));
		expect(trace).toMatchObject({ request_id: id, feature: 'ask-docs', streamed: true, outcome: 'ok' });
		const list = json(await plimsoll(['trace', '--feature', 'ask-docs', '--limit', '2', '--json'], { cwd }));
		expect(list).toMatchObject({ requests: [{ request_id: id }, {}], stats: [{ feature: 'ask-docs', requests: 2 }] });
	});

	test('a request that fails shows its id and its code', async () => {
		const refused = await plimsoll(['ask', 'ask-docs', ' '], { cwd });
		expect(refused.code).toBe(2);
		expect(refused.stderr).toContain('(request_invalid)');
		expect(refused.stderr).toMatch(/request req_/);
		expect((await plimsoll(['ask', 'ask-dosc', 'x'], { cwd })).stderr).toContain('ask-dosc');
	});

	test('ingest and search go through it', async () => {
		const lines = jsonLines(await plimsoll(['ingest', '--json'], { cwd }));
		expect(lines.at(-1)).toMatchObject({ report: { promoted: false, sources: [{ unchanged: 2 }] } });
		const found = json(await plimsoll(['search', 'docs', 'saturday', '--k', '1', '--json'], { cwd }));
		expect(found).toMatchObject({
			mode: 'lexical',
			hits: [{ rank: 1, document: 'opening-hours.md', lexical_score: expect.any(Number), vector_score: null }],
		});
		expect((await plimsoll(['ingest', 'nothing'], { cwd })).code).toBe(4);
	});

	test('a set of queries as a TREC run', async () => {
		const input = Array.from({ length: 40 }, (_, n) => `{"id":"q${n}","query":"warranty"}\n`).join('');
		const run = await plimsoll(['search', 'docs', '--queries', '-', '--format', 'trec'], { cwd, input });
		expect(run.code).toBe(0);
		const ids = run.stdout
			.trim()
			.split('\n')
			.map((line) => line.split(' ').slice(0, 3).join(' '));
		expect(ids).toEqual(Array.from({ length: 40 }, (_, n) => `q${n} Q0 warranty.md`));
	});

	test('a key is shown once, works at once, knows its scopes, and is dead once revoked', async () => {
		const made = await plimsoll(['keys', 'create', '--name', 'till', '--scopes', 'invoke', '--json'], { cwd });
		const { id, secret } = json(made);
		const env = { PLIMSOLL_API_KEY: String(secret), PLIMSOLL_URL: url };
		const elsewhere = { cwd: tmpdir(), env };
		expect((await plimsoll(['ask', 'ask-docs', 'When is it closed?'], elsewhere)).code).toBe(0);
		expect(await plimsoll(['keys', 'list'], elsewhere)).toMatchObject({
			code: 1,
			stderr: expect.stringContaining('scope_missing'),
		});
		const list = await plimsoll(['keys', 'list'], { cwd });
		expect(list.stdout).toContain('till');
		expect(list.stdout).not.toContain(String(secret).slice(20));
		expect((await plimsoll(['keys', 'revoke', String(id)], { cwd })).code).toBe(0);
		expect(await plimsoll(['ask', 'ask-docs', 'x'], elsewhere)).toMatchObject({
			code: 1,
			stderr: expect.stringContaining('key_invalid'),
		});
		expect((await plimsoll(['keys', 'revoke', String(id)], { cwd })).code).toBe(4);
	});

	test('an edited limit holds for the next request, and a tenant sees its own limits only', async () => {
		const file = join(cwd, 'plimsoll.yaml');
		const before = await readFile(file, 'utf8');
		const create = async (tenant: string, scopes: string) => {
			const args = ['keys', 'create', '--name', `${tenant}-app`, '--tenant', tenant, '--scopes', scopes];
			return (await plimsoll(args, { cwd })).stdout.trim();
		};
		const [acme, other] = [await create('acme', 'invoke,read'), await create('other', 'invoke,read')];
		await writeFile(file, `${before}\ntenants: {acme: {keys: {acme-app: {requests_per_minute: 1}}}}\n`);
		const ask = (key: string) =>
			plimsoll(['ask', 'ask-docs', 'How long is the warranty?', '--url', url, '--key', key], { cwd });
		await expect
			.poll(async () => json(await plimsoll(['limits', '--json'], { cwd })).limits)
			.toMatchObject([{ tenant: 'acme', limit: 'requests_per_minute', max: 1, used: 0, left: 1 }]);
		expect((await ask(acme)).code).toBe(0);
		expect(await ask(acme)).toMatchObject({ code: 5, stderr: expect.stringContaining('rate_limited') });
		expect((await ask(other)).code).toBe(0);
		const seen = async (key: string) => json(await plimsoll(['limits', '--url', url, '--key', key, '--json'], { cwd }));
		expect(await seen(acme)).toMatchObject({ limits: [{ scope: expect.stringMatching(/^key:/), used: 1, left: 0 }] });
		expect(await seen(other)).toEqual({ limits: [], admission: { server: null, tenants: [] } });
		await writeFile(file, before);
	});

	test('an upstream is taken out and in, requests hear of it, and the log says who did', async () => {
		const opened = await plimsoll(['upstreams', 'open', 'local/extractive', '--for', '5m'], { cwd });
		expect(opened).toMatchObject({ code: 0, stdout: expect.stringContaining('local/extractive is not asked for') });
		const asked = await plimsoll(['ask', 'ask-docs', 'How long is the warranty?'], { cwd });
		expect(asked).toMatchObject({ code: 5, stderr: expect.stringContaining('an operator took it out') });
		const trace = json(await plimsoll(['trace', /req_[0-9a-z]{26}/.exec(asked.stderr)?.[0] ?? '', '--json'], { cwd }));
		expect(JSON.stringify(trace)).toContain('local/extractive (open until ');
		expect((await plimsoll(['upstreams'], { cwd })).stdout).toMatch(/^local\/extractive +open \(hand\)/m);
		expect((await plimsoll(['upstreams', 'close', 'local/extractive'], { cwd })).code).toBe(0);
		expect(json(await plimsoll(['upstreams', '--json'], { cwd }))).toMatchObject({
			upstreams: [{ upstream: 'local/extractive', state: 'closed', why: null, wait_ms: null }],
		});
		expect((await plimsoll(['ask', 'ask-docs', 'How long is the warranty?'], { cwd })).code).toBe(0);
		expect((await plimsoll(['upstreams', 'open', 'no/body'], { cwd })).code).toBe(4);
		expect((await plimsoll(['audit'], { cwd })).stdout).toMatch(/breaker closed +local\/extractive/);
	}, 300_000);

	test('without a key, an address says that it needs one', async () => {
		const asked = await plimsoll(['ask', 'ask-docs', 'x', '--url', url], { cwd });
		expect(asked).toMatchObject({ code: 1, stderr: expect.stringContaining('key_missing') });
	});

	test('a second server on the same data folder is refused with the first one’s address', async () => {
		const { code, stderr } = await plimsoll(['start', '--port', '0'], { cwd });
		expect(stderr).toContain(url);
		expect(code).toBe(3);
	});

	test('a port in use is refused, and the data folder is free again', async () => {
		const other = await newProject();
		const { code, stderr } = await plimsoll(['start', '--port', new URL(url).port], { cwd: other });
		expect(stderr).toContain('address_in_use');
		expect(code).toBe(3);
		expect((await plimsoll(['keys', 'list'], { cwd: other })).code).toBe(0);
		await rm(other, { recursive: true });
	});

	test('an address that this machine does not have is refused by name', async () => {
		const other = await newProject();
		const { code, stderr } = await plimsoll(['start', '--host', '192.0.2.1', '--port', '0'], { cwd: other });
		expect(stderr).toContain('192.0.2.1:0 is no address of this machine. (address_unusable)');
		expect(code).toBe(3);
		await rm(other, { recursive: true });
	});

	test('a broken edit is told and the last good files serve on, also for commands; its repair is told too', async () => {
		const file = join(cwd, 'features', 'ask-docs', 'contract.yaml');
		const good = await readFile(file, 'utf8');
		await writeFile(file, `${good}\nbudgte: {}\n`);
		await server.saw(/contract\.yaml:\d+:1: budgte/, 'stderr');
		expect((await plimsoll(['ask', 'ask-docs', 'When is it closed?'], { cwd })).stdout).toContain('Sundays');
		await writeFile(file, good.replace('k: 5', 'k: 4'));
		await server.saw(/reloaded: ask-docs/, 'stderr');
	});

	test('an ingestion says what the index holds, beside what the run wrote', async () => {
		const [, documents, chunks] = await server.saw(
			/docs: the index holds (\d+) documents in (\d+) chunks; this run wrote \2 chunks in /,
			'stderr',
		);
		const page = join(cwd, 'docs', 'one-more.md');
		await writeFile(page, '# Parking\n\nVisitors park behind the house.');
		const { stdout } = await plimsoll(['ingest', 'docs'], { cwd });
		expect(stdout).toContain(`the index holds ${Number(documents) + 1} documents in ${Number(chunks) + 1} chunks`);
	});

	test('edited settings that wait for the next start are named', async () => {
		const file = join(cwd, 'plimsoll.yaml');
		const before = await readFile(file, 'utf8');
		const edits =
			'server: {drain_ms: 1234, port: 4711}\nshared_state: {on_failure: fail_closed}\ntelemetry: {retention_days: 7}';
		await writeFile(file, `${before}\n${edits}\n`);
		await server.saw(
			/until the next start: server\.port, server\.drain_ms, shared_state\.on_failure, telemetry\.retention_days/,
			'stderr',
		);
		await writeFile(file, before);
	});

	test('SIGINT ends an idle server with 0', async () => {
		server.child.kill('SIGINT');
		const { code, stdout } = await server.ended;
		expect(stdout).toMatch(/Stopping\.\nStopped\.\n$/);
		expect(code).toBe(0);
	});
});

test('a start whose shared state is gone, and whose policy is to refuse then, says what it waits for', async () => {
	const dir = await newProject();
	const shared = 'server: {port: 0}\nshared_state: {redis: {env: REDIS_URL}, on_failure: fail_closed}';
	await appendFile(join(dir, 'plimsoll.yaml'), `\n${shared}\n`);
	// Port 1 is nobody's.
	const running = startPlimsoll(['start'], { cwd: dir, env: { REDIS_URL: 'redis://127.0.0.1:1' } });
	await running.saw(/shared_state\.redis does not answer/, 'stderr');
	running.child.kill('SIGTERM');
	expect(await running.ended).toMatchObject({ code: 0 });
	await rm(dir, { recursive: true });
});

describe('stopping', () => {
	async function slowServer() {
		const dir = await newProject();
		const env = { OPENAI_BASE_URL: double.url, OPENAI_API_KEY: 'sk-test' };
		const running = startPlimsoll(['start', '--port', '0', '--json'], { cwd: dir, env });
		await running.saw(/"event":"ready"/);
		return { dir, running };
	}

	test('lets a running request end, refuses new ones, and exits with 0', async () => {
		const { dir, running } = await slowServer();
		const before = double.requests;
		double.next({ ...CITED, latencyMs: 1_500 });
		const asked = plimsoll(['ask', 'ask-docs', 'How long is the warranty?', '--json'], { cwd: dir });
		await double.arrived(before + 1);
		running.child.kill('SIGTERM');
		await running.saw(/"event":"stopping","running":1/);
		const [, at] = await running.saw(/"url":"(http[^"]+)"/);
		expect((await fetch(`${at}/readyz`)).status).toBe(503);
		expect(json(await asked)).toMatchObject({ upstream: 'openai/default', answer: expect.stringContaining('[1]') });
		expect(await running.ended).toMatchObject({ code: 0 });
		await rm(dir, { recursive: true });
	});

	test('a second signal does not wait', async () => {
		const { dir, running } = await slowServer();
		const before = double.requests;
		double.next({ ...CITED, latencyMs: 30_000 });
		const asked = plimsoll(['ask', 'ask-docs', 'How long is the warranty?'], { cwd: dir });
		await double.arrived(before + 1);
		running.child.kill('SIGINT');
		await running.saw(/"event":"stopping"/);
		running.child.kill('SIGINT');
		expect(await running.ended).toMatchObject({ code: 130 });
		expect((await asked).code).toBe(5);
		await rm(dir, { recursive: true });
	});
});
