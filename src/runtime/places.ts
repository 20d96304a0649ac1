import type { Clock } from '../base/clock.ts';
import type { AdmissionConfig } from '../contracts/project.ts';
import { FairQueue, type Queued } from '../policy/fair-queue.ts';
import { organisationOf } from '../policy/limits.ts';
import { estimateWaitMs } from '../policy/queue-wait.ts';
import { PlimsollError } from '../spec/errors.ts';
import { PRIORITIES, type Priority } from '../spec/priority.ts';
import type { Refusal } from '../spec/shared-state.ts';
import { Holding } from './holding.ts';
import { fullQueue, noPlace, overloaded, tooLate } from './queue-refusal.ts';

/** Batch work leaves so much of the places to interactive work that has not come yet. */
const BATCH_SHARE = 0.75;
/** How often places that other replicas may have given back are asked for. */
const SHARED_POLL_MS = 100;
/** The same where all places are this process's own: their release wakes whoever waits, and this only makes sure of it. */
const LOCAL_POLL_MS = 1_000;

/** The tenant's own limits on requests at once. */
export interface Leases {
	/** The scopes that have one. */
	readonly scopes: readonly string[];
	/** Null when all scopes had a place. */
	take(): Promise<Refusal | null>;
	/** The error for a refusal that nobody waits out. */
	refused(refusal: Refusal): PlimsollError;
}

/** A request that wants to run. */
export interface PlaceAsk {
	readonly tenantId: string;
	readonly weight: number;
	readonly priority: Priority;
	/** Until its deadline. */
	readonly remainingMs: number;
	/** Aborts at the deadline, and when the client leaves. */
	readonly signal: AbortSignal;
	readonly leases: Leases | null;
}

/** The right to run. */
export interface Place {
	readonly queuedMs: number;
	/** In the queue of its tenant and priority when it joined, from 1; 0: it did not wait. */
	readonly position: number;
	/** Gives the place to whoever is next. Only the first call counts. */
	leave(): void;
}

interface Waiting {
	readonly ask: PlaceAsk;
	readonly sinceMs: number;
	/** It has its place, or its refusal. */
	isOver: boolean;
	readonly resolve: (place: Place) => void;
	readonly reject: (error: unknown) => void;
}

/** How things stand, for operators. */
export interface PlacesView {
	/** How many may run now, and at most. */
	readonly limit: number;
	readonly max: number;
	readonly running: Readonly<Record<Priority, number>>;
	readonly queued: Readonly<Record<Priority, number>>;
	readonly tenants: readonly {
		readonly tenantId: string;
		readonly running: number;
		readonly queued: Readonly<Record<Priority, number>>;
	}[];
}

/**
 * Who runs and who waits. A request passes when a place of the server is free and its tenant's own limits have one;
 * else it waits its turn in a fair queue. The limits' places may be shared with other replicas: whoever was refused one
 * tries again when a place of that scope is given back here, and every so often for those given back elsewhere.
 */
export class Places {
	readonly #clock: Clock;
	readonly #isShared: () => boolean;
	readonly #queue = new FairQueue<Waiting>();
	readonly #holding = new Holding();
	/** Scopes, with their tenant, whose limit refused the last one who asked. */
	readonly #blocked = new Set<string>();
	/** Scopes that someone from the queue is just asking: one at a time, so that nobody overtakes. */
	readonly #asking = new Set<string>();
	/** Whose they are that stand outside the queue while they ask: they may have to go back to it. */
	readonly #askers: string[] = [];
	#rules: AdmissionConfig;
	#limit: number;
	/** How often places of limits were given back. */
	#releases = 0;
	#cancelPoll: (() => void) | null = null;
	/** What whoever would have to wait is told; null while the server is open. */
	#closing: PlimsollError | null = null;

	/** @param parts.isShared whether other replicas give back places of the same limits. */
	constructor(parts: { clock: Clock; isShared: () => boolean }, rules: AdmissionConfig) {
		this.#clock = parts.clock;
		this.#isShared = parts.isShared;
		this.#rules = rules;
		this.#limit = rules.concurrentRequestsMax;
	}

