import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { FAILURE_POLICIES, type FailureAction, type FailureSituation } from '../../src/contracts/release.ts';
import { clientWaitMs, decideRecovery, type FailedAttempt } from '../../src/policy/failure.ts';
import { FAILURES, type Setback, successorOf } from '../../src/policy/failure-table.ts';

const ACTIONS: Readonly<Record<FailureAction['action'], FailureAction>> = {
	retry: { action: 'retry' },
	fail_over: { action: 'fail_over' },
	continue: { action: 'continue' },
	fall_back: { action: 'fall_back', answer: 'Sorry.' },
	ask_back: { action: 'ask_back', answer: 'Which one?' },
	abstain: { action: 'abstain', answer: 'I do not know.' },
	escalate: { action: 'escalate' },
	degrade: { action: 'degrade' },
	fail_closed: { action: 'fail_closed' },
};

const DEFAULTS = policies(() => 0);

function policies(pick: (allowed: readonly string[]) => number): Record<FailureSituation, FailureAction> {
	const entries = Object.entries(FAILURE_POLICIES).map(([situation, allowed]) => [
		situation,
		ACTIONS[allowed[pick(allowed) % allowed.length] as FailureAction['action']],
	]);
	return Object.fromEntries(entries);
}

const anyPolicies = fc.infiniteStream(fc.nat(10)).map((draws) => policies(() => draws.next().value ?? 0));

const SETBACKS = Object.keys(FAILURES) as Setback[];

const anyAttempt: fc.Arbitrary<FailedAttempt> = fc.record({
	failure: fc.constantFrom(...SETBACKS),
	retryAfterMs: fc.option(fc.nat(100_000)),
	failuresHere: fc.integer({ min: 1, max: 5 }),
	attempts: fc.integer({ min: 1, max: 6 }),
	attemptsMax: fc.integer({ min: 1, max: 6 }),
	next: fc.option(fc.nat(5)),
	canEscalate: fc.boolean(),
	mayRetry: fc.boolean(),
	answerStarted: fc.boolean(),
	nextToContinue: fc.option(fc.nat(5)),
	mayHaveActed: fc.boolean(),
	remainingMs: fc.nat(60_000),
	draw: fc.double({ min: 0, max: 0.999_999, noNaN: true }),
});

function failed(change: Partial<FailedAttempt>): FailedAttempt {
	return {
		failure: 'server_error',
		retryAfterMs: null,
		failuresHere: 1,
		attempts: 1,
		attemptsMax: 3,
		next: 1,
		canEscalate: false,
		mayRetry: true,
		answerStarted: false,
		nextToContinue: null,
		mayHaveActed: false,
		remainingMs: 10_000,
		draw: 0.5,
		...change,
	};
}

describe('what follows a failed attempt', () => {
	it('never starts again once the client has seen a part of the answer, and goes on with it only where it may', () => {
		fc.assert(
			fc.property(anyAttempt, anyPolicies, (attempt, onFailure) => {
				const { recovery } = decideRecovery({ ...attempt, answerStarted: true }, onFailure);
				if (recovery.action !== 'continue') {
					expect(recovery.action).toBe('fail');
					return;
				}
				expect(onFailure.stream_broken.action).toBe('continue');
				expect(recovery.to).toBe(attempt.nextToContinue);
				expect(attempt.mayHaveActed).toBe(false);
				expect(FAILURES[attempt.failure].next).not.toBe('none');
			}),
		);
	});

	it('never makes an attempt above the cap, without time, or at an upstream that is not there', () => {
		fc.assert(
			fc.property(anyAttempt, anyPolicies, (attempt, onFailure) => {
				const { recovery } = decideRecovery(attempt, onFailure);
				if (recovery.action === 'fail' || recovery.action === 'fall_back') return;
				expect(attempt.attempts).toBeLessThan(attempt.attemptsMax);
				if (recovery.action === 'fail_over') expect(recovery.to).toBe(attempt.next);
				if (recovery.action === 'escalate') expect(attempt.canEscalate).toBe(true);
				if (recovery.action === 'retry') expect(recovery.afterMs).toBeLessThan(attempt.remainingMs);
			}),
		);
	});

	it.each(['content_filter', 'bad_request', 'authentication', 'cancelled'] as const)(
		'never asks anyone again after %s, whatever the contract says',
		(failure) => {
			fc.assert(
				fc.property(anyAttempt, anyPolicies, (attempt, onFailure) => {
					expect(decideRecovery({ ...attempt, failure }, onFailure).recovery.action).toBe('fail');
				}),
			);
		},
	);

	it('retries a server error once and then goes to the next upstream', () => {
		expect(decideRecovery(failed({}), DEFAULTS).recovery).toEqual({ action: 'retry', afterMs: 100 });
		expect(decideRecovery(failed({ failuresHere: 2, attempts: 2 }), DEFAULTS).recovery).toEqual({
			action: 'fail_over',
			to: 1,
		});
		expect(decideRecovery(failed({ failuresHere: 2, attempts: 2, next: null }), DEFAULTS)).toEqual({
			recovery: { action: 'fail' },
			situation: 'upstream_outage',
			code: 'upstream_unavailable',
		});
	});

	it('waits as long as the provider asks, and a little at random on top, when there is time; else moves on', () => {
		expect(decideRecovery(failed({ retryAfterMs: 2000 }), DEFAULTS).recovery).toEqual({
			action: 'retry',
			afterMs: 2100,
		});
		expect(decideRecovery(failed({ retryAfterMs: 20_000 }), DEFAULTS).recovery).toEqual({ action: 'fail_over', to: 1 });
	});

	it('fails over where the account is used up or the upstream is silent, without asking it again', () => {
		for (const failure of ['quota', 'timeout_first_token'] as const) {
			expect(decideRecovery(failed({ failure }), DEFAULTS).recovery).toEqual({ action: 'fail_over', to: 1 });
		}
	});
});

