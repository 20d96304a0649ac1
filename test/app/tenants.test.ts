import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pino from 'pino';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type RunningServer, serve } from '../../src/app/serve.ts';
import { VALID_PROJECT, writeInto } from '../support/project-folder.ts';

const DECLARED = `limits: {requests_per_minute: 1000}
organisations:
  filed: {limits: {requests_per_minute: 5000}}
tenants:
  acme:
    limits: {requests_per_minute: 600}
    organisation: filed
`;

let dir = '';
let server: RunningServer;
let root = '';
let reloaded = () => {};

beforeAll(async () => {
	dir = await mkdtemp(join(tmpdir(), 'plimsoll-tenants-'));
	for (const [file, content] of Object.entries(VALID_PROJECT)) await writeInto(dir, file, content);
	await writeInto(dir, 'docs/a.md', '# Load lines\n\nA load line is a mark on the hull of a ship.\n');
	await writeFile(join(dir, 'plimsoll.yaml'), `${VALID_PROJECT['plimsoll.yaml']}${DECLARED}`);
	const events = {
		onIngestProgress() {},
		onIngested() {},
		onIngestFailed() {},
		onReloaded: () => reloaded(),
		onReloadRefused() {},
	};
	server = await serve({ dir, port: 0 }, { log: pino({ level: 'silent' }), events });
	root = server.developmentKey.secret;
	await server.firstIngest;
});
afterAll(async () => {
	await server.stop();
	await rm(dir, { recursive: true, force: true });
});

async function call(method: string, path: string, options: { key?: string; body?: unknown; ifMatch?: string } = {}) {
	const { key = root, body, ifMatch } = options;
	const response = await fetch(server.url + path, {
		method,
		headers: {
			authorization: `Bearer ${key}`,
			...(body === undefined ? {} : { 'content-type': 'application/json' }),
			...(ifMatch === undefined ? {} : { 'if-match': ifMatch }),
		},
		body: body === undefined ? null : typeof body === 'string' ? body : JSON.stringify(body),
	});
	const reply: ReturnType<typeof JSON.parse> = await response.json();
	return { status: response.status, etag: response.headers.get('etag'), body: reply, code: reply.error?.code ?? null };
}

async function newKey(tenant: string, scopes = ['invoke']): Promise<{ id: string; secret: string }> {
	return (await call('POST', '/admin/keys', { body: { name: 'test', tenant, scopes } })).body;
}

const ASKING = { model: 'ask', messages: [{ role: 'user', content: 'What is a load line?' }] };
const chat = (key: string) => call('POST', '/v1/chat/completions', { key, body: ASKING });
const put = (name: string, body: unknown, ifMatch?: string) =>
	call('PUT', `/admin/tenants/${name}`, { body, ...(ifMatch === undefined ? {} : { ifMatch }) });

