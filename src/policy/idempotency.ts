import type { ErrorCategory } from '../spec/errors.ts';
import type { Effect } from '../spec/idempotency.ts';

/** What is known of a key that was used before. */
export interface KeyFacts {
	readonly fingerprint: string;
	readonly phase: 'claimed' | 'stored' | 'not_stored';
	readonly leaseUntil: number;
	readonly expiresAt: number;
	readonly effects: readonly Effect[];
}

export type ClaimDecision = 'claim' | 'running' | 'stored' | 'not_stored' | 'reused' | 'unknown' | 'full';

/**
 * What a request with a key may do. An abandoned claim is taken over only when its ledger shows no effects: then
 * nothing has happened that executing it could repeat. The script in stores/redis-idempotency-scripts says the same.
 */
export function decideClaim(
	facts: KeyFacts | null,
	ask: { readonly fingerprint: string; readonly now: number },
	hasRoom: boolean,
): ClaimDecision {
	const isFree = facts === null || isForgotten(facts, ask.now) || isHarmless(facts, ask.now);
	// A record that is taken over needs no room of its own.
	if (isFree) return facts !== null || hasRoom ? 'claim' : 'full';
	if (facts.fingerprint !== ask.fingerprint) return 'reused';
	if (facts.phase !== 'claimed') return facts.phase;
	return facts.leaseUntil > ask.now ? 'running' : 'unknown';
}

/** Past its retention, and nobody is at work under it. */
export function isForgotten(facts: Pick<KeyFacts, 'phase' | 'leaseUntil' | 'expiresAt'>, now: number): boolean {
	return facts.expiresAt <= now && !(facts.phase === 'claimed' && facts.leaseUntil > now);
}

function isHarmless({ phase, leaseUntil, effects }: KeyFacts, now: number): boolean {
	return phase === 'claimed' && leaseUntil <= now && effects.length === 0;
}

/**
 * Whether an execution's outcome is what every repetition gets. A failure that the same request may not meet again is
 * not: the key is free for another try.
 */
export function isLasting(error: { readonly retryable: boolean; readonly category: ErrorCategory } | null): boolean {
	return error === null || (!error.retryable && error.category !== 'cancelled');
}
