import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { systemClock } from '../../src/base/clock.ts';
import { VirtualClock } from '../../src/base/virtual-clock.ts';
import type { IdempotencyBounds, IdempotencyStore, KeyState } from '../../src/spec/idempotency.ts';
import { BoundedIdempotency } from '../../src/stores/bounded-idempotency.ts';
import { RedisIdempotency } from '../../src/stores/redis-idempotency.ts';
import { RedisLink } from '../../src/stores/redis-link.ts';
import { NO_REDIS, type RedisServer, startRedis } from '../support/redis-server.ts';
import { claimOf, idempotencyStoreSuite } from './idempotency-store.suite.ts';

describe.skipIf(NO_REDIS !== null)(
	`over a real Redis${NO_REDIS === null ? '' : ` (skipped where ${NO_REDIS})`}`,
	() => {
		let server: RedisServer;
		let opened = 0;
		const links: RedisLink[] = [];
		beforeAll(async () => {
			server = await startRedis();
		});
		afterEach(async () => {
			for (const link of links.splice(0)) await link.close();
		});
		afterAll(() => server.kill());
		const open = async (bounds: IdempotencyBounds, replicas: number) => {
			const prefix = `run-${opened++}`;
			const more = Array.from({ length: replicas }, () => {
				return new RedisLink({ url: server.url, clock: systemClock, prefix, onTrouble: () => {} });
			});
			links.push(...more);
			for (const link of more) await link.connect();
			return more.map((link) => new RedisIdempotency(link, bounds));
		};

		idempotencyStoreSuite('idempotency keys in Redis', { runs: 200, open });
	},
);

/** Answers a claim when it is told to. */
class SlowStore {
	readonly claims: PromiseWithResolvers<KeyState>[] = [];
	readonly released: string[] = [];

	readonly store = {
		claim: () => {
			const claim = Promise.withResolvers<KeyState>();
			this.claims.push(claim);
			return claim.promise;
		},
		release: async ({ requestId }: { requestId: string }) => {
			this.released.push(requestId);
			return true;
		},
	} as Partial<IdempotencyStore> as IdempotencyStore;
}

describe('a store of idempotency keys that hangs', () => {
	it('costs a claim its time-out and no more, and later ones nothing until it answers again', async () => {
		const clock = new VirtualClock();
		const slow = new SlowStore();
		const bounded = new BoundedIdempotency({ store: slow.store, clock, timeoutMs: 10 });
		for (let n = 0; n < 3; n++) {
			const refused = expect(bounded.claim(claimOf(`req_${n}`))).rejects.toMatchObject({
				code: 'idempotency_unavailable',
			});
			await clock.advance(10);
			await refused;
		}
		await expect(bounded.claim(claimOf('req_3'))).rejects.toMatchObject({ code: 'idempotency_unavailable' });
		expect(slow.claims).toHaveLength(3);
		await clock.advance(250);
		const probe = bounded.claim(claimOf('req_4'));
		slow.claims[3]?.resolve({ kind: 'claimed' });
		expect(await probe).toEqual({ kind: 'claimed' });
		expect(clock.pending).toBe(0);
	});

	it('gives back a key that was claimed after nobody waited any more', async () => {
		const clock = new VirtualClock();
		const slow = new SlowStore();
		const bounded = new BoundedIdempotency({ store: slow.store, clock, timeoutMs: 10 });
		const refused = expect(bounded.claim(claimOf('req_late'))).rejects.toThrow('does not answer');
		await clock.advance(10);
		await refused;
		slow.claims[0]?.resolve({ kind: 'claimed' });
		await clock.advance(0);
		expect(slow.released).toEqual(['req_late']);
	});
});
