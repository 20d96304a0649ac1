/** How things stand for a request that would have to wait. */
export interface WaitAsk {
	/** Requests of its tenant and priority that stand in front. */
	readonly ahead: number;
	/** All that wait and go no later by their priority. */
	readonly waiting: number;
	/** Its tenant's part of the places that become free, in (0, 1]. */
	readonly share: number;
	/** What holds it back: all places of the server, the tenant's own limit, or both. */
	readonly server: Holders | null;
	readonly tenant: Holders | null;
}

/** Requests that hold places, and how long they do. */
export interface Holders {
	readonly running: number;
	/** How long a place is held on average, as measured; null: not known yet. */
	readonly heldMs: number | null;
}

/**
 * Milliseconds until a place is free for it, as far as can be told: places come free at the rate at which they have been
 * (Little's law), and its tenant gets its share of them. Null when nothing was measured yet.
 */
export function estimateWaitMs({ ahead, waiting, share, server, tenant }: WaitAsk): number | null {
	// However small a share is, what waits now is all that can go before.
	const turns = Math.min((ahead + 1) / share, waiting + 1);
	const waits = [server && perPlace(server, turns), tenant && perPlace(tenant, ahead + 1)];
	const known = waits.filter((ms) => ms !== null);
	return known.length === 0 ? null : Math.max(...known);
}

function perPlace({ running, heldMs }: Holders, turns: number): number | null {
	return heldMs === null || running === 0 ? null : (turns * heldMs) / running;
}
