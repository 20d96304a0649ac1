import { afterAll, afterEach, beforeAll, describe, expect, it, test } from 'vitest';
import { VirtualClock } from '../../src/base/virtual-clock.ts';
import { NO_SCRIPT } from '../../src/mock-upstream/script.ts';
import { ScriptPlanner } from '../../src/mock-upstream/script-planner.ts';
import { startUpstreamDouble, type UpstreamDouble } from '../support/upstream-double.ts';

const user = [{ role: 'user', content: 'What is a load line?' }];
/** How each format is asked, and what ends its streams. */
const FORMATS = {
	chat: {
		path: () => '/v1/chat/completions',
		body: (stream: boolean) => ({ model: 'm', messages: user, stream, stream_options: { include_usage: true } }),
		end: /"finish_reason":"(stop|tool_calls)"[\s\S]*\[DONE\]/,
	},
	responses: {
		path: () => '/v1/responses',
		body: (stream: boolean) => ({ model: 'm', input: user, stream }),
		end: /"type":"response.completed"/,
	},
	messages: {
		path: () => '/v1/messages',
		body: (stream: boolean) => ({ model: 'm', max_tokens: 10, messages: user, stream }),
		end: /"stop_reason":"(end_turn|tool_use)"[\s\S]*"message_stop"/,
	},
	gemini: {
		path: (stream: boolean) => `/v1beta/models/m:${stream ? 'streamGenerateContent?alt=sse' : 'generateContent'}`,
		body: () => ({ contents: [{ role: 'user', parts: [{ text: 'What is a load line?' }] }] }),
		end: /"finishReason":"STOP"/,
	},
} as const;
type FormatName = keyof typeof FORMATS;
const NAMES = Object.keys(FORMATS) as FormatName[];

let double: UpstreamDouble;
let address = '';
const clock = new VirtualClock();
beforeAll(async () => {
	double = await startUpstreamDouble({ clock, planner: new ScriptPlanner(NO_SCRIPT, 7, clock) });
	address = double.url.replace(/\/v1$/, '');
});
afterAll(() => double.close());
afterEach(() => fetch(`${address}/mock/reset`, { method: 'POST' }));

function ask(name: FormatName, stream: boolean, fault: string | null, signal?: AbortSignal) {
	const { path, body } = FORMATS[name];
	const headers = { 'content-type': 'application/json', ...(fault !== null && { 'x-mock-fault': fault }) };
	const options = { method: 'POST', headers, body: JSON.stringify(body(stream)), ...(signal && { signal }) };
	return fetch(address + path(stream), options);
}

/** What a response held before it ended, and whether it ended well. */
async function read(response: Response): Promise<{ text: string; whole: boolean }> {
	const decoder = new TextDecoder();
	let text = '';
	try {
		for await (const chunk of response.body ?? []) text += decoder.decode(chunk, { stream: true });
		return { text, whole: true };
	} catch {
		return { text, whole: false };
	}
}

const CASES = NAMES.flatMap((name) => [false, true].map((stream) => [name, stream] as const));

