import { once } from 'node:events';
import { request } from 'node:http';
import { beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { countTokens } from '../../src/base/tokens.ts';
import { VirtualClock } from '../../src/base/virtual-clock.ts';
import { startGateway } from '../support/gateway-fixture.ts';
import { feature, KEY } from '../support/runtime-fixture.ts';

const messages = [{ role: 'user', content: 'What does a load line show?' }];

/** Every way to ask, of a feature and of a bare upstream where it may be named. */
const ASKS = {
	'/v1/chat/completions (a feature)': { path: '/v1/chat/completions', body: { model: 'greet', messages } },
	'/v1/chat/completions (an upstream)': { path: '/v1/chat/completions', body: { model: 'test/primary', messages } },
	'/v1/messages': { path: '/v1/messages', body: { model: 'greet', messages, max_tokens: 50 } },
	'/v1/responses': { path: '/v1/responses', body: { model: 'greet', input: 'What does a load line show?' } },
	'/v1/features/greet/invoke': { path: '/v1/features/greet/invoke', body: { input: { question: 'What is it?' } } },
} as const;

beforeAll(() => {
	// As a start does: loading a tokenizer's table takes a tenth of a second.
	countTokens('', 'o200k_base');
});

/**
 * The gateway's time stands still: what happens here happens because the socket closed, and waits for no timer. The figure is
 * that of the machine, from the client's close to the close that the double sees.
 */
describe.each(Object.entries(ASKS))('a client of %s that leaves', (_name, { path, body }) => {
	it.each(['plain', 'streamed'] as const)('cancels its upstream, %s', async (mode) => {
		const clock = new VirtualClock();
		const gateway = await startGateway({ clock, features: (model) => [feature({}, { route: [model] })] });
		onTestFinished(() => gateway.close());
		const { double } = gateway;
		const isStream = mode === 'streamed';
		double.next(isStream ? { fault: 'stall', afterChunks: 9 } : { fault: 'silent' });
		const client = request(`${gateway.url}${path}`, {
			method: 'POST',
			headers: { authorization: `Bearer ${KEY}`, 'content-type': 'application/json' },
		});
		client.on('error', () => {}); // It is we who break off.
		client.end(JSON.stringify({ ...body, stream: isStream }));
		await double.arrived(1);
		if (isStream) {
			const [response] = await once(client, 'response');
			await once(response, 'data');
		}
		const leftAt = performance.now();
		client.destroy();
		await double.aborted(1);
		const tookMs = performance.now() - leftAt;
		expect(double.abortedCount).toBe(1);
		expect(double.requests).toBe(1);
		expect(clock.now()).toBe(new VirtualClock().now());
		figures.push(tookMs);
	});
});

const figures: number[] = [];

it('at the double that takes a few milliseconds', async ({ annotate }) => {
	expect(figures.length).toBe(2 * Object.keys(ASKS).length);
	const sorted = figures.toSorted((a, b) => a - b);
	await annotate(
		`from the client's close to the upstream's: median ${sorted[sorted.length >> 1]?.toFixed(1)} ms, at most ${sorted.at(-1)?.toFixed(1)} ms`,
	);
});
