import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { BreakerSettings } from '../../src/contracts/breaker-settings.ts';
import {
	admit,
	type BreakerState,
	begun,
	closedBreaker,
	openedFor,
	settle,
	type Verdict,
} from '../../src/policy/breaker.ts';
import { FAILURES } from '../../src/policy/failure-table.ts';
import { BREAKER } from '../support/runtime-fixture.ts';

/** A breaker with its own time: calls begin and end as told. */
class Bench {
	now = 0;
	state: BreakerState = closedBreaker(0);
	readonly settings: BreakerSettings | null;

	constructor(settings: BreakerSettings | null = BREAKER) {
		this.settings = settings;
	}

	/** The call's epoch, or how long it is kept away. */
	begin(): { epoch: number } | { waitMs: number } {
		const decision = admit(this.state, this.settings, this.now);
		if (!decision.admitted) return { waitMs: decision.waitMs };
		this.state = decision.state;
		return { epoch: decision.state.epoch };
	}

	end(epoch: number, verdict: Verdict, more: { tookMs?: number; retryAfterMs?: number; isProbe?: boolean } = {}): void {
		const { tookMs = 10, retryAfterMs = null, isProbe = false } = more;
		this.state = settle(this.state, this.settings, { epoch, verdict, tookMs, retryAfterMs, isProbe, now: this.now });
	}

	/** The answer of a call begins; its epoch from then on. */
	start(epoch: number, tookMs = 10): number {
		const before = this.state;
		this.state = begun(before, this.settings, { epoch, tookMs, now: this.now });
		return this.state === before ? epoch : this.state.epoch;
	}

	/** One whole call; false when it was kept away. */
	call(verdict: Verdict, more: { tookMs?: number; retryAfterMs?: number } = {}): boolean {
		const begun = this.begin();
		if ('waitMs' in begun) return false;
		this.end(begun.epoch, verdict, more);
		return true;
	}

	get isOpen(): boolean {
		return this.state.phase !== 'closed';
	}
}

