import type { Clock } from '../../src/base/clock.ts';
import { sleep } from '../../src/base/clock.ts';
import { PlimsollError } from '../../src/spec/errors.ts';
import type { Allowance } from '../../src/spec/records.ts';
import type { Dice } from './dice.ts';
import type { World } from './world.ts';

/** What one place keeps on disk of its costs. It outlives processes; a write takes a while and may fail. */
export class Disk {
	readonly #world: World;
	readonly #dice: Dice;
	readonly #rows = new Map<string, Allowance>();

	constructor(world: World, dice: Dice) {
		this.#world = world;
		this.#dice = dice;
	}

	/** As one process sees it: an answer reaches it only while it lives. */
	store(clock: Clock) {
		return {
			putAllowances: async (allowances: readonly Allowance[]): Promise<void> => {
				if (this.#dice.chance(0.01)) {
					this.#world.observe({ kind: 'fault', what: 'disk', note: 'a write failed' });
					throw new PlimsollError('storage_failed', 'The disk is full, as simulated.');
				}
				await sleep(this.#world.clock, this.#dice.between(0, 3));
				for (const row of allowances) {
					this.#rows.set(`${row.tenantId} ${row.scope} ${row.limit} ${row.until}`, row);
				}
				await sleep(clock, this.#dice.between(0, 1));
			},
			listAllowances: async (now: number): Promise<readonly Allowance[]> =>
				[...this.#rows.values()].filter(({ until }) => until > now),
		};
	}
}