	get running(): number {
		return this.#holding.total;
	}

	/** What was configured last. */
	get rules(): AdmissionConfig {
		return this.#rules;
	}

	/** How many may run now. */
	get limit(): number {
		return this.#limit;
	}

	/** Puts new rules in force; who waits already stays. */
	update(rules: AdmissionConfig): void {
		const isLowered = rules.adaptiveMin !== null && this.#limit < this.#rules.concurrentRequestsMax;
		this.#rules = rules;
		this.setLimit(isLowered ? Math.min(this.#limit, rules.concurrentRequestsMax) : rules.concurrentRequestsMax);
	}

	setLimit(limit: number): void {
		this.#limit = limit;
		this.#dispatch();
	}

	/**
	 * A place, at once or when it is this request's turn. Throws `queue_full`, `queue_deadline` or `overloaded`; without a
	 * queue `concurrency_exceeded` or the limit's own refusal; and what the signal aborts with when that is not time.
	 */
	async enter(ask: PlaceAsk): Promise<Place> {
		let refusal: Refusal | null = null;
		if (this.#mayPass(ask)) {
			const place = this.#take(ask, { queuedMs: 0, position: 0 });
			if (ask.leases === null) return this.#passed(place, ask);
			refusal = await this.#claim(ask.leases, place);
			if (refusal === null) return this.#passed(place, ask);
			place.withdraw();
			this.#block(ask, refusal);
		}
		try {
			return this.#wait(ask, refusal);
		} catch (thrown) {
			// Whoever came while it asked found its place taken, and none waits because of it any more.
			this.#dispatch();
			throw thrown;
		}
	}

	/** Leases of these scopes were given back. */
	freed(tenantId: string, scopes: readonly string[]): void {
		if (scopes.length === 0) return;
		this.#releases++;
		for (const scope of scopes) this.#blocked.delete(scopeKey(tenantId, scope));
		this.#dispatch();
	}

	/** Milliseconds until a newcomer would get its place behind a full queue of its tenant, where that is known. */
	fullWaitMs(tenantId: string, placesMax: number): number | null {
		const ahead = this.#rules.queuedPerTenantMax;
		const heldMs = this.#holding.of(tenantId).heldMs ?? this.#holding.heldMs;
		return estimateWaitMs({ ahead, waiting: ahead, share: 1, server: null, tenant: { running: placesMax, heldMs } });
	}

	/** Whether the tenant's part of the queue is full for this priority. */
	isFull(tenantId: string, priority: Priority): boolean {
		const batch = this.#queue.waiting(tenantId, 'batch');
		const waiting = this.#queue.waiting(tenantId, 'interactive') + (priority === 'batch' ? batch : 0);
		return this.#rules.queuedPerTenantMax > 0 && waiting >= this.#rules.queuedPerTenantMax;
	}

	/** Refuses everyone who still waits, and from now on whoever would have to. */
	refuseWaiting(error: PlimsollError): void {
		this.#closing = error;
		for (const { item } of this.#queue.drain()) this.#refuse(item, error);
	}

	view(): PlacesView {
		const counts = this.#queue.counts();
		const names = new Set([...this.#holding.tenants(), ...counts.keys()]);
		return {
			limit: this.#limit,
			max: this.#rules.concurrentRequestsMax,
			running: this.#holding.byPriority,
			queued: { interactive: this.#queue.sizeOf('interactive'), batch: this.#queue.sizeOf('batch') },
			tenants: [...names].sort().map((tenantId) => ({
				tenantId,
				running: this.#holding.of(tenantId).running,
				queued: counts.get(tenantId) ?? { interactive: 0, batch: 0 },
			})),
		};
	}

	/** Nobody who could go waits while a place is free, so that whoever finds one overtakes nobody. */
	#mayPass({ tenantId, priority, leases }: PlaceAsk): boolean {
		if (this.#holding.total >= this.#limit) return false;
		if (priority === 'batch' && !this.#hasSpare) return false;
		return !this.#isHeldBack(tenantId, leases);
	}

	#isHeldBack(tenantId: string, leases: Leases | null): boolean {
		if (leases === null) return false;
		return leases.scopes.some((scope) => {
			const key = scopeKey(tenantId, scope);
			return this.#blocked.has(key) || this.#asking.has(key);
		});
	}

	get #hasSpare(): boolean {
		return this.#holding.total < Math.max(1, Math.floor(this.#limit * BATCH_SHARE));
	}

	#passed(place: HeldPlace, { priority }: PlaceAsk): Place {
		if (priority === 'interactive') this.#queue.passed();
		return place;
	}

	#take(ask: PlaceAsk, waited: { queuedMs: number; position: number }): HeldPlace {
		const since = this.#clock.monotonic();
		this.#holding.enter(ask);
		let isHeld = true;
		const leave = (heldMs: number | null) => {
			if (!isHeld) return;
			isHeld = false;
			this.#holding.leave(ask, heldMs);
			if (heldMs !== null) this.#dispatch();
		};
		return { ...waited, leave: () => leave(this.#clock.monotonic() - since), withdraw: () => leave(null) };
	}

	/** Asks the tenant's limits. What was given back while they answered is reason to ask once more. */
	async #claim(leases: Leases, place: HeldPlace): Promise<Refusal | null> {
		try {
			const before = this.#releases;
			const refusal = await leases.take();
			return refusal !== null && before !== this.#releases ? await leases.take() : refusal;
		} catch (thrown) {
			place.withdraw();
			this.#dispatch();
			throw thrown;
		}
	}

	#block({ tenantId }: PlaceAsk, { claim }: Refusal): void {
		this.#blocked.add(scopeKey(tenantId, claim.scope));
	}

	#wait(ask: PlaceAsk, refusal: Refusal | null): Promise<Place> {
		const { tenantId, weight, priority, signal, leases } = ask;
		const rules = this.#rules;
		if (signal.aborted) throw signal.reason;
		if (this.#closing !== null) throw this.#closing;
		if (rules.queuedPerTenantMax === 0) {
			throw refusal !== null && leases !== null ? leases.refused(refusal) : noPlace(this.#limit);
		}
		const waitMs = this.#estimate(ask, this.#isHeldBack(tenantId, leases));
		// Under pressure what is not urgent does not even wait.
		if (priority === 'batch' && this.#limit < rules.concurrentRequestsMax) throw overloaded(waitMs);
		if (waitMs !== null && waitMs > ask.remainingMs) throw tooLate(waitMs, ask.remainingMs);

		const { promise, resolve, reject } = Promise.withResolvers<Place>();
		const item: Waiting = { ask, sinceMs: this.#clock.monotonic(), isOver: false, resolve, reject };
		// Looked up when it goes: while it joins nothing may have been measured, and a guess would be a gift or a fine.
		const cost = () => this.#holding.of(tenantId).heldMs ?? this.#holding.heldMs ?? 1;
		const askers = this.#askers.filter((asker) => asker === tenantId).length;
		const bounds = { perFlowMax: rules.queuedPerTenantMax - askers, max: rules.queuedMax - this.#askers.length };
		const joined = this.#queue.join({ item, flow: tenantId, weight, cost, priority }, bounds);
		if (joined.queued === null) throw fullQueue(joined.full, waitMs);
		const { evicted } = joined;
		if (evicted !== null) this.#refuse(evicted.item, fullQueue(evicted.flow === tenantId ? 'flow' : 'all', waitMs));
		this.#leaveOnAbort(joined.queued);
		this.#poll();
		this.#dispatch();
		return promise;
	}

	#leaveOnAbort(queued: Queued<Waiting>): void {
		const { ask, sinceMs } = queued.item;
		ask.signal.addEventListener(
			'abort',
			() => {
				this.#queue.remove(queued);
				const { reason } = ask.signal;
				const isTime = reason instanceof PlimsollError && reason.code === 'deadline_exceeded';
				const waitedMs = this.#clock.monotonic() - sinceMs;
				this.#refuse(queued.item, isTime ? tooLate(null, waitedMs) : reason);
			},
			{ once: true },
		);
	}

	#refuse(item: Waiting, error: unknown): void {
		if (!item.isOver) {
			item.isOver = true;
			item.reject(error);
		}
		this.#rest();
	}

	/** Gives every free place to whoever is next. */
	#dispatch(): void {
		while (this.#holding.total < this.#limit) {
			const next = this.#queue.next({
				isEligible: ({ ask }) => !this.#isHeldBack(ask.tenantId, ask.leases),
				hasSpare: this.#hasSpare,
			});
			if (next === null) break;
			const { ask, sinceMs } = next.item;
			const waited = { queuedMs: this.#clock.monotonic() - sinceMs, position: next.ahead + 1 };
			const place = this.#take(ask, waited);
			if (ask.leases === null || ask.leases.scopes.length === 0) this.#grant(next.item, place);
			else void this.#askLimits(next, { place, leases: ask.leases });
		}
		this.#rest();
	}

	async #askLimits(next: Queued<Waiting>, { place, leases }: { place: HeldPlace; leases: Leases }): Promise<void> {
		const { item, flow } = next;
		const keys = leases.scopes.map((scope) => scopeKey(flow, scope));
		for (const key of keys) this.#asking.add(key);
		this.#askers.push(flow);
		const refusal = await this.#claim(leases, place).catch((thrown: unknown) => this.#refuse(item, thrown));
		for (const key of keys) this.#asking.delete(key);
		this.#askers.splice(this.#askers.indexOf(flow), 1);
		if (refusal === null) this.#grant(item, place);
		if (refusal) {
			place.withdraw();
			this.#block(item.ask, refusal);
			if (this.#closing !== null) this.#refuse(item, this.#closing);
			if (!item.isOver) this.#queue.putBack(next);
		}
		this.#poll();
		this.#dispatch();
	}

	#grant(item: Waiting, place: HeldPlace): void {
		if (item.isOver) {
			place.withdraw();
			return;
		}
		item.isOver = true;
		item.resolve(place);
	}

	/** Tries again by and by what limits refused, for as long as someone waits. */
	#poll(): void {
		if (this.#cancelPoll !== null || this.#blocked.size === 0 || this.#queue.size === 0) return;
		this.#cancelPoll = this.#clock.after(this.#isShared() ? SHARED_POLL_MS : LOCAL_POLL_MS, () => {
			this.#cancelPoll = null;
			this.#blocked.clear();
			this.#dispatch();
			this.#poll();
		});
	}

