import { AsyncLocalStorage } from 'node:async_hooks';
import { createHttpOrigin } from '../../base/http.ts';
import type { FetchAttempt } from './fetch-attempt.ts';

export type Fetch = (input: string | URL | Request, init?: RequestInit) => Promise<Response>;

interface TransportOptions {
	/** The only place that the package may call; null: the first place that it calls. */
	readonly baseUrl: string | null;
	readonly connectionsMax: number;
	readonly connectMs: number;
}

/**
 * The `fetch` that a provider package is given: a POST over the one guarded client, to one origin, for the attempt that
 * the call belongs to. Throws TypeError at once when `baseUrl` is not an http(s) URL.
 */
export class Transport {
	readonly #attempts = new AsyncLocalStorage<FetchAttempt>();
	readonly #options: TransportOptions;
	#place: { readonly origin: string; readonly pool: ReturnType<typeof createHttpOrigin> } | null = null;

	constructor(options: TransportOptions) {
		this.#options = options;
		if (options.baseUrl !== null) this.#open(options.baseUrl);
	}

	readonly fetch: Fetch = async (input, init = {}) => {
		const attempt = this.#attempts.getStore();
		if (attempt === undefined) throw new TypeError('a provider package calls its provider outside of any attempt');
		const url = new URL(input instanceof Request ? input.url : input);
		const { body } = init;
		if (init.method !== 'POST' || typeof body !== 'string') {
			throw new TypeError('a provider package sends something else than a POST with text');
		}
		const place = this.#place ?? this.#open(url.origin);
		if (url.origin !== place.origin) {
			throw new TypeError(`a provider package calls ${url.origin}, and its upstream is at ${place.origin}`);
		}
		const headers = headerList(new Headers(init.headers));
		return attempt.send((handler) => place.pool.post(url.pathname + url.search, headers, body, handler));
	};

	/** What `work` fetches is a part of `attempt`. */
	run<T>(attempt: FetchAttempt, work: () => T): T {
		return this.#attempts.run(attempt, work);
	}

	async close(): Promise<void> {
		await this.#place?.pool.close();
	}

	#open(url: string) {
		const { connectionsMax, connectMs } = this.#options;
		this.#place = { origin: new URL(url).origin, pool: createHttpOrigin(url, { connectionsMax, connectMs }) };
		return this.#place;
	}
}

/** Names and values in turn. A header that says nothing is left out. */
function headerList(headers: Headers): string[] {
	const list: string[] = [];
	for (const [name, value] of headers) if (value !== '') list.push(name, value);
	return list;
}
