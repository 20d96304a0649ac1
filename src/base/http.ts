import { Agent, type Dispatcher } from 'undici';

export interface HttpRequest {
	readonly url: string;
	readonly method: 'GET' | 'POST';
	readonly headers: Readonly<Record<string, string>>;
	readonly body: string | null;
	readonly signal: AbortSignal | null;
}

/** The one door for outbound HTTP: pooled connections, no redirects followed, no retries. */
export interface HttpClient {
	/** Resolves with the status and headers; the body must be read or destroyed by the caller. */
	request(request: HttpRequest): Promise<Dispatcher.ResponseData>;
	close(): Promise<void>;
}

/** @param connectMs how long a TCP and TLS connection may take to open. Time-outs for the answer are the caller's. */
export function createHttpClient(options: { connectionsMax: number; connectMs: number }): HttpClient {
	const agent = new Agent({
		connections: options.connectionsMax,
		connect: { timeout: options.connectMs },
		headersTimeout: 0,
		bodyTimeout: 0,
	});
	return {
		request: ({ url, method, headers, body, signal }) => agent.request({ ...target(url), method, headers, body, signal }),
		close: () => agent.destroy(),
	};
}

function target(url: string): { origin: string; path: string } {
	const { origin, pathname, search } = new URL(url);
	return { origin, path: pathname + search };
}