describe.each(CASES)('%s, streamed: %s', (name, stream) => {
	const { end } = FORMATS[name];
	const healthy = async () => (await read(await ask(name, stream, null))).text;

	it('without a fault is whole', async () => {
		const { text, whole } = await read(await ask(name, stream, null));
		expect(whole).toBe(true);
		if (stream) expect(text).toMatch(end);
		else expect(JSON.stringify(JSON.parse(text))).toContain('load line');
	});

	it.each([0, 1, 17, 100])('is cut at byte %i, and nothing else of it comes', async (at) => {
		await fetch(`${address}/mock/reset`, { method: 'POST' });
		const all = await healthy();
		await fetch(`${address}/mock/reset`, { method: 'POST' });
		const cut = await ask(name, stream, `cut; at_byte=${at}`).then(read, () => ({ text: '', whole: false }));
		expect(cut).toEqual({ text: all.slice(0, at), whole: false });
	});

	it('stalls at a byte, and goes on when the time has come', async () => {
		const response = ask(name, stream, 'stall; at_byte=40; ms=5000');
		await double.arrived(1);
		const reader = (await response).body?.getReader();
		let text = '';
		while (text.length < 40) text += new TextDecoder().decode((await reader?.read())?.value);
		expect(text).toHaveLength(40);
		await clock.advance(5_000);
		for (let piece = await reader?.read(); !piece?.done; piece = await reader?.read()) {
			text += new TextDecoder().decode(piece?.value);
		}
		if (stream) expect(text).toMatch(end);
		else JSON.parse(text);
	});

	it('comes byte by byte and is the same', async () => {
		const { text, whole } = await read(await ask(name, stream, 'slow_bytes; bytes=7'));
		expect(whole).toBe(true);
		if (stream) expect(text).toMatch(end);
		else JSON.parse(text);
	});

	it('has one broken piece of JSON', async () => {
		const { text } = await read(await ask(name, stream, 'malformed_chunk'));
		const pieces = stream ? [...text.matchAll(/^data: (.*)$/gm)].map((match) => match[1] ?? '') : [text];
		const broken = pieces.filter((piece) => piece !== '[DONE]' && !isJson(piece));
		expect(broken).toHaveLength(1);
	});

	it.each(['no_finish_reason', 'hang_at_end', 'no_done'])('%s: a stream lacks its end', async (fault) => {
		if (!stream) return;
		const left = new AbortController();
		const response = await ask(name, true, fault, left.signal);
		const reader = response.body?.getReader();
		let text = '';
		const hangs = fault === 'hang_at_end';
		for (let piece = await reader?.read(); piece && !piece.done; ) {
			text += new TextDecoder().decode(piece.value);
			if (hangs && /sea\./.test(text)) break;
			piece = await reader?.read();
		}
		left.abort();
		if (fault === 'no_finish_reason') expect(text).not.toMatch(end);
		expect(text).not.toMatch(/message_stop|^data: \[DONE\](?![\s\S])/);
		if (fault === 'no_done') expect(text).not.toContain('[DONE]');
	});

	it.each(['reset', 'silent'])('%s: no head of a response comes', async (fault) => {
		const left = new AbortController();
		const response = ask(name, stream, fault, left.signal).then(
			() => 'answered',
			() => 'failed',
		);
		await double.arrived(1);
		if (fault === 'silent') left.abort();
		expect(await response).toBe('failed');
		if (fault === 'silent') await double.aborted();
	});

	it('empty chunks say nothing', async () => {
		if (!stream) return;
		const { text } = await read(await ask(name, true, 'empty_chunks; chunks=20'));
		expect(text).not.toContain('load');
		expect(text.split('\n\n').length).toBeGreaterThan(20);
	});

	it('usage contradicts itself, or is not there', async () => {
		const wrong = (await read(await ask(name, stream, 'wrong_usage'))).text;
		expect(wrong).toMatch(/"(cached_tokens|cachedContentTokenCount|cache_read_input_tokens)":5000/);
		const none = (await read(await ask(name, stream, 'no_usage'))).text;
		expect(none).not.toMatch(/_tokens":\d|TokenCount":\d/);
	});

	it('is as large as it says, and no JSON', async () => {
		const { text } = await read(await ask(name, stream, 'huge_body; bytes=2000000'));
		expect(text.length).toBeGreaterThan(2_000_000);
	});

	it('a network that wants a sign-in answers with a page', async () => {
		const page = await ask(name, stream, 'html');
		expect([page.status, page.headers.get('content-type')]).toEqual([200, 'text/html']);
		await page.body?.cancel();
	});

	it.each(['interleaved_tool_calls', 'duplicate_tool_calls', 'broken_tool_arguments'])('%s', async (fault) => {
		const { text, whole } = await read(await ask(name, stream, fault));
		expect(whole).toBe(true);
		expect(text).toContain('look_up');
		if (fault !== 'broken_tool_arguments') return;
		expect(text).toMatch(/oad line"/);
		expect(text).not.toContain('oad line\\"}');
	});
});

describe('an override for one request', () => {
	it('holds for that request alone', async () => {
		expect((await ask('chat', false, 'server_error; status=503')).status).toBe(503);
		expect((await ask('chat', false, null)).status).toBe(200);
	});

	it.each([
		['cutt', /x-mock-fault:1:7: .*cut/],
		['cut; at_bite=3', /did you mean at_byte/],
		['cut; at_byte=-3', /expected an integer from 0/],
		['cut; at_byte', /at_byte/],
	])('that is none is refused: %s', async (header, said) => {
		const response = await ask('chat', false, header);
		expect(response.status).toBe(400);
		const { error } = (await response.json()) as { error: { message: string; code: string } };
		expect(error.message).toMatch(said);
		expect(error.code).toBe('mock_fault_invalid');
	});

	it.each([
		['retry_after=seconds; retry_after_ms=2500', 'retry-after', /^3$/],
		['retry_after=milliseconds; retry_after_ms=2500', 'retry-after-ms', /^2500$/],
		['retry_after=date; retry_after_ms=60000', 'retry-after', /^\w{3}, \d\d \w{3} \d{4} [\d:]{8} GMT$/],
	])('says when to come back: %s', async (settings, header, said) => {
		for (const name of NAMES) {
			const response = await ask(name, true, `rate_limited; ${settings}`);
			expect(response.status).toBe(429);
			expect(response.headers.get(header)).toMatch(said);
			await response.body?.cancel();
		}
		const silent = await ask('chat', true, 'rate_limited; retry_after=none');
		expect([silent.headers.get('retry-after'), silent.headers.get('retry-after-ms')]).toEqual([null, null]);
		await silent.body?.cancel();
	});

	it('waits for the first token, and not longer', async () => {
		const response = ask('messages', true, 'slow_first_token; ms=30000');
		await double.arrived(1);
		const { status } = await response;
		expect(status).toBe(200);
		await clock.advance(30_000);
		expect((await read(await response)).whole).toBe(true);
	});
});

test('what happened is told: counts, each request, and how it ended', async () => {
	await (await ask('chat', false, null)).text();
	await (await ask('messages', true, 'overloaded')).text();
	await read(await ask('gemini', true, 'cut; after_chunks=2'));
	await double.idle();
	const stats = await (await fetch(`${address}/mock/stats`)).json();
	expect(stats).toMatchObject({
		requests: 3,
		in_flight: 0,
		aborted: 0,
		by_route: { chat: 1, messages: 1, gemini: 1, responses: 0 },
		by_fault: { none: 1, overloaded: 1, cut: 1 },
	});
	const { requests } = (await (await fetch(`${address}/mock/requests`)).json()) as { requests: object[] };
	expect(requests).toMatchObject([
		{ number: 1, route: 'chat', status: 200, ended: 'whole', fault: null },
		{ number: 2, route: 'messages', status: 529, ended: 'whole', fault: 'overloaded' },
		{ number: 3, route: 'gemini', stream: true, status: 200, ended: 'broken_off', fault: 'cut' },
	]);
	expect((await fetch(`${address}/mock/nonsense`)).status).toBe(404);
});

test('limits are told in each vendor’s headers', async () => {
	const script = { ...NO_SCRIPT, limits: { requests_per_minute: 60, tokens_per_minute: 6_000 } };
	const limited = await startUpstreamDouble({ clock, planner: new ScriptPlanner(script, 1, clock) });
	const at = limited.url.replace(/\/v1$/, '');
	const headersOf = async (name: FormatName) => {
		const { path, body } = FORMATS[name];
		const response = await fetch(at + path(false), { method: 'POST', body: JSON.stringify(body(false)) });
		await response.body?.cancel();
		return Object.fromEntries([...response.headers].filter(([header]) => header.includes('ratelimit')));
	};
	expect(await headersOf('chat')).toEqual({
		'x-ratelimit-limit-requests': '60',
		'x-ratelimit-remaining-requests': '59',
		'x-ratelimit-reset-requests': '1s',
		'x-ratelimit-limit-tokens': '6000',
		'x-ratelimit-remaining-tokens': expect.stringMatching(/^59\d\d$/),
		'x-ratelimit-reset-tokens': expect.stringMatching(/^\d+ms$/),
	});
	expect(await headersOf('messages')).toMatchObject({
		'anthropic-ratelimit-requests-limit': '60',
		'anthropic-ratelimit-requests-remaining': '58',
		'anthropic-ratelimit-requests-reset': expect.stringMatching(/^\d{4}-\d\d-\d\dT/),
		'anthropic-ratelimit-tokens-limit': '6000',
	});
	expect(await headersOf('gemini')).toEqual({});
	await limited.close();
});

function isJson(text: string): boolean {
	try {
		JSON.parse(text);
		return true;
	} catch {
		return false;
	}
}
