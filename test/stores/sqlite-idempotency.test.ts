import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Worker } from 'node:worker_threads';
import { afterEach, describe, expect, it, onTestFinished } from 'vitest';
import { systemClock } from '../../src/base/clock.ts';
import type { IdempotencyBounds, IdempotencyStore } from '../../src/spec/idempotency.ts';
import { openSqliteIdempotency } from '../../src/stores/sqlite-idempotency.ts';
import { claimOf, idempotencyStoreSuite, responseOf } from './idempotency-store.suite.ts';

const BOUNDS: IdempotencyBounds = { recordsMax: 1_000, bytesMax: 1_000_000 };
const opened: IdempotencyStore[] = [];

afterEach(async () => {
	for (const store of opened.splice(0)) await store.close();
});

async function open(bounds: IdempotencyBounds, file = ':memory:'): Promise<IdempotencyStore> {
	const store = await openSqliteIdempotency(file, { bounds, clock: systemClock });
	opened.push(store);
	return store;
}

// One process owns the file, so that its replicas are one store.
idempotencyStoreSuite('idempotency keys in SQLite', { runs: 200, open: async (bounds) => [await open(bounds)] });

describe('idempotency keys in a SQLite file', () => {
	it('outlive the process: what was completed is replayed, what had acted is refused, the rest is free', async () => {
		const folder = await mkdtemp(join(tmpdir(), 'plimsoll-keys-'));
		onTestFinished(() => rm(folder, { recursive: true, force: true }));
		const file = join(folder, 'idempotency.sqlite');
		const before = await open(BOUNDS, file);
		for (const keyHash of ['done', 'acted', 'idle']) await before.claim(claimOf(`req_${keyHash}`, { keyHash }));
		const { now, expiresAt } = claimOf('req_done');
		await before.complete(claimOf('req_done', { keyHash: 'done' }), { response: responseOf('kept'), now, expiresAt });
		await before.beginEffect(claimOf('req_acted', { keyHash: 'acted' }), { kind: 'tool', name: 'mail', at: now });
		await before.close();
		const after = await open(BOUNDS, file);
		// Nobody waits for leases of a process that is gone.
		expect(await after.claim(claimOf('req_2', { keyHash: 'done' }))).toMatchObject({ response: responseOf('kept') });
		expect(await after.claim(claimOf('req_2', { keyHash: 'acted' }))).toMatchObject({
			kind: 'unknown',
			requestId: 'req_acted',
			effects: [{ kind: 'tool', name: 'mail' }],
		});
		expect(await after.claim(claimOf('req_2', { keyHash: 'idle' }))).toEqual({ kind: 'claimed' });
	});

	it('are kept on by another worker when the first one is lost', async () => {
		const folder = await mkdtemp(join(tmpdir(), 'plimsoll-keys-'));
		onTestFinished(() => rm(folder, { recursive: true, force: true }));
		const workers: Worker[] = [];
		const onWorker = (worker: Worker) => workers.push(worker);
		process.on('worker', onWorker);
		onTestFinished(() => void process.off('worker', onWorker));
		const store = await open(BOUNDS, join(folder, 'idempotency.sqlite'));
		const { now, expiresAt } = claimOf('req_1');
		await store.claim(claimOf('req_1'));
		await store.complete(claimOf('req_1'), { response: responseOf('kept'), now, expiresAt });
		await workers[0]?.terminate();
		expect(store.isUp()).toBe(false);
		await expect(store.claim(claimOf('req_2'))).rejects.toMatchObject({ code: 'idempotency_unavailable' });
		await expect.poll(() => store.isUp(), { timeout: 30_000 }).toBe(true);
		expect(await store.claim(claimOf('req_2'))).toMatchObject({ response: responseOf('kept') });
	});

	it('are swept in batches once they have expired, and no sooner', async () => {
		const store = await open(BOUNDS);
		const { now, expiresAt } = claimOf('req_0');
		for (let n = 0; n < 5; n++) {
			const claim = claimOf(`req_${n}`, { keyHash: `k${n}` });
			await store.claim(claim);
			if (n > 0) await store.complete(claim, { response: responseOf('x'), now, expiresAt });
			else await store.renew(claim, expiresAt + 1);
		}
		expect(await store.sweep(expiresAt - 1, 10)).toBe(0);
		expect(await store.sweep(expiresAt, 3)).toBeLessThanOrEqual(3);
		await store.sweep(expiresAt, 10);
		// The one that somebody still works under stays until its lease ends too.
		expect(await store.claim(claimOf('req_9', { keyHash: 'k0', now: expiresAt }))).toMatchObject({ kind: 'running' });
		expect(await store.sweep(expiresAt + 1, 10)).toBe(1);
	});

	it('cannot be kept in a file of another program', async () => {
		const folder = await mkdtemp(join(tmpdir(), 'plimsoll-keys-'));
		onTestFinished(() => rm(folder, { recursive: true, force: true }));
		await expect(open(BOUNDS, folder)).rejects.toMatchObject({ code: 'storage_failed' });
	});
});
