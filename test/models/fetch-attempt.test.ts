import { once } from 'node:events';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';
import { systemClock } from '../../src/base/clock.ts';
import { FetchAttempt } from '../../src/models/ai-sdk/fetch-attempt.ts';
import { Transport } from '../../src/models/ai-sdk/transport.ts';
import { createFailures } from '../../src/models/exchange/failure.ts';
import { modelRequest } from '../support/family-fixture.ts';

const failures = createFailures({ upstream: 'x/y', secrets: ['hush'], clock: systemClock });
const POST = { method: 'POST', body: '{}' };

async function start(answer: (response: ServerResponse, requests: number) => void) {
	let requests = 0;
	const server = createServer((request, response) => {
		request.resume();
		answer(response, ++requests);
	});
	server.listen(0, '127.0.0.1');
	await once(server, 'listening');
	const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
	const transport = new Transport({ baseUrl: url, connectionsMax: 2, connectMs: 1000 });
	onTestFinished(async () => {
		await transport.close();
		server.closeAllConnections();
		server.close();
	});
	const attempt = new FetchAttempt(
		{ request: modelRequest(), clock: systemClock, failures },
		{ streams: false, mark: null },
	);
	attempt.start(() => null);
	return { url, transport, attempt, requests: () => requests };
}

test('a package that would send a request again within an attempt is refused: after an answer, and after a failure', async () => {
	for (const status of [200, 503]) {
		const { url, transport, attempt, requests } = await start((response) => {
			response.writeHead(status);
			response.end('{}');
		});
		const twice = transport.run(attempt, async () => {
			await transport.fetch(`${url}/v1`, POST).catch(() => null);
			return transport.fetch(`${url}/v1`, POST);
		});
		await expect(twice).rejects.toMatchObject({ kind: status === 200 ? 'nonsense' : 'server_error' });
		expect(requests()).toBe(1);
		attempt.abandon();
	}
});

test.each([
	['http://127.0.0.1:1/v1', POST, /is at http/],
	['/v1', { method: 'GET' }, /something else than a POST/],
	['/v1', { method: 'POST', body: new Uint8Array(3) }, /something else than a POST/],
])('a package reaches one place, with one kind of request: %s', async (path, init, message) => {
	const { url, transport, attempt, requests } = await start((response) => response.end('{}'));
	const asked = transport.run(attempt, () => transport.fetch(path.startsWith('/') ? url + path : path, init));
	await expect(asked).rejects.toThrow(message);
	expect(requests()).toBe(0);
	attempt.abandon();
});

test('a package calls nobody outside of an attempt', async () => {
	const { url, transport, attempt, requests } = await start((response) => response.end('{}'));
	await expect(transport.fetch(`${url}/v1`, POST)).rejects.toThrow(/outside of any attempt/);
	expect(requests()).toBe(0);
	attempt.abandon();
});

test('a redirect is not followed, because the key would go along', async () => {
	const { url, transport, attempt, requests } = await start((response) => {
		response.writeHead(307, { location: '/elsewhere' });
		response.end();
	});
	await expect(transport.run(attempt, () => transport.fetch(url, POST))).rejects.toMatchObject({ kind: 'nonsense' });
	expect(requests()).toBe(1);
});

test('bytes that say nothing are read up to a cap, and the connection is closed', async () => {
	let closed = false;
	const { url, transport, attempt } = await start((response) => {
		response.writeHead(200, { 'content-type': 'text/event-stream' });
		const block = Buffer.alloc(256 * 1024, 'x');
		const pump = () => {
			while (!response.destroyed && response.write(block));
		};
		response.on('drain', pump).on('close', () => {
			closed = true;
		});
		pump();
	});
	const response = await transport.run(attempt, () => transport.fetch(url, POST));
	let bytes = 0;
	for await (const chunk of response.body ?? []) bytes += chunk.length;
	expect(attempt.error).toMatchObject({ kind: 'nonsense', message: expect.stringMatching(/16 MiB/) });
	expect(bytes).toBeLessThanOrEqual(16 * 1024 * 1024);
	await expect.poll(() => closed, { timeout: 10_000 }).toBe(true);
});

test('a secret in what an upstream says is not passed on', async () => {
	const { url, transport, attempt } = await start((response) => {
		response.writeHead(401, { 'content-type': 'application/json' });
		response.end('{"error": {"message": "hush is no key of ours"}}');
	});
	const refused = transport.run(attempt, () => transport.fetch(url, POST));
	await expect(refused).rejects.toMatchObject({
		kind: 'authentication',
		message: 'x/y answered 401: [key] is no key of ours',
	});
});
