import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type AdaptiveState, adapt, signalOf } from '../../src/policy/adaptive-limit.ts';

const BOUNDS = { min: 20, max: 500 };
const start = (limit = 500): AdaptiveState => ({ limit, baselines: new Map() });

/** Windows of 50 calls to one upstream. */
function windows(state: AdaptiveState, count: number, call: { ms: number; running: number }): AdaptiveState {
	let now = state;
	for (let n = 0; n < count; n++) {
		const signals = new Map([['test/primary whole', { sumMs: call.ms * 50, count: 50 }]]);
		now = adapt(now, { running: call.running, signals }, BOUNDS);
	}
	return now;
}

describe('the adaptive limit', () => {
	it('stands at its most while latency is what it was', () => {
		expect(windows(start(), 100, { ms: 20, running: 400 }).limit).toBe(500);
	});

	it('falls when calls become slow under load, within seconds, and never below its least', () => {
		const used = windows(start(), 30, { ms: 20, running: 400 });
		const slow = windows(used, 10, { ms: 200, running: 500 });
		expect(slow.limit).toBeLessThan(250);
		expect(windows(used, 25, { ms: 2000, running: 500 }).limit).toBeGreaterThanOrEqual(20);
	});

	it('ignores what is within twice the usual', () => {
		const used = windows(start(), 30, { ms: 20, running: 400 });
		expect(windows(used, 50, { ms: 35, running: 500 }).limit).toBe(500);
	});

	it('does not fall while little of it is used, however slow the calls', () => {
		const used = windows(start(), 30, { ms: 20, running: 100 });
		expect(windows(used, 50, { ms: 500, running: 100 }).limit).toBe(500);
	});

	it('returns to its most once latency has, also when nobody needs it', () => {
		const slow = windows(windows(start(), 30, { ms: 20, running: 400 }), 10, { ms: 200, running: 500 });
		expect(windows(slow, 300, { ms: 20, running: 10 }).limit).toBe(500);
	});

	it('weighs each upstream by its calls', () => {
		const signals = (busyMs: number) =>
			new Map([
				['busy', { sumMs: busyMs * 90, count: 90 }],
				['rare', { sumMs: 5000 * 10, count: 10 }],
			]);
		let state = start();
		for (let n = 0; n < 30; n++) {
			const calm = new Map([
				['busy', { sumMs: 20 * 90, count: 90 }],
				['rare', { sumMs: 20 * 10, count: 10 }],
			]);
			state = adapt(state, { running: 500, signals: calm }, BOUNDS);
		}
		// A twentieth less, at most: what the rare one asks for is weighed by a tenth.
		expect(adapt(state, { running: 500, signals: signals(20) }, BOUNDS).limit).toBeGreaterThan(494);
		expect(adapt(state, { running: 500, signals: signals(2000) }, BOUNDS).limit).toBeLessThan(460);
	});

	it('stays within its bounds, whatever is measured', () => {
		const window = fc.record({ ms: fc.double({ min: 0, max: 1e7, noNaN: true }), running: fc.nat(1000) });
		fc.assert(
			fc.property(fc.array(window, { maxLength: 100 }), (calls) => {
				let state = start();
				for (const call of calls) {
					state = windows(state, 1, call);
					expect(state.limit).toBeGreaterThanOrEqual(BOUNDS.min);
					expect(state.limit).toBeLessThanOrEqual(BOUNDS.max);
				}
			}),
		);
	});
});

describe('the signal of a call', () => {
	it('does not grow with the length of an answer: half a second and 15 ms a token are one pace', () => {
		const paces = [10, 50, 200, 1000, 4000].map(
			(tokensOut) => signalOf({ upstream: 'u', latencyMs: 500 + 15 * tokensOut, firstTokenMs: null, tokensOut }).ms,
		);
		expect(Math.max(...paces) / Math.min(...paces)).toBeLessThan(1.1);
	});

	it('of a stream is the time to its first token, apart from whole answers', () => {
		const call = { upstream: 'u', latencyMs: 9000, tokensOut: 500 };
		expect(signalOf({ ...call, firstTokenMs: 300 })).toEqual({ name: 'u first token', ms: 300 });
		expect(signalOf({ ...call, firstTokenMs: null }).name).toBe('u whole');
	});
});
