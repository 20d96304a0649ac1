import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createProject } from '../../src/app/new-project.ts';
import { parseCanaries } from '../../src/contracts/canary.ts';
import { json, jsonLines, plimsoll, startPlimsoll } from '../support/cli-process.ts';

let cwd = '';
beforeAll(async () => {
	cwd = await mkdtemp(join(tmpdir(), 'plimsoll-cli-'));
	await createProject(cwd);
});
afterAll(() => rm(cwd, { recursive: true, force: true }));

describe('without a server, commands open the project themselves', () => {
	test('before the first ingestion, a search says what to do and ends with 5', async () => {
		const { code, stderr } = await plimsoll(['search', 'docs', 'warranty'], { cwd });
		expect(stderr).toContain('plimsoll ingest');
		expect(code).toBe(5);
	});

	test('nothing is traced yet, and keys can be made all the same', async () => {
		const key = await plimsoll(['keys', 'create', '--name', 'early', '--tenant', 'acme'], { cwd });
		expect(key.stdout).toMatch(/^plim_[0-9a-z]{12}_[0-9a-z]{52}\n$/);
		const refused = await plimsoll(['keys', 'create', '--name', 'x', '--tenant', 'A C'], { cwd });
		expect(refused).toMatchObject({ code: 2, stderr: expect.stringContaining('tenant: expected lower-case') });
		expect(json(await plimsoll(['keys', 'list', '--json'], { cwd })).keys).toMatchObject([
			{ name: 'early', tenant: 'acme', scopes: ['invoke'], revoked_at: null },
		]);
	});

	test('a key for some features and a time is rotated, and the log has it all', async () => {
		const ask = ['keys', 'create', '--name', 'brief', '--features', 'ask-docs,greet', '--expires', '90d', '--json'];
		const made = json(await plimsoll(ask, { cwd }));
		expect(made).toMatchObject({ features: ['ask-docs', 'greet'], expires_at: expect.stringMatching(/^20/) });
		const next = await plimsoll(['keys', 'rotate', String(made.secret), '--overlap', '0s'], { cwd });
		expect(next.stdout).toMatch(/^plim_[0-9a-z]{12}_[0-9a-z]{52}\n$/);
		expect(next.stderr).not.toContain(String(made.secret).slice(18));
		const again = await plimsoll(['keys', 'rotate', String(made.id)], { cwd });
		expect(again).toMatchObject({ code: 4, stderr: expect.stringContaining('key_not_found') });
		expect((await plimsoll(['keys', 'list'], { cwd })).stdout).toMatch(/ask-docs,greet .*expired /);
		expect((await plimsoll(['keys', 'rotate-user-hash'], { cwd })).stdout).toContain('v2');
		const log = await plimsoll(['keys', 'log'], { cwd });
		expect(log.stdout).toMatch(/user hash rotated +v2[\s\S]*key rotated[\s\S]*key created/);
		const { entries } = json(await plimsoll(['keys', 'log', '--limit', '1', '--json'], { cwd }));
		expect(entries).toMatchObject([{ actor: 'process', action: 'user_hash_rotated', subject: 'v2', tenant: null }]);
	});

	test('ingest --json writes progress and the report as lines', async () => {
		const done = await plimsoll(['ingest', '--json'], { cwd });
		expect(done.code).toBe(0);
		const lines = jsonLines(done);
		expect(lines[0]).toMatchObject({ collection: 'docs', progress: { source: 'handbook' } });
		expect(lines.at(-1)).toMatchObject({
			collection: 'docs',
			report: { promoted: true, sources: [{ seen: 2, new: 2, failed: [] }] },
		});
	});

	test('canaries are suggested into a file that is never overwritten, and only added to', async () => {
		const ask = ['canary', 'suggest', 'docs', '--out', 'suggested.jsonl'];
		const made = await plimsoll(ask, { cwd });
		expect(made).toMatchObject({ code: 0, stdout: '', stderr: expect.stringContaining('To accept them') });
		const file = join(cwd, 'suggested.jsonl');
		const text = await readFile(file, 'utf8');
		const { value, problems } = parseCanaries({ file, text }, null);
		expect(problems).toEqual([]);
		const refused = await plimsoll(ask, { cwd });
		expect(refused).toMatchObject({ code: 2, stderr: expect.stringContaining('--append') });
		const again = json(await plimsoll([...ask, '--append', '--json'], { cwd }));
		expect(again).toMatchObject({ suggestions: [], file: null });
		const [first = ''] = text.trimEnd().split('\n');
		await writeFile(file, first.replace(/"id":"[^"]*"/, '"id":"mine"').replace(/"query":"/, '"query":"by hand '));
		await plimsoll([...ask, '--append'], { cwd });
		expect((await readFile(file, 'utf8')).split('\n')).toHaveLength((value?.length ?? 0) + 2);
		await rm(file);
	});

	test('a second ingestion finds everything unchanged', async () => {
		const { code, stdout } = await plimsoll(['ingest', 'docs'], { cwd });
		expect(stdout).toMatch(
			/^docs {2}unchanged, generation \S+; the index holds [1-9]\d* documents in [1-9]\d* chunks$/m,
		);
		expect(stdout).toMatch(/docs +unchanged/);
		expect(stdout).toMatch(/handbook +2 +0 +0 +2 +0 +0/);
		expect(code).toBe(0);
	});

	test('index lists and checks generations, and goes back to none that is not there', async () => {
		const listed = await plimsoll(['index', 'list', 'docs'], { cwd });
		expect(listed.stdout).toMatch(/^docs-g1-[0-9a-f]{8} +live +2 /m);
		expect(listed.stdout).toMatch(/promoted {2}docs-g1-\S+ {2}by process: run run_/);
		const verified = await plimsoll(['index', 'verify', 'docs', 'g1', '--json'], { cwd });
		expect(verified.code).toBe(0);
		const checks = ['damage', 'identity', 'conservation', 'statistics'].map((check) => ({ check }));
		expect(json(verified)).toMatchObject({ passed: true, checks });
		const back = await plimsoll(['index', 'rollback', 'docs', '--why', 'x'], { cwd });
		expect(back).toMatchObject({ code: 1, stderr: expect.stringContaining('no earlier generation') });
	});

	test('index rebuild says what it takes, and promotes nothing when it comes to the same', async () => {
		const lines = jsonLines(await plimsoll(['index', 'rebuild', 'docs', '--json'], { cwd }));
		expect(lines[0]).toMatchObject({ estimate: { documents: 2, cost_micros: 0 } });
		expect(lines.at(-1)).toMatchObject({ report: { promoted: false, refused: null, sources: [{ new: 2 }] } });
		expect((await plimsoll(['index', 'promote', 'docs', 'g1'], { cwd })).code).toBe(2);
		expect((await plimsoll(['index', 'show', 'docs', 'g7'], { cwd })).code).toBe(4);
	});

	test('ask answers with citations, and trace shows the request', async () => {
		const asked = await plimsoll(['ask', 'ask-docs', 'How', 'long', 'is', 'the', 'warranty?'], { cwd });
		expect(asked.stdout).toContain('twelve months');
		expect(asked.stdout).toMatch(/^\[1\] warranty\.md/m);
		const id = /req_[0-9a-z]{26}/.exec(asked.stderr)?.[0] ?? '';
		const shown = await plimsoll(['trace', id], { cwd });
		for (const stage of ['admit', 'retrieve', 'assemble', 'generate', 'guard']) expect(shown.stdout).toContain(stage);
		expect(shown.stdout).toContain('promised at p95');
		expect(json(await plimsoll(['trace', id, '--json'], { cwd }))).toMatchObject({ request_id: id, outcome: 'ok' });
		const listed = await plimsoll(['trace'], { cwd });
		expect(listed.stdout).toContain(id);
		expect(listed.stdout).toMatch(/ask-docs .*kept/);

		const contract = join(cwd, 'features/ask-docs/contract.yaml');
		const before = await readFile(contract, 'utf8');
		await writeFile(contract, before.replace(/latency_ms_p95: \d+/, '$&\n  time_to_first_token_ms_p95: 1'));
		expect((await plimsoll(['trace'], { cwd })).stdout).toMatch(/ask-docs .*broken: first token/);
		await writeFile(contract, before);
	});

	test('limits shows what is used of what was set, and hears of an edit', async () => {
		expect((await plimsoll(['limits'], { cwd })).stderr).toContain('No limits are set');
		const file = join(cwd, 'plimsoll.yaml');
		const before = await readFile(file, 'utf8');
		await writeFile(file, `${before}\nlimits: {requests_per_minute: 60, cost_usd_per_day: 2.5}\n`);
		const shown = await plimsoll(['limits'], { cwd });
		expect(shown.stdout).toMatch(/acme +tenant +requests_per_minute +60 +0 +0 +60\n/);
		expect(shown.stdout).toMatch(/acme +tenant +cost_usd_per_day +\$2\.50 +\$0\.00 +\$0\.00 +\$2\.50\n/);
		expect(json(await plimsoll(['limits', '--json'], { cwd })).limits).toContainEqual({
			tenant: 'acme',
			scope: 'tenant',
			limit: 'cost_usd_per_day',
			unit: 'micro_usd',
			max: 2_500_000,
			used: 0,
			reserved: 0,
			left: 2_500_000,
		});
		await writeFile(file, before);
	});

	test('a question can come on standard input', async () => {
		const asked = await plimsoll(['ask', 'ask-docs', '-', '--json'], { cwd, input: 'When is it closed?\n' });
		expect(json(asked)).toMatchObject({
			feature: 'ask-docs',
			upstream: 'local/extractive',
			answer: expect.stringContaining('Sundays'),
			citations: [{ number: 1, document: 'opening-hours.md' }],
		});
	});

	test('what does not exist ends with 4', async () => {
		for (const args of [
			['ask', 'nobody', 'hello'],
			['search', 'nothing', 'hello'],
			['ingest', 'nothing'],
			['trace', 'req_00000000000000000000000000'],
			['keys', 'revoke', '000000000000'],
		]) {
			expect(await plimsoll([...args, '--json'], { cwd })).toMatchObject({ code: 4, stderr: '' });
		}
	});

	test('a search of stop words says why it found nothing', async () => {
		const { code, stderr } = await plimsoll(['search', 'docs', 'the of and'], { cwd });
		expect(stderr).toContain('Nothing found');
		expect(stderr).toContain('are not searched for');
		expect(code).toBe(0);
	});

	test('a set of queries runs in the file’s order; what is no query is told by its line, and the status is 1', async () => {
		await writeFile(
			join(cwd, 'queries.jsonl'),
			'{"id":"q 1","query":"warranty"}\nnonsense\n\n{"id":2,"query":"saturday"}\n{"id":"q3"}\n',
		);
		const trec = await plimsoll(
			['search', 'docs', '--queries', 'queries.jsonl', '--format', 'trec', '--out', 'run.txt'],
			{ cwd },
		);
		expect(trec.code).toBe(1);
		expect(trec.stdout).toBe('');
		expect(trec.stderr).toContain('line 2: not JSON');
		expect(trec.stderr).toContain('line 5: query');
		const { readFile } = await import('node:fs/promises');
		const run = (await readFile(join(cwd, 'run.txt'), 'utf8')).trim().split('\n');
		expect(run.map((line) => line.split(' ').slice(0, 4))).toEqual([
			['q%201', 'Q0', 'warranty.md', '1'],
			['2', 'Q0', 'opening-hours.md', '1'],
		]);
		for (const line of run) expect(line).toMatch(/ \d+(\.\d+)? plimsoll$/);
		const input = await readFile(join(cwd, 'queries.jsonl'), 'utf8');
		const lines = jsonLines(await plimsoll(['search', 'docs', '--queries', '-'], { cwd, input }));
		expect(lines).toMatchObject([
			{ id: 'q 1', hits: [{ rank: 1, document: 'warranty.md' }] },
			{ line: 2, error: { code: 'request_invalid' } },
			{ id: '2', hits: [{ rank: 1, document: 'opening-hours.md' }] },
			{ line: 5, error: { code: 'request_invalid' } },
		]);
	});

	test('a run that fails leaves no file behind', async () => {
		const failed = await plimsoll(['search', 'nothing', '--queries', 'queries.jsonl', '--out', 'none.txt'], { cwd });
		expect(failed.code).toBe(4);
		const { readdir } = await import('node:fs/promises');
		expect((await readdir(cwd)).filter((name) => name.startsWith('none'))).toEqual([]);
	});

	test('interrupting a set of queries ends with 130', async () => {
		const running = startPlimsoll(['search', 'docs', '--queries', '-'], { cwd });
		running.child.stdin?.write('{"id":1,"query":"warranty"}\n'.repeat(10));
		await running.saw(/"id":"1"/);
		running.child.kill('SIGINT');
		expect(await running.ended).toMatchObject({ code: 130, stderr: expect.stringContaining('Interrupted.') });
	});
});
