import type { BreakerSettings } from '../contracts/breaker-settings.ts';

/** Why an upstream is left alone: it failed, was slow, its quota is used up, or somebody said so. */
export type OpenReason = 'failures' | 'slow' | 'quota' | 'hand';

/** A tenth of the window. */
interface Bucket {
	readonly at: number;
	readonly calls: number;
	readonly failures: number;
	readonly slow: number;
}

export interface BreakerState {
	/** `probing`: open, and one call is under way to see whether it still must be. */
	readonly phase: 'closed' | 'open' | 'probing';
	/** Null when closed. */
	readonly why: OpenReason | null;
	readonly since: number;
	/** When the next probe may go, or a quota or what was said by hand ends. */
	readonly until: number;
	/** Changes with the phase: what a call tells that began before is old news. */
	readonly epoch: number;
	readonly failuresInARow: number;
	readonly refusalsInARow: number;
	readonly buckets: readonly Bucket[];
}

/**
 * What a call told about its upstream. `answered`: no, for reasons of the request; that proves that somebody is there, and
 * nothing more. `nothing`: it was ended from our side. `unsent`: it was never made.
 */
export type Verdict = 'ok' | 'answered' | 'failed' | 'refused' | 'nothing' | 'unsent';

export interface CallEnd {
	/** Of the state when the call was let through. */
	readonly epoch: number;
	readonly verdict: Verdict;
	/** To the first token of a stream, or to the whole of a plain answer. */
	readonly tookMs: number;
	/** From the provider, with `refused`. */
	readonly retryAfterMs: number | null;
	/** It was the probe that closed the breaker when its answer began. */
	readonly isProbe: boolean;
}

export type Admission =
	| { readonly admitted: true; readonly state: BreakerState }
	| { readonly admitted: false; readonly why: OpenReason; readonly waitMs: number };

const BUCKETS = 10;

/** The share of the interval that an upstream is left alone after a probe, at least. */
const PROBE_REST = 0.25;

export function closedBreaker(now: number, epoch = 0): BreakerState {
	return {
		phase: 'closed',
		why: null,
		since: now,
		until: 0,
		epoch,
		failuresInARow: 0,
		refusalsInARow: 0,
		buckets: [],
	};
}

/**
 * Whether a call may go to the upstream now. Open lets none through until a probe is due, then one at a time, whose
 * success closes. (Nygard, Release It!, 2nd edition, chapter 5: Circuit Breaker. Rates over a window with a least number of
 * calls are resilience4j's, failures in a row are those of Envoy's outlier detection.) A quota has no probe: when the time
 * that the provider named is over, everyone may ask again.
 * @param settings null: only what was said by hand counts.
 */
export function admit(state: BreakerState, settings: BreakerSettings | null, now: number): Admission {
	const { phase, why, until } = state;
	if (phase === 'closed' || why === null) return { admitted: true, state };
	if (why === 'hand' || why === 'quota') {
		if (now < until && (settings !== null || why === 'hand')) return { admitted: false, why, waitMs: until - now };
		return { admitted: true, state: closedBreaker(now, state.epoch + 1) };
	}
	if (settings === null) return { admitted: true, state: closedBreaker(now, state.epoch + 1) };
	if (phase === 'probing') {
		return { admitted: false, why, waitMs: now < until ? until - now : settings.probeIntervalMs };
	}
	if (now < until) return { admitted: false, why, waitMs: until - now };
	const probing = {
		...state,
		phase: 'probing',
		until: now + settings.probeIntervalMs,
		epoch: state.epoch + 1,
	} as const;
	return { admitted: true, state: probing };
}

/**
 * The state once the answer to a call has begun. A probe need not last as long as its answer: its first token closes the
 * breaker, and should it break off, that opens it again at once.
 */
export function begun(
	state: BreakerState,
	settings: BreakerSettings | null,
	call: Pick<CallEnd, 'epoch' | 'tookMs'> & { readonly now: number },
): BreakerState {
	if (settings === null || state.phase !== 'probing' || call.epoch !== state.epoch) return state;
	return state.why === 'slow' && isSlow(settings, call) ? state : closedBreaker(call.now, state.epoch + 1);
}

