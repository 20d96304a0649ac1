import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { UnsecuredJWT } from 'jose';
import pino from 'pino';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type RunningServer, serve } from '../../src/app/serve.ts';
import { systemClock } from '../../src/base/clock.ts';
import { ROUTES } from '../../src/gateway/gateway.ts';
import { SCOPES, type Scope } from '../../src/spec/records.ts';
import { type SigningPair, sign, signingPair } from '../support/issuer-double.ts';
import { VALID_PROJECT, writeInto } from '../support/project-folder.ts';

/** What a row tells about its route, for whoever belongs to another tenant. */
interface Row {
	/** Null: open to everyone. */
	readonly scope: Scope | null;
	/** Values of the path's parameters: the other tenant's, wherever there can be such. */
	readonly path?: Readonly<Record<string, () => string>>;
	readonly body?: () => unknown;
	/** What the stranger hears: a status, or the code of a refusal. */
	readonly hears: number | string;
	/** What an open route says without anything: for the others it is what everybody hears. */
	readonly openly?: number | string;
}

const ASKING = { model: 'ask', messages: [{ role: 'user', content: 'What is a load line?' }] };
const docs = { collection: () => 'docs' };
const oneOfDocs = { ...docs, generation: () => 'docs-g99' };
const oneDocument = { ...docs, document: () => 'acme-1' };
const tenant = { tenant: () => 'acme' };
const organisation = { organisation: () => 'acme-holding' };
const admin = { scope: 'admin', hears: 'scope_missing' } as const;

