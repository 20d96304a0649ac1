import type { Asked, Checker, Observation } from '../observation.ts';
import type { World } from '../world.ts';

/** What the manual promises of one process: a retry for every five requests, after the first ten. */
const RETRY = { ratio: 0.2, floor: 10 };

interface Tally {
	readonly requests: Set<Asked>;
	readonly attempts: Map<string, number>;
}

/** 4: attempts at an upstream ≤ requests × (1 + ratio) + floor, in each process. */
export class RetriesAreBounded implements Checker {
	readonly invariant = 4;
	readonly promise = `attempts at an upstream ≤ requests × ${1 + RETRY.ratio} + ${RETRY.floor}`;
	readonly #world: World;
	readonly #tallies = new Map<string, Tally>();

	constructor(world: World) {
		this.#world = world;
	}

	see(seen: Observation): void {
		if (seen.kind !== 'called') return;
		const { replica, request, upstream } = seen.call;
		const tally = this.#tallies.get(replica) ?? { requests: new Set(), attempts: new Map() };
		this.#tallies.set(replica, tally);
		tally.requests.add(request);
		const attempts = (tally.attempts.get(upstream) ?? 0) + 1;
		tally.attempts.set(upstream, attempts);
		const most = tally.requests.size * (1 + RETRY.ratio) + RETRY.floor;
		if (attempts <= most) return;
		this.#world.violate({
			invariant: 4,
			message: `${attempts} attempts of ${replica} at ${upstream} for ${tally.requests.size} requests; ${most.toFixed(1)} are allowed`,
			request: request.n,
		});
	}
}
