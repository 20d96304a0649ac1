import { type Clock, sleep } from '../../base/clock.ts';
import type { HttpClient } from '../../base/http.ts';
import { PrivateAddressError } from '../../base/private-address.ts';
import { wholeBody } from '../../base/whole-body.ts';

export interface Fetched {
	readonly status: number;
	/** Names in lower case; of repeated ones the first. */
	readonly headers: Readonly<Record<string, string>>;
	readonly bytes: Uint8Array;
}

/** Why there is no answer. `isRefusal`: another try would end alike. */
export interface Unfetched {
	readonly reason: string;
	readonly isRefusal: boolean;
}

interface FetchOptions {
	readonly http: HttpClient;
	readonly clock: Clock;
	/** What is sent; made anew for each try, since a signature carries its time. */
	readonly send: () => Promise<{ readonly url: string; readonly headers: Readonly<Record<string, string>> }>;
	readonly bytesMax: number;
	/** Of one try, with the whole body. */
	readonly timeoutMs: number;
	readonly signal: AbortSignal;
}

const TRIES = 3;
const PAUSE_MS = 500;
const PAUSE_MS_MAX = 30_000;

/**
 * One GET with a cap on time and bytes. Busy and failing servers are asked up to three times, and given the time that they
 * ask for, up to 30 s. Gives a reason when there is no answer; an answer of any status is one. Rejects only when the signal aborts.
 */
export async function fetchBounded(options: FetchOptions): Promise<Fetched | Unfetched> {
	const { clock, signal } = options;
	for (let attempt = 1; ; attempt++) {
		const result = await once(options);
		const busy = 'reason' in result ? !result.isRefusal : result.status === 429 || result.status >= 500;
		if (!busy || attempt === TRIES) return result;
		const asked = 'headers' in result ? Number(result.headers['retry-after']) * 1_000 : 0;
		await sleep(clock, Math.min(PAUSE_MS_MAX, Math.max(asked || 0, PAUSE_MS * 2 ** (attempt - 1))), signal);
	}
}

async function once({ http, clock, send, bytesMax, timeoutMs, signal }: FetchOptions): Promise<Fetched | Unfetched> {
	signal.throwIfAborted();
	const ends = new AbortController();
	const cancel = clock.after(timeoutMs, () => ends.abort(new Error(`no answer within ${timeoutMs} ms`)));
	const both = AbortSignal.any([signal, ends.signal]);
	try {
		const { url, headers } = await send();
		const response = await http.request({ url, method: 'GET', headers, body: null, signal: both });
		const bytes = await wholeBody(response.body, bytesMax);
		if (bytes === null) return { reason: `larger than ${bytesMax} bytes`, isRefusal: true };
		const names = Object.entries(response.headers).map(([name, value]) => [
			name.toLowerCase(),
			String([value ?? ''].flat()[0]),
		]);
		return { status: response.statusCode, headers: Object.fromEntries(names), bytes };
	} catch (cause) {
		signal.throwIfAborted();
		const why = ends.signal.aborted ? ends.signal.reason : cause;
		return {
			reason: why instanceof Error ? why.message || why.name : String(why),
			isRefusal: why instanceof PrivateAddressError,
		};
	} finally {
		cancel();
	}
}

export function textOf({ bytes }: Fetched): string {
	return new TextDecoder().decode(bytes);
}
