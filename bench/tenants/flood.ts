/**
 * A tenant that floods: 200 clients at once, each of which comes again at once after an answer, and after about 250 ms when it
 * was refused, whatever it was told and not in step with the others. Floods when it is told to start until it is told to
 * stop, and then says what it was answered.
 */
import { Pool } from 'undici';
import { sayReady } from '../overhead/process.ts';

const CLIENTS = 200;
const PAUSE_MS = 250;

const [, , url = '', key = '', body = ''] = process.argv;
const headers = { 'content-type': 'application/json', authorization: `Bearer ${key}` };
const pool = new Pool(new URL(url).origin, { connections: CLIENTS, pipelining: 1 });
let isFlooding = false;
const told = { served: 0, refused: 0, without_wait: 0, wait_ms_sum: 0 };
const codes = new Map<string, number>();

async function client(): Promise<void> {
	while (isFlooding) {
		const {
			statusCode,
			headers: got,
			body: answer,
		} = await pool.request({
			path: '/v1/chat/completions',
			method: 'POST',
			headers,
			body,
		});
		const text = await answer.text();
		if (statusCode === 200) {
			told.served++;
			continue;
		}
		told.refused++;
		const code = /"code":"(\w+)"/.exec(text)?.[1] ?? String(statusCode);
		codes.set(code, (codes.get(code) ?? 0) + 1);
		const waitMs = Number(got['retry-after-ms']);
		if (waitMs > 0 && got['x-should-retry'] === 'false') told.wait_ms_sum += waitMs;
		else told.without_wait++;
		await new Promise((resolve) => setTimeout(resolve, PAUSE_MS * (0.5 + Math.random())));
	}
}

process.on('message', async (message) => {
	isFlooding = message === 'start';
	if (!isFlooding) return;
	await Promise.all(Array.from({ length: CLIENTS }, client));
	sayReady({ ...told, codes: [...codes].map(([code, count]) => `${code} ${count}`).join(', ') });
	process.exit(0);
});
sayReady({ url });
