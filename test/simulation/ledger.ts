import type { LimitName, Ticket } from '../../src/spec/shared-state.ts';
import { SKEW_MS_MAX } from './scenario.ts';

interface Entry {
	readonly tenant: string;
	readonly scope: string;
	readonly limit: LimitName;
	readonly until: number;
	/** When it vanishes unless it is settled before; 0: it is settled. */
	readonly expires: number;
	amount: number;
	/** Of it what nobody could have kept from passing the cap: used beyond the reservation, or settled after its end. */
	excess: number;
}

/** One counter of one tenant with all that was ever put in it and may still count. */
export interface Account {
	readonly tenant: string;
	readonly scope: string;
	readonly limit: LimitName;
	entries: Entry[];
}

/**
 * A second bookkeeping of one set of counters, from what was granted and settled there, as plain as can be: a list of
 * entries. It knows only world time; clocks of processes may be off by SKEW_MS_MAX.
 */
export class Ledger {
	readonly #accounts = new Map<string, Account>();

	/** The counters that grew. */
	grant(ticket: Ticket): readonly Account[] {
		return ticket.claims.flatMap(({ scope, limit, amount }, at) => {
			// A claim of nothing only asks how things stand.
			if (amount === 0) return [];
			const account = this.#account(ticket.tenantId, scope, limit);
			const until = ticket.until[at] ?? 0;
			const expires = limit === 'requests_per_minute' ? 0 : ticket.expiresAt;
			this.#add(account, { until, expires, amount, excess: 0 });
			return account;
		});
	}

	/** @param now world time. */
	settle(ticket: Ticket, actual: readonly number[], now: number): void {
		for (const [at, { scope, limit, amount }] of ticket.claims.entries()) {
			if (limit === 'requests_per_minute') continue;
			const account = this.#account(ticket.tenantId, scope, limit);
			const until = ticket.until[at] ?? 0;
			this.#take(account, { until, expires: ticket.expiresAt, amount });
			const used = actual[at] ?? 0;
			const isLate = ticket.expiresAt <= now + SKEW_MS_MAX;
			if (used > 0 && until > 0) {
				this.#add(account, { until, expires: 0, amount: used, excess: isLate ? used : Math.max(0, used - amount) });
			}
		}
	}

	/** The process that held it is gone and its counters with it, but for what was spent. */
	spend(ticket: Ticket, billed: number): void {
		for (const [at, { scope, limit, amount }] of ticket.claims.entries()) {
			const account = this.#account(ticket.tenantId, scope, limit);
			const until = ticket.until[at] ?? 0;
			this.#take(account, { until, expires: ticket.expiresAt, amount });
			if (isMoney(limit) && billed > 0) this.#add(account, { until, expires: 0, amount: billed, excess: 0 });
		}
	}

	/** Minutes and places begin anew; costs do not. */
	forgetAllButMoney(): void {
		for (const [key, account] of this.#accounts) if (!isMoney(account.limit)) this.#accounts.delete(key);
	}

	/**
	 * The most that the counter holds of any window, without its excess: what every clock agrees still counts. Of a day or
	 * month all that was ever counted to it, whatever the time.
	 */
	held({ entries, limit }: Account, now: number): number {
		const certain = now + SKEW_MS_MAX;
		if (!isMoney(limit)) {
			const isPlace = limit === 'concurrent_requests';
			return entries
				.filter(({ until, expires }) => (expires === 0 || expires > certain) && (isPlace || until > certain))
				.reduce((total, { amount, excess }) => total + amount - excess, 0);
		}
		const windows = new Map<number, number>();
		for (const entry of entries) {
			if (entry.expires !== 0 && entry.expires <= certain) continue;
			windows.set(entry.until, (windows.get(entry.until) ?? 0) + entry.amount - entry.excess);
		}
		return Math.max(0, ...windows.values());
	}

	get accounts(): readonly Account[] {
		return [...this.#accounts.values()];
	}

	#account(tenantId: string, scope: string, limit: LimitName): Account {
		// An organisation's counters are nobody's, and all of its tenants'.
		const tenant = scope.startsWith('organisation:') ? '' : tenantId;
		const key = `${tenant} ${scope} ${limit}`;
		const known = this.#accounts.get(key);
		if (known) return known;
		const account = { tenant, scope, limit, entries: [] };
		this.#accounts.set(key, account);
		return account;
	}

	#add({ entries, tenant, scope, limit }: Account, more: Pick<Entry, 'until' | 'expires' | 'amount' | 'excess'>): void {
		const same = entries.find(({ until, expires }) => until === more.until && expires === more.expires);
		if (same === undefined) entries.push({ tenant, scope, limit, ...more });
		else {
			same.amount += more.amount;
			same.excess += more.excess;
		}
	}

	#take(account: Account, less: Pick<Entry, 'until' | 'expires' | 'amount'>): void {
		const same = account.entries.find(({ until, expires }) => until === less.until && expires === less.expires);
		if (same === undefined) return;
		same.amount -= less.amount;
		if (same.amount <= 0) account.entries = account.entries.filter((entry) => entry !== same);
	}

	/** Drops what no clock counts any more. */
	forget(account: Account, now: number): void {
		const certain = now - SKEW_MS_MAX;
		account.entries = account.entries.filter(({ until, expires }) => {
			if (expires !== 0 && expires <= certain) return false;
			return account.limit === 'concurrent_requests' || until > certain;
		});
	}
}

function isMoney(limit: LimitName): boolean {
	return limit === 'cost_usd_per_day' || limit === 'cost_usd_per_month';
}
