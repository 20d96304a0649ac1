import type { LookupFunction } from 'node:net';
import { Agent, type Dispatcher, Pool } from 'undici';
import {
	isMetadataHost,
	isPrivateAddress,
	PrivateAddressError,
	publicLookup,
	upstreamLookup,
} from './private-address.ts';

interface HttpRequest {
	readonly url: string;
	readonly method: 'GET' | 'POST' | 'PUT' | 'DELETE';
	readonly headers: Readonly<Record<string, string>>;
	readonly body: string | null;
	readonly signal: AbortSignal | null;
}

/** The one door for outbound HTTP: pooled connections, no redirects followed, no retries. */
export interface HttpClient {
	/**
	 * Resolves with the status and headers; the body must be read or destroyed by the caller. Rejects with the
	 * signal's reason as soon as it aborts, also while the request still waits for a connection.
	 */
	request(request: HttpRequest): Promise<Dispatcher.ResponseData>;
	/** Ends every connection at once; requests under way fail. */
	close(): Promise<void>;
}

/** What a caller of `HttpOrigin.post` learns, in this order. Callbacks must not throw. */
export type HttpHandler = Required<
	Pick<
		Dispatcher.DispatchHandler,
		'onRequestStart' | 'onResponseStart' | 'onResponseData' | 'onResponseEnd' | 'onResponseError'
	>
>;

/** The same door for many calls to one origin: no URL is parsed and no stream object is made for a call. */
interface HttpOrigin {
	/**
	 * Sends a POST, first waiting for a free connection where all are busy. `onRequestStart` brings the controller that
	 * aborts it; `recall` ends the wait before that, after which nothing is called any more. The wait has no time-out
	 * and the queue no cap of its own: each entry belongs to a caller that has both. @param headers names and values in turn.
	 */
	post(path: string, headers: string[], body: string, handler: HttpHandler): HttpCall;
	/** The base URL's path without a trailing slash; empty for a bare origin. */
	readonly basePath: string;
	/** Ends every connection at once; requests under way fail. */
	close(): Promise<void>;
}

export interface HttpCall {
	/** True when the call had not been handed to a connection; it is forgotten, and its body with it. */
	recall(): boolean;
}

interface HttpOptions {
	/** Per origin. */
	readonly connectionsMax: number;
	/** How long a TCP and TLS connection may take to open. Time-outs for the answer are the caller's. */
	readonly connectMs: number;
	/** True: a request to an address that is not public fails with PrivateAddressError, whatever name leads to it. */
	readonly publicOnly?: boolean;
	/** True: the same for link-local addresses and others where a cloud tells a machine its secrets, and only for these. */
	readonly withoutMetadata?: boolean;
}

export function createHttpClient(options: HttpOptions): HttpClient {
	const { publicOnly = false, withoutMetadata = false } = options;
	const agent = new Agent(settings(options, withoutMetadata ? upstreamLookup : undefined));
	return {
		request: ({ url, method, headers, body, signal }) => {
			const { origin, pathname, search, hostname } = checked(url);
			// What is an address already is not looked up.
			if ((publicOnly && isPrivateAddress(hostname)) || (withoutMetadata && isMetadataHost(hostname))) {
				return Promise.reject(new PrivateAddressError(hostname, hostname));
			}
			const sent = agent.request({ origin, path: pathname + search, method, headers, body, signal });
			return signal ? orAbort(sent, signal) : sent;
		},
		close: () => agent.destroy(),
	};
}

/**
 * @param baseUrl absolute, http or https. Throws TypeError when it is not, and PrivateAddressError for a link-local address:
 * no origin of answers lives there, and a name that leads there fails as it connects.
 */
export function createHttpOrigin(baseUrl: string, options: HttpOptions): HttpOrigin {
	const url = checked(baseUrl);
	if (isMetadataHost(url.hostname)) throw new PrivateAddressError(url.hostname, url.hostname);
	return new PooledOrigin(url, options);
}

/** Queues in front of the pool, because undici's own queue keeps a cancelled request, and its body, until a connection is free. */
class PooledOrigin implements HttpOrigin {
	readonly basePath: string;
	readonly #pool: Pool;
	readonly #waiting = new Set<Call>();
	#free: number;