/** Every route has a row here; one that has none fails the first test below. */
const ROWS: Readonly<Record<string, Row>> = {
	'POST /v1/chat/completions': { scope: 'invoke', body: () => ({ ...ASKING, user: 'acme-user' }), hears: 200 },
	'POST /v1/features/{feature}/invoke': {
		scope: 'invoke',
		path: { feature: () => 'ask' },
		body: () => ({ input: { question: 'What is a load line?' }, user: 'acme-user' }),
		hears: 200,
	},
	'POST /v1/responses': {
		scope: 'invoke',
		body: () => ({ model: 'ask', input: 'What is a load line?', user: 'acme-user' }),
		hears: 200,
	},
	'POST /v1/messages': {
		scope: 'invoke',
		body: () => ({ ...ASKING, max_tokens: 100, metadata: { user_id: 'acme-user' } }),
		hears: 200,
	},
	'POST /v1/messages/count_tokens': { scope: 'invoke', body: () => ASKING, hears: 200 },
	'POST /v1/embeddings': {
		scope: 'invoke',
		body: () => ({ model: 'words', input: 'a load line', user: 'acme-user' }),
		hears: 200,
	},
	'POST /v1/collections/{collection}/search': {
		scope: 'invoke',
		path: { collection: () => 'docs' },
		body: () => ({ query: 'load line' }),
		hears: 200,
	},
	'POST /v1/feedback': {
		scope: 'invoke',
		body: () => ({ request_id: acme.traceId, rating: 'up', user: 'acme-user' }),
		hears: 'trace_not_found',
	},
	'GET /v1/models': { scope: 'invoke', hears: 200 },
	'GET /v1/models/{model}': { scope: 'invoke', path: { model: () => 'ask' }, hears: 200 },
	'GET /admin/traces/{request_id}': {
		scope: 'read',
		path: { request_id: () => acme.traceId },
		hears: 'trace_not_found',
	},
	'GET /admin/traces': { scope: 'read', hears: 200 },
	'GET /admin/feedback': { scope: 'read', hears: 'scope_missing' },
	'DELETE /admin/feedback': admin,
	'POST /admin/collections/{collection}/ingest': { scope: 'ingest', path: { collection: () => 'docs' }, hears: 200 },
	'GET /admin/collections/{collection}/quarantine': { scope: 'ingest', path: { collection: () => 'docs' }, hears: 200 },
	'GET /admin/collections/{collection}/quarantine/{entry}': {
		scope: 'ingest',
		path: { collection: () => 'docs', entry: () => 'qua_1' },
		hears: 'quarantine_entry_not_found',
	},
	'POST /admin/collections/{collection}/quarantine/retry': {
		scope: 'ingest',
		path: { collection: () => 'docs' },
		body: () => ({}),
		hears: 200,
	},
	'POST /admin/collections/{collection}/quarantine/drop': {
		scope: 'ingest',
		path: { collection: () => 'docs' },
		body: () => ({}),
		hears: 200,
	},
	'POST /admin/collections/{collection}/documents': {
		scope: 'ingest',
		path: docs,
		body: () => ({ id: 'acme-1', text: 'x' }),
		hears: 'push_source_unknown',
	},
	'GET /admin/collections/{collection}/documents': { scope: 'ingest', path: docs, hears: 'push_source_unknown' },
	'GET /admin/collections/{collection}/documents/{document}': {
		scope: 'ingest',
		path: oneDocument,
		hears: 'push_source_unknown',
	},
	'DELETE /admin/collections/{collection}/documents/{document}': {
		scope: 'ingest',
		path: oneDocument,
		hears: 'push_source_unknown',
	},
	'POST /admin/collections/{collection}/documents/delete': {
		scope: 'ingest',
		path: docs,
		body: () => ({ ids: ['acme-1'] }),
		hears: 'push_source_unknown',
	},
	'POST /admin/collections/{collection}/documents/purge': {
		...admin,
		path: docs,
		body: () => ({ ids: ['acme-1'], why: 'x' }),
	},
	'GET /admin/documents': admin,
	'GET /admin/collections/{collection}/runs/{run}': {
		scope: 'ingest',
		path: { ...docs, run: () => 'run_1' },
		hears: 'run_not_found',
	},
	'GET /admin/collections/{collection}/generations': { scope: 'read', path: docs, hears: 200 },
	'GET /admin/collections/{collection}/generations/{generation}': {
		scope: 'read',
		path: oneOfDocs,
		hears: 'generation_not_found',
	},
	'GET /admin/collections/{collection}/generations/{generation}/diff': {
		scope: 'ingest',
		path: oneOfDocs,
		hears: 'request_invalid',
	},
	'POST /admin/collections/{collection}/generations/{generation}/verify': {
		scope: 'ingest',
		path: oneOfDocs,
		hears: 'generation_not_found',
	},
	'POST /admin/collections/{collection}/generations/{generation}/promote': {
		...admin,
		path: oneOfDocs,
		body: () => ({ why: 'x' }),
	},
	'POST /admin/collections/{collection}/generations/rollback': { ...admin, path: docs, body: () => ({ why: 'x' }) },
	'POST /admin/collections/{collection}/generations/gc': { ...admin, path: docs },
	'GET /admin/collections/{collection}/rebuild': { scope: 'ingest', path: docs, hears: 200 },
	'POST /admin/collections/{collection}/rebuild': { scope: 'ingest', path: docs, hears: 200 },
	'GET /admin/collections': { scope: 'read', hears: 200 },
	'GET /admin/collections/{collection}/partitions': { ...admin, path: docs },
	'GET /admin/limits': { scope: 'read', hears: 200 },
	'GET /admin/admission': { scope: 'read', hears: 200 },
	'GET /admin/keys': admin,
	'POST /admin/keys': { ...admin, body: () => ({ name: 'x', scopes: ['invoke'], tenant: 'acme' }) },
	'POST /admin/keys/{key}/rotate': { ...admin, path: { key: () => acme.id }, body: () => ({ overlap_ms: 0 }) },
	'DELETE /admin/keys/{key}': { ...admin, path: { key: () => acme.id } },
	'POST /admin/user-hash/rotate': admin,
	'GET /admin/audit': admin,
	'GET /admin/tenants': admin,
	'GET /admin/tenants/{tenant}': { ...admin, path: tenant },
	'PUT /admin/tenants/{tenant}': { ...admin, path: tenant, body: () => ({ suspended: true }) },
	'DELETE /admin/tenants/{tenant}': { ...admin, path: tenant },
	'GET /admin/organisations': admin,
	'GET /admin/organisations/{organisation}': { ...admin, path: organisation },
	'PUT /admin/organisations/{organisation}': { ...admin, path: organisation, body: () => ({ limits: {} }) },
	'DELETE /admin/organisations/{organisation}': { ...admin, path: organisation },
	'GET /admin/description': admin,
	'GET /admin/embedders': admin,
	'POST /admin/embedders/{embedder}/check': { ...admin, path: { embedder: () => 'builtin' } },
	'GET /admin/upstreams': admin,
	'POST /admin/upstreams/{upstream}/breaker': {
		...admin,
		path: { upstream: () => 'local%2Fextractive' },
		body: () => ({ state: 'open', for_ms: 1 }),
	},
	'GET /admin/alerts': admin,
	'POST /admin/alerts/{alert}/acknowledge': { ...admin, path: { alert: () => 'alert_1' } },
	'POST /admin/alerts/{alert}/close': { ...admin, path: { alert: () => 'alert_1' } },
	'GET /admin/canaries': admin,
	'GET /admin/canaries/runs': admin,
	'POST /admin/collections/{collection}/canaries/run': { ...admin, path: { collection: () => 'docs' } },
	'POST /admin/collections/{collection}/canaries/accept': { ...admin, path: { collection: () => 'docs' } },
	'POST /admin/collections/{collection}/canaries/suggest': { ...admin, path: docs, body: () => ({}) },
	'GET /admin/flags': admin,
	'POST /admin/flags/{flag}/explain': { ...admin, path: { flag: () => 'any' }, body: () => ({}) },
	'POST /admin/session': {
		scope: null,
		body: () => ({ key: `plim_${acme.id}_${'0'.repeat(52)}` }),
		hears: 'key_invalid',
		openly: 'key_invalid',
	},
	'GET /admin/session': { scope: null, hears: 'session_invalid', openly: 'session_invalid' },
	'DELETE /admin/session': { scope: null, hears: 'session_invalid', openly: 'session_invalid' },
	'GET /metrics': admin,
	'GET /healthz': { scope: null, hears: 200, openly: 200 },
	'GET /readyz': { scope: null, hears: 200, openly: 200 },
	'GET /openapi.json': { scope: null, hears: 200, openly: 200 },
};

