import { type Cells, decideReserve, decideSettle, keptCells, ownerOf, usageOf } from '../policy/limits.ts';
import type { Allowance, RecordStore } from '../spec/records.ts';
import type {
	Claim,
	Counter,
	CounterUsage,
	Reservation,
	ReserveAsk,
	SharedState,
	Standing,
	StateHealth,
	Ticket,
} from '../spec/shared-state.ts';

/** Durable money comes in blocks of this share of its cap: so much at most is lost to a crash, and so rarely is written. */
const BLOCK_SHARE = 0.01;
/** Counters that hold nothing any more are looked for after so many operations. */
const SWEEP_EVERY = 10_000;

const HEALTH: StateHealth = { backend: 'in_process', status: 'up', onFailure: null, unsettled: 0 };

/** Where allowances are kept: the part of the record store that costs need. */
type AllowanceStore = Pick<RecordStore, 'putAllowances' | 'listAllowances'>;

/**
 * Counters of one process. Costs of days and months outlive it: before money is used, a block of it is written down as
 * used. A crash thereby counts the whole block, and no cap is ever passed; a clean close gives back the rest.
 */
export class MemoryState implements SharedState {
	readonly #counters = new Map<string, Cells>();
	readonly #allowances = new Map<string, Allowance>();
	readonly #store: AllowanceStore | null;
	#operations = 0;

	/** @param store null: nothing survives the process. */
	constructor(store: AllowanceStore | null = null) {
		this.#store = store;
	}

	/** With what the store says was used before. */
	static async open(store: AllowanceStore, now: number): Promise<MemoryState> {
		const state = new MemoryState(store);
		for (const allowance of await store.listAllowances(now)) {
			const key = keyOf(allowance.tenantId, allowance);
			const cell = { until: allowance.until, expires: 0, amount: allowance.micros };
			state.#allowances.set(`${key} ${allowance.until}`, allowance);
			state.#counters.set(key, [...(state.#counters.get(key) ?? []), cell]);
		}
		return state;
	}

	async reserve(ask: ReserveAsk): Promise<Reservation> {
		const keys = ask.claims.map((claim) => keyOf(ask.tenantId, claim));
		const { reservation, counters } = decideReserve(ask, this.#read(keys), 'local');
		this.#write(keys, counters, ask.now);
		if (!reservation.granted) return reservation;
		try {
			await this.#cover(reservation.ticket, ask.now);
		} catch (thrown) {
			// Money that could not be written down is not given out.
			await this.release(reservation.ticket, ask.now);
			throw thrown;
		}
		return reservation;
	}

	async settle(ticket: Ticket, actual: readonly number[], now: number): Promise<readonly Standing[]> {
		const keys = ticket.claims.map((claim) => keyOf(ticket.tenantId, claim));
		const { standings, counters } = decideSettle(ticket, { actual, now }, this.#read(keys));
		this.#write(keys, counters, now);
		await this.#cover(ticket, now);
		return standings;
	}

	async release(ticket: Ticket, now: number): Promise<readonly Standing[]> {
		const keys = ticket.claims.map((claim) => keyOf(ticket.tenantId, claim));
		const { standings, counters } = decideSettle(ticket, { actual: [], now }, this.#read(keys));
		this.#write(keys, counters, now);
		return standings;
	}

	async usage(tenantId: string, counters: readonly Counter[], now: number): Promise<readonly CounterUsage[]> {
		return counters.map((counter) => usageOf(this.#counters.get(keyOf(tenantId, counter)) ?? [], now));
	}

	health(): StateHealth {
		return HEALTH;
	}

	/** Gives back what was written down as used and was not. Call it when no request runs any more. */
	async close(): Promise<void> {
		const exact = [...this.#allowances.values()].map((allowance) => ({
			...allowance,
			micros: this.#usedUntil(keyOf(allowance.tenantId, allowance), allowance.until),
		}));
		if (exact.length > 0) await this.#store?.putAllowances(exact);
		this.#allowances.clear();
	}

	/** Writes down more money as used where the claims need more than was written before. Both costs in one write. */
	async #cover({ tenantId, claims, until }: Ticket, now: number): Promise<void> {
		if (this.#store === null) return;
		const short: { readonly id: string; readonly allowance: Allowance }[] = [];
		for (const [at, claim] of claims.entries()) {
			const end = until[at] ?? 0;
			if (!isMoney(claim) || end <= now) continue;
			const key = keyOf(tenantId, claim);
			const id = `${key} ${end}`;
			const used = this.#usedUntil(key, end);
			if (used <= (this.#allowances.get(id)?.micros ?? 0)) continue;
			const block = Math.ceil(claim.max * BLOCK_SHARE);
			const micros = Math.max(used, Math.min(used + block, claim.max));
			const { scope, limit } = claim;
			short.push({ id, allowance: { tenantId: ownerOf(tenantId, claim), scope, limit, until: end, micros } });
		}
		if (short.length === 0) return;
		// Held in memory first: whoever comes while this is being written must not write the same block once more.
		const before = short.map(({ id }) => this.#allowances.get(id));
		for (const { id, allowance } of short) this.#allowances.set(id, allowance);
		try {
			await this.#store.putAllowances(short.map(({ allowance }) => allowance));
		} catch (thrown) {
			for (const [at, { id }] of short.entries()) restore(this.#allowances, id, before[at]);
			throw thrown;
		}
	}

	#usedUntil(key: string, until: number): number {
		return (this.#counters.get(key) ?? []).reduce((sum, cell) => sum + (cell.until === until ? cell.amount : 0), 0);
	}

	#read(keys: readonly string[]): readonly Cells[] {
		return keys.map((key) => this.#counters.get(key) ?? []);
	}

	#write(keys: readonly string[], counters: readonly Cells[], now: number): void {
		for (const [at, key] of keys.entries()) {
			const cells = counters[at] ?? [];
			if (cells.length > 0) this.#counters.set(key, cells);
			else this.#counters.delete(key);
		}
		if (++this.#operations % SWEEP_EVERY === 0) this.#sweep(now);
	}

	#sweep(now: number): void {
		for (const [key, cells] of this.#counters) if (keptCells(cells, now).length === 0) this.#counters.delete(key);
		for (const [id, { until }] of this.#allowances) if (until <= now) this.#allowances.delete(id);
	}
}

function restore<K, V>(map: Map<K, V>, key: K, value: V | undefined): void {
	if (value === undefined) map.delete(key);
	else map.set(key, value);
}

function isMoney({ limit }: Claim): boolean {
	return limit === 'cost_usd_per_day' || limit === 'cost_usd_per_month';
}

/** No part of it holds a space: tenants, scopes and limits are names, ids and hashes. */
function keyOf(tenantId: string, counter: Counter): string {
	return `${ownerOf(tenantId, counter)} ${counter.scope} ${counter.limit}`;
}
