import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { onTestFinished } from 'vitest';

interface Asked {
	readonly method: string;
	readonly flavor: unknown;
	readonly body: string;
}

/** Google's place for tokens, as a service account and a machine on Google Cloud see it. Gives out token-1, token-2 and so on. */
export async function tokenPlace(answer: { status?: number; body?: unknown } = {}) {
	const asked: Asked[] = [];
	const server = createServer(async (request, response) => {
		let body = '';
		for await (const chunk of request.setEncoding('utf8')) body += chunk;
		asked.push({ method: request.method ?? '', flavor: request.headers['metadata-flavor'], body });
		response.writeHead(answer.status ?? 200, { 'content-type': 'application/json' });
		const token = { access_token: `token-${asked.length}`, expires_in: 3600, token_type: 'Bearer' };
		response.end(JSON.stringify(answer.body ?? token));
	});
	await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
	onTestFinished(() => {
		server.closeAllConnections();
		server.close();
	});
	return { asked, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/token` };
}
