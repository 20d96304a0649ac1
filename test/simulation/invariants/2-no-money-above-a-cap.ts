import type { LimitName, Ticket } from '../../../src/spec/shared-state.ts';
import type { RequestTrace } from '../../../src/spec/trace.ts';
import { type Account, Ledger } from '../ledger.ts';
import { SHARED } from '../link.ts';
import type { Asked, Bill, Call, Checker, Observation } from '../observation.ts';
import { COST_CAPS } from '../scenario.ts';
import type { World } from '../world.ts';

/** Where the checker looks up what it cannot observe. */
interface Facts {
	/** What one counter of a set of counters may hold; null: nothing limits it. */
	capOf(counters: string, account: Account): number | null;
	/** What the shared counters say to be reserved still. */
	reservedOf(accounts: readonly Account[]): Promise<readonly number[]>;
}

/** What an upstream without a price is taken to cost, micro-dollars per million tokens. The manual says so. */
const UNKNOWN = { inputMicrosPerMillion: 30_000_000, outputMicrosPerMillion: 180_000_000 };

/** What a request holds for a call, and what the provider has charged since. */
interface Reserved {
	readonly ticket: Ticket;
	calls: number;
	charges: number;
	tokens: number;
	micros: number;
	/** Whether the provider told of every charge. */
	isReported: boolean;
}

/** 2: what is reserved and settled never passes a cap; what a call costs is counted, and never as nothing. */
export class NoMoneyAboveACap implements Checker {
	readonly invariant = 2;
	readonly promise = 'reserved and settled never pass a cap; no call is free by mistake';
	readonly #world: World;
	readonly #facts: Facts;
	readonly #ledgers = new Map<string, Ledger>();
	/** Counters that grew in this event. What an edit lowered below what is in use only must not grow. */
	readonly #touched = new Map<Account, string>();
	readonly #reserved = new Map<Asked, Reserved[]>();
	/** What each call that runs is paid from. */
	readonly #paying = new Map<Call, Reserved>();
	readonly #excused = new Set<Ticket>();
	/** Tickets of each set of counters that are out, with who holds them. */
	readonly #out = new Map<Ticket, { readonly counters: string; readonly replica: string }>();

	constructor(world: World, facts: Facts) {
		this.#world = world;
		this.#facts = facts;
	}

	see(seen: Observation): void {
		switch (seen.kind) {
			case 'granted': {
				if (seen.ticket.claims.some(({ limit }) => limit !== 'requests_per_minute')) this.#out.set(seen.ticket, seen);
				const accounts = this.#ledger(seen.counters).grant(seen.ticket);
				for (const account of accounts) this.#touched.set(account, seen.counters);
				return;
			}
			case 'settled': {
				this.#out.delete(seen.ticket);
				this.#ledger(seen.counters).settle(seen.ticket, seen.actual, this.#world.clock.now());
				return;
			}
			case 'orphaned':
				this.#excused.add(seen.ticket);
				return;
			case 'held':
				if (seen.by.request !== null) this.#hold(seen.by.request, seen.ticket);
				return;
			case 'called':
				this.#call(seen.call);
				return;
			case 'given_back':
				if (seen.by.request !== null) this.#givenBack(seen.by.request, seen.ticket, seen.actual);
				return;
			case 'billed':
				this.#bill(seen.call, seen.bill);
				return;
			case 'ended':
				this.#reserved.delete(seen.request);
				return;
			case 'traced':
				this.#trace(seen.request, seen.trace);
				return;
			case 'crashed':
				this.#crash(seen.replica, seen.counters);
				return;
		}
	}

