import Anthropic from '@anthropic-ai/sdk';
import OpenAI from 'openai';
import { describe, expect, it, onTestFinished } from 'vitest';
import type { LimitSet, LimitTable } from '../../src/contracts/project.ts';
import { limitHeaders } from '../../src/gateway/limit-headers.ts';
import { startGateway } from '../support/gateway-fixture.ts';
import { feature, KEY, NO_LIMITS } from '../support/runtime-fixture.ts';

function acme(tenant: LimitSet): LimitTable {
	return { ...NO_LIMITS, tenants: { acme: { ...NO_LIMITS.standard, tenant } } };
}

async function gatewayWith(tenant: LimitSet) {
	const gateway = await startGateway({
		features: (model) => [feature({}, { route: [model] })],
		limits: acme(tenant),
	});
	onTestFinished(() => gateway.close());
	return (body: Record<string, unknown> = {}) =>
		fetch(`${gateway.url}/v1/chat/completions`, {
			method: 'POST',
			headers: { authorization: `Bearer ${KEY}`, 'content-type': 'application/json' },
			body: JSON.stringify({ model: 'greet', messages: [{ role: 'user', content: 'Hello?' }], ...body }),
		});
}

describe('headers about limits', () => {
	it('tell what is left in OpenAI’s and in the IETF’s form, after this very call', async () => {
		const ask = await gatewayWith([
			{ limit: 'requests_per_minute', max: 10 },
			{ limit: 'tokens_per_minute', max: 10_000 },
			{ limit: 'concurrent_requests', max: 4 },
			{ limit: 'cost_usd_per_day', max: 1_000_000 },
		]);
		const reply = await ask();
		const { usage } = (await reply.json()) as { usage: { total_tokens: number } };
		expect(reply.status).toBe(200);
		expect(reply.headers.get('x-ratelimit-limit-requests')).toBe('10');
		expect(reply.headers.get('x-ratelimit-remaining-requests')).toBe('9');
		expect(reply.headers.get('x-ratelimit-reset-requests')).toMatch(/^6\d\.\d{3}s$/);
		expect(reply.headers.get('x-ratelimit-remaining-tokens')).toBe(String(10_000 - usage.total_tokens));
		expect(reply.headers.get('ratelimit-policy')).toBe(
			'"requests";q=10;w=60, "tokens";q=10000;w=60;qu="tokens", "concurrent";q=4;qu="concurrent-requests"',
		);
		expect(reply.headers.get('ratelimit')).toMatch(/^"requests";r=9;t=6\d, "tokens";r=\d+;t=6\d, "concurrent";r=\d$/);
		expect([...reply.headers.keys()].join()).not.toContain('cost');

		const stream = await ask({ stream: true });
		await stream.text();
		expect(stream.headers.get('x-ratelimit-remaining-requests')).toBe('8');
	});

	it('tell a refused client how long to wait, and not to retry by itself', async () => {
		const ask = await gatewayWith([{ limit: 'requests_per_minute', max: 1 }]);
		await (await ask()).text();
		const refused = await ask();
		expect(refused.status).toBe(429);
		expect(await refused.json()).toMatchObject({ error: { code: 'rate_limited', type: 'rate_limit_error' } });
		expect(refused.headers.get('x-should-retry')).toBe('false');
		expect(Number(refused.headers.get('retry-after-ms'))).toBeGreaterThan(50_000);
		expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(50);
		expect(refused.headers.get('x-ratelimit-remaining-requests')).toBe('0');
	});

	it('have Anthropic’s names for its client', async () => {
		const gateway = await startGateway({
			features: (model) => [feature({}, { route: [model] })],
			limits: acme([
				{ limit: 'requests_per_minute', max: 3 },
				{ limit: 'tokens_per_minute', max: 10_000 },
			]),
		});
		onTestFinished(() => gateway.close());
		const client = new Anthropic({ baseURL: gateway.url, apiKey: KEY, maxRetries: 0 });
		const messages = [{ role: 'user' as const, content: 'Hello?' }];
		const asked = client.messages.create({ model: 'greet', max_tokens: 50, messages });
		const { headers } = (await asked.withResponse()).response;
		expect(headers.get('anthropic-ratelimit-requests-remaining')).toBe('2');
		expect(Number(headers.get('anthropic-ratelimit-tokens-remaining'))).toBeLessThan(10_000);
		expect(Date.parse(headers.get('anthropic-ratelimit-requests-reset') ?? '')).toBeGreaterThan(Date.now() + 50_000);
		expect([...headers.keys()].filter((name) => name.startsWith('x-ratelimit'))).toEqual([]);
	});

	it('keep the official client, with its retries on, from asking again', async () => {
		const gateway = await startGateway({
			features: (model) => [feature({}, { route: [model] })],
			limits: acme([{ limit: 'requests_per_minute', max: 1 }]),
		});
		onTestFinished(() => gateway.close());
		const client = new OpenAI({ baseURL: `${gateway.url}/v1`, apiKey: KEY, maxRetries: 5 });
		const ask = () =>
			client.chat.completions.create({ model: 'greet', messages: [{ role: 'user', content: 'Hello?' }] });
		await ask();
		await expect(ask()).rejects.toMatchObject({ status: 429, code: 'rate_limited' });
		expect(gateway.traces.traces.map(({ outcome }) => outcome)).toEqual(['ok', 'refused']);
	});

	it('are absent where nothing is limited', async () => {
		const reply = await (await gatewayWith([]))();
		await reply.text();
		expect([...reply.headers.keys()].filter((name) => name.includes('ratelimit'))).toEqual([]);
	});

	it('of several scopes tell the one with the least left', () => {
		const standing = { limit: 'requests_per_minute' as const, resetMs: 1_500 };
		const standings = [
			{ ...standing, scope: 'tenant' as const, max: 100, used: 50 },
			{ ...standing, scope: 'feature:f' as const, max: 10, used: 9 },
		];
		const nowMs = Date.UTC(2026, 10, 29);
		expect(limitHeaders(standings, { dialect: 'anthropic', nowMs })).toMatchObject({
			'anthropic-ratelimit-requests-limit': '10',
			'anthropic-ratelimit-requests-remaining': '1',
			'anthropic-ratelimit-requests-reset': '2026-11-29T00:00:01.500Z',
			ratelimit: '"requests";r=1;t=2',
		});
		const headers = limitHeaders(standings, { dialect: undefined, nowMs });
		expect(headers).toMatchObject({ 'x-ratelimit-limit-requests': '10', ratelimit: '"requests";r=1;t=2' });
	});
});
