import type { Asked, Checker, Observation } from '../observation.ts';
import type { World } from '../world.ts';

/** For each unit of weight that another tenant has more. One, but that some requests hold their place several times as long as others, and count so. */
const TURNS = 8;
/** Those that had their place when it came. */
const SLACK = 2;

/** What a queue tells those whom it does not let wait, or not for longer. */
const REFUSALS: ReadonlySet<string> = new Set(['queue_full', 'queue_deadline', 'concurrency_exceeded']);

/** A request that has no other of its tenant before it, and what others had meanwhile. */
interface Waiting {
	readonly request: Asked;
	/** By tenant. */
	readonly started: Map<number, number>;
}

/**
 * 6: while a request waits that is its tenant's only one, no other tenant begins more than a few, in proportion to its
 * weight; and it gets its place. Looked at where nothing fails: a failing upstream makes everyone wait.
 */
export class NoTenantIsPushedAside implements Checker {
	readonly invariant = 6;
	readonly promise = 'while a tenant’s only request waits, no other tenant begins more than a few';
	readonly #world: World;
	readonly #weightOf: (tenant: number) => number;
	/** Of each process and tenant, how many are inside. */
	readonly #inside = new Map<string, number>();
	readonly #waiting = new Map<Asked, Waiting>();
	readonly #begun = new WeakSet<Asked>();

	constructor(world: World, weightOf: (tenant: number) => number) {
		this.#world = world;
		this.#weightOf = weightOf;
	}

	see(seen: Observation): void {
		switch (seen.kind) {
			case 'entered': {
				const { request } = seen;
				if (this.#change(request, 1) === 1 && seen.waitsForNothingElse) {
					this.#waiting.set(request, { request, started: new Map() });
				}
				return;
			}
			case 'called':
				this.#waiting.delete(seen.call.request);
				this.#begin(seen.call.request);
				return;
			case 'ended':
				this.#change(seen.request, -1);
				if (this.#waiting.delete(seen.request) && REFUSALS.has(seen.error?.code ?? '')) {
					const { tenant, n } = seen.request;
					const message = `the only request of tenant${tenant} got no place: ${seen.error?.code}`;
					this.#world.violate({ invariant: 6, message, request: n });
				}
		}
	}

	#begin(request: Asked): void {
		if (this.#begun.has(request)) return;
		this.#begun.add(request);
		for (const waiting of this.#waiting.values()) {
			if (waiting.request.replica !== request.replica) continue;
			const started = (waiting.started.get(request.tenant) ?? 0) + 1;
			waiting.started.set(request.tenant, started);
			const { tenant, n } = waiting.request;
			const share = Math.max(1, this.#weightOf(request.tenant) / this.#weightOf(tenant));
			const most = Math.ceil(TURNS * share) + SLACK;
			if (started <= most) continue;
			const message = `tenant${request.tenant} began ${started} requests while the only one of tenant${tenant} waited; ${most} are allowed`;
			this.#world.violate({ invariant: 6, message, request: n });
		}
	}

	#change({ replica, tenant }: Asked, by: number): number {
		const key = `${replica} ${tenant}`;
		const inside = (this.#inside.get(key) ?? 0) + by;
		this.#inside.set(key, inside);
		return inside;
	}
}
