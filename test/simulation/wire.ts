import { PlimsollError } from '../../src/spec/errors.ts';
import type { Dice } from './dice.ts';
import type { ReplicaClock } from './replica-clock.ts';
import type { LinkPlan } from './scenario.ts';
import type { World } from './world.ts';

/** A connection on which an answer is overdue for so long is given up, as RedisLink does. */
export const SILENT_MS_MAX = 5_000;

type Fate = 'arrives' | 'breaks_before' | 'breaks_after' | 'vanishes_before' | 'vanishes_after';

export interface WireParts {
	readonly world: World;
	/** The clock of the process: with it ends what waits for an answer. */
	readonly clock: ReplicaClock;
	readonly plan: LinkPlan;
	readonly replica: { readonly id: string; readonly index: number };
	readonly dice: Dice;
}

/**
 * One process's connection to what is shared, as a TCP connection to Redis is: operations arrive in order, after a while;
 * or the connection breaks, or falls silent, and nobody knows whether they were carried out.
 */
export class Wire {
	readonly #parts: WireParts;
	#arrivesAt = 0;

	constructor(parts: WireParts) {
		this.#parts = parts;
	}

	/** What ails the connection now; null: nothing. */
	get trouble(): 'silent' | 'down' | null {
		const { plan, world, replica } = this.#parts;
		const now = world.clock.monotonic();
		const hit = plan.episodes.find(
			({ from, to, replica: whose }) => now >= from && now < to && (whose === null || whose === replica.index),
		);
		return hit?.kind ?? null;
	}

	/** @param lost told when the process does not learn what became of the operation; null: it was not carried out. */
	send<T>(what: string, run: () => Promise<T>, lost: (carriedOut: T | null) => unknown = () => {}): Promise<T> {
		const { clock, world } = this.#parts;
		const { promise, resolve, reject } = Promise.withResolvers<T>();
		const fate = this.#fate(what);
		const broken = () => new PlimsollError('limits_unavailable', 'simulated broken connection');
		world.clock.after(this.#delayOut(), async () => {
			const failsAfterMs = fate.startsWith('vanishes') ? SILENT_MS_MAX : this.#delay();
			if (fate.endsWith('before')) {
				lost(null);
				clock.after(failsAfterMs, () => reject(broken()));
				return;
			}
			const carriedOut = await run();
			// What was under way when its process died is carried out all the same.
			if (fate !== 'arrives' || clock.isStopped) lost(carriedOut);
			clock.after(failsAfterMs, () => (fate === 'arrives' ? resolve(carriedOut) : reject(broken())));
		});
		return promise;
	}

	#fate(what: string): Fate {
		const { plan, dice, world, replica } = this.#parts;
		const fate = this.#drawFate(plan, dice);
		if (fate !== 'arrives') world.observe({ kind: 'fault', what: 'network', note: `${replica.id} ${what} ${fate}` });
		return fate;
	}

	#drawFate(plan: LinkPlan, dice: Dice): Fate {
		switch (this.trouble) {
			case 'silent':
				return dice.pick(['vanishes_before', 'vanishes_after']);
			case 'down':
				return 'breaks_before';
			default:
				return dice.chance(plan.losses)
					? dice.pick(['breaks_before', 'breaks_after', 'vanishes_before', 'vanishes_after'])
					: 'arrives';
		}
	}

	/** TCP keeps the order of what is sent. */
	#delayOut(): number {
		const now = this.#parts.world.clock.monotonic();
		this.#arrivesAt = Math.max(this.#arrivesAt, now + this.#delay());
		return this.#arrivesAt - now;
	}

	#delay(): number {
		const { dice, plan } = this.#parts;
		// Nothing arrives later than that: the connection is given up, and what it had not delivered with it.
		return Math.min(dice.lognormal(plan.delayMs, dice.chance(0.01) ? 3 : 0.5), SILENT_MS_MAX);
	}
}
