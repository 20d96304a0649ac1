import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { VirtualClock } from '../../src/base/virtual-clock.ts';

describe('virtual time', () => {
	it('fires timers in order of time, then of creation, and never a cancelled one', async () => {
		const timer = fc.record({ ms: fc.integer({ min: 0, max: 20 }), cancelled: fc.boolean() });
		await fc.assert(
			fc.asyncProperty(fc.array(timer, { maxLength: 60 }), async (timers) => {
				const clock = new VirtualClock();
				const fired: number[] = [];
				const cancels = timers.map(({ ms }, n) => clock.after(ms, () => fired.push(n)));
				for (const [n, cancel] of cancels.entries()) {
					if (timers[n]?.cancelled) cancel();
				}
				const expected = timers
					.map(({ ms, cancelled }, n) => ({ ms, cancelled, n }))
					.filter(({ cancelled }) => !cancelled)
					.sort((a, b) => a.ms - b.ms || a.n - b.n)
					.map(({ n }) => n);
				expect(clock.pending).toBe(expected.length);
				await clock.advance(20);
				expect(fired).toEqual(expected);
				expect(clock.pending).toBe(0);
				for (const cancel of cancels) cancel();
				expect(clock.pending).toBe(0);
			}),
			{ numRuns: 100 },
		);
	});

	it('steps from timer to timer, and lets what a timer resolved run before the next', async () => {
		const clock = new VirtualClock();
		const seen: string[] = [];
		const resolved = new Promise<void>((resolve) => clock.after(5, resolve));
		void resolved.then(() => clock.after(1, () => seen.push(`late ${clock.monotonic()}`)));
		clock.after(7, () => seen.push(`last ${clock.monotonic()}`));
		for (let left = 3; left > 0; left--) await clock.step();
		expect(seen).toEqual(['late 6', 'last 7']);
		await clock.step();
		expect(clock.monotonic()).toBe(7);
	});
});
