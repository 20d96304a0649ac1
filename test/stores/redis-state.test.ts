import { execFile, spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { systemClock } from '../../src/base/clock.ts';
import { RedisLink } from '../../src/stores/redis-link.ts';
import { RedisState } from '../../src/stores/redis-state.ts';
import { NO_REDIS, type RedisServer, startRedis } from '../support/redis-server.ts';
import { claim, sharedStateSuite } from './shared-state.suite.ts';

const CHILD = fileURLToPath(new URL('../support/limits-child.ts', import.meta.url));
const run = promisify(execFile);

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
		const fresh = async (count: number, prefix = `run-${opened++}`) => {
			const more = Array.from({ length: count }, () => {
				return new RedisLink({ url: server.url, clock: systemClock, prefix, onTrouble: () => {} });
			});
			links.push(...more);
			for (const link of more) await link.connect();
			return more.map((link) => new RedisState(link));
		};

		sharedStateSuite('counters in Redis', { runs: 1_000, open: fresh });

		it('four processes with 50 requests each never pass a budget for 50, in 1,000 rounds', async () => {
			const rounds = 1_000;
			const children = [1, 2, 3, 4].map((seed) => startChild([server.url, 'four', 50, 50, rounds, seed].map(String)));
			await Promise.all(children.map(({ ready }) => ready));
			const results = await Promise.all(children.map(({ go }) => go()));
			const [state] = await fresh(1, 'four');
			if (!state) throw new Error('no state');
			for (const { most } of results) expect(most).toBe(50);
			const now = Date.UTC(2026, 11, 1);
			for (let round = 0; round < rounds; round++) {
				const used = results.reduce((sum, child) => sum + (child.used[round] ?? 0), 0);
				const rest = claim('cost_usd_per_day', 50, 50 - used, `feature:r${round}`);
				expect(await state.usage('acme', [rest], now), `round ${round}`).toEqual([{ settled: used, reserved: 0 }]);
				expect(used, `round ${round}`).toBeLessThanOrEqual(50);
				// Once all has settled, what is left is there for whoever comes.
				const last = await state.reserve({ tenantId: 'acme', claims: [rest], now, expiresAt: now + 1 });
				expect(last.granted, `round ${round}`).toBe(true);
			}
		}, 300_000);

		it('works on after Redis has forgotten its scripts', async () => {
			const [state] = await fresh(1);
			if (!state) throw new Error('no state');
			await run('redis-cli', ['-u', server.url, 'SCRIPT', 'FLUSH']);
			expect(await state.usage('acme', [claim('requests_per_minute', 0)], 0)).toEqual([{ settled: 0, reserved: 0 }]);
		});
	},
);

/** A replica in a process of its own: ready when it is connected, then told to go. */
function startChild(args: readonly string[]) {
	const child = spawn(process.execPath, [CHILD, ...args], { stdio: ['pipe', 'pipe', 'inherit'] });
	let text = '';
	const { promise: ready, resolve } = Promise.withResolvers<void>();
	child.stdout.setEncoding('utf8').on('data', (piece: string) => {
		text += piece;
		if (text.startsWith('ready')) resolve();
	});
	const ended = new Promise<{ used: number[]; most: number }>((done, fail) => {
		child.once('close', (code) =>
			code === 0 ? done(JSON.parse(text.slice('ready'.length))) : fail(new Error(`ended with ${code}: ${text}`)),
		);
	});
	const go = () => {
		child.stdin.write('go\n');
		return ended;
	};
	return { ready, go };
}
