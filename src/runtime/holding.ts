import type { Priority } from '../spec/priority.ts';

/** Weight of the latest in the average time for which a place is held. */
const LATEST_WEIGHT = 0.1;

interface Holder {
	readonly tenantId: string;
	readonly priority: Priority;
}

interface TenantHolding {
	running: number;
	/** Null: none of its requests has ended yet, of those since it was last without any. */
	heldMs: number | null;
}

const NONE: Readonly<TenantHolding> = { running: 0, heldMs: null };

/** Places that are held, by tenant and priority, and for how long they are on average. */
export class Holding {
	readonly #tenants = new Map<string, TenantHolding>();
	readonly #running: Record<Priority, number> = { interactive: 0, batch: 0 };
	#heldMs: number | null = null;

	get total(): number {
		return this.#running.interactive + this.#running.batch;
	}

	get byPriority(): Readonly<Record<Priority, number>> {
		return { ...this.#running };
	}

	/** Of all tenants; null: none has ended yet. */
	get heldMs(): number | null {
		return this.#heldMs;
	}

	of(tenantId: string): Readonly<TenantHolding> {
		return this.#tenants.get(tenantId) ?? NONE;
	}

	tenants(): Iterable<string> {
		return this.#tenants.keys();
	}

	enter({ tenantId, priority }: Holder): void {
		this.#running[priority]++;
		const own = this.#tenants.get(tenantId);
		if (own) own.running++;
		else this.#tenants.set(tenantId, { running: 1, heldMs: null });
	}

	/** @param heldMs null: it was not used. */
	leave({ tenantId, priority }: Holder, heldMs: number | null): void {
		this.#running[priority]--;
		if (heldMs !== null) this.#heldMs = averaged(this.#heldMs, heldMs);
		const own = this.#tenants.get(tenantId);
		if (!own) return;
		own.running--;
		if (heldMs !== null) own.heldMs = averaged(own.heldMs, heldMs);
		if (own.running === 0) this.#tenants.delete(tenantId);
	}
}

function averaged(before: number | null, latest: number): number {
	return before === null ? latest : before + LATEST_WEIGHT * (latest - before);
}