const SETTINGS = `identity:
  jwt:
    staff:
      keys: file
      public_keys: {file: issuer-keys.json}
      issuer: https://issuer.test/
      audience: plimsoll
      algorithms: [ES256]
      scopes_allowed: [invoke, ingest, read, admin]
organisations:
  acme-holding: {limits: {requests_per_minute: 90000}}
embedders:
  words: {family: builtin, aliases: [text-embedding-3-small]}
tenants:
  acme:
    organisation: acme-holding
    keys: {acme-secret-project: {requests_per_minute: 80000}}
`;

let dir = '';
let server: RunningServer;
let pair: SigningPair;
let root = '';
const acme = { id: '', secret: '', traceId: '', idempotencyKey: 'acme-order-1' };
const beta: Record<string, string> = {};

beforeAll(async () => {
	dir = await mkdtemp(join(tmpdir(), 'plimsoll-isolation-'));
	pair = await signingPair('one');
	const files = { ...VALID_PROJECT, 'docs/a.md': '# Load lines\n\nA load line is a mark on the hull of a ship.\n' };
	for (const [file, content] of Object.entries(files)) await writeInto(dir, file, content);
	await writeFile(join(dir, 'plimsoll.yaml'), `${VALID_PROJECT['plimsoll.yaml']}${SETTINGS}`);
	await writeFile(join(dir, 'issuer-keys.json'), JSON.stringify({ keys: [pair.jwk] }));
	const events = { onIngestProgress() {}, onIngested() {}, onIngestFailed() {}, onReloaded() {}, onReloadRefused() {} };
	server = await serve({ dir, port: 0 }, { log: pino({ level: 'silent' }), events });
	root = server.developmentKey.secret;
	await server.firstIngest;
	Object.assign(acme, await newKey({ tenant: 'acme', name: 'acme-secret-project' }));
	const headers = { 'idempotency-key': acme.idempotencyKey };
	const asked = await send('POST', '/v1/chat/completions', {
		key: acme.secret,
		body: { ...ASKING, user: 'acme-user' },
		headers,
	});
	expect(asked.status).toBe(200);
	acme.traceId = asked.requestId;
	expect((await send('GET', `/admin/traces/${acme.traceId}`, { key: root })).status).toBe(200);
	for (const scope of SCOPES) {
		beta[`only ${scope}`] = (await newKey({ tenant: 'beta', scopes: [scope] })).secret;
		beta[`not ${scope}`] = (await newKey({ tenant: 'beta', scopes: SCOPES.filter((one) => one !== scope) })).secret;
	}
	beta.member = (await newKey({ tenant: 'beta', scopes: ['invoke', 'ingest', 'read'] })).secret;
});
afterAll(async () => {
	await server.stop();
	await rm(dir, { recursive: true, force: true });
});

