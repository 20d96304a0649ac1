import type { Asked, Call, Checker, Observation } from '../observation.ts';
import type { World } from '../world.ts';

interface Running {
	readonly call: Call;
	/** Another call of its request ran at some moment beside it. */
	raced: boolean;
}

interface Calls {
	readonly running: Running[];
	/** Two ran at once at some moment. */
	hasRaced: boolean;
	/** One of two is whole: the other has no reason to run any more. */
	isWon: boolean;
}

/**
 * 7: a request has two calls at once at most, and only where its contract hedges. When one of them is whole, the other is
 * cancelled in the same event, so that no provider completes both. The trace has them both.
 */
export class OneOfTwo implements Checker {
	readonly invariant = 7;
	readonly promise = 'of two calls at once one is completed, the other cancelled, and both are in the trace';
	readonly #world: World;
	readonly #requests = new Map<Asked, Calls>();
	readonly #dead = new Set<string>();
	/** Requests one of whose calls was whole in this event. */
	readonly #won = new Set<Asked>();

	constructor(world: World) {
		this.#world = world;
	}

	see(seen: Observation): void {
		switch (seen.kind) {
			case 'called':
				this.#begin(seen.call);
				return;
			case 'billed':
				this.#end(seen.call, seen.bill?.reported ?? false);
				return;
			case 'traced': {
				// What a dead process still says, nobody hears.
				if (this.#dead.has(seen.request.replica)) return;
				const attempts = seen.trace.steps.flatMap((step) => step.attempts);
				const isHedged = attempts.length > 1 && attempts.some(({ kind }) => kind === 'hedge');
				if (this.#requests.get(seen.request)?.hasRaced && !isHedged) {
					this.#violate(seen.request, 'two calls were made at once, and its trace does not have both');
				}
				return;
			}
			case 'ended':
				if ((this.#requests.get(seen.request)?.running.length ?? 0) === 0) this.#requests.delete(seen.request);
				return;
			case 'crashed':
				this.#dead.add(seen.replica);
				for (const request of this.#requests.keys()) {
					if (request.replica === seen.replica) this.#requests.delete(request);
				}
		}
	}

	afterEvent(): void {
		for (const request of this.#won) {
			const left = this.#requests.get(request)?.running[0];
			if (left) this.#violate(request, `one of two calls is whole, and that at ${left.call.upstream} runs on`);
		}
		this.#won.clear();
	}

	#begin(call: Call): void {
		const { request } = call;
		const calls = this.#requests.get(request) ?? { running: [], hasRaced: false, isWon: false };
		this.#requests.set(request, calls);
		const beside = calls.running.length;
		if (beside === 0) calls.isWon = false;
		calls.running.push({ call, raced: beside > 0 });
		if (beside === 0) return;
		calls.hasRaced = true;
		for (const one of calls.running) one.raced = true;
		if (beside > 1) this.#violate(request, `${beside + 1} calls run at once`);
		if (request.model !== 'hedged')
			this.#violate(request, `two calls of ${request.model} run at once, which does not hedge`);
	}

	#end(call: Call, isWhole: boolean): void {
		const { request } = call;
		const calls = this.#requests.get(request);
		const at = calls?.running.findIndex((one) => one.call === call) ?? -1;
		const [ended] = at === -1 ? [] : (calls?.running.splice(at, 1) ?? []);
		if (!calls || !ended?.raced || !isWhole) return;
		if (calls.isWon) this.#violate(request, 'both of two calls at once were completed and charged');
		calls.isWon = true;
		this.#won.add(request);
	}

	#violate({ n }: Asked, message: string): void {
		this.#world.violate({ invariant: 7, message: `request ${n}: ${message}`, request: n });
	}
}
