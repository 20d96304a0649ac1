/** What can be limited. The two costs count integer micro-dollars, in UTC days and months. */
export const LIMITS = [
	'requests_per_minute',
	'tokens_per_minute',
	'concurrent_requests',
	'cost_usd_per_day',
	'cost_usd_per_month',
] as const;
export type LimitName = (typeof LIMITS)[number];

/** One thing counted: what, and over which part of a tenant, or over all tenants of an organisation. */
export interface Counter {
	/** `tenant`, `key:<id>`, `feature:<name>`, `user:<hash>` or `organisation:<name>`. */
	readonly scope: string;
	readonly limit: LimitName;
}

/** A wish to use `amount` of what `max` allows. An amount of zero only asks how things stand. */
export interface Claim extends Counter {
	readonly max: number;
	readonly amount: number;
}

/** How a counter stands, reserved amounts included. */
export interface Standing extends Counter {
	readonly max: number;
	readonly used: number;
	/** Milliseconds until all that is counted now counts no longer; zero when nothing is. */
	readonly resetMs: number;
}

/** What was granted, for giving back or settling: exactly once. */
export interface Ticket {
	readonly tenantId: string;
	readonly claims: readonly Claim[];
	/** Until when what is settled counts, for each claim; 0: it leaves no mark. */
	readonly until: readonly number[];
	/** When the reservation vanishes by itself, milliseconds since the epoch. */
	readonly expiresAt: number;
	/** Who holds it: the shared backend, this process's share, or nobody because limits were not checked. */
	readonly heldBy: 'shared' | 'local' | 'nobody';
}

/** The claim that stood in the way longest. */
export interface Refusal {
	readonly claim: Claim;
	readonly used: number;
	/** Null: the claim alone is above the limit, and waiting changes nothing. */
	readonly waitMs: number | null;
}

export type Reservation =
	| { readonly granted: true; readonly ticket: Ticket; readonly standings: readonly Standing[] }
	| { readonly granted: false; readonly refusal: Refusal; readonly standings: readonly Standing[] };

export interface ReserveAsk {
	readonly tenantId: string;
	readonly claims: readonly Claim[];
	/** Milliseconds since the epoch. */
	readonly now: number;
	readonly expiresAt: number;
}

export interface CounterUsage {
	readonly settled: number;
	readonly reserved: number;
}

/** Whether limits are kept as configured. */
export interface StateHealth {
	readonly backend: 'in_process' | 'redis';
	/** `down`: the backend does not answer, and `on_failure` is in force. */
	readonly status: 'up' | 'down';
	readonly onFailure: 'fail_open' | 'fail_closed' | 'local_share' | null;
	/** Settlements of which it is not known that the backend has them, since start. */
	readonly unsettled: number;
}

/**
 * Counters behind limits. Each operation is atomic and one round trip at most. With reservations that settle for no
 * more than they reserved, the sum of reserved and settled amounts never passes the cap of any claim.
 */
export interface SharedState {
	/** All claims or none. Throws PlimsollError `limits_unavailable` or `storage_failed`. */
	reserve(ask: ReserveAsk): Promise<Reservation>;
	/** Puts what was used in place of what was reserved: one amount for each claim. More than was reserved counts in full. */
	settle(ticket: Ticket, actual: readonly number[], now: number): Promise<readonly Standing[]>;
	/** Gives back what was reserved. A request that was counted stays counted. */
	release(ticket: Ticket, now: number): Promise<readonly Standing[]>;
	/** Throws PlimsollError `limits_unavailable`. */
	usage(tenantId: string, counters: readonly Counter[], now: number): Promise<readonly CounterUsage[]>;
	health(): StateHealth;
	close(): Promise<void>;
}
