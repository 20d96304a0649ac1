import { createServer, type IncomingHttpHeaders, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { onTestFinished } from 'vitest';

export interface Delivery {
	readonly headers: IncomingHttpHeaders;
	readonly body: string;
}

export interface WebhookReceiver {
	readonly url: string;
	readonly deliveries: Delivery[];
	/** How it answers from now on; default: with 204. */
	answer: (response: ServerResponse, nth: number) => void;
	/** Resolves when it has been asked so often in all. */
	asked(times: number): Promise<void>;
}

/** A real HTTP server that takes deliveries, closed when the test ends. */
export async function webhookReceiver(): Promise<WebhookReceiver> {
	const deliveries: Delivery[] = [];
	const waiting = new Set<() => void>();
	const receiver: Omit<WebhookReceiver, 'url'> = {
		deliveries,
		answer: (response) => response.writeHead(204).end(),
		asked: (times) =>
			new Promise((resolve) => {
				const look = () => {
					if (deliveries.length < times) return;
					waiting.delete(look);
					resolve();
				};
				waiting.add(look);
				look();
			}),
	};
	const server = createServer((request, response) => {
		let body = '';
		request.setEncoding('utf8').on('data', (text: string) => {
			body += text;
		});
		request.on('end', () => {
			deliveries.push({ headers: request.headers, body });
			receiver.answer(response, deliveries.length);
			for (const look of [...waiting]) look();
		});
	});
	await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
	onTestFinished(() => {
		server.closeAllConnections();
		server.close();
	});
	const { port } = server.address() as AddressInfo;
	return Object.assign(receiver, { url: `http://127.0.0.1:${port}/alerts` });
}
