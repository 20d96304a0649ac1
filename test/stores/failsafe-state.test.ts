import { Redis } from 'ioredis';
import { describe, expect, it, onTestFinished } from 'vitest';
import { sleep, systemClock } from '../../src/base/clock.ts';
import { VirtualClock } from '../../src/base/virtual-clock.ts';
import type { SharedState } from '../../src/spec/shared-state.ts';
import { FailsafeState } from '../../src/stores/failsafe-state.ts';
import { MemoryState } from '../../src/stores/memory-state.ts';
import { RedisLink } from '../../src/stores/redis-link.ts';
import { USAGE } from '../../src/stores/redis-scripts.ts';
import { RedisState } from '../../src/stores/redis-state.ts';
import { NO_REDIS, portOf, startRedis } from '../support/redis-server.ts';
import { claim } from './shared-state.suite.ts';

type Mode = 'works' | 'fails' | 'hangs' | 'gone';

/** A state that does its work, and then answers, fails or stays silent; `gone` has no connection at all. */
class Faulty implements SharedState {
	mode: Mode = 'works';
	calls = 0;
	readonly inner = new MemoryState();
	#waiting: (() => void)[] = [];

	async reserve(...args: Parameters<SharedState['reserve']>) {
		const reservation = await this.inner.reserve(...args);
		if (!reservation.granted) return this.#answer(reservation);
		const ticket = { ...reservation.ticket, heldBy: 'shared' as const };
		return this.#answer({ ...reservation, ticket });
	}
	async settle(...args: Parameters<SharedState['settle']>) {
		return this.#answer(await this.inner.settle(...args));
	}
	async release(...args: Parameters<SharedState['release']>) {
		return this.#answer(await this.inner.release(...args));
	}
	async usage(...args: Parameters<SharedState['usage']>) {
		return this.#answer(await this.inner.usage(...args));
	}
	health() {
		return { ...this.inner.health(), status: this.mode === 'gone' ? ('down' as const) : ('up' as const) };
	}
	async close() {}