describe('a tenant that is set live', () => {
	test('is held to its new limits by the next request, and the log says what was changed by whom', async () => {
		const { secret } = await newKey('live');
		expect((await chat(secret)).status).toBe(200);
		const set = await put('live', { limits: { requests_per_minute: 2, cost_usd_per_day: 12.5 } });
		expect(set).toMatchObject({ status: 200, etag: '"1"', body: { version: 1, keys: 1 } });
		// One request was counted before anything limited it.
		expect([(await chat(secret)).status, (await chat(secret)).code]).toEqual([200, 'rate_limited']);
		const more = await put('live', { limits: { requests_per_minute: 4 } }, '"1"');
		expect(more.etag).toBe('"2"');
		expect((await chat(secret)).status).toBe(200);
		const [entry] = (await call('GET', '/admin/audit?limit=1')).body.entries;
		expect(entry).toMatchObject({
			actor: `key:${root.slice(5, 17)}`,
			action: 'tenant_changed',
			subject: 'live',
			tenant: 'live',
			detail: { 'limits.requests_per_minute': '2 → 4', 'limits.cost_usd_per_day': '12.5 → unset' },
		});
	});

	test('whose limit is lowered below what is in use waits for it to fall, and nothing is negative', async () => {
		const { secret } = await newKey('lowered', ['invoke', 'read']);
		await put('lowered', { limits: { requests_per_minute: 10 } });
		for (let n = 0; n < 5; n++) expect((await chat(secret)).status).toBe(200);
		await put('lowered', { limits: { requests_per_minute: 1 } });
		expect(await chat(secret)).toMatchObject({ status: 429, code: 'rate_limited' });
		const { limits } = (await call('GET', '/admin/limits', { key: secret })).body;
		expect(limits).toEqual([expect.objectContaining({ max: 1, used: 5, left: 0 })]);
		await put('lowered', { limits: { requests_per_minute: 0 } });
		expect(await chat(secret)).toMatchObject({ status: 422, code: 'request_above_limit' });
		await put('lowered', { limits: { requests_per_minute: null } });
		expect((await chat(secret)).status).toBe(200);
	});

	test('is refused absurd limits with the field and what was expected', async () => {
		const absurd: readonly (readonly [string, RegExp])[] = [
			['{"limits":{"requests_per_minute":-1}}', /^limits\.requests_per_minute: .*>=0/],
			['{"limits":{"requests_per_minute":1.5}}', /^limits\.requests_per_minute: .*expected int/],
			['{"limits":{"requests_per_minute":"600"}}', /^limits\.requests_per_minute: .*expected number/],
			['{"limits":{"cost_usd_per_day":1e308}}', /^limits\.cost_usd_per_day: .*<=1000000000/],
			['{"limits":{"cost_usd_per_day":1e999}}', /^limits\.cost_usd_per_day: /],
			['{"limits":{"cost_usd_per_day":0.0000001}}', /^limits\.cost_usd_per_day: .*millionth/],
			['{"limits":{"cost_usd_per_day":NaN}}', /not valid JSON/],
			['{"limits":{"requests_per_hour":1}}', /requests_per_hour/],
			['{"each_user":[]}', /^each_user: .*expected object/],
			['{"suspended":"yes"}', /^suspended: .*expected boolean/],
			['{"organisation":7}', /^organisation: .*expected string/],
			['{"keys":{"":{}}}', /^keys\./],
			['[]', /expected object/],
		];
		for (const [body, words] of absurd) {
			const refused = await put('absurd', body);
			expect(refused, body).toMatchObject({ status: 400, code: 'request_invalid' });
			expect(refused.body.error.message, body).toMatch(words);
		}
		for (const name of ['Upper', '-x', 'a%20b', 'x'.repeat(64), '%2e%2e%2fkeys']) {
			expect(await put(name, {}), name).toMatchObject({ status: 400, code: 'request_invalid' });
		}
		expect(await call('GET', '/admin/tenants/absurd')).toMatchObject({ status: 404, code: 'tenant_not_found' });
	});

	test('changed by two admins at once keeps the first change, and tells the second', async () => {
		await put('contested', { limits: { requests_per_minute: 1 } });
		const { etag } = await call('GET', '/admin/tenants/contested');
		const both = await Promise.all(
			[10, 20].map((requests_per_minute) => put('contested', { limits: { requests_per_minute } }, etag ?? '')),
		);
		expect(both.map(({ status }) => status).sort()).toEqual([200, 412]);
		expect(both.find(({ status }) => status === 412)?.code).toBe('version_conflict');
		const won = both.find(({ status }) => status === 200)?.body.settings;
		expect((await call('GET', '/admin/tenants/contested')).body).toMatchObject({ version: 2, settings: won });
		expect(await call('DELETE', '/admin/tenants/contested', { ifMatch: etag ?? '' })).toMatchObject({
			code: 'version_conflict',
		});
		expect(await put('contested', {}, 'soon')).toMatchObject({ status: 400, code: 'request_invalid' });
		// Version 0 is "nobody set anything yet".
		expect(await put('contested', {}, '"0"')).toMatchObject({ code: 'version_conflict' });
		expect(await put('uncontested', {}, '"0"')).toMatchObject({ status: 200, etag: '"1"' });
	});
});