describe('a breaker', () => {
	it('closes when the answer of its probe begins, and opens at once should that break off', () => {
		const bench = new Bench();
		for (const verdict of ['ok', 'nothing', 'failed'] as const) {
			for (let n = 0; n < 5; n++) bench.call('failed');
			expect(bench.isOpen).toBe(true);
			bench.now += 5000;
			const probe = bench.begin() as { epoch: number };
			const epoch = bench.start(probe.epoch);
			expect(bench.isOpen).toBe(false);
			// Others may call meanwhile, and what they find counts as ever.
			expect(bench.call('failed')).toBe(true);
			expect(bench.isOpen).toBe(false);
			bench.end(epoch, verdict, { isProbe: true });
			expect(bench.isOpen).toBe(verdict === 'failed');
			bench.now += 60_000;
			bench.call('ok');
		}
	});

	it('that opened for slowness stays open when its probe is slow to begin', () => {
		const bench = new Bench({ ...BREAKER, slowMs: 100 });
		for (let n = 0; n < 20; n++) bench.call('ok', { tookMs: 500 });
		expect(bench.isOpen).toBe(true);
		bench.now += 5000;
		const probe = bench.begin() as { epoch: number };
		expect(bench.start(probe.epoch, 500)).toBe(probe.epoch);
		expect(bench.isOpen).toBe(true);
	});

	it('opens after failures in a row, keeps everyone away, and closes after one probe that succeeds', () => {
		const bench = new Bench();
		for (let n = 0; n < 5; n++) expect(bench.call('failed')).toBe(true);
		expect(bench.begin()).toEqual({ waitMs: 5000 });
		bench.now = 4999;
		expect(bench.begin()).toEqual({ waitMs: 1 });
		bench.now = 5000;
		const probe = bench.begin();
		expect(probe).toHaveProperty('epoch');
		expect(bench.begin()).toEqual({ waitMs: 5000 });
		bench.now = 5300;
		if ('epoch' in probe) bench.end(probe.epoch, 'ok');
		expect(bench.isOpen).toBe(false);
		expect(bench.call('failed')).toBe(true);
		expect(bench.isOpen).toBe(false);
	});

	it('opens when the share of failures in the window is reached, and not with fewer calls than that says something', () => {
		const bench = new Bench({ ...BREAKER, failuresInARow: 1000 });
		for (let n = 0; n < 19; n++) bench.call(n % 2 === 0 ? 'failed' : 'ok');
		expect(bench.isOpen).toBe(false);
		bench.call('failed');
		expect(bench.state).toMatchObject({ phase: 'open', why: 'failures' });
	});

	it('forgets what happened before its window', () => {
		const bench = new Bench({ ...BREAKER, failuresInARow: 1000 });
		for (let n = 0; n < 12; n++) bench.call('failed');
		bench.now = BREAKER.windowMs + 1000;
		for (let n = 0; n < 12; n++) bench.call('ok');
		for (let n = 0; n < 8; n++) bench.call('failed');
		expect(bench.isOpen).toBe(false);
	});

	it('opens for slow calls where slow is said, and a slow probe does not close it', () => {
		const bench = new Bench({ ...BREAKER, slowMs: 1000 });
		for (let n = 0; n < 20; n++) bench.call('ok', { tookMs: 1500 });
		expect(bench.state).toMatchObject({ phase: 'open', why: 'slow' });
		bench.now = 5000;
		bench.call('ok', { tookMs: 1500 });
		expect(bench.isOpen).toBe(true);
		bench.now = 10_000;
		bench.call('ok', { tookMs: 900 });
		expect(bench.isOpen).toBe(false);
	});

	it.each(['bad_request', 'authentication', 'content_filter', 'context_length', 'cancelled'] as const)(
		'never opens for %s, however often, and counts it as no success either',
		(failure) => {
			const bench = new Bench({ ...BREAKER, callsMin: 5 });
			for (let n = 0; n < 100; n++) bench.call(FAILURES[failure].verdict);
			expect(bench.isOpen).toBe(false);
			for (let n = 0; n < 4; n++) {
				bench.call('failed');
				bench.call(FAILURES[failure].verdict);
			}
			bench.call('failed');
			expect(bench.isOpen).toBe(true);
		},
	);

	it('closes when a probe is refused for reasons of its request: somebody answered', () => {
		const bench = new Bench();
		for (let n = 0; n < 5; n++) bench.call('failed');
		bench.now = 5000;
		bench.call('answered');
		expect(bench.isOpen).toBe(false);
	});

	it('stays away as long as the provider says after a 429, up to its cap, and then lets everyone ask', () => {
		const bench = new Bench();
		bench.call('refused', { retryAfterMs: 2000 });
		expect(bench.begin()).toEqual({ waitMs: 2000 });
		bench.now = 2000;
		expect(bench.call('ok')).toBe(true);
		expect(bench.call('ok')).toBe(true);
		bench.call('refused', { retryAfterMs: 3_600_000 });
		expect(bench.begin()).toEqual({ waitMs: BREAKER.quotaMsMax });
	});

	it('opens for a 429 that says nothing of when only after some in a row', () => {
		const bench = new Bench();
		for (let n = 0; n < 4; n++) bench.call('refused');
		expect(bench.isOpen).toBe(false);
		bench.call('refused');
		expect(bench.state).toMatchObject({ phase: 'open', why: 'quota' });
	});

	it('gives the next probe its turn when one ends without a verdict', () => {
		const bench = new Bench();
		for (let n = 0; n < 5; n++) bench.call('failed');
		bench.now = 5000;
		const probe = bench.begin();
		bench.now = 5100;
		if ('epoch' in probe) bench.end(probe.epoch, 'nothing');
		expect(bench.begin()).toEqual({ waitMs: 4900 });
		bench.now = 10_000;
		expect(bench.call('ok')).toBe(true);
		expect(bench.isOpen).toBe(false);
	});

	it('gives the turn of a probe that was never sent to whoever comes next', () => {
		const bench = new Bench();
		for (let n = 0; n < 5; n++) bench.call('failed');
		bench.now = 5000;
		const probe = bench.begin();
		expect(bench.begin()).toHaveProperty('waitMs');
		if ('epoch' in probe) bench.end(probe.epoch, 'unsent');
		expect(bench.call('ok')).toBe(true);
		expect(bench.isOpen).toBe(false);
	});

	it('lets the next probe go soon after one that failed late, but never at once', () => {
		const bench = new Bench();
		for (let n = 0; n < 5; n++) bench.call('failed');
		bench.now = 5000;
		const probe = bench.begin();
		bench.now = 25_000;
		if ('epoch' in probe) bench.end(probe.epoch, 'failed');
		expect(bench.begin()).toEqual({ waitMs: 1250 });
	});

	it('does not listen to calls that began before it changed', () => {
		const bench = new Bench();
		const early = Array.from({ length: 20 }, () => bench.begin());
		for (let n = 0; n < 5; n++) bench.call('failed');
		bench.now = 5000;
		bench.call('ok');
		for (const call of early) if ('epoch' in call) bench.end(call.epoch, 'failed');
		expect(bench.isOpen).toBe(false);
	});

	it('makes no probe while a hand keeps it open, and lets everyone pass when that time is over', () => {
		const bench = new Bench();
		bench.state = openedFor(bench.state, 'hand', { now: 0, until: 60_000 });
		bench.now = 59_999;
		expect(bench.begin()).toEqual({ waitMs: 1 });
		bench.now = 60_000;
		expect(bench.call('ok')).toBe(true);
		expect(bench.isOpen).toBe(false);
	});

	it('counts nothing when it is off, and still obeys a hand', () => {
		const bench = new Bench(null);
		for (let n = 0; n < 100; n++) expect(bench.call('failed')).toBe(true);
		bench.state = openedFor(bench.state, 'hand', { now: 0, until: 1000 });
		expect(bench.call('ok')).toBe(false);
	});

	it('lets at most one call through in each probe interval while it is open, whatever happens and whoever asks', () => {
		const event = fc.record({
			afterMs: fc.nat(3000),
			what: fc.constantFrom('begin', 'begin', 'end'),
			verdict: fc.constantFrom<Verdict>('failed', 'failed', 'nothing', 'refused', 'ok', 'answered'),
			pick: fc.nat(50),
		});
		fc.assert(
			fc.property(fc.array(event, { maxLength: 300 }), (events) => {
				const bench = new Bench();
				const running: number[] = [];
				let probeAt = Number.NEGATIVE_INFINITY;
				for (const { afterMs, what, verdict, pick } of events) {
					bench.now += afterMs;
					if (what === 'end') {
						const [epoch] = running.splice(pick % Math.max(1, running.length), 1);
						if (epoch !== undefined) bench.end(epoch, verdict);
						continue;
					}
					const before = bench.state;
					const begun = bench.begin();
					if ('waitMs' in begun) {
						expect(begun.waitMs).toBeGreaterThan(0);
						continue;
					}
					running.push(begun.epoch);
					if (before.phase === 'closed' || before.why === 'quota') continue;
					expect(before.phase).toBe('open');
					expect(bench.now - probeAt).toBeGreaterThanOrEqual(BREAKER.probeIntervalMs);
					probeAt = bench.now;
				}
			}),
		);
	});
});