	/** What was silent answers now. */
	wake(): void {
		this.mode = 'works';
		for (const resume of this.#waiting.splice(0)) resume();
	}

	async #answer<T>(value: T): Promise<T> {
		this.calls++;
		if (this.mode === 'fails' || this.mode === 'gone') throw new Error('OOM command not allowed');
		if (this.mode === 'hangs') await new Promise<void>((resume) => this.#waiting.push(resume));
		return value;
	}
}

function failsafe(clock: VirtualClock, onFailure: 'fail_open' | 'fail_closed' | 'local_share') {
	const shared = new Faulty();
	const local = new MemoryState();
	const state = new FailsafeState({ shared, local, clock, policy: { onFailure, localShare: 0.25, timeoutMs: 10 } });
	const ask = (amount = 1) => {
		const now = clock.now();
		const claims = [claim('tokens_per_minute', 8, amount)];
		return state.reserve({ tenantId: 'acme', claims, now, expiresAt: now + 30_000 });
	};
	return { shared, state, ask };
}

const down: Mode[] = ['fails', 'gone'];

describe('when the shared state fails', () => {
	it.each(down)('fail_open lets everything pass, and says so (%s)', async (mode) => {
		const clock = new VirtualClock();
		const { shared, state, ask } = failsafe(clock, 'fail_open');
		shared.mode = mode;
		for (let n = 0; n < 20; n++) expect(await ask()).toMatchObject({ granted: true, ticket: { heldBy: 'nobody' } });
		expect(state.health()).toMatchObject({ status: 'down', onFailure: 'fail_open' });
		await state.close();
	});

	it.each(down)('fail_closed refuses with an error that says when to come back (%s)', async (mode) => {
		const { shared, state, ask } = failsafe(new VirtualClock(), 'fail_closed');
		shared.mode = mode;
		await expect(ask()).rejects.toMatchObject({ code: 'limits_unavailable', retryAfterMs: 1_000 });
		await state.close();
	});

	it.each(down)('local_share keeps its share of the limit and no more (%s)', async (mode) => {
		const { shared, state, ask } = failsafe(new VirtualClock(), 'local_share');
		shared.mode = mode;
		expect([await ask(), await ask(), await ask()].map(({ granted }) => granted)).toEqual([true, true, false]);
		// Above the share and within the limit: not the client's fault.
		await expect(ask(5)).rejects.toMatchObject({ code: 'limits_unavailable' });
		expect(await ask(9)).toMatchObject({ granted: false, refusal: { waitMs: null } });
		await state.close();
	});

	it('costs each of the first requests its time-out, and the next ones nothing', async () => {
		const clock = new VirtualClock();
		const { shared, state, ask } = failsafe(clock, 'fail_open');
		shared.mode = 'hangs';
		for (let n = 0; n < 3; n++) {
			const asked = ask();
			await clock.advance(10);
			expect(await asked).toMatchObject({ ticket: { heldBy: 'nobody' } });
		}
		for (let n = 0; n < 100; n++) await ask();
		expect(shared.calls).toBe(3);
		// One probe at a time, however long it hangs.
		await clock.advance(60_000);
		expect(shared.calls).toBe(4);
		shared.wake();
		await clock.advance(1_000);
		expect(state.health().status).toBe('up');
		// What was granted after nobody waited any more was given back.
		expect(await shared.inner.usage('acme', [claim('tokens_per_minute', 0)], clock.now())).toEqual([
			{ settled: 0, reserved: 0 },
		]);
		expect(await ask()).toMatchObject({ ticket: { heldBy: 'shared' } });
		expect(clock.pending).toBe(0);
		await state.close();
	});

	it('sends settlements later that could not be sent', async () => {
		const clock = new VirtualClock();
		const { shared, state, ask } = failsafe(clock, 'fail_open');
		const reservation = await ask(6);
		shared.mode = 'gone';
		if (reservation.granted) await state.settle(reservation.ticket, [4], clock.now());
		expect(state.health().unsettled).toBe(1);
		shared.mode = 'works';
		await ask(1);
		await clock.advance(1);
		expect(state.health().unsettled).toBe(0);
		expect(await state.usage('acme', [claim('tokens_per_minute', 0)], clock.now())).toEqual([
			{ settled: 4, reserved: 1 },
		]);
		await state.close();
	});
	it('sends what was kept when the shared state is back, also when nothing is asked of it', async () => {
		const clock = new VirtualClock();
		const { shared, state, ask } = failsafe(clock, 'fail_open');
		const reservation = await ask(6);
		shared.mode = 'gone';
		if (reservation.granted) await state.settle(reservation.ticket, [4], clock.now());
		await clock.advance(1_000);
		expect(state.health().unsettled).toBe(1);
		shared.mode = 'works';
		await clock.advance(1_000);
		expect(state.health().unsettled).toBe(0);
		expect(await shared.inner.usage('acme', [claim('tokens_per_minute', 0)], clock.now())).toEqual([
			{ settled: 4, reserved: 0 },
		]);
		expect(clock.pending).toBe(0);
		await state.close();
	});

	it('sends what is kept while it sends what was kept before', async () => {
		const clock = new VirtualClock();
		const { shared, state, ask } = failsafe(clock, 'fail_open');
		const [first, second] = [await ask(2), await ask(2)];
		shared.mode = 'gone';
		if (first.granted) await state.settle(first.ticket, [1], clock.now());
		shared.mode = 'works';
		const gate = Promise.withResolvers<void>();
		const settle = shared.settle.bind(shared);
		shared.settle = async (...args) => {
			await gate.promise;
			return settle(...args);
		};
		await clock.advance(250);
		shared.mode = 'gone';
		if (second.granted) await state.settle(second.ticket, [1], clock.now());
		shared.mode = 'works';
		gate.resolve();
		await clock.advance(1_000);
		expect(state.health().unsettled).toBe(0);
		expect(await shared.inner.usage('acme', [claim('tokens_per_minute', 0)], clock.now())).toEqual([
			{ settled: 2, reserved: 0 },
		]);
		await state.close();
	});
});

describe.skipIf(NO_REDIS !== null)(
	`with a real Redis${NO_REDIS === null ? '' : ` (skipped where ${NO_REDIS})`}`,
	() => {
		it.each(['SIGKILL', 'SIGSTOP'] as const)(
			'%s in the middle of load: every request ends, and the state comes back',
			async (signal) => {
				const server = await startRedis();
				let second: typeof server | null = null;
				onTestFinished(async () => {
					server.process.kill('SIGCONT');
					await server.kill();
					await second?.kill();
				});
				const link = new RedisLink({ url: server.url, clock: systemClock, onTrouble: () => {} });
				onTestFinished(() => link.close());
				await link.connect();
				const shared = new RedisState(link);
				// Long enough for a busy machine: what is tested is that no request waits for longer, not how long that is.
				const policy = { onFailure: 'local_share' as const, localShare: 0.5, timeoutMs: 500 };
				const state = new FailsafeState({ shared, local: new MemoryState(), clock: systemClock, policy });
				onTestFinished(() => state.close());
				const held = { shared: 0, local: 0, nobody: 0 };
				const request = async () => {
					const now = systemClock.now();
					const claims = [claim('concurrent_requests', 1_000), claim('cost_usd_per_day', 1_000_000, 5)];
					const reservation = await state.reserve({ tenantId: 'acme', claims, now, expiresAt: now + 60_000 });
					if (!reservation.granted) throw new Error(JSON.stringify(reservation.refusal));
					held[reservation.ticket.heldBy]++;
					await state.settle(reservation.ticket, [0, 3], systemClock.now());
				};
				for (let wave = 0; wave < 30; wave++) {
					if (wave === 10) server.process.kill(signal);
					await Promise.all(Array.from({ length: 50 }, request));
				}
				expect(held.shared).toBeGreaterThanOrEqual(500);
				expect(held.local).toBeGreaterThan(0);
				expect(held.shared + held.local).toBe(1_500);
				expect(state.health().status).toBe('down');

				if (signal === 'SIGSTOP') server.process.kill('SIGCONT');
				else second = await startRedis(portOf(server));
				while (state.health().status === 'down') await sleep(systemClock, 20);
				const before = held.shared;
				await Promise.all(Array.from({ length: 50 }, request));
				expect(held.shared).toBe(before + 50);
			},
			120_000,
		);

		it('that is full counts as down until it has room, and what was taken before is given back', async () => {
			const server = await startRedis();
			onTestFinished(() => server.kill());
			const admin = new Redis(server.url);
			onTestFinished(() => admin.disconnect());
			const link = new RedisLink({ url: server.url, clock: systemClock, onTrouble: () => {} });
			onTestFinished(() => link.close());
			await link.connect();
			const clock = new VirtualClock();
			const policy = { onFailure: 'fail_open' as const, localShare: 0.5, timeoutMs: 500 };
			const state = new FailsafeState({ shared: new RedisState(link), local: new MemoryState(), clock, policy });
			const ask = () => {
				const claims = [claim('concurrent_requests', 10)];
				return state.reserve({ tenantId: 'acme', claims, now: clock.now(), expiresAt: clock.now() + 60_000 });
			};
			/** As long as a probe may want. */
			const probed = async () => {
				await clock.advance(250);
				await admin.ping();
				await link.run(USAGE, ['probe'], [0]);
			};
			const before = await ask();
			await admin.config('SET', 'maxmemory-policy', 'noeviction');
			await admin.config('SET', 'maxmemory', '1');
			if (before.granted) await state.release(before.ticket, clock.now());
			expect(state.health()).toMatchObject({ status: 'up', unsettled: 0 });
			for (let n = 0; n < 3; n++) expect(await ask()).toMatchObject({ ticket: { heldBy: 'nobody' } });
			for (let n = 0; n < 5; n++) await probed();
			expect(state.health().status).toBe('down');
			await admin.config('SET', 'maxmemory', '0');
			await expect.poll(() => probed().then(() => state.health().status), { timeout: 20_000 }).toBe('up');
			const [places] = await state.usage('acme', [claim('concurrent_requests', 10)], clock.now());
			expect(places).toEqual({ settled: 0, reserved: 0 });
			await state.close();
		}, 120_000);
	},
);