describe('suspension and deletion', () => {
	test('a suspended tenant is refused at once on every surface, and its keys work again afterwards', async () => {
		const { secret } = await newKey('paused', ['invoke', 'read']);
		await put('paused', { suspended: true });
		expect(await chat(secret)).toMatchObject({ status: 403, code: 'tenant_suspended' });
		expect(await call('GET', '/v1/models', { key: secret })).toMatchObject({ code: 'tenant_suspended' });
		expect(await call('GET', '/admin/traces', { key: secret })).toMatchObject({ code: 'tenant_suspended' });
		await put('paused', { suspended: false });
		expect((await chat(secret)).status).toBe(200);
		const { entries } = (await call('GET', '/admin/audit?limit=2')).body;
		expect(entries.map(({ action }: { action: string }) => action)).toEqual(['tenant_resumed', 'tenant_suspended']);
	});

	test('an operator of a suspended tenant can still resume it', async () => {
		await put('default', { suspended: true });
		expect(await chat(root)).toMatchObject({ code: 'tenant_suspended' });
		expect((await put('default', { suspended: false })).status).toBe(200);
		expect((await chat(root)).status).toBe(200);
	});

	test('deleting a tenant revokes its keys and no other’s, and a new one of the name begins afresh', async () => {
		const [one, two, other] = await Promise.all([newKey('gone'), newKey('gone'), newKey('staying')]);
		await put('gone', { limits: { requests_per_minute: 0 } });
		const { body } = await call('DELETE', '/admin/tenants/gone');
		expect(body).toEqual({ name: 'gone', deleted: true, keys_revoked: 2 });
		for (const { secret } of [one, two]) expect(await chat(secret)).toMatchObject({ status: 401, code: 'key_invalid' });
		expect((await chat(other.secret)).status).toBe(200);
		expect(await call('DELETE', '/admin/tenants/gone')).toMatchObject({ status: 404, code: 'tenant_not_found' });
		const { entries } = (await call('GET', '/admin/audit?limit=3')).body;
		expect(entries[0]).toMatchObject({ action: 'tenant_deleted', subject: 'gone', detail: { keys_revoked: 2 } });
		expect(
			entries
				.slice(1)
				.map(({ subject }: { subject: string }) => subject)
				.sort(),
		).toEqual([one.id, two.id].sort());
		const again = await newKey('gone');
		expect((await chat(again.secret)).status).toBe(200);
		expect((await put('gone', {}, '"0"')).etag).toBe('"3"');
	});
});

