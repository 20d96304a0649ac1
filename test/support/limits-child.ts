import { once } from 'node:events';
import { systemClock } from '../../src/base/clock.ts';
import { seededRandom } from '../../src/base/random.ts';
import { RedisLink } from '../../src/stores/redis-link.ts';
import { RedisState } from '../../src/stores/redis-state.ts';

/**
 * One replica. In each round it reserves, uses and settles against one counter, with all requests in flight at once.
 *
 *   node limits-child.ts <url> <prefix> <cap> <requests of a round> <rounds> <seed>
 *
 * Says "ready", waits for a line, then writes as JSON what each round used, and the most that it ever saw a counter at.
 */
const [url = '', prefix = ''] = process.argv.slice(2);
const [max = 0, requests = 0, rounds = 0, seed = 0] = process.argv.slice(4).map(Number);
const NOW = Date.UTC(2026, 11, 1);
const link = new RedisLink({
	url,
	prefix,
	clock: systemClock,
	onTrouble: (message) => process.stderr.write(message),
});
const state = new RedisState(link);
const random = seededRandom(seed);
await link.connect();
process.stdout.write('ready\n');
await once(process.stdin, 'data');
process.stdin.destroy();
const used: number[] = [];
let most = 0;
for (let round = 0; round < rounds; round++) {
	used[round] = 0;
	await Promise.all(
		Array.from({ length: requests }, async () => {
			const amount = 1 + Math.floor(random.next() * 3);
			const actual = Math.floor(random.next() * (amount + 1));
			const claims = [{ scope: `feature:r${round}`, limit: 'cost_usd_per_day' as const, max, amount }];
			const reservation = await state.reserve({ tenantId: 'acme', claims, now: NOW, expiresAt: NOW + 60_000 });
			most = Math.max(most, ...reservation.standings.map((standing) => standing.used));
			if (!reservation.granted) return;
			used[round] = (used[round] ?? 0) + actual;
			await state.settle(reservation.ticket, [actual], NOW + 1);
		}),
	);
}
await link.close();
process.stdout.write(`${JSON.stringify({ used, most })}\n`);
