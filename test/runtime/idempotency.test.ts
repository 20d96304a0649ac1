import { afterEach, describe, expect, it } from 'vitest';
import { systemClock } from '../../src/base/clock.ts';
import { VirtualClock } from '../../src/base/virtual-clock.ts';
import { type Entry, Idempotency } from '../../src/runtime/idempotency.ts';
import type { Follower, Recording } from '../../src/runtime/recording.ts';
import type { PlimsollError } from '../../src/spec/errors.ts';
import type { IdempotencyStore, KeyedAsk } from '../../src/spec/idempotency.ts';
import { openSqliteIdempotency } from '../../src/stores/sqlite-idempotency.ts';
import { runtimeOf } from '../support/runtime-fixture.ts';

const ASK: KeyedAsk = { tenantId: 'acme', keyHash: 'k1', fingerprint: 'body-1' };
const NOBODY: Follower = {
	whole: () => {},
	head: () => {},
	piece: () => {},
	end: () => {},
	cut: () => {},
	room: () => undefined,
};

const closers: (() => Promise<void>)[] = [];

afterEach(async () => {
	for (const close of closers.splice(0).reverse()) await close();
});

async function openStore(): Promise<IdempotencyStore> {
	const bounds = { recordsMax: 100, bytesMax: 100_000 };
	const store = await openSqliteIdempotency(':memory:', { bounds, clock: systemClock });
	closers.push(() => store.close());
	return store;
}

/** One replica with a clock of its own. */
async function replica(store: IdempotencyStore) {
	const clock = new VirtualClock();
	const faults: unknown[] = [];
	const idempotency = new Idempotency({
		store,
		clock,
		retentionMs: 3_600_000,
		responseBytesMax: 10_000,
		onFailure: 'refuse',
		requestMsMax: () => 60_000,
		onFault: (error) => faults.push(error),
	});
	const { runtime } = runtimeOf(clock, []);
	const enter = async () => {
		const context = runtime.open();
		await runtime.admit(context, { kind: 'in_process', tenantId: 'acme' });
		return { context, entered: idempotency.enter(context, ASK) };
	};
	return { clock, idempotency, enter, faults };
}

function first(entry: Entry): Extract<Entry, { kind: 'first' }> {
	if (entry.kind !== 'first') throw new Error(`it was ${entry.kind}`);
	return entry;
}

/** Advances a clock until something has happened that the store tells on a thread of its own. */
async function until<T>(clock: VirtualClock, ms: number, promise: Promise<T>): Promise<T> {
	let isDone = false;
	const done = promise.finally(() => {
		isDone = true;
	});
	done.catch(() => undefined);
	await expect
		.poll(
			async () => {
				await clock.advance(ms);
				return isDone;
			},
			{ timeout: 30_000, interval: 1 },
		)
		.toBe(true);
	return done;
}

const says = (text: string) => async (recording: Recording) => {
	recording.start({ status: 200, headers: {} });
	recording.finish(text);
	return null;
};

describe('a key that two replicas ask for', () => {
	it('is executed by one; the other waits and gets what it answered', async () => {
		const store = await openStore();
		const [one, two] = [await replica(store), await replica(store)];
		const entry = first(await (await one.enter()).entered);
		const waiting = await two.enter();
		const executed = one.idempotency.execute(entry, NOBODY, says('the answer'));
		await executed;
		const stored = await until(two.clock, 100, waiting.entered);
		expect(stored).toMatchObject({ kind: 'stored', requestId: entry.execution.context.id });
		expect(stored.kind === 'stored' && stored.response.body).toBe('the answer');
	});

	it('is taken over from a replica that stands still, which can then neither act nor answer for it', async () => {
		const store = await openStore();
		const [frozen, live] = [await replica(store), await replica(store)];
		const lost = first(await (await frozen.enter()).entered);
		const { promise: thawed, resolve: thaw } = Promise.withResolvers<PlimsollError | null>();
		const executed = frozen.idempotency.execute(lost, NOBODY, async (recording) => {
			const error = await thawed;
			await says('too late')(recording);
			return error;
		});
		const taken = first(await until(live.clock, 500, (await live.enter()).entered));
		await live.idempotency.execute(taken, NOBODY, says('in time'));
		// The first one wakes up, learns by its renewal that it lost the key, and stops.
		await expect(lost.execution.begin({ kind: 'upstream', name: 'agent/acts' })).rejects.toMatchObject({
			code: 'idempotency_unavailable',
		});
		const { signal } = lost.execution.context;
		await expect
			.poll(
				async () => {
					await frozen.clock.advance(5_000);
					return signal.aborted;
				},
				{ timeout: 30_000, interval: 1 },
			)
			.toBe(true);
		thaw(null);
		await executed;
		expect(frozen.faults).toHaveLength(1);
		const again = await (await live.enter()).entered;
		expect(again.kind === 'stored' && again.response.body).toBe('in time');
	});

	it('is given up at the deadline of whoever waits', async () => {
		const store = await openStore();
		const [one, two] = [await replica(store), await replica(store)];
		first(await (await one.enter()).entered);
		// The other's lease is renewed far ahead of this clock.
		await store.renew({ ...ASK, requestId: (await holderOf(store, two.clock)) ?? '' }, two.clock.now() + 120_000);
		const waiting = await two.enter();
		await expect(until(two.clock, 5_000, waiting.entered)).rejects.toMatchObject({ code: 'deadline_exceeded' });
	});
});

async function holderOf(store: IdempotencyStore, clock: VirtualClock): Promise<string | null> {
	const now = clock.now();
	const state = await store.claim({ ...ASK, requestId: 'req_look', now, leaseUntil: now, expiresAt: now });
	return state.kind === 'running' ? state.requestId : null;
}
