import { connect } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ROUTES } from '../../src/gateway/gateway.ts';
import type { Guard } from '../../src/spec/guard.ts';
import { type RunningGateway, startGateway } from '../support/gateway-fixture.ts';
import { feature, hit, KEY, retrieverOf } from '../support/runtime-fixture.ts';

let gateway: RunningGateway;
beforeAll(async () => {
	gateway = await startGateway({
		features: (model) => [feature({ feature: 'ask', retrieval: {} }, { route: [model] })],
		retriever: retrieverOf([hit(1, 'A load line is a mark.')]),
		bodyBytesMax: 10_000,
	});
});
afterAll(async () => {
	expect(gateway.faults).toEqual([]);
	await gateway.close();
});

async function post(path: string, body: string, headers: Record<string, string> = {}) {
	const response = await fetch(gateway.url + path, {
		method: 'POST',
		headers: { authorization: `Bearer ${KEY}`, 'content-type': 'application/json', ...headers },
		body,
	});
	return { status: response.status, headers: response.headers, body: JSON.parse(await response.text()) };
}

describe('bad input', () => {
	const deep = (levels: number) => '['.repeat(levels) + ']'.repeat(levels);
	it.each([
		['an empty body', '', 400, 'request_invalid', null],
		['broken JSON', '{"model": "ask", ', 400, 'request_invalid', null],
		['a list', '[]', 400, 'request_invalid', null],
		['no model', '{"messages":[{"role":"user","content":"x"}]}', 400, 'request_invalid', 'model'],
		['a model that is a number', '{"model":1,"messages":[]}', 400, 'request_invalid', 'model'],
		['messages that are text', '{"model":"ask","messages":"x"}', 400, 'request_invalid', 'messages'],
		['empty messages', '{"model":"ask","messages":[]}', 400, 'request_invalid', 'messages'],
		[
			'a message without a role',
			'{"model":"ask","messages":[{"content":"x"}]}',
			400,
			'request_invalid',
			'messages[0].role',
		],
		['stream as text', '{"model":"ask","messages":[{"role":"user"}],"stream":"yes"}', 400, 'request_invalid', 'stream'],
		[
			'a system message',
			'{"model":"ask","messages":[{"role":"system","content":"x"}]}',
			400,
			'request_invalid',
			'messages[0].role',
		],
		[
			'an empty question',
			'{"model":"ask","messages":[{"role":"user","content":" "}]}',
			400,
			'request_invalid',
			'messages[0].content',
		],
		[
			'an image',
			'{"model":"ask","messages":[{"role":"user","content":[{"type":"image_url"}]}]}',
			400,
			'request_invalid',
			'messages[0].content[0]',
		],
		[
			'max_tokens below one',
			'{"model":"ask","messages":[{"role":"user","content":"x"}],"max_tokens":0}',
			400,
			'request_invalid',
			'max_tokens',
		],
		[
			'an unknown stream option',
			'{"model":"ask","messages":[{"role":"user","content":"x"}],"stream_options":{"x":1}}',
			400,
			'parameter_unsupported',
			'stream_options.x',
		],
		['a body nested 5,000 deep', `{"model":"ask","messages":${deep(4000)}}`, 413, 'body_too_large', null],
		['a body above the cap', `{"model":"ask","pad":"${'x'.repeat(20_000)}"}`, 413, 'body_too_large', null],
		[
			'a prototype',
			'{"model":"ask","messages":[{"role":"user","content":"x"}],"__proto__":{"admin":true}}',
			400,
			'request_invalid',
			null,
		],
		[
			'a prototype in escapes',
			'{"model":"ask","messages":[{"role":"user","content":"x"}],"__pr\\u006Fto_\\u005f" :1}',
			400,
			'request_invalid',
			null,
		],
	])('%s is refused by name and calls no upstream', async (_, body, status, code, param) => {
		const before = gateway.double.requests;
		const traced = gateway.traces.traces.length;
		const answer = await post('/v1/chat/completions', body);
		expect({ status: answer.status, ...answer.body.error }).toMatchObject({ status, code, param });
		expect(gateway.double.requests).toBe(before);
		expect(gateway.traces.traces).toHaveLength(traced + 1);
		expect(gateway.traces.last).toMatchObject({ outcome: 'refused', error_code: code });
		expect(answer.body.error.request_id).toBe(gateway.traces.last.request_id);
	});

	it.each([
		['/v1/collections/docs/search', '{"query":"x","k":0}', 'k: expected an integer from 1 to 1000.'],
		['/v1/collections/docs/search', '{"query":"x","k":1.5}', 'k: expected an integer from 1 to 1000.'],
		['/v1/features/ask/invoke', '{"input":{"question":5}}', 'input.question: expected a string.'],
		['/v1/chat/completions', '{"messages":[]}', 'model: expected the name of a feature or an upstream.'],
	])('says to %s %s what it expected, and where', async (path, body, message) => {
		expect((await post(path, body)).body.error.message).toBe(message);
	});

	it.each([
		['/admin/traces?limit=all', 500],
		['/admin/traces?limit=501', 500],
		['/admin/audit?limit=all', 1000],
		['/admin/audit?limit=0', 1000],
	])('names the query parameter that is wrong in %s', async (path, most) => {
		const response = await fetch(gateway.url + path, { headers: { authorization: `Bearer ${KEY}` } });
		expect(await response.json()).toMatchObject({
			error: {
				code: 'request_invalid',
				param: 'limit',
				message: `limit: expected a whole number from 1 to ${most}.`,
			},
		});
	});

	it('answers paths that reach no route in its own shape', async () => {
		for (const [path, says] of [
			['/v1/models/%zz', 'The path is not a valid URL path.'],
			[`/v1/models/${'m'.repeat(400)}`, 'A name in the path is longer than 300 characters.'],
		] as const) {
			const response = await fetch(gateway.url + path, { headers: { authorization: `Bearer ${KEY}` } });
			expect([response.status, await response.json()]).toEqual([
				400,
				{
					error: {
						message: says,
						type: 'invalid_request_error',
						param: null,
						code: 'request_invalid',
						request_id: null,
					},
				},
			]);
		}
	});

	it('misses a body only where one is needed, whatever type is named', async () => {
		const ask = (path: string, method: string) =>
			fetch(gateway.url + path, {
				method,
				headers: { authorization: `Bearer ${KEY}`, 'content-type': 'application/json' },
			});
		expect(await (await ask('/admin/keys/unknown', 'DELETE')).json()).toEqual({ id: 'unknown', revoked: true });
		for (const [path, method] of [
			['/v1/chat/completions', 'POST'],
			['/admin/keys', 'POST'],
		] as const) {
			const missing = await ask(path, method);
			expect([path, missing.status, await missing.json()]).toMatchObject([
				path,
				400,
				{ error: { code: 'request_invalid', message: 'The body is empty; a JSON object was expected.' } },
			]);
		}
	});

	it('tells a stranger how to introduce itself', async () => {
		const response = await fetch(`${gateway.url}/v1/models`);
		expect([response.status, response.headers.get('www-authenticate')]).toEqual([401, 'Bearer']);
	});

	it('refuses another content type', async () => {
		expect((await post('/v1/chat/completions', 'x', { 'content-type': 'text/plain' })).body.error.code).toBe(
			'request_invalid',
		);
	});

	it('says that it takes no compressed body', async () => {
		const answer = await post('/v1/chat/completions', 'x', { 'content-encoding': 'gzip' });
		expect(answer.body.error).toMatchObject({
			code: 'request_invalid',
			message: expect.stringContaining('content-encoding'),
		});
	});

	it('knows no other route', async () => {
		expect(await post('/v1/nowhere', '{}')).toMatchObject({
			status: 404,
			body: { error: { code: 'route_not_found' } },
		});
	});

	it('refuses a wrong key before it reads the body', async () => {
		const answer = await post('/v1/chat/completions', '{"broken', { authorization: 'Bearer nonsense' });
		expect(answer).toMatchObject({ status: 401, body: { error: { code: 'key_invalid' } } });
		expect(JSON.stringify(answer.body)).not.toContain('nonsense');
	});

	it.each([
		['no HTTP at all', 'hello\r\n\r\n', 400, 'request_invalid'],
		[
			'headers above the cap',
			`GET /healthz HTTP/1.1\r\nhost: x\r\nx-pad: ${'x'.repeat(20_000)}\r\n\r\n`,
			413,
			'headers_too_large',
		],
	])('answers %s in the shape of every error, and closes', async (_, sent, status, code) => {
		const socket = connect(Number(new URL(gateway.url).port), '127.0.0.1');
		socket.end(sent);
		let answer = '';
		for await (const chunk of socket) answer += String(chunk);
		expect(answer).toContain(`HTTP/1.1 ${status} `);
		expect(JSON.parse(answer.split('\r\n\r\n')[1] ?? '')).toMatchObject({ error: { code } });
	});

	it('survives a client that leaves in the middle of its body, and traces it', async () => {
		const traced = gateway.traces.traces.length;
		const socket = connect(Number(new URL(gateway.url).port), '127.0.0.1');
		socket.write(
			`POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${KEY}\r\ncontent-type: application/json\r\ncontent-length: 500\r\n\r\n{"model"`,
			() => setImmediate(() => socket.destroy()),
		);
		await expect.poll(() => gateway.traces.traces.length).toBe(traced + 1);
		expect(['client_closed', 'request_invalid']).toContain(gateway.traces.last.error_code);
	});
});