describe('what a rate limit asks for', () => {
	it('is waited for if the deadline allows, once; without it a short wait; then the next upstream is asked', () => {
		const limited = (change: Partial<FailedAttempt>) =>
			decideRecovery(failed({ failure: 'rate_limited', ...change }), DEFAULTS).recovery;
		expect(limited({ retryAfterMs: 3000 })).toEqual({ action: 'retry', afterMs: 3100 });
		expect(limited({ retryAfterMs: 12_000 })).toEqual({ action: 'fail_over', to: 1 });
		expect(limited({})).toEqual({ action: 'retry', afterMs: 100 });
		expect(limited({ failuresHere: 2 })).toEqual({ action: 'fail_over', to: 1 });
	});
});

describe('who is asked instead', () => {
	const seat = (provider: string, contextTokensMax: number) => ({ provider, contextTokensMax });
	const SEATS = [seat('a', 100), seat('a', 100), seat('a', 50), seat('b', 200)];
	const [first, , , last] = SEATS as [Seat, Seat, Seat, Seat];
	type Seat = ReturnType<typeof seat>;

	it('is the next of the route, a larger context for a prompt that did not fit, and another vendor for a quota', () => {
		const route = { seats: SEATS, index: 0 };
		expect(successorOf('server_error', first, route)).toBe(1);
		expect(successorOf('context_length', first, route)).toBe(3);
		expect(successorOf('quota', first, route)).toBe(3);
		expect(successorOf('content_filter', first, route)).toBeNull();
	});

	it('is nobody behind the last; of one vendor alone the next, whose account may be another', () => {
		for (const failure of SETBACKS) expect(successorOf(failure, last, { seats: SEATS, index: 3 })).toBeNull();
		expect(successorOf('quota', first, { seats: SEATS.slice(0, 3), index: 0 })).toBe(1);
		expect(successorOf('context_length', first, { seats: SEATS.slice(0, 3), index: 0 })).toBeNull();
	});

	it('never gets a prompt that did not fit where it cannot fit either, whatever the contract says', () => {
		fc.assert(
			fc.property(anyAttempt, anyPolicies, (attempt, onFailure) => {
				const misfit = { failure: 'context_length', next: null, answerStarted: false } as const;
				const { recovery } = decideRecovery({ ...attempt, ...misfit }, onFailure);
				expect(['fail', 'fall_back', 'escalate']).toContain(recovery.action);
			}),
		);
	});
});

describe('an upstream that may have acted', () => {
	it('is followed by no other attempt, whatever the policy says, and its outcome is called unknown where it is', () => {
		fc.assert(
			fc.property(anyAttempt, anyPolicies, (attempt, onFailure) => {
				const { recovery, code } = decideRecovery({ ...attempt, mayHaveActed: true }, onFailure);
				expect(['fail', 'fall_back']).toContain(recovery.action);
				if (['connect', 'server_error', 'cut', 'nonsense'].includes(attempt.failure)) {
					expect(code).toBe('upstream_outcome_unknown');
				}
			}),
		);
	});
});

describe('how long a client is told to stay away', () => {
	const calm = { retryAfterMs: null, breakerMs: 0, skippedMs: null, isStrained: false, draw: 0.5 };

	it('is not told anything while its next try could be afforded', () => {
		expect(clientWaitMs(calm)).toBeNull();
	});

	it('is told the longer of what the provider asks and what the breaker keeps, but no longer than another upstream needs', () => {
		expect(clientWaitMs({ ...calm, retryAfterMs: 7000, breakerMs: 5000 })).toBe(7000);
		expect(clientWaitMs({ ...calm, retryAfterMs: 7000, breakerMs: 5000, skippedMs: 900.5 })).toBe(901);
	});

	it('is told a second or two, at random, when the retry budget is spent and nobody knows better', () => {
		expect(clientWaitMs({ ...calm, isStrained: true })).toBe(1500);
		expect(clientWaitMs({ ...calm, isStrained: true, breakerMs: 300 })).toBe(300);
	});
});
