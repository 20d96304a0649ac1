/** The gateway that everyone writes first: a proxy that retries three times, whoever is asking and whatever is going on. */
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { sleep, systemClock } from '../../src/base/clock.ts';
import { sayReady } from '../overhead/process.ts';

const RETRIES = 3;
const upstream = `${process.argv[2]}/chat/completions`;

async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
	const blocks: Buffer[] = [];
	for await (const block of request) blocks.push(block);
	const body = Buffer.concat(blocks);
	for (let retry = 0; ; retry++) {
		const reply = await fetch(upstream, { method: 'POST', body, headers: { 'content-type': 'application/json' } });
		const text = await reply.text();
		if (reply.status < 500 || retry === RETRIES) {
			response.writeHead(reply.status, { 'content-type': 'application/json' }).end(text);
			return;
		}
		await sleep(systemClock, 100 * 2 ** retry);
	}
}

const server = createServer((request, response) => {
	answer(request, response).catch(() => response.destroy());
});
server.listen(0, '127.0.0.1');
await once(server, 'listening');
// Told nothing, it only has to stay alive for as long as its parent does.
process.on('message', () => {});
sayReady({ url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, key: 'none' });
