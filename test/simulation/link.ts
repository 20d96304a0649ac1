import type {
	Counter,
	Reservation,
	ReserveAsk,
	SharedState,
	StateHealth,
	Ticket,
} from '../../src/spec/shared-state.ts';
import type { CountedState } from './observed-state.ts';
import type { Wire } from './wire.ts';
import type { World } from './world.ts';

/** Counters' name in observations when they are the shared ones. */
export const SHARED = 'shared';

/** The shared counters as one process reaches them. */
export class Link implements SharedState {
	readonly #wire: Wire;
	readonly #counters: CountedState;
	readonly #world: World;
	readonly #replica: string;
	/** What the process holds, and what the server knows it by. */
	readonly #tickets = new WeakMap<Ticket, Ticket>();

	constructor(wire: Wire, server: CountedState, { world, replica }: { world: World; replica: string }) {
		this.#wire = wire;
		this.#counters = server;
		this.#world = world;
		this.#replica = replica;
	}

	reserve(ask: ReserveAsk): Promise<Reservation> {
		return this.#wire.send(
			'reserve',
			async () => {
				const reservation = await this.#server.reserve(ask);
				if (!reservation.granted) return reservation;
				const ticket: Ticket = { ...reservation.ticket, heldBy: 'shared' };
				this.#tickets.set(ticket, reservation.ticket);
				return { ...reservation, ticket };
			},
			(carriedOut) => carriedOut?.granted && this.#orphan(carriedOut.ticket),
		);
	}

	settle(ticket: Ticket, actual: readonly number[], now: number) {
		return this.#wire.send(
			'settle',
			() => this.#server.settle(this.#known(ticket), actual, now),
			(carriedOut) => carriedOut === null && this.#orphan(ticket),
		);
	}

	release(ticket: Ticket, now: number) {
		return this.#wire.send(
			'release',
			() => this.#server.release(this.#known(ticket), now),
			(carriedOut) => carriedOut === null && this.#orphan(ticket),
		);
	}

	usage(tenantId: string, counters: readonly Counter[], now: number) {
		return this.#wire.send('usage', () => this.#server.usage(tenantId, counters, now));
	}

	health(): StateHealth {
		const status = this.#wire.trouble === 'down' ? 'down' : 'up';
		return { backend: 'redis', status, onFailure: null, unsettled: 0 };
	}

	async close(): Promise<void> {}

	get #server(): CountedState {
		this.#counters.replica = this.#replica;
		return this.#counters;
	}

	#known(ticket: Ticket): Ticket {
		const known = this.#tickets.get(ticket);
		if (known === undefined) throw new Error('a ticket that the server never gave');
		return known;
	}

	#orphan(ticket: Ticket): void {
		this.#world.observe({ kind: 'orphaned', counters: SHARED, ticket: this.#known(ticket) });
	}
}