	constructor(url: URL, options: HttpOptions) {
		this.basePath = url.pathname.replace(/\/+$/, '');
		this.#pool = new Pool(url.origin, settings(options, upstreamLookup));
		this.#free = options.connectionsMax;
	}

	post(path: string, headers: string[], body: string, handler: HttpHandler): HttpCall {
		const call = new Call(this, { path, method: 'POST', headers, body }, handler);
		if (this.#free > 0) this.#send(call);
		else this.#waiting.add(call);
		return call;
	}

	forget(call: Call): boolean {
		return this.#waiting.delete(call);
	}

	release(): void {
		this.#free++;
		for (const call of this.#waiting) {
			this.#waiting.delete(call);
			this.#send(call);
			return;
		}
	}

	async close(): Promise<void> {
		await this.#pool.destroy();
		for (const call of this.#waiting) this.#send(call); // Each fails: the pool is destroyed.
		this.#waiting.clear();
	}

	#send(call: Call): void {
		this.#free--;
		this.#pool.dispatch(call.options, call);
	}
}

/** One POST; passes everything on and frees its place when the exchange is over. */
class Call implements HttpCall, HttpHandler {
	readonly options: Dispatcher.DispatchOptions;
	readonly #origin: PooledOrigin;
	readonly #handler: HttpHandler;

	constructor(origin: PooledOrigin, options: Dispatcher.DispatchOptions, handler: HttpHandler) {
		this.#origin = origin;
		this.options = options;
		this.#handler = handler;
	}

	recall(): boolean {
		return this.#origin.forget(this);
	}

	onRequestStart(controller: Dispatcher.DispatchController, context: unknown): void {
		this.#handler.onRequestStart(controller, context);
	}

	onResponseStart(
		controller: Dispatcher.DispatchController,
		status: number,
		headers: Record<string, string | string[] | undefined>,
	): void {
		this.#handler.onResponseStart(controller, status, headers);
	}

	onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
		this.#handler.onResponseData(controller, chunk);
	}

	onResponseEnd(
		controller: Dispatcher.DispatchController,
		trailers: Record<string, string | string[] | undefined>,
	): void {
		this.#handler.onResponseEnd(controller, trailers);
		this.#origin.release();
	}

	onResponseError(controller: Dispatcher.DispatchController, error: Error): void {
		this.#handler.onResponseError(controller, error);
		this.#origin.release();
	}
}

function settings({ connectionsMax, connectMs, publicOnly = false }: HttpOptions, lookup?: LookupFunction) {
	const resolved = publicOnly ? publicLookup : lookup;
	return {
		connections: connectionsMax,
		pipelining: 1,
		// One request per connection: an abort then closes the socket, which every provider notices.
		allowH2: false,
		connect: { timeout: connectMs, ...(resolved && { lookup: resolved }) },
		headersTimeout: 0,
		bodyTimeout: 0,
	};
}

function checked(url: string): URL {
	const parsed = URL.parse(url);
	if (parsed === null) throw new TypeError(`"${url}" is not an absolute URL`);
	if (parsed.protocol !== 'http:' && parsed.protocol !== 'https:') {
		throw new TypeError(`outbound HTTP speaks http and https, not ${parsed.protocol}//`);
	}
	if (parsed.username !== '' || parsed.password !== '') {
		throw new TypeError(`credentials in the URL of ${parsed.host} would reach logs; send them in a header`);
	}
	return parsed;
}

/** undici tells a request that waits for its connection about an abort only once it has one; a caller must not wait for that. */
function orAbort(sent: Promise<Dispatcher.ResponseData>, signal: AbortSignal): Promise<Dispatcher.ResponseData> {
	return new Promise((resolve, reject) => {
		const abort = () => reject(signal.reason);
		if (signal.aborted) abort();
		signal.addEventListener('abort', abort, { once: true });
		const done = () => signal.removeEventListener('abort', abort);
		// An answer that arrives after the abort was destroyed by undici, which holds the same signal.
		sent.then(resolve, reject).finally(done);
	});
}
