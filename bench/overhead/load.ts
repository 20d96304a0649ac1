import { type Dispatcher, Pool } from 'undici';

export interface Target {
	/** Where to post, e.g. `http://127.0.0.1:4600/v1/chat/completions`. */
	readonly url: string;
	readonly headers: Readonly<Record<string, string>>;
	readonly body: string;
}

export interface LoadResult {
	readonly requests: number;
	readonly errors: number;
	readonly seconds: number;
	/** Milliseconds per request, sorted. */
	readonly latencies: Float64Array;
	/** Milliseconds to the first byte of the body, sorted. */
	readonly firstBytes: Float64Array;
}

/** Keeps `concurrency` requests under way for `seconds` (or until `requestsMax`), after a warm-up that is not counted. */
export async function load(
	target: Target,
	options: { concurrency: number; seconds: number; warmUpSeconds: number; requestsMax?: number },
): Promise<LoadResult> {
	const { origin, pathname } = new URL(target.url);
	const pool = new Pool(origin, { connections: options.concurrency, pipelining: 1 });
	const send = () => post(pool, pathname, target);
	await during(options.warmUpSeconds, Number.POSITIVE_INFINITY, { ...options, send });
	const result = await during(options.seconds, options.requestsMax ?? Number.POSITIVE_INFINITY, { ...options, send });
	await pool.close();
	return result;
}

async function during(
	seconds: number,
	requestsMax: number,
	{ concurrency, send }: { concurrency: number; send: () => Promise<Sample> },
): Promise<LoadResult> {
	const latencies: number[] = [];
	const firstBytes: number[] = [];
	let started = 0;
	let errors = 0;
	const start = performance.now();
	const end = start + seconds * 1000;
	const client = async () => {
		while (performance.now() < end && started < requestsMax) {
			started++;
			const sample = await send();
			if (!sample.ok) errors++;
			latencies.push(sample.ms);
			firstBytes.push(sample.firstByteMs);
		}
	};
	await Promise.all(Array.from({ length: concurrency }, client));
	return {
		requests: latencies.length,
		errors,
		seconds: (performance.now() - start) / 1000,
		latencies: Float64Array.from(latencies).sort(),
		firstBytes: Float64Array.from(firstBytes).sort(),
	};
}

interface Sample {
	readonly ok: boolean;
	readonly ms: number;
	readonly firstByteMs: number;
}

/** One POST at dispatch level: the load generator must cost less than what it measures. */
function post(pool: Pool, path: string, target: Target): Promise<Sample> {
	return new Promise((resolve) => {
		const start = performance.now();
		let status = 0;
		let firstByteMs = Number.NaN;
		let tail = '';
		const done = (ok: boolean) => resolve({ ok, ms: performance.now() - start, firstByteMs });
		const handler: Dispatcher.DispatchHandler = {
			onRequestStart() {},
			onResponseStart(_controller, statusCode) {
				status = statusCode;
			},
			onResponseData(_controller, chunk) {
				if (Number.isNaN(firstByteMs)) firstByteMs = performance.now() - start;
				tail = chunk.subarray(-16).toString('latin1');
			},
			onResponseEnd() {
				const whole = !target.body.includes('"stream":true') || tail.includes('[DONE]');
				done(status === 200 && whole);
			},
			onResponseError() {
				done(false);
			},
		};
		pool.dispatch({ path, method: 'POST', headers: target.headers, body: target.body }, handler);
	});
}

export function quantile(sorted: Float64Array, q: number): number {
	return sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))] ?? Number.NaN;
}