it('cuts off a sender whose body does not arrive, and the request gives its place back', async () => {
	const strict = await startGateway({ receiveMsMax: 300 });
	const socket = connect(Number(new URL(strict.url).port), '127.0.0.1');
	socket.write(
		`POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${KEY}\r\ncontent-type: application/json\r\ncontent-length: 500\r\n\r\n{"model"`,
	);
	let answer = '';
	for await (const piece of socket) answer += String(piece);
	expect(JSON.parse(answer.split('\r\n\r\n')[1] ?? '')).toMatchObject({
		error: { code: 'request_invalid', message: 'The request did not arrive in time.' },
	});
	await expect.poll(() => strict.traces.traces.length).toBe(1);
	expect(strict.traces.last.outcome).toBe('cancelled');
	await strict.close();
});

describe('routes', () => {
	it.each(ROUTES.filter(({ scope }) => scope !== null).map(({ method, path }) => [method, path] as const))(
		'%s %s lets nobody in without a key',
		async (method, path) => {
			const response = await fetch(gateway.url + path.replaceAll(/\{\w+\}/g, 'x'), { method });
			expect(response.status).toBe(401);
			expect(await response.json()).toMatchObject({ error: { code: 'key_missing' } });
		},
	);

	it('answers a typed invocation with citations, and searches a collection alone', async () => {
		const invoked = await post('/v1/features/ask/invoke', '{"input":{"question":"What is a load line?"},"user":"ada"}');
		expect(invoked.body).toMatchObject({
			feature: 'ask',
			output: expect.stringContaining('load line'),
			finish_reason: 'stop',
		});
		const found = await post('/v1/collections/docs/search', '{"query":"load line","k":3}');
		expect(found.body).toMatchObject({
			generation: 'docs-g1',
			hits: [{ document: 'doc-1.md', rank: 1, text: 'A load line is a mark.' }],
		});
		expect(gateway.traces.last).toMatchObject({ retrieval_doc_ids: ['chunk-1'], outcome: 'ok' });
	});

	it('gives a trace by its id', async () => {
		const { headers } = await post('/v1/features/ask/invoke', '{"input":{"question":"Hello?"}}');
		const id = headers.get('x-request-id');
		const response = await fetch(`${gateway.url}/admin/traces/${id}`, { headers: { authorization: `Bearer ${KEY}` } });
		expect(await response.json()).toMatchObject({ request_id: id, feature: 'ask' });
	});

	it('describes every route in its OpenAPI document', async () => {
		const document = JSON.parse(await (await fetch(`${gateway.url}/openapi.json`)).text());
		for (const { method, path } of ROUTES) expect(document.paths[path]).toHaveProperty(method.toLowerCase());
		const errorOf = (path: string) =>
			document.paths[path].post.responses.default.content['application/json'].schema.$ref.split('/').at(-1);
		expect(['/v1/chat/completions', '/v1/messages'].map(errorOf)).toEqual(['Error', 'AnthropicError']);
		expect(document.paths['/v1/chat/completions'].post.requestBody.content['application/json'].schema.required).toEqual(
			['model', 'messages'],
		);
	});
});

describe('a fault of our own after the answer has begun', () => {
	it('is told to the operator, and to the client without its internals', async () => {
		const broken: Guard = {
			name: 'broken',
			check() {
				throw new Error('the guard lost its mind');
			},
		};
		const own = await startGateway({ features: (model) => [feature({}, { route: [model], guards: [broken] })] });
		try {
			const response = await fetch(`${own.url}/v1/chat/completions`, {
				method: 'POST',
				headers: { authorization: `Bearer ${KEY}`, 'content-type': 'application/json' },
				body: '{"model":"greet","stream":true,"messages":[{"role":"user","content":"x"}]}',
			});
			const text = await response.text();
			expect(response.status).toBe(200);
			expect(text).toContain('internal_error');
			expect(text).not.toMatch(/lost its mind|\[DONE\]/);
			expect(own.faults).toEqual([expect.stringContaining('the guard lost its mind')]);
		} finally {
			await own.close();
		}
	});
});
