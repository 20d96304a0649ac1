import type { RetrySettings } from '../../../src/contracts/project.ts';
import type { Asked, Call, Checker, Observation } from '../observation.ts';
import type { World } from '../world.ts';

/** What an upstream or a tenant has asked for, in one process. */
interface Account {
	firstAsks: number;
	attempts: number;
}

/**
 * 4: attempts at an upstream ≤ requests that asked it × (1 + ratio) + floor, in each process; and so for each tenant. A call
 * that is made while another one of its request runs is a hedge, and no first one.
 */
export class RetriesAreBounded implements Checker {
	readonly invariant = 4;
	readonly promise = 'attempts ≤ requests × (1 + ratio) + floor, at each upstream and of each tenant';
	readonly #world: World;
	readonly #settings: RetrySettings;
	readonly #accounts = new Map<string, Account>();
	readonly #asked = new Map<Asked, Set<string>>();
	readonly #running = new Set<Call>();

	constructor(world: World, settings: RetrySettings) {
		this.#world = world;
		this.#settings = settings;
	}

	see(seen: Observation): void {
		if (seen.kind === 'ended') this.#asked.delete(seen.request);
		if (seen.kind === 'billed') this.#running.delete(seen.call);
		if (seen.kind !== 'called') return;
		const { replica, request, upstream } = seen.call;
		const isHedge = [...this.#running].some((call) => call.request === request);
		this.#running.add(seen.call);
		const asked = this.#asked.get(request) ?? new Set();
		this.#asked.set(request, asked);
		const isFirst = !asked.has(upstream) && !isHedge;
		asked.add(upstream);
		const { floor, tenantFloor } = this.#settings;
		this.#count(`${upstream} from ${replica}`, { isFirst, floor, request });
		this.#count(`tenant${request.tenant} in ${replica}`, { isFirst, floor: tenantFloor, request });
	}

	#count(name: string, call: { isFirst: boolean; floor: number; request: Asked }): void {
		const account = this.#accounts.get(name) ?? { firstAsks: 0, attempts: 0 };
		this.#accounts.set(name, account);
		account.attempts++;
		if (call.isFirst) account.firstAsks++;
		const most = account.firstAsks * (1 + this.#settings.ratio) + call.floor;
		// Ratios are added up one by one: a sum of a thousand tenths is not quite a hundred.
		if (account.attempts <= most + 1e-6) return;
		const message = `${account.attempts} attempts of ${name} for ${account.firstAsks} first ones; ${most.toFixed(1)} are allowed`;
		this.#world.violate({ invariant: 4, message, request: call.request.n });
	}
}