async function send(
	method: string,
	path: string,
	options: { key?: string | null; body?: unknown; headers?: Record<string, string> } = {},
) {
	const { key = null, body, headers = {} } = options;
	const response = await fetch(server.url + path, {
		method,
		headers: {
			...(key === null ? {} : { authorization: `Bearer ${key}` }),
			...(body === undefined ? {} : { 'content-type': 'application/json' }),
			...headers,
		},
		body: body === undefined ? null : JSON.stringify(body),
	});
	const text = await response.text();
	const parsed: ReturnType<typeof JSON.parse> =
		text.startsWith('{') && !text.includes('}\n{') ? JSON.parse(text) : null;
	const requestId = response.headers.get('x-request-id') ?? '';
	const heads = JSON.stringify([...response.headers]);
	return { status: response.status, code: parsed?.error?.code ?? null, text, heads, body: parsed, requestId };
}

async function newKey(ask: object): Promise<{ id: string; secret: string }> {
	return (await send('POST', '/admin/keys', { key: root, body: { name: 'test', scopes: ['invoke'], ...ask } })).body;
}

const rowOf = (name: string): Row => ROWS[name] as Row;
const heard = (name: string, reply: { status: number; code: string | null }, expected: number | string) =>
	expect(typeof expected === 'number' ? reply.status : reply.code, name).toBe(expected);

/** The other tenant's names in every place where a request can carry one. */
function walk(name: string, key: string | null, more: Record<string, string> = {}) {
	const [method = '', template = ''] = name.split(' ');
	const { path = {}, body } = rowOf(name);
	const place = template.replaceAll(/\{(\w+)\}/g, (_, parameter: string) => path[parameter]?.() ?? '');
	const query = `?tenant=acme&tenant_id=acme&user=acme-user&organisation=acme-holding&key=${acme.id}`;
	const headers = {
		'x-tenant': 'acme',
		'x-plimsoll-tenant': 'acme',
		'openai-organization': 'acme-holding',
		'x-forwarded-user': 'acme-user',
		...more,
	};
	return send(method, place + query, { key, headers, ...(body === undefined ? {} : { body: body() }) });
}

const closed = Object.keys(ROWS).filter((name) => rowOf(name).scope !== null);
const open = Object.keys(ROWS).filter((name) => rowOf(name).scope === null);

test('every route has a row here, with the scope that it asks for', () => {
	const routes = ROUTES.map(({ method, path, scope }) => [`${method} ${path}`, scope]);
	expect(Object.fromEntries(Object.entries(ROWS).map(([name, { scope }]) => [name, scope]))).toEqual(
		Object.fromEntries(routes),
	);
});

describe('a stranger', () => {
	test.each(closed)('without a key or with a malformed one is refused: %s', async (name) => {
		heard(name, await walk(name, null), 'key_missing');
		const malformed = ['plim_x', 'x', `plim_${acme.id}`, `plim_${acme.id}_`, `plim_${acme.id}_${'0'.repeat(52)}`];
		for (const key of [...malformed, `${acme.secret}0`, acme.secret.toUpperCase(), 'p'.repeat(5_000)]) {
			const reply = await walk(name, key);
			heard(`${name} ${key.slice(0, 30)}`, reply, 'key_invalid');
			expect(reply.text + reply.heads).not.toContain('acme');
		}
	});

	test.each(closed)('without the scope is refused: %s', async (name) => {
		const { scope } = rowOf(name);
		heard(name, await walk(name, beta[`not ${scope}`] ?? ''), 'scope_missing');
	});

	test.each(closed)('of another tenant hears nothing of this one: %s', async (name) => {
		const { scope, hears } = rowOf(name);
		const key = scope === 'admin' ? beta.member : beta[`only ${scope}`];
		const reply = await walk(
			name,
			key ?? '',
			name === 'POST /v1/chat/completions' ? { 'idempotency-key': acme.idempotencyKey } : {},
		);
		heard(name, reply, hears);
		expect(reply.heads).not.toContain('idempotency-replayed');
		for (const secret of ['acme', acme.id]) expect(reply.text + reply.heads).not.toContain(secret);
	});

	test.each(open)('hears of an open route what it says to everybody: %s', async (name) => {
		const { hears, openly = hears } = rowOf(name);
		heard(name, await walk(name, null), openly);
		const reply = await walk(name, beta.member ?? '');
		heard(name, reply, hears);
		for (const secret of ['acme', acme.id]) expect(reply.text + reply.heads).not.toContain(secret);
	});

	test('cannot tell another tenant’s trace from none at all', async () => {
		const none = 'req_00000000000000000000000000';
		const [foreign, unknown] = await Promise.all(
			[acme.traceId, none].map((id) => send('GET', `/admin/traces/${id}`, { key: beta.member ?? '' })),
		);
		expect(unknown?.text).toBe(foreign?.text.replace(acme.traceId, none));
		expect(unknown?.status).toBe(foreign?.status);
	});

	test('has changed nothing', async () => {
		expect((await send('GET', '/v1/models', { key: acme.secret })).status).toBe(200);
		const { keys } = (await send('GET', '/admin/keys', { key: root })).body;
		const its = keys.filter(({ tenant: whose }: { tenant: string }) => whose === 'acme');
		expect(its).toEqual([expect.objectContaining({ id: acme.id, expires_at: null, revoked_at: null })]);
		const { body } = await send('GET', '/admin/tenants/acme', { key: root });
		expect(body).toMatchObject({ version: 0, effective: { suspended: false, organisation: 'acme-holding' } });
	});
});

