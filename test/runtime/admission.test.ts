import { describe, expect, it } from 'vitest';
import { VirtualClock } from '../../src/base/virtual-clock.ts';
import type { LimitTable, TenantLimits } from '../../src/contracts/project.ts';
import type { RequestContext } from '../../src/runtime/request-context.ts';
import type { Runtime } from '../../src/runtime/runtime.ts';
import { PlimsollError } from '../../src/spec/errors.ts';
import type { RequestTrace } from '../../src/spec/trace.ts';
import { MemoryState } from '../../src/stores/memory-state.ts';
import { feature, KEY, keyRecord, NO_LIMITS, runtimeOf, UNLIMITED } from '../support/runtime-fixture.ts';
import { type Behaviour, ScriptedModel } from '../support/scripted-model.ts';

const HELLO: Behaviour = { kind: 'answer', afterMs: 100, text: 'Hello to you.' };
const QUEUE = { queuedPerTenantMax: 50, queuedMax: 200 };

const acme = (change: Partial<TenantLimits>): LimitTable => ({
	...NO_LIMITS,
	tenants: { acme: { ...UNLIMITED, ...change } },
});
const places = (max: number) => [{ limit: 'concurrent_requests' as const, max }];

/** A request under way: how it ended is known when it has. */
interface Sent {
	readonly context: RequestContext;
	error: PlimsollError | null | undefined;
}

function send(runtime: Runtime, change: { key?: string; model?: string; batch?: boolean } = {}): Sent {
	const context = runtime.open();
	if (change.batch) context.lowerPriority();
	const sent: Sent = { context, error: undefined };
	const run = async () => {
		await runtime.admit(context, { kind: 'authorization', header: change.key ?? KEY, scope: 'invoke' });
		const messages = [{ role: 'user', content: 'Hello?' }];
		const { model = 'greet' } = change;
		await runtime.chat(context, { model, messages, variables: {}, parameters: {}, sink: null, user: null });
	};
	run().then(
		() => {
			sent.error = null;
		},
		(thrown: PlimsollError) => {
			sent.error = thrown;
		},
	);
	return sent;
}

const codes = (all: readonly Sent[]) => all.map(({ error }) => (error === undefined ? '…' : (error?.code ?? 'ok')));
const admitOf = (trace: RequestTrace | undefined) => trace?.steps.find(({ stage }) => stage === 'admit')?.detail;

