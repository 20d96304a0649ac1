import type { RetrySettings } from '../contracts/project.ts';

/** The most retries that a budget saves up: what a quiet day earned must not feed a storm in the evening. */
const SAVED_MAX = 100;

/**
 * What retries may add, for each upstream and for each tenant (the retry budget of Finagle and Envoy). A request earns
 * `ratio` of a retry when it first asks an upstream, and asking it again costs one, for whatever reason: a retry, a guard
 * that refused, an escalation. So attempts at an upstream ≤ requests that asked it × (1 + ratio) + floor. The first ask is
 * free: it is what the request is for, and after a fail-over an outage would otherwise spend in a moment what the healthy
 * upstream needs.
 */
export class RetryBudgets {
	#settings: RetrySettings;
	readonly #upstreams = new Map<string, Balance>();
	/** In the order of their last use. */
	readonly #tenants = new Map<string, Balance>();

	constructor(settings: RetrySettings) {
		this.#settings = settings;
	}

	/** What is saved and spent stays; a new floor counts for budgets that begin from now on. */
	update(settings: RetrySettings): void {
		this.#settings = settings;
	}

	/** Call once when a request asks an upstream for the first time. */
	earn(upstream: string, tenant: string): void {
		const { ratio } = this.#settings;
		this.#ofUpstream(upstream).earn(ratio);
		this.#ofTenant(tenant).earn(ratio);
	}

	/** Whether both budgets have a retry left. */
	allows(upstream: string, tenant: string): boolean {
		return this.#ofUpstream(upstream).allows && this.#ofTenant(tenant).allows;
	}

	/** True, and a retry is spent from both budgets, when both have one. */
	spend(upstream: string, tenant: string): boolean {
		if (!this.allows(upstream, tenant)) return false;
		this.#ofUpstream(upstream).spend();
		this.#ofTenant(tenant).spend();
		return true;
	}

	/** Whole retries that an upstream's budget has left. */
	left(upstream: string): number {
		return Math.floor(this.#ofUpstream(upstream).left);
	}

	/** How many tenants' budgets are kept. */
	get tenants(): number {
		return this.#tenants.size;
	}

	#ofUpstream(name: string): Balance {
		let balance = this.#upstreams.get(name);
		if (!balance) {
			balance = new Balance(this.#settings.floor);
			this.#upstreams.set(name, balance);
		}
		return balance;
	}

	#ofTenant(name: string): Balance {
		const known = this.#tenants.get(name);
		if (known) this.#tenants.delete(name);
		const balance = known ?? new Balance(this.#settings.tenantFloor);
		this.#tenants.set(name, balance);
		if (this.#tenants.size > this.#settings.tenantsMax) {
			for (const oldest of this.#tenants.keys()) {
				if (this.#tenants.size <= this.#settings.tenantsMax) break;
				this.#tenants.delete(oldest);
			}
		}
		return balance;
	}
}

class Balance {
	left: number;

	constructor(floor: number) {
		this.left = floor;
	}

	earn(ratio: number): void {
		if (this.left < SAVED_MAX) this.left = Math.min(SAVED_MAX, this.left + ratio);
	}

	get allows(): boolean {
		return this.left >= 1;
	}

	spend(): void {
		this.left -= 1;
	}
}
