import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { version } from '../../src/app/version.ts';
import { plimsoll } from '../support/cli-process.ts';
import { startUpstreamDouble } from '../support/upstream-double.ts';

const cwd = tmpdir();
const COMMANDS = [
	['init'],
	['check'],
	['start'],
	['ask'],
	['ingest'],
	['search'],
	['trace'],
	['keys'],
	['mock-upstream'],
	['keys', 'create'],
	['keys', 'list'],
	['keys', 'rotate'],
	['keys', 'revoke'],
	['keys', 'log'],
	['keys', 'rotate-user-hash'],
	['tenants'],
	['tenants', 'set'],
	['organisations'],
	['limits'],
	['upstreams'],
	['upstreams', 'open'],
	['flags'],
	['flags', 'explain'],
	['audit'],
];
/** They do nothing by themselves. */
const GROUPS = ['keys', 'tenants', 'organisations', 'upstreams', 'flags'];

describe('help', () => {
	test.each(COMMANDS)('%s %s shows its use with examples', async (...command) => {
		const names = command.filter((name) => typeof name === 'string');
		const { code, stdout, stderr } = await plimsoll([...names, '--help'], { cwd });
		expect(code).toBe(0);
		expect(stderr).toBe('');
		expect(stdout).toContain(`Usage: plimsoll ${names.join(' ')}`);
		expect(stdout).toMatch(/Examples:\n {2}\S/);
		// A default is said as it would be typed, with its unit.
		expect(stdout).not.toMatch(/default:\s+\d{5,}/);
		if (names.length === 2 || !GROUPS.includes(names[0] ?? '')) expect(stdout).toContain('--json');
	});

	test('of a command in a group is its own, and of none a wrong use', async () => {
		const [asked, flagged] = await Promise.all([
			plimsoll(['help', 'index', 'rollback'], { cwd }),
			plimsoll(['index', 'rollback', '--help'], { cwd }),
		]);
		expect(asked).toEqual(flagged);
		expect(asked.stdout).toContain('--why <reason>');
		expect(await plimsoll(['help', 'index', 'nope'], { cwd })).toMatchObject({
			code: 2,
			stderr: expect.stringContaining("unknown command 'index nope'"),
		});
	});

	test('names every command and every exit status, without colours outside a terminal', async () => {
		const { code, stdout } = await plimsoll(['--help'], { cwd });
		expect(code).toBe(0);
		for (const [name] of COMMANDS) expect(stdout).toContain(`  ${name} `);
		for (const status of [0, 1, 2, 3, 4, 5, 130]) expect(stdout).toMatch(new RegExp(`^ {2}${status} +\\S`, 'm'));
		expect(stdout).not.toContain('\u001b');
	});

	test('the version is the package’s', async () => {
		expect(await plimsoll(['--version'], { cwd })).toEqual({ code: 0, stdout: `${version}\n`, stderr: '' });
	});
});

describe('wrong use ends with 2 and says what was meant', () => {
	test.each([
		[['serach', 'docs', 'x'], 'Did you mean search?'],
		[['search', 'docs', 'x', '--mod', 'lexical'], 'Did you mean --mode?'],
		[['search', 'docs', 'x', '--mode', 'fuzzy'], 'Allowed choices are hybrid, lexical, vector'],
		[['search', 'docs', 'x', '--k', '0'], 'whole number from 1 to 1000'],
		[['search', 'docs'], '--queries'],
		[['search', 'docs', 'x', '--queries', 'y'], 'not both'],
		[['search', 'docs', 'x', '--out', 'y'], '--out needs --queries'],
		[['ask', 'docs'], "missing required argument 'question'"],
		[['keys', 'create'], "required option '--name <name>' not specified"],
		[['keys', 'create', '--name', 'x', '--scopes', 'root'], '"root" is not a scope'],
		[['keys', 'create', '--name', 'x', '--expires', '2027-02-30'], 'a date such as 2027-01-31'],
		[['keys', 'create', '--name', 'x', '--expires', '999999w'], 'a date such as 2027-01-31'],
		[['keys', 'rotate', 'x', '--overlap', '-1h'], 'a time such as 24h'],
		[['keys', 'log', '--limit', '0'], 'from 1 to 1000'],
		[['ask', 'docs', 'x', '--url', 'nonsense'], 'is not the address of a server'],
		[[], 'Usage: plimsoll'],
	])('%j', async (args, said) => {
		const { code, stdout, stderr } = await plimsoll(args, { cwd });
		expect(stderr).toContain(said);
		expect(stdout).toBe('');
		expect(code).toBe(2);
	});
});

test('outside a project, a command says how to come to one and ends with 3', async () => {
	const { code, stderr } = await plimsoll(['check'], { cwd });
	expect(stderr).toContain('plimsoll init');
	expect(code).toBe(3);
});

test.each([[['trace']], [['keys', 'list']], [['ask', 'x', 'y']]])(
	'%j in a folder without a project ends with 3 and writes nothing into it',
	async (args) => {
		const folder = await mkdtemp(join(tmpdir(), 'plimsoll-none-'));
		const { code, stderr } = await plimsoll([...args, '--dir', folder], { cwd });
		expect(stderr).toContain('(project_not_found)');
		expect(code).toBe(3);
		expect(await readdir(folder)).toEqual([]);
		await rm(folder, { recursive: true });
	},
);

test('a server that speaks the same wire format and is no Plimsoll is told from one', async () => {
	const double = await startUpstreamDouble();
	const { code, stderr } = await plimsoll(['trace', '--url', double.url.replace(/\/v1$/, ''), '--key', 'x'], { cwd });
	expect(stderr).toMatch(/does not answer as a Plimsoll server.*no such route.*\(server_unreachable\)/);
	expect(code).toBe(5);
	await double.close();
});

test('an error with --json is one document on stdout and nothing on stderr', async () => {
	const { code, stdout, stderr } = await plimsoll(['ask', 'x', 'y', '--url', 'http://127.0.0.1:1', '--json'], { cwd });
	expect(JSON.parse(stdout)).toEqual({
		error: { code: 'server_unreachable', message: expect.stringContaining('ECONNREFUSED'), param: null },
	});
	expect(stderr).toBe('');
	expect(code).toBe(5);
});
