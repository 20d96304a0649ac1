import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createProject } from '../../src/app/new-project.ts';
import { parseScript } from '../../src/mock-upstream/script.ts';
import { json, jsonLines, plimsoll, type Running, startPlimsoll } from '../support/cli-process.ts';

const GUIDE = new URL('../../docs/guides/test-your-failure-policies.md', import.meta.url);
let cwd = '';
const running: Running[] = [];
beforeAll(async () => {
	cwd = await mkdtemp(join(tmpdir(), 'plimsoll-mock-'));
});
afterAll(async () => {
	for (const one of running) await one.kill();
	await rm(cwd, { recursive: true, force: true });
});

function start(...args: string[]): Running {
	const double = startPlimsoll(['mock-upstream', '--port', '0', ...args], { cwd });
	running.push(double);
	return double;
}

/** The fenced blocks of the guide in one language, without their indentation. */
async function blocks(language: string): Promise<string[]> {
	const text = await readFile(GUIDE, 'utf8');
	const fences = text.matchAll(new RegExp(`^( *)\`\`\`${language}\\n([\\s\\S]*?)^ *\`\`\`$`, 'gm'));
	return [...fences].map(([, indent = '', body = '']) => body.replaceAll(new RegExp(`^${indent}`, 'gm'), ''));
}

test('what it says to write into plimsoll.yaml is a project that has nothing wrong, and that it answers', async () => {
	const double = start();
	const [, upstreams = ''] = await double.saw(/(upstreams:[\s\S]*?)\s+Ctrl-C stops/);
	const project = join(cwd, 'printed');
	await createProject(project);
	const written = await readFile(join(project, 'plimsoll.yaml'), 'utf8');
	await writeFile(join(project, 'plimsoll.yaml'), written.replace('upstreams:', upstreams));
	const checked = await plimsoll(['check', '--json'], { cwd: project, env: { MOCK_KEY: 'any' } });
	expect(checked).toMatchObject({ code: 0 });
	for (const name of ['mock/openai', 'mock/anthropic', 'mock/gemini']) expect(upstreams).toContain(name);
});

describe('the guide', () => {
	test('has only scripts that run', async () => {
		const scripts = await blocks('yaml');
		expect(scripts.length).toBeGreaterThan(3);
		for (const text of scripts) expect(parseScript({ file: 'faults.yaml', text }).problems).toEqual([]);
	});

	test('does what it says: the outage fails over, the answer and the double tell of it', async () => {
		const [script = ''] = await blocks('yaml');
		await writeFile(join(cwd, 'faults.yaml'), script);
		const double = start('--script', 'faults.yaml');
		const [, address = ''] = await double.saw(/OpenAI +base URL (\S+)/);
		expect((await double.saw(/script +(.*)/))[1]).toBe('faults.yaml, seed 7; 2 rules: outage, broken-off');
		const project = join(cwd, 'project');
		await createProject(project);
		const env = { OPENAI_BASE_URL: address, OPENAI_API_KEY: 'any' };
		const [, , commands = ''] = await blocks('sh').then((all) => ['', ...all]);
		const ask = /plimsoll ask (\S+) "(.*)"/.exec(commands);
		expect((await plimsoll(['ingest'], { cwd: project, env })).code).toBe(0);
		const answers = [];
		for (let i = 0; i < 4; i++) {
			const asked = await plimsoll(['ask', ask?.[1] ?? '', ask?.[2] ?? '', '--json'], { cwd: project, env });
			answers.push(json(asked));
		}
		const outage = { upstream: 'local/extractive', degraded: 'upstream_outage: fail_over' };
		expect(answers.slice(0, 2)).toMatchObject([outage, outage]);
		expect(answers[3]).toMatchObject({ upstream: 'openai/default', degraded: null });
		const origin = address.replace(/\/v1$/, '');
		const { requests } = (await (await fetch(`${origin}/mock/requests`)).json()) as { requests: { rule: string }[] };
		expect(requests.map(({ rule }) => rule)).toEqual(['outage', 'outage', 'broken-off', null, null]);
		const { by_fault } = (await (await fetch(`${origin}/mock/stats`)).json()) as { by_fault: object };
		expect(by_fault).toEqual({ server_error: 2, cut: 1, none: 2 });
		double.child.kill('SIGINT');
		expect(await double.ended).toMatchObject({ code: 0, stdout: expect.stringContaining('Stopped after 5 requests.') });
	});
});

test('--json tells what happens as lines, from its address to its end', async () => {
	const double = start('--json', '--seed', '3');
	const [, url = ''] = await double.saw(/"url":"([^"]+)"/);
	const body = JSON.stringify({ contents: [{ parts: [{ text: 'Hello' }] }] });
	await (await fetch(`${url}/v1beta/models/gemini-x:generateContent`, { method: 'POST', body })).text();
	await double.saw(/"ended":"whole"/);
	double.child.kill('SIGTERM');
	expect(jsonLines(await double.ended)).toMatchObject([
		{ event: 'listening', seed: 3, script: null, rules: [] },
		{ event: 'request', number: 1, route: 'gemini', model: 'gemini-x', status: 200, fault: null, ended: 'whole' },
		{ event: 'stopped', requests: 1 },
	]);
});

test('a script with mistakes, and an address that is taken, end with 3 and say where', async () => {
	await writeFile(join(cwd, 'wrong.yaml'), 'seed: 1\nrulez: {}\n');
	const wrong = await plimsoll(['mock-upstream', '--script', 'wrong.yaml'], { cwd });
	expect(wrong).toMatchObject({ code: 3, stderr: expect.stringContaining('wrong.yaml:2:1: rulez: unknown key') });
	const missing = await plimsoll(['mock-upstream', '--script', 'none.yaml', '--json'], { cwd });
	expect(json(missing)).toMatchObject({ error: { problems: [{ file: 'none.yaml', message: 'does not exist' }] } });
	const double = start();
	const [, port = ''] = await double.saw(/listens on http:\/\/127\.0\.0\.1:(\d+)/);
	const taken = await plimsoll(['mock-upstream', '--port', port], { cwd });
	expect(taken).toMatchObject({ code: 3, stderr: expect.stringContaining('(address_in_use)') });
});