	afterEvent(): void {
		const now = this.#world.clock.now();
		for (const [account, counters] of this.#touched) {
			const ledger = this.#ledger(counters);
			ledger.forget(account, now);
			const cap = this.#facts.capOf(counters, account);
			const held = ledger.held(account, now);
			if (cap !== null && held > cap) {
				const { tenant, scope, limit } = account;
				this.#violate(
					`${held} of ${limit} of ${tenant || 'all'} (${scope}) are used or reserved in ${counters}; the cap is ${cap}`,
					null,
				);
			}
		}
		this.#touched.clear();
	}

	async atRest(): Promise<void> {
		const accounts = this.#ledger(SHARED).accounts;
		for (const [at, reserved] of (await this.#facts.reservedOf(accounts)).entries()) {
			const { tenant, scope, limit } = accounts[at] as Account;
			if (reserved > 0) this.#violate(`${reserved} of ${limit} of ${tenant} (${scope}) stay reserved for ever`, null);
		}
		for (const [ticket, { counters }] of this.#out) {
			if (this.#excused.has(ticket) || counters !== SHARED) continue;
			const claim = ticket.claims.find(({ limit, amount }) => amount > 0 && limit !== 'requests_per_minute');
			if (claim) this.#violate(`${claim.amount} of ${claim.limit} of ${ticket.tenantId} were never settled`, null);
		}
	}

	/** Exactly what the provider charged, where it said so; at least that, where the call was counted by ourselves. */
	#givenBack(request: Asked, ticket: Ticket, actual: readonly number[]): void {
		const all = this.#reserved.get(request) ?? [];
		const reserved = all.find((one) => one.ticket === ticket);
		if (reserved === undefined) return;
		all.splice(all.indexOf(reserved), 1);
		for (const [at, { limit, amount, scope }] of ticket.claims.entries()) {
			const charged = chargedFor(limit, reserved);
			if (charged === null) continue;
			const settled = actual[at] ?? 0;
			const isRight = reserved.isReported ? settled === charged : settled >= Math.min(charged, amount);
			if (isRight) continue;
			this.#violate(`${charged} of ${limit} (${scope}) were charged by the provider and ${settled} settled`, request);
		}
	}

	#hold(request: Asked, ticket: Ticket): void {
		const reserved = this.#reserved.get(request) ?? [];
		this.#reserved.set(request, reserved);
		reserved.push({ ticket, calls: 0, charges: 0, tokens: 0, micros: 0, isReported: true });
	}

	/** A call follows its reservation at once, also where two run beside each other. */
	#call(call: Call): void {
		const reserved = this.#reserved.get(call.request) ?? [];
		const own = reserved.findLast(({ calls }) => calls === 0) ?? reserved.at(-1);
		if (own === undefined) return;
		own.calls++;
		this.#paying.set(call, own);
	}

	/** A request costs what its attempts cost, whether they were of use or not, and no more than its contract allows. */
	#trace(request: Asked, { steps, cost_usd_micros: total, feature }: RequestTrace): void {
		const attempts = steps.flatMap((step) => step.attempts);
		for (const { outcome, upstream, cost_usd_micros: cost } of attempts) {
			if (outcome === 'ok' && cost <= 0) this.#violate(`an answer of ${upstream} cost nothing in the trace`, request);
		}
		const sum = attempts.reduce((micros, { cost_usd_micros: cost }) => micros + cost, 0);
		if (sum !== total)
			this.#violate(`attempts cost ${sum} micro-dollars in the trace, and their request ${total}`, request);
		const cap = COST_CAPS[feature as keyof typeof COST_CAPS] ?? Number.POSITIVE_INFINITY;
		if (total > cap) this.#violate(`a request cost ${total} micro-dollars; its contract allows ${cap}`, request);
	}

	#bill(call: Call, bill: Bill | null): void {
		const reserved = this.#paying.get(call);
		this.#paying.delete(call);
		if (!reserved || bill === null) return;
		const { price } = call;
		const { inputMicrosPerMillion, outputMicrosPerMillion } = price ?? UNKNOWN;
		reserved.charges++;
		reserved.tokens += bill.tokensIn + bill.tokensOut;
		reserved.isReported &&= bill.reported;
		reserved.micros += Math.ceil(
			(bill.tokensIn * inputMicrosPerMillion + bill.tokensOut * outputMicrosPerMillion) / 1_000_000,
		);
	}

	#crash(replica: string, ownCounters: string | null): void {
		for (const [ticket, out] of this.#out) {
			if (out.replica !== replica) continue;
			this.#excused.add(ticket);
			// Places of a dead process come back by themselves; its own counters die with it, but for what is on disk.
			if (out.counters !== ownCounters) continue;
			const holder = [...this.#reserved.values()].flat().find((reserved) => reserved.ticket === ticket);
			this.#ledger(out.counters).spend(ticket, holder?.micros ?? 0);
			this.#out.delete(ticket);
		}
		if (ownCounters !== null) this.#ledger(ownCounters).forgetAllButMoney();
		for (const request of this.#reserved.keys()) if (request.replica === replica) this.#reserved.delete(request);
		for (const call of this.#paying.keys()) if (call.replica === replica) this.#paying.delete(call);
	}

	#ledger(counters: string): Ledger {
		const known = this.#ledgers.get(counters);
		if (known) return known;
		const ledger = new Ledger();
		this.#ledgers.set(counters, ledger);
		return ledger;
	}

	#violate(message: string, request: Asked | null): void {
		this.#world.violate({ invariant: 2, message, request: request?.n ?? null });
	}
}

function chargedFor(limit: LimitName, { charges, tokens, micros }: Reserved): number | null {
	if (charges === 0) return null;
	switch (limit) {
		case 'tokens_per_minute':
			return tokens;
		case 'cost_usd_per_day':
		case 'cost_usd_per_month':
			return micros;
		default:
			return null;
	}
}
