import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { VirtualClock } from '../../src/base/virtual-clock.ts';
import { Pacer } from '../../src/retrieval/embedding/pacer.ts';

const NEVER = new AbortController().signal;
const FREE = { name: 'remote', concurrencyMax: 1_000, requestsPerMinute: null, tokensPerMinute: null };

describe('the pace of calls to one endpoint', () => {
	it('keeps requests and tokens of every minute within what is allowed, and lets everyone go', async () => {
		await fc.assert(
			fc.asyncProperty(
				fc.array(fc.integer({ min: 1, max: 90 }), { minLength: 1, maxLength: 60 }),
				fc.integer({ min: 2, max: 40 }),
				fc.integer({ min: 900, max: 3_000 }),
				async (sizes, requestsPerMinute, tokensPerMinute) => {
					const clock = new VirtualClock();
					const pacer = new Pacer(clock, { ...FREE, requestsPerMinute, tokensPerMinute });
					const gone: { at: number; tokens: number }[] = [];
					for (const tokens of sizes) {
						void pacer.enter({ tokens, urgent: false, signal: NEVER }).then((leave) => {
							gone.push({ at: clock.monotonic(), tokens });
							leave();
						});
					}
					await clock.advance(3_600_000);
					expect(gone).toHaveLength(sizes.length);
					for (const { at } of gone) {
						const minute = gone.filter((call) => call.at >= at && call.at < at + 60_000);
						expect(minute.length).toBeLessThanOrEqual(requestsPerMinute);
						expect(minute.reduce((sum, call) => sum + call.tokens, 0)).toBeLessThanOrEqual(tokensPerMinute);
					}
				},
			),
			{ numRuns: 50 },
		);
	});

	it('lets so many go at once, queries before documents', async () => {
		const clock = new VirtualClock();
		const pacer = new Pacer(clock, { ...FREE, concurrencyMax: 2 });
		const order: string[] = [];
		const enter = (name: string, urgent: boolean) =>
			pacer.enter({ tokens: 1, urgent, signal: NEVER }).then((leave) => {
				order.push(name);
				return leave;
			});
		const first = await enter('d1', false);
		await enter('d2', false);
		void enter('d3', false);
		void enter('q1', true);
		expect({ running: pacer.running, waiting: pacer.waiting }).toEqual({ running: 2, waiting: 2 });
		first();
		await clock.advance(0);
		expect(order).toEqual(['d1', 'd2', 'q1']);
	});

	it('lets nobody go while the provider asked for a pause', async () => {
		const clock = new VirtualClock();
		const pacer = new Pacer(clock, FREE);
		pacer.pause(5_000);
		let at: number | null = null;
		void pacer.enter({ tokens: 1, urgent: true, signal: NEVER }).then(() => {
			at = clock.monotonic();
		});
		await clock.advance(4_999);
		expect(at).toBeNull();
		await clock.advance(2);
		expect(at).toBeGreaterThanOrEqual(5_000);
	});

	it('forgets who leaves the queue, and leaves no timer behind', async () => {
		const clock = new VirtualClock();
		const pacer = new Pacer(clock, { ...FREE, requestsPerMinute: 2 });
		await pacer.enter({ tokens: 1, urgent: false, signal: NEVER });
		const left = new AbortController();
		const waits = pacer.enter({ tokens: 1, urgent: false, signal: left.signal });
		left.abort(new Error('left'));
		await expect(waits).rejects.toThrow('left');
		expect([pacer.waiting, clock.pending]).toEqual([0, 0]);
	});
});
