import type { Counter, Reservation, ReserveAsk, SharedState, Standing, Ticket } from '../../src/spec/shared-state.ts';
import { asking } from './observation.ts';
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

/** The port as the runtime sees it: which request holds what. */
export class HeldState implements SharedState {
	readonly #inner: SharedState;
	readonly #world: World;

	constructor(inner: SharedState, world: World) {
		this.#inner = inner;
		this.#world = world;
	}

	async reserve(ask: ReserveAsk): Promise<Reservation> {
		const request = requestOf('reserve');
		const reservation = await this.#inner.reserve(ask);
		if (reservation.granted) this.#world.observe({ kind: 'held', request, ticket: reservation.ticket });
		return reservation;
	}

	settle(ticket: Ticket, actual: readonly number[], now: number): Promise<readonly Standing[]> {
		this.#world.observe({ kind: 'given_back', request: requestOf('settle'), ticket, actual });
		return this.#inner.settle(ticket, actual, now);
	}

	release(ticket: Ticket, now: number): Promise<readonly Standing[]> {
		this.#world.observe({ kind: 'given_back', request: requestOf('release'), ticket, actual: [] });
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

function requestOf(operation: string) {
	const request = asking.getStore();
	if (request === undefined) throw new Error(`${operation} on behalf of no request`);
	return request;
}