describe('a token that is not right', () => {
	const now = () => Math.floor(systemClock.now() / 1000);
	const scope = SCOPES.join(' ');
	test.each(closed)('is refused: %s', async (name) => {
		const right = await sign(pair, now(), { tenant: 'beta', scope });
		const [header, payload] = right.split('.');
		const none = Buffer.from('{"alg":"none","kid":"one"}').toString('base64url');
		const bad: readonly (readonly [string, string, string])[] = [
			['forged', await sign(await signingPair('one'), now(), { tenant: 'acme', scope }), 'token_invalid'],
			['expired', await sign(pair, now(), { exp: now() - 3_600, iat: now() - 7_200, scope }), 'token_expired'],
			['of another audience', await sign(pair, now(), { aud: 'elsewhere', scope }), 'token_invalid'],
			['of the future', await sign(pair, now() + 3_600, { scope }), 'token_invalid'],
			['not yet valid', await sign(pair, now(), { nbf: now() + 3_600, scope }), 'token_invalid'],
			['of another issuer', await sign(pair, now(), { iss: 'https://elsewhere.test/', scope }), 'token_invalid'],
			['without a signature', `${header}.${payload}.`, 'token_invalid'],
			['of alg none', `${none}.${payload}.`, 'token_invalid'],
			[
				'unsecured',
				new UnsecuredJWT({ iss: 'https://issuer.test/', aud: 'plimsoll', tenant: 'acme', scope }).encode(),
				'token_invalid',
			],
			['without a tenant', await sign(pair, now(), { tenant: undefined, scope }), 'token_invalid'],
			['of a tenant that is none', await sign(pair, now(), { tenant: '../acme', scope }), 'token_invalid'],
		];
		for (const [what, token, code] of bad) {
			const reply = await walk(name, token);
			heard(`${name}, ${what}`, reply, code);
			expect(reply.text + reply.heads).not.toContain('acme');
		}
	});
});

describe('a flood of headers', () => {
	test('is refused or does no harm, and the next request is answered', async () => {
		const many = Object.fromEntries(Array.from({ length: 500 }, (_, n) => [`x-flood-${n}`, 'y'.repeat(20)]));
		const flooded = await fetch(`${server.url}/v1/models`, {
			headers: { ...many, authorization: `Bearer ${beta.member}` },
		}).then(
			({ status }) => status,
			() => 413,
		);
		expect([200, 413]).toContain(flooded);
		const long = await fetch(`${server.url}/v1/models`, {
			headers: { authorization: `Bearer ${'x'.repeat(100_000)}` },
		}).then(
			async (response) => [response.status, ((await response.json()) as { error: { code: string } }).error.code],
			() => [413, 'headers_too_large'],
		);
		expect(long).toEqual([413, 'headers_too_large']);
		const cookies = Array.from({ length: 300 }, (_, n) => `plimsoll_session=v1.${n}`).join('; ');
		expect((await send('GET', '/admin/keys', { headers: { cookie: cookies } })).code).toBe('key_missing');
		expect((await send('GET', '/v1/models', { key: beta.member ?? '' })).status).toBe(200);
	});
});