	/** When nobody waits, nothing needs to be remembered for anybody. */
	#rest(): void {
		if (this.#queue.size > 0 || this.#asking.size > 0) return;
		this.#cancelPoll?.();
		this.#cancelPoll = null;
		this.#blocked.clear();
	}

	#estimate(ask: PlaceAsk, isHeldBack: boolean): number | null {
		const { tenantId, weight, priority } = ask;
		const levels = priority === 'batch' ? PRIORITIES : (['interactive'] as const);
		const server = { running: this.#holding.total, heldMs: this.#holding.heldMs };
		const own = this.#holding.of(tenantId);
		return estimateWaitMs({
			ahead: this.#queue.waiting(tenantId, priority),
			waiting: levels.reduce((sum, level) => sum + this.#queue.sizeOf(level), 0),
			share: this.#queue.shareOf(tenantId, weight, priority),
			server: server.running >= this.#limit ? server : null,
			tenant: isHeldBack ? { running: own.running, heldMs: own.heldMs ?? server.heldMs } : null,
		});
	}
}

interface HeldPlace extends Place {
	/** Gives it back without having run: nothing is learned from it, and nobody is told. */
	withdraw(): void;
}

/** Tenants of an organisation have its places in common. */
function scopeKey(tenantId: string, scope: string): string {
	return organisationOf(scope) === null ? `${tenantId} ${scope}` : scope;
}
