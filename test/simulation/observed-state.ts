import type {
	Counter,
	LimitName,
	Reservation,
	ReserveAsk,
	SharedState,
	Standing,
	Ticket,
} from '../../src/spec/shared-state.ts';
import { asking, type Holder } from './observation.ts';
import type { World } from './world.ts';

/** Counters that tell the world what they grant and settle: those of the shared backend, and those of one process. */
export class CountedState implements SharedState {
	readonly #inner: SharedState;
	readonly #world: World;
	readonly #counters: string;
	/** The process that asks just now: several ask the shared backend. */
	replica: string;

	/** @param where.counters names this set of counters in observations. */
	constructor(inner: SharedState, world: World, where: { counters: string; replica: string }) {
		this.#inner = inner;
		this.#world = world;
		this.#counters = where.counters;
		this.replica = where.replica;
	}

	async reserve(ask: ReserveAsk): Promise<Reservation> {
		const { replica } = this;
		const reservation = await this.#inner.reserve(ask);
		if (reservation.granted) {
			this.#world.observe({ kind: 'granted', counters: this.#counters, replica, ticket: reservation.ticket });
		}
		return reservation;
	}

	settle(ticket: Ticket, actual: readonly number[], now: number): Promise<readonly Standing[]> {
		this.#world.observe({ kind: 'settled', counters: this.#counters, ticket, actual });
		return this.#inner.settle(ticket, actual, now);
	}

	release(ticket: Ticket, now: number): Promise<readonly Standing[]> {
		this.#world.observe({ kind: 'settled', counters: this.#counters, ticket, actual: [] });
		return this.#inner.release(ticket, now);
	}

	usage(tenantId: string, counters: readonly Counter[], now: number) {
		return this.#inner.usage(tenantId, counters, now);
	}

	health() {
		return this.#inner.health();
	}

	close(): Promise<void> {
		return this.#inner.close();
	}
}

/** The port as the runtime of one process sees it: who holds what. */
export class HeldState implements SharedState {
	readonly #inner: SharedState;
	readonly #world: World;

	readonly #replica: string;

	constructor(inner: SharedState, world: World, replica: string) {
		this.#inner = inner;
		this.#world = world;
		this.#replica = replica;
	}

	async reserve(ask: ReserveAsk): Promise<Reservation> {
		const by = this.#holder(ask);
		const reservation = await this.#inner.reserve(ask);
		if (reservation.granted) this.#world.observe({ kind: 'held', by, ticket: reservation.ticket });
		return reservation;
	}

	settle(ticket: Ticket, actual: readonly number[], now: number): Promise<readonly Standing[]> {
		this.#world.observe({ kind: 'given_back', by: this.#holder(ticket), ticket, actual });
		return this.#inner.settle(ticket, actual, now);
	}

	release(ticket: Ticket, now: number): Promise<readonly Standing[]> {
		this.#world.observe({ kind: 'given_back', by: this.#holder(ticket), ticket, actual: [] });
		return this.#inner.release(ticket, now);
	}

	usage(tenantId: string, counters: readonly Counter[], now: number) {
		return this.#inner.usage(tenantId, counters, now);
	}

	health() {
		return this.#inner.health();
	}

	close(): Promise<void> {
		return this.#inner.close();
	}

	#holder({ claims }: Pick<Ticket, 'claims'>): Holder {
		const isOfCall = claims.some(({ limit, amount }) => isAmountOfCall(limit) && amount > 0);
		return { replica: this.#replica, request: isOfCall ? (asking.getStore() ?? null) : null };
	}
}

/** What a call uses, and not a request. */
export function isAmountOfCall(limit: LimitName): boolean {
	return limit !== 'requests_per_minute' && limit !== 'concurrent_requests';
}