describe('what plimsoll.yaml declares', () => {
	test('is not changed live, and the refusal names field and line; the rest is free', async () => {
		const refused = await put('acme', { limits: { requests_per_minute: 700 } });
		expect(refused).toMatchObject({
			status: 403,
			code: 'managed_by_file',
			body: { error: { param: 'limits.requests_per_minute' } },
		});
		const line = (VALID_PROJECT['plimsoll.yaml'] ?? '').split('\n').length + 5;
		expect(refused.body.error.message).toBe(
			`limits.requests_per_minute of the tenant acme is declared in plimsoll.yaml, line ${line}: edit it there.`,
		);
		expect(await put('acme', { organisation: 'elsewhere' })).toMatchObject({ code: 'managed_by_file' });
		// Saying what the file says is no change.
		const same = { limits: { requests_per_minute: 600, tokens_per_minute: 9 }, organisation: 'filed' };
		const { body } = await put('acme', same);
		expect(body).toMatchObject({
			settings: { organisation: null, limits: { tokens_per_minute: 9 } },
			effective: { organisation: 'filed', limits: { requests_per_minute: 600, tokens_per_minute: 9 } },
			managed_by_file: [
				{ field: 'organisation', file: 'plimsoll.yaml', line: line + 1 },
				{ field: 'limits.requests_per_minute', file: 'plimsoll.yaml', line },
			],
		});
		expect(await call('DELETE', '/admin/tenants/acme')).toMatchObject({ status: 403, code: 'managed_by_file' });
		expect(await call('DELETE', '/admin/organisations/filed')).toMatchObject({ status: 403, code: 'managed_by_file' });
	});

	test('takes over what was set live when it is edited, and gives it back', async () => {
		const edit = async (text: string) => {
			const done = new Promise<void>((resolve) => {
				reloaded = resolve;
			});
			await writeFile(join(dir, 'plimsoll.yaml'), `${VALID_PROJECT['plimsoll.yaml']}${text}`);
			await done;
		};
		const { secret } = await newKey('moving');
		await put('moving', { limits: { requests_per_minute: 0 } });
		expect(await chat(secret)).toMatchObject({ code: 'request_above_limit' });
		await edit(`${DECLARED}  moving: {limits: {requests_per_minute: 50}}\n`);
		expect((await chat(secret)).status).toBe(200);
		await edit(DECLARED);
		expect(await chat(secret)).toMatchObject({ code: 'request_above_limit' });
	});
});

describe('an organisation that is set live', () => {
	test('holds its tenants together at once; no tenant is told what the others use', async () => {
		const organisation = (name: string, body: unknown) => call('PUT', `/admin/organisations/${name}`, { body });
		expect(await put('first', { organisation: 'globex' })).toMatchObject({
			status: 404,
			code: 'organisation_not_found',
		});
		await organisation('globex', { limits: { requests_per_minute: 3 } });
		await put('first', { organisation: 'globex' });
		await put('second', { organisation: 'globex' });
		const [first, second] = await Promise.all([newKey('first'), newKey('second', ['invoke', 'read'])]);
		expect([(await chat(first.secret)).status, (await chat(first.secret)).status]).toEqual([200, 200]);
		expect((await chat(second.secret)).status).toBe(200);
		const refused = await chat(second.secret);
		expect(refused).toMatchObject({ status: 429, code: 'rate_limited' });
		expect(refused.body.error.message).toContain('the organisation globex allows 3 requests a minute');
		const seen = (await call('GET', '/admin/limits', { key: second.secret })).body.limits;
		expect(seen).toContainEqual({
			tenant: 'second',
			scope: 'organisation:globex',
			limit: 'requests_per_minute',
			unit: 'requests',
			max: 3,
			used: null,
			reserved: null,
			left: null,
		});
		expect(JSON.stringify(seen)).not.toContain('first');
		const all = (await call('GET', '/admin/limits')).body.limits;
		expect(all).toContainEqual(
			expect.objectContaining({ tenant: null, scope: 'organisation:globex', used: 3, left: 0 }),
		);
		expect(await call('DELETE', '/admin/organisations/globex')).toMatchObject({
			status: 422,
			code: 'organisation_in_use',
		});
		await put('first', {});
		await put('second', {});
		expect((await call('DELETE', '/admin/organisations/globex')).status).toBe(200);
		expect((await chat(second.secret)).status).toBe(200);
		expect(await call('GET', '/admin/organisations/globex')).toMatchObject({ status: 404 });
	});
});

test('what was set live outlives a restart', async () => {
	const { secret } = await newKey('kept');
	await put('kept', { suspended: true });
	await server.stop();
	const events = { onIngestProgress() {}, onIngested() {}, onIngestFailed() {}, onReloaded() {}, onReloadRefused() {} };
	server = await serve({ dir, port: 0 }, { log: pino({ level: 'silent' }), events });
	expect(await chat(secret)).toMatchObject({ code: 'tenant_suspended' });
	expect((await call('GET', '/admin/tenants/kept')).body).toMatchObject({ version: 1, settings: { suspended: true } });
});