/** The state after a call that was let through. Every such call must end here, also one that was cancelled. */
export function settle(
	state: BreakerState,
	settings: BreakerSettings | null,
	end: CallEnd & { readonly now: number },
): BreakerState {
	if (settings === null || end.epoch !== state.epoch) return state;
	const { verdict, now } = end;
	if (state.phase === 'closed') {
		if (end.isProbe && verdict === 'failed') {
			return opened(state, { why: 'failures', until: now + settings.probeIntervalMs, since: now });
		}
		if (verdict === 'nothing' || verdict === 'unsent' || verdict === 'answered') return state;
		return verdict === 'refused' ? refused(state, settings, end) : counted(state, settings, end);
	}
	if (state.phase !== 'probing') return state;
	switch (verdict) {
		case 'refused':
			return refused(state, settings, end);
		case 'unsent':
			// Its turn is the next one's: who may not call must not keep away who may.
			return opened(state, { why: state.why ?? 'failures', until: now, since: state.since });
		case 'failed':
		case 'nothing':
			return opened(state, {
				why: state.why ?? 'failures',
				until: nextProbe(state, settings, now),
				since: state.since,
			});
		case 'answered':
		case 'ok':
			if (state.why === 'slow' && isSlow(settings, end)) {
				return opened(state, { why: 'slow', until: nextProbe(state, settings, now), since: state.since });
			}
			return closedBreaker(now, state.epoch + 1);
	}
}

/** Open until `until`, because of what somebody said or another replica found. */
export function openedFor(
	state: BreakerState,
	why: OpenReason,
	{ now, until }: { now: number; until: number },
): BreakerState {
	return opened(state, { why, until, since: state.why === why ? state.since : now });
}

/** What the calls of the window came to. */
export function windowOf(state: BreakerState, settings: BreakerSettings, now: number): Omit<Bucket, 'at'> {
	const sum = { calls: 0, failures: 0, slow: 0 };
	for (const bucket of live(state.buckets, bucketAt(settings, now))) {
		sum.calls += bucket.calls;
		sum.failures += bucket.failures;
		sum.slow += bucket.slow;
	}
	return sum;
}

/** An interval after the last one began; later only if that took so long that nobody would have had a rest. */
function nextProbe({ until }: BreakerState, { probeIntervalMs }: BreakerSettings, now: number): number {
	return Math.max(until, now + probeIntervalMs * PROBE_REST);
}

function refused(
	state: BreakerState,
	settings: BreakerSettings,
	{ retryAfterMs, now }: CallEnd & { now: number },
): BreakerState {
	if (retryAfterMs !== null && retryAfterMs > 0) {
		return opened(state, { why: 'quota', until: now + Math.min(retryAfterMs, settings.quotaMsMax), since: now });
	}
	// Who is told nothing about when stays away as long as from a failure, and only after being told so a few times.
	const refusalsInARow = state.refusalsInARow + 1;
	if (refusalsInARow < settings.failuresInARow && state.phase === 'closed') return { ...state, refusalsInARow };
	return opened(state, { why: 'quota', until: now + settings.probeIntervalMs, since: now });
}

function counted(state: BreakerState, settings: BreakerSettings, end: CallEnd & { now: number }): BreakerState {
	const { now } = end;
	const failed = end.verdict === 'failed';
	const slow = !failed && isSlow(settings, end);
	const buckets = added(live(state.buckets, bucketAt(settings, now)), { at: bucketAt(settings, now), failed, slow });
	const failuresInARow = failed ? state.failuresInARow + 1 : 0;
	const next = { ...state, buckets, failuresInARow, refusalsInARow: 0 };
	if (!failed && !slow) return next;
	const until = now + settings.probeIntervalMs;
	if (failuresInARow >= settings.failuresInARow) return opened(next, { why: 'failures', until, since: now });
	const { calls, failures, slow: slowCalls } = windowOf(next, settings, now);
	if (calls < settings.callsMin) return next;
	if (failures >= calls * settings.failureRate) return opened(next, { why: 'failures', until, since: now });
	if (slowCalls >= calls * settings.slowRate) return opened(next, { why: 'slow', until, since: now });
	return next;
}

function opened(
	state: BreakerState,
	{ why, until, since }: Pick<BreakerState, 'until' | 'since'> & { readonly why: OpenReason },
): BreakerState {
	return { ...state, phase: 'open', why, since, until, epoch: state.epoch + 1, failuresInARow: 0, refusalsInARow: 0 };
}

function isSlow({ slowMs }: BreakerSettings, { tookMs }: Pick<CallEnd, 'tookMs'>): boolean {
	return slowMs !== null && tookMs > slowMs;
}

function bucketAt({ windowMs }: BreakerSettings, now: number): number {
	return Math.floor((now * BUCKETS) / windowMs);
}

function live(buckets: readonly Bucket[], at: number): readonly Bucket[] {
	const first = buckets[0];
	return first === undefined || first.at > at - BUCKETS
		? buckets
		: buckets.filter((bucket) => bucket.at > at - BUCKETS);
}

function added(buckets: readonly Bucket[], call: { at: number; failed: boolean; slow: boolean }): readonly Bucket[] {
	const last = buckets.at(-1);
	const failures = call.failed ? 1 : 0;
	const slow = call.slow ? 1 : 0;
	if (last?.at !== call.at) return [...buckets, { at: call.at, calls: 1, failures, slow }];
	const sum = { at: call.at, calls: last.calls + 1, failures: last.failures + failures, slow: last.slow + slow };
	return buckets.with(buckets.length - 1, sum);
}
