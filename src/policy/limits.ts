import type {
	Claim,
	Counter,
	CounterUsage,
	LimitName,
	Refusal,
	Reservation,
	ReserveAsk,
	Standing,
	Ticket,
} from '../spec/shared-state.ts';

/**
 * An amount in a counter. Amounts of the same slot and expiry share a cell, so that a counter is a handful of cells
 * whatever the traffic.
 */
export interface Cell {
	/** When the amount leaves the window, milliseconds since the epoch; 0: never (a lease has no window). */
	readonly until: number;
	/** When an unsettled reservation vanishes; 0: it is settled. */
	readonly expires: number;
	readonly amount: number;
}

export type Cells = readonly Cell[];

const MINUTE_MS = 60_000;
/** Amounts of the last minute are kept in slots of this length. */
const SLOT_MS = 5_000;
/** What no longer counts is forgotten so much later: far above what clocks may differ by. */
const KEPT_MS = 5_000;
/** Expiries are rounded up to this, so that few cells hold many reservations. */
const EXPIRY_SLOT_MS = 5_000;
/** What a client is told to wait for a place: leases end when requests do, which nobody knows. */
const LEASE_WAIT_MS = 1_000;

const ORGANISATION = 'organisation:';

/** The scope of a counter that all tenants of an organisation share. */
export function organisationScope(name: string): string {
	return `${ORGANISATION}${name}`;
}

/** The organisation that a counter is of; null: it is its tenant's own. */
export function organisationOf(scope: string): string | null {
	return scope.startsWith(ORGANISATION) ? scope.slice(ORGANISATION.length) : null;
}

/** Under whose name a counter is kept: its tenant's, and nobody's for an organisation's, which no tenant owns. */
export function ownerOf(tenantId: string, { scope }: Pick<Counter, 'scope'>): string {
	return organisationOf(scope) === null ? tenantId : '';
}

/**
 * Until when an amount used at `now` counts. A slot of the minute counts until its last instant is a whole minute old:
 * no 60 seconds, wherever they begin, see more than the limit.
 */
function countsUntil(limit: LimitName, now: number): number {
	const date = new Date(now);
	switch (limit) {
		case 'requests_per_minute':
		case 'tokens_per_minute':
			return (Math.floor(now / SLOT_MS) + 1) * SLOT_MS + MINUTE_MS;
		case 'concurrent_requests':
			return 0;
		case 'cost_usd_per_day':
			return Date.UTC(date.getUTCFullYear(), date.getUTCMonth(), date.getUTCDate() + 1);
		case 'cost_usd_per_month':
			return Date.UTC(date.getUTCFullYear(), date.getUTCMonth() + 1);
	}
}

/** A request that was let in has been made: nothing about it is settled later. */
export function isFinal(limit: LimitName): boolean {
	return limit === 'requests_per_minute';
}

export function ticketFor({ tenantId, claims, now, expiresAt }: ReserveAsk, heldBy: Ticket['heldBy']): Ticket {
	return {
		tenantId,
		claims,
		until: claims.map(({ limit }) => countsUntil(limit, now)),
		expiresAt: Math.ceil(expiresAt / EXPIRY_SLOT_MS) * EXPIRY_SLOT_MS,
		heldBy,
	};
}

/** Grants all claims or none. `counters` stand in the order of the claims; those that come back replace them. */
export function decideReserve(
	ask: ReserveAsk,
	counters: readonly Cells[],
	heldBy: Ticket['heldBy'],
): { readonly reservation: Reservation; readonly counters: readonly Cells[] } {
	const ticket = ticketFor(ask, heldBy);
	const kept = counters.map((cells) => keptCells(cells, ask.now));
	const measured = ask.claims.map((claim, at) => measure(claim, kept[at] ?? [], ask.now));
	const refusal = strictest(ask.claims, measured);
	if (refusal !== null) {
		const standings = ask.claims.map((claim, at) => standing(claim, measured[at] as Measured));
		return { reservation: { granted: false, refusal, standings }, counters: kept };
	}
	const next = ask.claims.map((claim, at) => {
		const expires = isFinal(claim.limit) ? 0 : ticket.expiresAt;
		return add(kept[at] ?? [], { until: ticket.until[at] ?? 0, expires, amount: claim.amount });
	});
	return { reservation: { granted: true, ticket, standings: standingsOf(ask.claims, next, ask.now) }, counters: next };
}

