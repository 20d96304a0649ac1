import { once } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { connect } from 'node:net';
import { afterEach, expect, it } from 'vitest';
import { VirtualClock } from '../../src/base/virtual-clock.ts';
import { type RunningGateway, startGateway } from '../support/gateway-fixture.ts';
import { feature, KEY } from '../support/runtime-fixture.ts';

let gateway: RunningGateway | null = null;
afterEach(() => gateway?.close());

it('a client that stops reading slows its own upstream and is let go at the deadline', async () => {
	const clock = new VirtualClock();
	gateway = await startGateway({
		clock,
		features: (model) => [feature({ feature: 'ask', budget: { deadlineMs: 800 } }, { route: [model] })],
		// More than all buffers on the way hold together.
		upstream: { plan: { text: 'word '.repeat(3_000_000), chunks: 3000 } },
	});
	const { server, double, traces } = gateway;
	const served = once(server, 'request') as Promise<[IncomingMessage, ServerResponse]>;
	const socket = connect(Number(new URL(gateway.url).port), '127.0.0.1');
	// Listened for from the beginning: a reset may arrive at any time.
	const closed = new Promise((resolve) => socket.once('close', resolve));
	socket.on('error', () => {});
	const body = '{"model":"ask","stream":true,"messages":[{"role":"user","content":"?"}]}';
	socket.pause();
	socket.write(
		`POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${KEY}\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n${body}`,
	);
	const [, response] = await served;
	let sent = -1;
	const isStalled = () => {
		const before = sent;
		sent = response.socket?.bytesWritten ?? -1;
		return response.writableNeedDrain && sent === before;
	};
	await expect.poll(isStalled, { interval: 100 }).toBe(true);
	expect(traces.traces).toEqual([]);
	await clock.advance(800);
	await double.aborted(1);
	await expect.poll(() => traces.traces.length).toBe(1);
	expect(traces.last).toMatchObject({ outcome: 'failed', error_code: 'deadline_exceeded' });
	// Its socket goes with it: the error would never be read.
	socket.resume();
	await closed;
});
