import type { Asked, Call, Checker, Observation } from '../observation.ts';
import type { World } from '../world.ts';

/** What is known of one key of one tenant. */
interface KeyLife {
	running: Asked | null;
	/** The body on record; undefined: none is; null: one is, and its body is not kept. */
	recorded: string | null | undefined;
	/** How often an upstream with side effects has worked for it. */
	acted: number;
}

/** 3: one idempotency key, one execution at a time, none after its answer is on record, and side effects at most once. */
export class OneKeyOneExecution implements Checker {
	readonly invariant = 3;
	readonly promise = 'one idempotency key has at most one execution, and side effects once';
	readonly #world: World;
	readonly #acts: (upstream: string) => boolean;
	readonly #keys = new Map<string, KeyLife>();
	readonly #keyOf = new Map<Asked, string>();

	constructor(world: World, acts: (upstream: string) => boolean) {
		this.#world = world;
		this.#acts = acts;
	}

	see(seen: Observation): void {
		switch (seen.kind) {
			case 'execution':
				if (seen.phase === 'begins') this.#begin(seen.key, seen.request);
				else this.#of(seen.key).running = null;
				return;
			case 'recorded':
				this.#of(seen.key).recorded = seen.body;
				return;
			case 'repeated':
				this.#repeat(seen.key, seen.body, seen.request);
				return;
			case 'billed':
				if (seen.bill !== null) this.#act(seen.call);
				return;
			case 'ended':
				this.#keyOf.delete(seen.request);
				return;
			case 'crashed':
				for (const life of this.#keys.values()) if (life.running?.replica === seen.replica) life.running = null;
		}
	}

	#begin(key: string, request: Asked): void {
		const life = this.#of(key);
		if (life.running !== null) this.#violate(`is executed while request ${life.running.n} executes its key`, request);
		if (life.recorded !== undefined) this.#violate('is executed when the answer to its key is on record', request);
		life.running = request;
		this.#keyOf.set(request, key);
	}

	#repeat(key: string, body: string, request: Asked): void {
		const { recorded } = this.#of(key);
		if (typeof recorded === 'string' && recorded !== body)
			this.#violate('gets another answer than is on record', request);
	}

	#act({ request, upstream }: Call): void {
		const key = this.#keyOf.get(request);
		if (key === undefined || !this.#acts(upstream)) return;
		const acted = ++this.#of(key).acted;
		if (acted > 1) this.#violate(`makes ${upstream} act ${acted} times for one key`, request);
	}

	#of(key: string): KeyLife {
		const life = this.#keys.get(key) ?? { running: null, recorded: undefined, acted: 0 };
		this.#keys.set(key, life);
		return life;
	}

	#violate(message: string, { n }: Asked): void {
		this.#world.violate({ invariant: 3, message: `request ${n} ${message}`, request: n });
	}
}
