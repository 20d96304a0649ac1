import { afterEach, describe, expect, it } from 'vitest';
import { createHttpClient, createHttpOrigin } from '../../src/base/http.ts';
import { embed, startUpstreamDouble } from '../support/upstream-double.ts';

const open: { close(): unknown }[] = [];
afterEach(async () => {
	for (const thing of open.splice(0).reverse()) await thing.close();
});

function client() {
	const made = createHttpClient({ connectionsMax: 1, connectMs: 60_000 });
	open.push(made);
	return made;
}

const post = { method: 'POST', headers: { 'content-type': 'application/json' }, signal: null } as const;

describe('the door for outbound HTTP', () => {
	it('sends a request and gives the answer with its status', async () => {
		const double = await startUpstreamDouble();
		open.push(double);
		const body = JSON.stringify({ model: 'double-embed', input: ['load line', 'hull'], dimensions: 8 });
		const answer = await client().request({ ...post, url: `${double.url}/embeddings`, body });
		expect(answer.statusCode).toBe(200);
		const { data } = (await answer.body.json()) as { data: { embedding: number[] }[] };
		expect(data.map((one) => one.embedding)).toEqual([[...embed('load line', 8)], [...embed('hull', 8)]]);
		for (const { embedding } of data) expect(Math.hypot(...embedding)).toBeCloseTo(1, 5);
	});

	it('does not follow redirects', async () => {
		const double = await startUpstreamDouble({ plan: { status: 302, headers: { location: 'http://127.0.0.1:1/' } } });
		open.push(double);
		const answer = await client().request({ ...post, url: `${double.url}/embeddings`, body: '{}' });
		expect(answer.statusCode).toBe(302);
		await answer.body.dump();
	});

	it('lets a caller go at once while its request still waits for a connection', async () => {
		const double = await startUpstreamDouble({ plan: { fault: 'silent' } });
		open.push(double);
		const one = client();
		const url = `${double.url}/embeddings`;
		const busy = new AbortController();
		const first = one.request({ ...post, url, body: '{}', signal: busy.signal });
		await double.arrived(1);
		const left = new AbortController();
		const second = one.request({ ...post, url, body: '{}', signal: left.signal });
		left.abort(new Error('left'));
		await expect(second).rejects.toThrow('left');
		busy.abort(new Error('enough'));
		await expect(first).rejects.toThrow('enough');
		await expect(one.request({ ...post, url, body: '{}', signal: left.signal })).rejects.toThrow('left');
	});

	it.each(['ftp://host/', 'file:///etc/passwd', '/relative', 'http://user:secret@host/'])('refuses %s', async (url) => {
		const settings = { connectionsMax: 1, connectMs: 1000 };
		expect(() => createHttpOrigin(url, settings)).toThrow(TypeError);
		await expect(async () => client().request({ ...post, url, body: null })).rejects.not.toThrow(/secret/);
	});
});
