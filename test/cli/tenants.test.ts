import { appendFile, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createProject } from '../../src/app/new-project.ts';
import { assigned, assignments } from '../../src/cli/assignment.ts';
import { json, plimsoll } from '../support/cli-process.ts';

let cwd = '';
beforeAll(async () => {
	cwd = await mkdtemp(join(tmpdir(), 'plimsoll-tenants-cli-'));
	await createProject(cwd);
	await appendFile(join(cwd, 'plimsoll.yaml'), '\ntenants:\n  filed: {limits: {requests_per_minute: 5}}\n');
});
afterAll(() => rm(cwd, { recursive: true, force: true }));

const run = (...args: string[]) => plimsoll(args, { cwd });

describe('plimsoll tenants and organisations', () => {
	test('set, show and list what is in force, and say what the file declares', async () => {
		expect((await run('organisations', 'set', 'globex', 'limits.cost_usd_per_month=2000')).code).toBe(0);
		const set = await run('tenants', 'set', 'acme', 'organisation=globex', 'limits.requests_per_minute=600', '--json');
		expect(json(set)).toMatchObject({ name: 'acme', version: 1, settings: { limits: { requests_per_minute: 600 } } });
		const cleared = await run(
			'tenants',
			'set',
			'acme',
			'limits.requests_per_minute=',
			'keys.shop.eu.tokens_per_minute=9',
		);
		expect(cleared.stdout).toMatch(/version 2/);
		expect(cleared.stdout).toMatch(/keys\.shop\.eu\.tokens_per_minute +9 +set live/);
		expect(cleared.stdout).not.toContain('requests_per_minute');
		const filed = await run('tenants', 'show', 'filed');
		expect(filed.stdout).toMatch(/limits\.requests_per_minute +5 +plimsoll\.yaml, line \d+/);
		const refused = await run('tenants', 'set', 'filed', 'limits.requests_per_minute=6');
		expect(refused.code).toBe(1);
		expect(refused.stderr).toMatch(/declared in plimsoll\.yaml, line \d+/);
		expect(json(await run('organisations', 'list', '--json'))).toMatchObject({
			organisations: [{ name: 'globex', tenants: ['acme'] }],
		});
	}, 300_000);

	test('refuse a version that has passed, and delete only what is confirmed', async () => {
		const stale = await run('tenants', 'suspend', 'acme', '--if-version', '1');
		expect(stale.code).toBe(1);
		expect(stale.stderr).toContain('version 2 by now');
		const asked = await run('tenants', 'delete', 'acme');
		expect(asked.stdout).toContain('Nothing was changed');
		const done = await run('tenants', 'delete', 'acme', '--yes');
		expect(done.stdout).toContain('The tenant acme is deleted');
		expect((await run('tenants', 'show', 'acme')).code).toBe(4);
		expect((await run('audit')).stdout).toMatch(/tenant deleted +acme .*organisation=globex → unset/);
	}, 300_000);
});

describe('an assignment', () => {
	test('is a field as plimsoll.yaml names it, with a number, a name or nothing', () => {
		const all = [
			'organisation=globex',
			'limits.cost_usd_per_day=12.5',
			'each_user.tokens_per_minute=none',
			'keys.a.b.requests_per_minute=',
		].reduce<ReturnType<typeof assignments>>((before, text) => assignments(text, before), []);
		const before = { organisation: null, keys: { 'a.b': { requests_per_minute: 3, tokens_per_minute: 1 } } };
		expect(assigned(before, all)).toEqual({
			organisation: 'globex',
			limits: { cost_usd_per_day: 12.5 },
			each_user: { tokens_per_minute: null },
			keys: { 'a.b': { tokens_per_minute: 1 } },
		});
		expect(before.keys['a.b']).toEqual({ requests_per_minute: 3, tokens_per_minute: 1 });
	});

	test('of a number that JSON has not is left to be refused, and never means no limit', () => {
		const [limit] = assignments('limits.requests_per_minute=1e999');
		expect(JSON.parse(JSON.stringify(limit))).toEqual({
			path: ['limits', 'requests_per_minute'],
			value: '1e999',
		});
	});

	test('of another form is refused, and no name reaches an object’s prototype', () => {
		for (const text of [
			'limits',
			'=1',
			'limits=1',
			'suspended=true',
			'limits.a.b=1',
			'features.x=1',
			'organisation.x=1',
		]) {
			expect(() => assignments(text), text).toThrow(/Expected field=value/);
		}
		const settings = assigned({}, assignments('keys.__proto__.polluted=1'));
		expect(Object.getPrototypeOf(settings)).toBe(Object.prototype);
		expect(({} as Record<string, unknown>).polluted).toBeUndefined();
	});
});
