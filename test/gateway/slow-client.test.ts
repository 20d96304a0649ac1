import { once } from 'node:events';
import { connect } from 'node:net';
import { afterEach, expect, it } from 'vitest';
import { type RunningGateway, startGateway } from '../support/gateway-fixture.ts';
import { feature, KEY } from '../support/runtime-fixture.ts';

let gateway: RunningGateway | null = null;
afterEach(() => gateway?.close());

it('a client that stops reading slows its own upstream and is let go at the deadline', async () => {
	gateway = await startGateway({
		features: (model) => [feature({ feature: 'ask', budget: { deadlineMs: 800 } }, { route: [model] })],
		// More than all buffers on the way hold together.
		upstream: { plan: { text: 'word '.repeat(3_000_000), chunks: 3000 } },
	});
	const socket = connect(Number(new URL(gateway.url).port), '127.0.0.1');
	const body = '{"model":"ask","stream":true,"messages":[{"role":"user","content":"?"}]}';
	socket.pause();
	socket.write(
		`POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${KEY}\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n${body}`,
	);
	const { double, traces } = gateway;
	await double.arrived(1);
	await double.aborted(1);
	await expect.poll(() => traces.traces.length).toBe(1);
	expect(traces.last).toMatchObject({ outcome: 'failed', error_code: 'deadline_exceeded' });
	// Its socket goes with it: the error would never be read.
	socket.resume();
	await once(socket, 'close');
});
