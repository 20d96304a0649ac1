import Anthropic from '@anthropic-ai/sdk';
import OpenAI from 'openai';
import { afterEach, describe, expect, it } from 'vitest';
import { type RunningGateway, startGateway } from '../support/gateway-fixture.ts';
import { BREAKER, feature, KEY, RETRIES } from '../support/runtime-fixture.ts';
import type { Plan } from '../support/upstream-double.ts';

const ASK = { model: 'ask', messages: [{ role: 'user' as const, content: 'What is a load line?' }] };
const DOWN: Plan = { status: 503, error: { message: 'planned' } };
const NO_RETRIES = { ...RETRIES, ratio: 0, floor: 0 };

let gateway: RunningGateway | null = null;
afterEach(async () => {
	await gateway?.close();
	gateway = null;
});

async function start(options: Parameters<typeof startGateway>[0]): Promise<RunningGateway> {
	gateway = await startGateway({
		features: (model) => [
			feature({ feature: 'ask', onFailure: { upstream_outage: { action: 'fail_over' } } }, { route: [model] }),
		],
		...options,
	});
	return gateway;
}

interface Client {
	/** Sends one request as a user means it; resolves with the status that the library ended with. */
	ask(options?: { maxRetries?: number; timeout?: number; headers?: Record<string, string> }): Promise<number>;
}

/** Both libraries retry by themselves, twice unless told otherwise. */
const CLIENTS: Readonly<Record<string, (url: string) => Client>> = {
	openai: (url) => {
		const client = new OpenAI({ baseURL: `${url}/v1`, apiKey: KEY });
		return { ask: (options) => statusOf(client.chat.completions.create(ASK, options)) };
	},
	'@anthropic-ai/sdk': (url) => {
		const client = new Anthropic({ baseURL: url, authToken: KEY, apiKey: null });
		return { ask: (options) => statusOf(client.post('/v1/chat/completions', { body: ASK, ...options })) };
	},
};

async function statusOf(answer: Promise<unknown>): Promise<number> {
	try {
		await answer;
		return 200;
	} catch (thrown) {
		return thrown instanceof Error && 'status' in thrown ? Number(thrown.status) : 0;
	}
}

function clientRetries({ traces }: RunningGateway): number[] {
	return traces.traces.map((trace) => trace.client_retries);
}

describe.each(Object.entries(CLIENTS))('the official client %s', (_, connect) => {
	it('may retry a hiccup, and the trace counts how often it did', async () => {
		const running = await start({ upstream: { plan: (index) => (index < 2 ? DOWN : {}) } });
		expect(await connect(running.url).ask()).toBe(200);
		expect(clientRetries(running)).toEqual([0, 1, 2]);
	});

	it('does not come back while the upstream’s breaker is open', async () => {
		const running = await start({
			upstream: { plan: DOWN },
			breakers: new Map([['test/primary', { ...BREAKER, failuresInARow: 1, probeIntervalMs: 60_000 }]]),
		});
		const client = connect(running.url);
		for (let n = 0; n < 3; n++) expect(await client.ask({ maxRetries: 4 })).toBe(502);
		expect(clientRetries(running)).toEqual([0, 0, 0]);
		expect(running.double.requests).toBe(1);
	});

	it('does not come back while the retry budget is spent', async () => {
		const running = await start({ upstream: { plan: DOWN }, retries: NO_RETRIES });
		expect(await connect(running.url).ask({ maxRetries: 4 })).toBe(502);
		expect(clientRetries(running)).toEqual([0]);
	});

	it.each([
		['a rate limit without a time', { upstream: { plan: { status: 429, error: { message: 'slow down' } } } }, 429],
		['a full house', { admission: { concurrentRequestsMax: 0 } }, 429],
		['an upstream’s time-out', { upstream: { plan: { fault: 'silent' } } }, 504],
		['a refused request', { upstream: { plan: { status: 400, error: { message: 'no' } } } }, 502],
	] as const)('does not come back after %s', async (_name, options, status) => {
		const running = await start(options);
		const headers = { 'x-plimsoll-deadline-ms': '700' };
		expect(await connect(running.url).ask({ maxRetries: 4, headers })).toBe(status);
		expect(clientRetries(running)).toEqual([0]);
	});

	it('shortens the deadline of a whole answer by its own time-out, and is answered before it gives up', async () => {
		const running = await start({ upstream: { plan: { fault: 'silent' } } });
		await connect(running.url).ask({ maxRetries: 0, timeout: 1500 });
		await expect.poll(() => running.traces.traces.length, { timeout: 20_000 }).toBe(1);
		const assign = running.traces.last.steps.find(({ stage }) => stage === 'assign');
		expect(assign?.detail).toMatchObject({ deadline_ms: 2000, deadline_of: 'the client' });
	});
});

describe('what a client says of its retries and its patience', () => {
	const post = (url: string, headers: Record<string, string>) =>
		fetch(`${url}/v1/chat/completions`, {
			method: 'POST',
			headers: { authorization: `Bearer ${KEY}`, 'content-type': 'application/json', ...headers },
			body: JSON.stringify(ASK),
		});

	it.each([
		['x-retry-count', '3', 3],
		['amz-sdk-request', 'attempt=2; max=3', 1],
		['x-envoy-attempt-count', '4', 3],
		['x-envoy-attempt-count', '1', 0],
		['x-stainless-retry-count', '-1', 0],
		['x-stainless-retry-count', '99999999', 1000],
		['amz-sdk-request', 'ttl=20260101T000000Z', 0],
	])('is read from %s: %s', async (name, value, retries) => {
		const running = await start({});
		expect((await post(running.url, { [name]: value })).status).toBe(200);
		expect(clientRetries(running)).toEqual([retries]);
	});

	it.each(['0', '-5', '1.5', '1e3', 'soon', '86400001', '99999999999'])(
		'is refused as a deadline when it is %s, and the trace has it',
		async (value) => {
			const running = await start({});
			const response = await post(running.url, { 'x-plimsoll-deadline-ms': value });
			expect(response.status).toBe(400);
			expect(await response.json()).toMatchObject({
				error: { code: 'request_invalid', param: 'x-plimsoll-deadline-ms' },
			});
			expect(running.double.requests).toBe(0);
			expect(running.traces.last.error_code).toBe('request_invalid');
		},
	);

	it('is taken for no time-out when a library sends nonsense', async () => {
		const running = await start({});
		for (const value of ['never', '-1', '1e9']) {
			expect((await post(running.url, { 'x-stainless-timeout': value })).status).toBe(200);
		}
	});
});
