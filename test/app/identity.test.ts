import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pino from 'pino';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type RunningServer, serve } from '../../src/app/serve.ts';
import { systemClock } from '../../src/base/clock.ts';
import { type SigningPair, sign, signingPair } from '../support/issuer-double.ts';
import { VALID_PROJECT, writeInto } from '../support/project-folder.ts';

const IDENTITY = `identity:
  jwt:
    staff:
      keys: file
      public_keys: {file: issuer-keys.json}
      issuer: https://issuer.test/
      audience: plimsoll
      algorithms: [ES256]
      scopes_allowed: [invoke, read, admin]
      claims: {features: features}
`;

const LIMITS = `limits: {requests_per_minute: 100000}
tenants:
  acme:
    keys: {acme-secret-project: {requests_per_minute: 100000}}
  gamma:
    keys: {"jwt:staff": {requests_per_minute: 2}}
  delta:
    each_user: {requests_per_minute: 1}
`;

let dir = '';
let server: RunningServer;
let pair: SigningPair;
let root = '';
let reloaded = () => {};

beforeAll(async () => {
	dir = await mkdtemp(join(tmpdir(), 'plimsoll-identity-'));
	pair = await signingPair('one');
	for (const [file, content] of Object.entries(VALID_PROJECT)) await writeInto(dir, file, content);
	await writeInto(dir, 'features/greet/contract.yaml', 'owner: docs-team\nmodels:\n  route: [local/extractive]\n');
	await writeInto(
		dir,
		'features/greet/prompts/answer.prompt',
		VALID_PROJECT['features/ask/prompts/answer.prompt'] ?? '',
	);
	await writeInto(dir, 'docs/a.md', '# Load lines\n\nA load line is a mark on the hull of a ship.\n');
	await writeFile(join(dir, 'plimsoll.yaml'), `${VALID_PROJECT['plimsoll.yaml']}${IDENTITY}${LIMITS}`);
	await writeFile(join(dir, 'issuer-keys.json'), JSON.stringify({ keys: [pair.jwk] }));
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

interface Reply {
	readonly status: number;
	readonly text: string;
	readonly code: string | null;
	readonly body: ReturnType<typeof JSON.parse>;
	readonly requestId: string;
}

async function call(
	method: string,
	path: string,
	{ key = root, body }: { key?: string; body?: unknown } = {},
): Promise<Reply> {
	const response = await fetch(server.url + path, {
		method,
		headers: {
			...(key === '' ? {} : { authorization: `Bearer ${key}` }),
			...(body === undefined ? {} : { 'content-type': 'application/json' }),
			// Nothing but the key says whose a request is.
			'x-tenant': 'acme',
			'openai-organization': 'acme',
		},
		body: body === undefined ? null : JSON.stringify(body),
	});
	const text = await response.text();
	const parsed = text.startsWith('{') && !text.includes('}\n{') ? JSON.parse(text) : null;
	const requestId = response.headers.get('x-request-id') ?? '';
	return { status: response.status, text, code: parsed?.error?.code ?? null, body: parsed, requestId };
}

async function newKey(ask: object): Promise<{ id: string; secret: string }> {
	const made = await call('POST', '/admin/keys', { body: { name: 'test', scopes: ['invoke'], ...ask } });
	expect(made.status).toBe(201);
	return made.body;
}

const asking = (model: string, user?: string) => ({
	model,
	messages: [{ role: 'user', content: 'What is a load line?' }],
	user,
});
const chat = (key: string, model: string, user?: string) =>
	call('POST', '/v1/chat/completions', { key, body: asking(model, user) });

describe('a key for some features', () => {
	test('calls those and nothing else; which other names exist is not told', async () => {
		const { secret: key } = await newKey({ features: ['ask'] });
		expect((await chat(key, 'ask')).status).toBe(200);
		for (const model of ['greet', 'local/extractive', 'no-such-feature']) {
			expect(await chat(key, model)).toMatchObject({ status: 403, code: 'feature_not_allowed' });
			const path = `/v1/features/${encodeURIComponent(model)}/invoke`;
			const invoked = await call('POST', path, { key, body: { input: { question: 'x' } } });
			expect(invoked).toMatchObject({ status: 403, code: 'feature_not_allowed' });
		}
		const searched = await call('POST', '/v1/collections/docs/search', { key, body: { query: 'load' } });
		expect(searched).toMatchObject({ status: 403, code: 'feature_not_allowed' });
		const models = await call('GET', '/v1/models', { key });
		expect(models.body.data.map(({ id }: { id: string }) => id)).toEqual(['ask']);
	});

	test('cannot be an admin’s, and its list cannot be empty or absurd', async () => {
		for (const ask of [
			{ features: ['ask'], scopes: ['admin'] },
			{ features: [] },
			{ features: ['../ask'] },
			{ features: Array(201).fill('ask') },
			{ expires_at: 'tomorrow' },
			{ expires_at: '2020-01-01T00:00:00Z' },
			{ expires_at: 1e308 },
		]) {
			const made = await call('POST', '/admin/keys', { body: { name: 'x', scopes: ['invoke'], ...ask } });
			expect(made).toMatchObject({ status: 400, code: 'request_invalid' });
		}
	});
});

describe('rotation and revocation', () => {
	test('take effect at once in a running server, and the log tells by whom', async () => {
		const old = await newKey({});
		const next = await call('POST', `/admin/keys/${old.id}/rotate`, { body: { overlap_ms: 0 } });
		expect(next.status).toBe(201);
		expect(await chat(old.secret, 'ask')).toMatchObject({ status: 401, code: 'key_expired' });
		expect((await chat(next.body.secret, 'ask')).status).toBe(200);
		await call('DELETE', `/admin/keys/${next.body.id}`);
		expect(await chat(next.body.secret, 'ask')).toMatchObject({ status: 401, code: 'key_invalid' });
		expect(await call('POST', `/admin/keys/${old.id}/rotate`)).toMatchObject({ status: 404, code: 'key_not_found' });
		const [revoked, rotated, created] = (await call('GET', '/admin/audit?limit=3')).body.entries;
		const actor = `key:${root.slice(5, 17)}`;
		expect(revoked).toMatchObject({ actor, action: 'key_revoked', subject: next.body.id });
		expect(rotated).toMatchObject({
			actor,
			action: 'key_rotated',
			subject: old.id,
			detail: { replaced_by: next.body.id },
		});
		expect(created).toMatchObject({ actor, action: 'key_created', subject: old.id, tenant: 'default' });
	});

	test('show in the list with the last use', async () => {
		const { id, secret } = await newKey({ features: ['ask'], expires_at: '2999-01-01T00:00:00+02:00' });
		await chat(secret, 'ask');
		const { keys } = (await call('GET', '/admin/keys')).body;
		expect(keys.find((key: { id: string }) => key.id === id)).toMatchObject({
			features: ['ask'],
			expires_at: '2998-12-31T22:00:00.000Z',
			last_used_at: expect.stringMatching(/^\d{4}-/),
			revoked_at: null,
		});
		expect(JSON.stringify(keys)).not.toContain(secret.slice(-20));
	});
});

describe('a token', () => {
	const token = (change: object = {}) =>
		sign(pair, Math.floor(systemClock.now() / 1000), { features: ['ask'], ...change });

	test('calls what it may, and the trace carries its tenant and the user that it proves', async () => {
		const key = await token({ sub: 'ann@example.com' });
		const asked = await chat(key, 'ask', 'somebody else');
		expect(asked.status).toBe(200);
		expect(await chat(key, 'greet')).toMatchObject({ status: 403, code: 'feature_not_allowed' });
		const trace = (await call('GET', `/admin/traces/${asked.requestId}`)).body;
		expect(trace).toMatchObject({ tenant_id: 'acme', key_id: 'jwt:staff' });
		expect(trace.user_id_hash).toMatch(/^v1:[0-9a-f]{32}$/);
		expect(JSON.stringify(trace)).not.toContain('ann@');
		const again = await chat(await token({ sub: 'ann@example.com', jti: '2' }), 'ask');
		const claimed = await chat(await newKey({ tenant: 'acme' }).then(({ secret }) => secret), 'ask', 'ann@example.com');
		for (const { requestId } of [again, claimed]) {
			const other = (await call('GET', `/admin/traces/${requestId}`)).body;
			expect(other.user_id_hash).toBe(trace.user_id_hash);
		}
	});

	test('is held to the limits of its issuer, which is one key, and to those of the user that it proves', async () => {
		const codes = async (requests: readonly (readonly [object, string?])[]) => {
			const said: (string | null)[] = [];
			for (const [claims, user] of requests) said.push((await chat(await token(claims), 'ask', user)).code);
			return said;
		};
		const gamma = (sub: string) => [{ tenant: 'gamma', sub }] as const;
		expect(await codes([gamma('ann'), gamma('bob'), gamma('eve')])).toEqual([null, null, 'rate_limited']);
		const key = await token({ tenant: 'gamma', scope: 'read' });
		const { limits } = (await call('GET', '/admin/limits', { key })).body;
		const minute = { tenant: 'gamma', limit: 'requests_per_minute', unit: 'requests', reserved: 0 };
		expect(limits).toEqual([
			{ ...minute, scope: 'tenant', max: 100_000, used: 2, left: 99_998 },
			{ ...minute, scope: 'key:jwt:staff', max: 2, used: 2, left: 0 },
		]);
		const delta = (sub: string, user: string) => [{ tenant: 'delta', sub }, user] as const;
		expect(await codes([delta('ann', 'one'), delta('ann', 'two'), delta('bob', 'one')])).toEqual([
			null,
			'rate_limited',
			null,
		]);
	});

	test('that is not valid or has expired is refused with nothing but that, on every surface', async () => {
		const expired = await token({ exp: 1_700_000_000 });
		const forged = await sign({ ...(await signingPair('one')) }, Math.floor(systemClock.now() / 1000));
		for (const path of ['/v1/models', '/admin/traces']) {
			const refused = await call('GET', path, { key: forged });
			expect(refused).toMatchObject({ status: 401, code: 'token_invalid' });
			expect(refused.body.error.message).toBe('The token is not valid.');
			expect(await call('GET', path, { key: expired })).toMatchObject({ status: 401, code: 'token_expired' });
		}
	});

	test('of an admin is named in the log by issuer and hashed user', async () => {
		const key = await token({ scope: 'admin', sub: 'root@example.com' });
		const made = await call('POST', '/admin/keys', { key, body: { name: 'x', scopes: ['invoke'] } });
		expect(made.status).toBe(201);
		const [entry] = (await call('GET', '/admin/audit?limit=1')).body.entries;
		expect(entry.actor).toMatch(/^jwt:staff:v1:[0-9a-f]{32}$/);
		expect(JSON.stringify(entry)).not.toContain('root@');
	});
});

test('an issuer that is taken out of the file is nobody, without a restart', async () => {
	const key = await sign(pair, Math.floor(systemClock.now() / 1000), { features: ['ask'] });
	expect((await chat(key, 'ask')).status).toBe(200);
	const done = new Promise<void>((resolve) => {
		reloaded = resolve;
	});
	await writeFile(join(dir, 'plimsoll.yaml'), VALID_PROJECT['plimsoll.yaml'] ?? '');
	await done;
	expect(await chat(key, 'ask')).toMatchObject({ status: 401, code: 'key_invalid' });
	expect((await chat(root, 'ask')).status).toBe(200);
});
