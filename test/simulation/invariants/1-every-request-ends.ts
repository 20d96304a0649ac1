import type { Ticket } from '../../../src/spec/shared-state.ts';
import type { Asked, Checker, Holder, Observation } from '../observation.ts';
import type { World } from '../world.ts';

/** After its deadline a request may take so long to end: time-outs of the shared state, the last promises. */
export const GRACE_MS = 250;

interface Life {
	readonly request: Asked;
	outcomes: number;
	traces: number;
	readonly held: Set<Ticket>;
	calls: number;
	/** When all that it holds must be given back. */
	endedAt: number | null;
}

/** A queue hands places out while it serves somebody else: they are a tenant's, and whose among its requests is not seen. */
interface Crowd {
	readonly name: string;
	requests: number;
	readonly places: Set<Ticket>;
}

/** 1: every request ends in time, with one outcome and one trace, and gives back all that it holds, once. */
export class EveryRequestEnds implements Checker {
	readonly invariant = 1;
	readonly promise = 'every request ends in time, with one outcome, one trace and nothing held';
	readonly #world: World;
	readonly #lives = new Map<Asked, Life>();
	/** In the order in which they are due. */
	readonly #due: Life[] = [];
	readonly #ended: Life[] = [];
	/** The requests of each tenant in each process, and the places that they hold together. */
	readonly #crowds = new Map<string, Crowd>();

	constructor(world: World) {
		this.#world = world;
	}

	see(seen: Observation): void {
		switch (seen.kind) {
			case 'entered':
				this.#enter(seen.request);
				return;
			case 'ended':
				this.#end(seen.request);
				return;
			case 'traced':
				this.#trace(seen.request);
				return;
			case 'held':
				this.#hold(seen.by, seen.ticket);
				return;
			case 'given_back':
				this.#giveBack(seen.by, seen.ticket);
				return;
			case 'called':
			case 'billed': {
				const life = this.#of(seen.call.request);
				if (life) life.calls += seen.kind === 'called' ? 1 : -1;
				return;
			}
			case 'crashed':
				for (const { request } of this.#lives.values())
					if (request.replica === seen.replica) this.#lives.delete(request);
		}
	}

	afterEvent(): void {
		const now = this.#world.clock.monotonic();
		for (let life = this.#due[0]; life && now > life.request.dueAt + GRACE_MS; life = this.#due[0]) {
			this.#due.shift();
			if (life.endedAt === null && this.#lives.has(life.request)) {
				this.#violate(life, `runs ${GRACE_MS} ms after its deadline`);
			}
		}
		for (let life = this.#ended[0]; life && now > (life.endedAt ?? 0) + GRACE_MS; life = this.#ended[0]) {
			this.#ended.shift();
			if (this.#lives.delete(life.request)) this.#settle(life);
		}
	}

	atRest(): void {
		for (const life of this.#lives.values()) {
			if (life.endedAt === null) this.#violate(life, 'has not ended when nothing happens any more');
			else this.#settle(life);
		}
		const { pending } = this.#world.clock;
		if (pending > 0) {
			this.#world.violate({
				invariant: 1,
				message: `${pending} timers wait when all requests have ended`,
				request: null,
			});
		}
	}

	#enter(request: Asked): void {
		const life: Life = { request, outcomes: 0, traces: 0, held: new Set(), calls: 0, endedAt: null };
		this.#lives.set(request, life);
		this.#crowd(request.replica, `tenant${request.tenant}`).requests++;
		const at = this.#due.findLastIndex((other) => other.request.dueAt <= request.dueAt);
		this.#due.splice(at + 1, 0, life);
	}

	#hold({ replica, request }: Holder, ticket: Ticket): void {
		if (request !== null) this.#of(request)?.held.add(ticket);
		else if (ticket.claims.some(({ limit }) => limit === 'concurrent_requests')) {
			this.#crowd(replica, ticket.tenantId).places.add(ticket);
		}
	}

	#giveBack({ replica, request }: Holder, ticket: Ticket): void {
		const held = request === null ? this.#crowd(replica, ticket.tenantId).places : this.#of(request)?.held;
		if (held === undefined || held.delete(ticket)) return;
		const message = `${ticket.tenantId} gave back in ${replica} what it did not hold`;
		this.#world.violate({ invariant: 1, message, request: request?.n ?? null });
	}

	#crowd(replica: string, tenant: string): Crowd {
		const name = `${replica} ${tenant}`;
		const crowd = this.#crowds.get(name) ?? { name, requests: 0, places: new Set() };
		this.#crowds.set(name, crowd);
		return crowd;
	}

	#end(request: Asked): void {
		const life = this.#of(request);
		if (!life) return;
		life.outcomes++;
		if (life.endedAt === null) this.#ended.push(life);
		life.endedAt = this.#world.clock.monotonic();
		if (life.outcomes > 1) this.#violate(life, 'has two outcomes');
	}

	#trace(request: Asked): void {
		const life = this.#of(request);
		if (!life) return;
		life.traces++;
		if (life.traces > 1) this.#violate(life, 'has two traces');
	}

	/** A while after the request ended. */
	#settle(life: Life): void {
		if (life.traces !== 1) this.#violate(life, `has ${life.traces} traces`);
		const [ticket] = life.held;
		if (ticket) {
			const what = ticket.claims.map(({ scope, limit, amount }) => `${amount} of ${limit} (${scope})`).join(', ');
			this.#violate(life, `ended and still holds ${what}`);
		}
		if (life.calls > 0) this.#violate(life, 'ended and its call to an upstream still runs');
		const crowd = this.#crowd(life.request.replica, `tenant${life.request.tenant}`);
		crowd.requests--;
		if (crowd.places.size > crowd.requests) {
			this.#violate(life, `ended, and ${crowd.name} holds ${crowd.places.size} places for ${crowd.requests} requests`);
		}
	}

	#of(request: Asked): Life | undefined {
		return this.#lives.get(request);
	}

	#violate({ request }: Life, message: string): void {
		this.#world.violate({ invariant: 1, message: `request ${request.n} ${message}`, request: request.n });
	}
}