describe('admission', () => {
	it('of 200 at once against a tenant’s cap of 10 and a queue of 50 runs 10, lets 50 wait, and tells 140 how long', async () => {
		const clock = new VirtualClock();
		const state = new MemoryState();
		const model = new ScriptedModel(clock, [HELLO]);
		const { runtime, traces } = runtimeOf(clock, [feature({}, { route: [model] })], {
			limits: acme({ tenant: [...places(10), { limit: 'requests_per_minute', max: 1000 }] }),
			admission: QUEUE,
			sharedState: state,
		});
		const sent = Array.from({ length: 200 }, () => send(runtime));
		await clock.advance(1);
		expect(runtime.admission).toMatchObject({ running: { interactive: 10 }, queued: { interactive: 50 } });
		const refused = sent.filter(({ error }) => error instanceof PlimsollError);
		expect(refused).toHaveLength(140);
		for (const { error } of refused) expect(error).toMatchObject({ code: 'queue_full', retryAfterMs: 1000 });
		await clock.advance(1000);
		expect(codes(sent).filter((code) => code === 'ok')).toHaveLength(60);
		expect(model.calls).toBe(60);
		expect(traces.traces).toHaveLength(200);
		expect(admitOf(traces.last)).toMatchObject({ priority: 'interactive', queued_ms: 500 });
		// Each that waited was counted once, and what was refused before it was let in not at all.
		const usage = await state.usage('acme', [{ scope: 'tenant', limit: 'requests_per_minute' }], clock.now());
		expect(usage).toEqual([{ settled: 60, reserved: 0 }]);
		expect(await state.usage('acme', [{ scope: 'tenant', limit: 'concurrent_requests' }], clock.now())).toEqual([
			{ settled: 0, reserved: 0 },
		]);
		expect(runtime.inside).toBe(0);
		expect(clock.pending).toBe(0);
	});

	it('tells those that find the queue full how long it takes, once that was measured', async () => {
		const clock = new VirtualClock();
		const { runtime } = runtimeOf(clock, [feature({}, { route: [new ScriptedModel(clock, [HELLO])] })], {
			limits: acme({ tenant: places(1) }),
			admission: { queuedPerTenantMax: 3, queuedMax: 3 },
		});
		send(runtime);
		await clock.advance(200);
		const sent = Array.from({ length: 6 }, () => send(runtime));
		await clock.advance(1);
		expect(sent.at(-1)?.error).toMatchObject({ code: 'queue_full', retryAfterMs: 400 });
		await clock.advance(1000);
	});

	it('counts the wait against the deadline, and leaves at that instant', async () => {
		const clock = new VirtualClock();
		const slow: Behaviour = { kind: 'answer', afterMs: 3000, text: 'At last.' };
		const { runtime, traces } = runtimeOf(
			clock,
			[feature({ budget: { deadlineMs: 1000 } }, { route: [new ScriptedModel(clock, [HELLO])] })],
			{
				admission: { ...QUEUE, concurrentRequestsMax: 1 },
				upstreams: [new ScriptedModel(clock, [slow], { name: 'test/slow' })],
			},
		);
		send(runtime, { model: 'test/slow' });
		await clock.advance(1);
		const waiting = send(runtime);
		await clock.advance(998);
		expect(waiting.error).toBeUndefined();
		await clock.advance(2);
		expect(waiting.error).toMatchObject({ code: 'queue_deadline' });
		expect(traces.last).toMatchObject({ outcome: 'refused', latency_ms: 1000 });
		expect(runtime.inside).toBe(1);
		await clock.advance(3000);
	});

	it('keeps no place for a client that left while it waited', async () => {
		const clock = new VirtualClock();
		const { runtime, traces } = runtimeOf(clock, [feature({}, { route: [new ScriptedModel(clock, [HELLO])] })], {
			limits: acme({ tenant: places(1) }),
			admission: QUEUE,
		});
		const [first, second, third] = [send(runtime), send(runtime), send(runtime)];
		await clock.advance(10);
		second.context.clientLeft();
		await clock.advance(1);
		expect(traces.last.outcome).toBe('cancelled');
		await clock.advance(195);
		expect(codes([first, second, third])).toEqual(['ok', 'client_closed', 'ok']);
	});

	it('takes no room for strangers, and none for whoever lacks the scope', async () => {
		const clock = new VirtualClock();
		const { runtime } = runtimeOf(clock, [], { admission: QUEUE, keys: [keyRecord({ scopes: ['read'] })] });
		const sent = [send(runtime, { key: 'plim_nobody' }), send(runtime)];
		const inside = runtime.inside;
		await clock.advance(1);
		expect(inside).toBe(0);
		expect(codes(sent)).toEqual(['key_invalid', 'scope_missing']);
	});

	it('makes batch work of what the contract, the key or the client says is, and serves it after the rest', async () => {
		const clock = new VirtualClock();
		const route = [new ScriptedModel(clock, [HELLO])];
		const report = feature({ feature: 'report', priority: 'batch' }, { route });
		const other = `plim_${'c'.repeat(12)}_${'b'.repeat(52)}`;
		const { runtime, traces } = runtimeOf(clock, [feature({}, { route }), report], {
			limits: acme({ batchKeys: ['nightly'] }),
			admission: { ...QUEUE, concurrentRequestsMax: 1 },
			keys: [keyRecord(), keyRecord({ id: 'c'.repeat(12), name: 'nightly' })],
		});
		send(runtime);
		await clock.advance(1);
		const batch = [send(runtime, { model: 'report' }), send(runtime, { key: other }), send(runtime, { batch: true })];
		const interactive = Array.from({ length: 5 }, () => send(runtime));
		await clock.advance(601);
		expect(codes(interactive)).toEqual(['ok', 'ok', 'ok', 'ok', 'ok']);
		expect(codes(batch)).toEqual(['…', '…', '…']);
		await clock.advance(300);
		expect(codes(batch)).toEqual(['ok', 'ok', 'ok']);
		expect(traces.traces.slice(-3).map((trace) => admitOf(trace)?.priority)).toEqual(['batch', 'batch', 'batch']);
	});

	it('gives a place to a search as to any request', async () => {
		const clock = new VirtualClock();
		const { runtime, traces } = runtimeOf(clock, [feature({}, { route: [new ScriptedModel(clock, [HELLO])] })], {
			admission: { ...QUEUE, concurrentRequestsMax: 1 },
		});
		send(runtime);
		await clock.advance(1);
		const context = runtime.open();
		await runtime.admit(context, { kind: 'authorization', header: KEY, scope: 'invoke' });
		const searching = runtime.search(context, { collection: 'docs', query: 'x', k: 1, mode: null });
		await clock.advance(200);
		await searching;
		expect(admitOf(traces.last)).toMatchObject({ queued_ms: 99, queue_position: 1 });
	});

	it('while it drains lets who waits go for half of the time, and sends the rest elsewhere', async () => {
		const clock = new VirtualClock();
		const { runtime } = runtimeOf(clock, [feature({}, { route: [new ScriptedModel(clock, [HELLO])] })], {
			admission: { ...QUEUE, concurrentRequestsMax: 1 },
		});
		const sent = Array.from({ length: 4 }, () => send(runtime));
		await clock.advance(50);
		const drained = runtime.drain(300);
		const late = send(runtime);
		await clock.advance(300);
		await drained;
		expect(codes([...sent, late])).toEqual(['ok', 'ok', 'server_draining', 'server_draining', 'server_draining']);
		expect(clock.pending).toBe(0);
	});

	it('lets fewer run while upstreams are slower than they were, and turns batch work away first', async () => {
		const clock = new VirtualClock();
		const quick = Array.from({ length: 200 }, () => HELLO);
		const model = new ScriptedModel(clock, [...quick, { kind: 'answer', afterMs: 2500, text: 'Hello to you.' }]);
		const { runtime } = runtimeOf(clock, [feature({}, { route: [model] })], {
			admission: { ...QUEUE, concurrentRequestsMax: 20, adaptiveMin: 4 },
		});
		const round = async () => {
			const sent = Array.from({ length: 20 }, () => send(runtime));
			await clock.advance(3000);
			return sent;
		};
		for (let n = 0; n < 10; n++) await round();
		expect(runtime.admission).toMatchObject({ limit: 20, max: 20 });
		for (let n = 0; n < 3; n++) await round();
		const { limit } = runtime.admission;
		expect(limit).toBeLessThan(20);
		expect(limit).toBeGreaterThanOrEqual(4);
		const sent = Array.from({ length: 20 }, () => send(runtime));
		const batch = send(runtime, { batch: true });
		await clock.advance(1);
		expect(batch.error).toMatchObject({ code: 'overloaded' });
		expect(codes(sent).filter((code) => code !== '…')).toEqual([]);
		await clock.advance(60_000);
		expect(runtime.inside).toBe(0);
	});
});
