import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemClock } from '../src/base/clock.ts';
import type { IdempotencyStore, StoredResponse } from '../src/spec/idempotency.ts';
import { RedisIdempotency } from '../src/stores/redis-idempotency.ts';
import { RedisLink } from '../src/stores/redis-link.ts';
import { openSqliteIdempotency } from '../src/stores/sqlite-idempotency.ts';
import { NO_REDIS, startRedis } from '../test/support/redis-server.ts';

/**
 * What a key costs its request: a claim and a completion with an answer of 2 KB, both durable. As latency with one
 * request at a time, as throughput with 64, and as CPU time of the thread that serves.
 *
 *   node bench/idempotency.ts [requests, 5000]
 */
const REQUESTS = Number(process.argv[2] ?? 5_000);
const IN_FLIGHT = 64;
const BOUNDS = { recordsMax: 10_000_000, bytesMax: 10_000_000_000 };
const HOUR_MS = 3_600_000;

const response: StoredResponse = {
	status: 200,
	headers: { 'content-type': 'application/json; charset=utf-8' },
	body: 'x'.repeat(2_048),
	origin: { feature: 'ask', release: 'f00', degradedReason: null, errorCode: null },
};
let serial = 0;

async function once(store: IdempotencyStore): Promise<void> {
	const id = serial++;
	const now = systemClock.now();
	const holder = { tenantId: 'acme', keyHash: `key-${id}`, requestId: `req_${id}` };
	const expiresAt = now + HOUR_MS;
	await store.claim({ ...holder, fingerprint: 'body', now, leaseUntil: now + 15_000, expiresAt });
	await store.complete(holder, { response, now, expiresAt });
}

async function measure(name: string, store: IdempotencyStore): Promise<void> {
	for (let n = 0; n < 200; n++) await once(store);
	const alone: number[] = [];
	for (let n = 0; n < REQUESTS / 5; n++) {
		const from = systemClock.monotonic();
		await once(store);
		alone.push(systemClock.monotonic() - from);
	}
	alone.sort((a, b) => a - b);
	const cpu = process.threadCpuUsage();
	const from = systemClock.monotonic();
	let left = REQUESTS;
	await Promise.all(
		Array.from({ length: IN_FLIGHT }, async () => {
			while (left-- > 0) await once(store);
		}),
	);
	const seconds = (systemClock.monotonic() - from) / 1000;
	const { user, system } = process.threadCpuUsage(cpu);
	const at = (share: number) => (alone[Math.floor(alone.length * share)] ?? 0).toFixed(2);
	process.stdout.write(
		`${name.padEnd(8)} alone p50 ${at(0.5)} ms, p99 ${at(0.99)} ms; ${Math.round(REQUESTS / seconds)} requests/s with ` +
			`${IN_FLIGHT} in flight, ${((user + system) / REQUESTS).toFixed(0)} µs CPU each on the serving thread\n`,
	);
	await store.close();
}

const folder = mkdtempSync(join(tmpdir(), 'plimsoll-bench-'));
await measure(
	'SQLite',
	await openSqliteIdempotency(join(folder, 'idempotency.sqlite'), { bounds: BOUNDS, clock: systemClock }),
);
rmSync(folder, { recursive: true });
if (NO_REDIS === null) {
	const redis = await startRedis();
	const link = new RedisLink({ url: redis.url, clock: systemClock, onTrouble: (text) => process.stderr.write(text) });
	await link.connect();
	await measure('Redis', new RedisIdempotency(link, BOUNDS));
	await link.close();
	await redis.kill();
} else process.stdout.write(`Redis: ${NO_REDIS}\n`);
