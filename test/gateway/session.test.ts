import { request } from 'node:http';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type RunningGateway, startGateway } from '../support/gateway-fixture.ts';
import { feature, KEY } from '../support/runtime-fixture.ts';

let gateway: RunningGateway;
beforeAll(async () => {
	gateway = await startGateway({ features: (model) => [feature({}, { route: [model] })] });
});
afterAll(() => gateway.close());

async function call(method: string, path: string, headers: Record<string, string> = {}, body?: unknown) {
	const response = await fetch(gateway.url + path, {
		method,
		headers: { ...headers, ...(body === undefined ? {} : { 'content-type': 'application/json' }) },
		body: body === undefined ? null : JSON.stringify(body),
	});
	const reply: ReturnType<typeof JSON.parse> = await response.json();
	return { status: response.status, headers: response.headers, body: reply, code: reply.error?.code ?? null };
}

async function signIn() {
	const { status, headers, body } = await call('POST', '/admin/session', {}, { key: KEY });
	expect(status).toBe(201);
	const [cookie = ''] = (headers.get('set-cookie') ?? '').split(';');
	return { cookie, csrf: String(body.csrf_token), attributes: headers.get('set-cookie') ?? '', body };
}

/** Names the host that the client believes to talk to, which fetch does not let one do. */
function cookieFor(headers: Record<string, string>): Promise<string> {
	const body = JSON.stringify({ key: KEY });
	return new Promise((resolve, reject) => {
		const sent = request(
			`${gateway.url}/admin/session`,
			{ method: 'POST', headers: { 'content-type': 'application/json', ...headers } },
			(reply) => resolve(String(reply.resume().headers['set-cookie'])),
		);
		sent.once('error', reject).end(body);
	});
}

describe('a browser that signs in', () => {
	test('gets a cookie that no script reads and no other site sends, and reads with it', async () => {
		const { cookie, attributes, body } = await signIn();
		expect(attributes).toMatch(/; Path=\/; Max-Age=\d+; HttpOnly; SameSite=Strict$/);
		expect(body).toMatchObject({ key: 'a'.repeat(12), tenant: 'acme', scopes: ['read', 'admin'] });
		expect(JSON.stringify(body)).not.toContain('bbbb');
		expect((await call('GET', '/admin/keys', { cookie })).status).toBe(200);
		const again = await call('GET', '/admin/session', { cookie });
		expect(again).toMatchObject({ status: 200, body });
		expect(again.headers.get('cache-control')).toBe('no-store');
	});

	test('gets a cookie for TLS alone, unless it runs on this machine without', async () => {
		expect(await cookieFor({ host: 'gateway.example.com' })).toContain('; Secure');
		expect(await cookieFor({ host: '127.0.0.1:4600', 'x-forwarded-proto': 'https' })).toContain('; Secure');
		expect(await cookieFor({ host: '127.0.0.1.example.com' })).toContain('; Secure');
		for (const host of ['localhost:4600', '127.0.0.1', '[::1]:4600']) {
			expect(await cookieFor({ host })).not.toContain('Secure');
		}
	});

	test('changes something only with the token of its session', async () => {
		const { cookie, csrf } = await signIn();
		const other = await signIn();
		const ask = { name: 'x', scopes: ['invoke'] };
		for (const headers of [{ cookie }, { cookie, 'x-csrf-token': other.csrf }] as Record<string, string>[]) {
			const refused = await call('POST', '/admin/keys', headers, ask);
			expect(refused).toMatchObject({ status: 403, code: 'csrf_token_missing' });
		}
		expect((await call('DELETE', '/admin/keys/k', { cookie })).code).toBe('csrf_token_missing');
		expect((await call('PUT', '/admin/tenants/acme', { cookie }, {})).code).toBe('csrf_token_missing');
		expect((await call('POST', '/admin/keys', { cookie, 'x-csrf-token': csrf }, ask)).status).toBe(201);
	});

	test('calls no feature and ingests nothing with its cookie', async () => {
		const { cookie, csrf } = await signIn();
		const headers = { cookie, 'x-csrf-token': csrf };
		const chat = { model: 'greet', messages: [{ role: 'user', content: 'Hello?' }] };
		expect(await call('POST', '/v1/chat/completions', headers, chat)).toMatchObject({
			status: 401,
			code: 'key_missing',
		});
		expect(await call('GET', '/v1/models', headers)).toMatchObject({ status: 401, code: 'key_missing' });
		const ingest = await call('POST', '/admin/collections/docs/ingest', headers);
		expect(ingest).toMatchObject({ status: 403, code: 'scope_missing' });
	});

	test('is not believed for a cookie that is forged, doubled or beside a wrong key', async () => {
		const { cookie } = await signIn();
		expect((await call('GET', '/admin/keys', { cookie: `${cookie}x` })).code).toBe('session_invalid');
		expect((await call('GET', '/admin/keys', { cookie: 'plimsoll_session=v1.a.b.c' })).code).toBe('session_invalid');
		expect((await call('GET', '/admin/keys', { cookie: `${cookie}; ${cookie}` })).code).toBe('key_missing');
		for (const wrong of [{ authorization: 'Bearer plim_x' }, { 'x-api-key': 'plim_x' }]) {
			expect((await call('GET', '/admin/keys', { cookie, ...wrong })).code).toBe('key_invalid');
		}
	});

	test('signs out with its token, and its cookie is taken away', async () => {
		const { cookie, csrf } = await signIn();
		expect((await call('DELETE', '/admin/session', { cookie })).code).toBe('csrf_token_missing');
		const out = await call('DELETE', '/admin/session', { cookie, 'x-csrf-token': csrf });
		expect(out).toMatchObject({ status: 200, body: { signed_out: true } });
		expect(out.headers.get('set-cookie')).toMatch(/^plimsoll_session=; Path=\/; Max-Age=0;/);
		expect(await call('GET', '/admin/session')).toMatchObject({ status: 401, code: 'session_invalid' });
	});

	test('is refused a body that holds more than a key', async () => {
		const long = await call('POST', '/admin/session', {}, { key: 'x'.repeat(5_000) });
		expect(long).toMatchObject({ status: 413, code: 'body_too_large' });
		for (const body of [{}, { key: 7 }, { key: KEY, tenant: 'other' }]) {
			expect(await call('POST', '/admin/session', {}, body)).toMatchObject({ status: 400, code: 'request_invalid' });
		}
		expect(await call('POST', '/admin/session', {}, { key: 'plim_x' })).toMatchObject({
			status: 401,
			code: 'key_invalid',
		});
	});
});