/** Puts the actual amounts in place of the reserved ones. A reservation that had expired is charged all the same. */
export function decideSettle(
	ticket: Ticket,
	ask: { readonly actual: readonly number[]; readonly now: number },
	counters: readonly Cells[],
): { readonly standings: readonly Standing[]; readonly counters: readonly Cells[] } {
	const next = ticket.claims.map((claim, at) => {
		const kept = keptCells(counters[at] ?? [], ask.now);
		if (isFinal(claim.limit)) return kept;
		const until = ticket.until[at] ?? 0;
		const open = take(kept, { until, expires: ticket.expiresAt, amount: claim.amount });
		// A lease leaves no mark, and what has left its window meanwhile counts no longer.
		return until + KEPT_MS <= ask.now ? open : add(open, { until, expires: 0, amount: ask.actual[at] ?? 0 });
	});
	return { standings: standingsOf(ticket.claims, next, ask.now), counters: next };
}

/** What every claim of a refused ask needs to be told: how much is used, how long to wait. */
export interface Measured {
	readonly used: number;
	readonly resetMs: number;
	/** 0: it fits; null: it never will. */
	readonly waitMs: number | null;
}

/** The refused claim that takes longest; null when all fit. */
export function strictest(claims: readonly Claim[], measured: readonly Measured[]): Refusal | null {
	let worst: Refusal | null = null;
	for (const [at, claim] of claims.entries()) {
		const { used, waitMs } = measured[at] as Measured;
		if (waitMs === 0) continue;
		const told = waitMs !== null && claim.limit === 'concurrent_requests' ? Math.min(waitMs, LEASE_WAIT_MS) : waitMs;
		const isLonger = worst === null || (worst.waitMs !== null && (told === null || told > worst.waitMs));
		if (isLonger) worst = { claim, used, waitMs: told };
	}
	return worst;
}

export function usageOf(cells: Cells, now: number): CounterUsage {
	let settled = 0;
	let reserved = 0;
	for (const { expires, amount } of liveCells(cells, now)) {
		if (expires === 0) settled += amount;
		else reserved += amount;
	}
	return { settled, reserved };
}

export function standing({ scope, limit, max }: Claim, { used, resetMs }: Measured): Standing {
	return { scope, limit, max, used, resetMs };
}

function liveCells(cells: Cells, now: number): Cells {
	return cells.every((cell) => endOf(cell) > now) ? cells : cells.filter((cell) => endOf(cell) > now);
}

/**
 * What must still be known at `now`: what counts, and what ended so lately that a replica whose clock is behind counts it yet.
 * Without it, the first to see midnight would hand the others a second budget for the day that is theirs still.
 */
export function keptCells(cells: Cells, now: number): Cells {
	return liveCells(cells, now - KEPT_MS);
}

function standingsOf(claims: readonly Claim[], counters: readonly Cells[], now: number): readonly Standing[] {
	return claims.map((claim, at) => standing(claim, measure({ ...claim, amount: 0 }, counters[at] ?? [], now)));
}

function measure({ max, amount }: Claim, cells: Cells, now: number): Measured {
	const live = liveCells(cells, now);
	let used = 0;
	let last = now;
	for (const cell of live) {
		used += cell.amount;
		last = Math.max(last, endOf(cell));
	}
	const resetMs = last - now;
	if (amount === 0 || used + amount <= max) return { used, resetMs, waitMs: 0 };
	return { used, resetMs, waitMs: amount > max ? null : waitFor(live, used + amount - max, now) };
}

/** Milliseconds until `excess` of what counts now counts no longer. */
function waitFor(live: Cells, excess: number, now: number): number {
	let left = excess;
	for (const cell of live.toSorted((a, b) => endOf(a) - endOf(b))) {
		left -= cell.amount;
		if (left <= 0) return endOf(cell) - now;
	}
	throw new RangeError('a counter holds less than it measured');
}

function endOf({ until, expires }: Cell): number {
	if (expires === 0) return until;
	return until === 0 ? expires : Math.min(until, expires);
}

function add(cells: Cells, cell: Cell): Cells {
	if (cell.amount === 0) return cells;
	const at = cells.findIndex((other) => isSame(other, cell));
	const held = cells[at];
	return held ? cells.with(at, { ...held, amount: held.amount + cell.amount }) : [...cells, cell];
}

function take(cells: Cells, cell: Cell): Cells {
	const at = cells.findIndex((other) => isSame(other, cell));
	const held = cells[at];
	if (!held) return cells;
	return held.amount > cell.amount
		? cells.with(at, { ...held, amount: held.amount - cell.amount })
		: cells.toSpliced(at, 1);
}

function isSame(a: Cell, b: Cell): boolean {
	return a.until === b.until && a.expires === b.expires;
}
