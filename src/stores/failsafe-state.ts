import { BoundedQueue } from '../base/bounded-queue.ts';
import { afterOverdue, type Clock } from '../base/clock.ts';
import { ticketFor } from '../policy/limits.ts';
import type {
	Claim,
	Counter,
	CounterUsage,
	Reservation,
	ReserveAsk,
	SharedState,
	Standing,
	StateHealth,
	Ticket,
} from '../spec/shared-state.ts';
import { limitsUnavailable } from './unavailable.ts';

export interface FailsafePolicy {
	readonly onFailure: NonNullable<StateHealth['onFailure']>;
	/** In (0, 1]: what this process allows by itself under `local_share`. */
	readonly localShare: number;
	/** The longest that an operation waits for the shared state. */
	readonly timeoutMs: number;
}

/** After so many failures in a row nobody waits any more, until a probe has been answered. */
const FAILURES_MAX = 3;
const PROBE_EVERY_MS = 250;
const SETTLEMENTS_KEPT = 10_000;
/** A probe takes a place and gives it back: a Redis that is full still reads, and counts nothing. */
const PROBE: readonly Claim[] = [{ scope: 'probe', limit: 'concurrent_requests', max: 1_000_000, amount: 1 }];
const PROBE_LIFE_MS = 10_000;

/** A settlement that could not be sent. */
interface Kept {
	readonly ticket: Ticket;
	readonly actual: readonly number[];
}

type Outcome<T> = { readonly ok: true; readonly value: T } | { readonly ok: false };
const FAILED = { ok: false } as const;

/**
 * A shared state that may fail, with what is declared for then: a request waits for it a few milliseconds at most, and
 * after a few failures not at all.
 */
export class FailsafeState implements SharedState {
	readonly #shared: SharedState;
	readonly #local: SharedState;
	readonly #clock: Clock;
	readonly #policy: FailsafePolicy;
	readonly #kept = new BoundedQueue<Kept>(SETTLEMENTS_KEPT);
	#failures = 0;
	#unconfirmed = 0;
	#cancelProbe: (() => void) | null = null;
	#isProbing = false;
	#isFlushing = false;
	#closed = false;

	/** @param parts.local counts this process's share; both are closed with this. */
	constructor(parts: { shared: SharedState; local: SharedState; clock: Clock; policy: FailsafePolicy }) {
		this.#shared = parts.shared;
		this.#local = parts.local;
		this.#clock = parts.clock;
		this.#policy = parts.policy;
	}

	async reserve(ask: ReserveAsk): Promise<Reservation> {
		const outcome = await this.#within(
			() => this.#shared.reserve(ask),
			// Granted after nobody waited any more: the client was answered otherwise.
			(late) => late.granted && this.#shared.release(late.ticket, this.#clock.now()),
		);
		if (outcome.ok) return outcome.value;
		switch (this.#policy.onFailure) {
			case 'fail_closed':
				throw limitsUnavailable();
			case 'fail_open':
				return { granted: true, ticket: ticketFor(ask, 'nobody'), standings: [] };
			case 'local_share':
				return this.#reserveShare(ask);
		}
	}

	async settle(ticket: Ticket, actual: readonly number[], now: number): Promise<readonly Standing[]> {
		if (ticket.heldBy === 'nobody') return [];
		if (ticket.heldBy === 'local') return this.#local.settle(ticket, actual, now);
		if (!this.#isUp) {
			this.#kept.push({ ticket, actual });
			// Nothing else may be asked for a long time, and what is kept is not counted until it is sent.
			this.#probeLater();
			return [];
		}
		const outcome = await this.#within(() => this.#shared.settle(ticket, actual, now));
		if (outcome.ok) return outcome.value;
		// It was sent, and may have arrived: sent again, it might count twice.
		this.#unconfirmed++;
		return [];
	}

	release(ticket: Ticket, now: number): Promise<readonly Standing[]> {
		return this.settle(ticket, [], now);
	}

	async usage(tenantId: string, counters: readonly Counter[], now: number): Promise<readonly CounterUsage[]> {
		const outcome = await this.#within(() => this.#shared.usage(tenantId, counters, now));
		if (outcome.ok) return outcome.value;
		throw limitsUnavailable();
	}

	health(): StateHealth {
		return {
			backend: 'redis',
			status: this.#isUp ? 'up' : 'down',
			onFailure: this.#policy.onFailure,
			unsettled: this.#unconfirmed + this.#kept.dropped + this.#kept.length,
		};
	}

	async close(): Promise<void> {
		this.#closed = true;
		this.#cancelProbe?.();
		if (this.#isUp) await this.#flush();
		await this.#shared.close();
		await this.#local.close();
	}

	get #isUp(): boolean {
		return this.#failures < FAILURES_MAX && this.#shared.health().status === 'up';
	}

	async #reserveShare(ask: ReserveAsk): Promise<Reservation> {
		const claims = ask.claims.map((claim) => ({ ...claim, max: Math.floor(claim.max * this.#policy.localShare) }));
		const reservation = await this.#local.reserve({ ...ask, claims });
		const whole = reservation.granted
			? null
			: ask.claims.find(({ scope, limit }) => {
					const { claim } = reservation.refusal;
					return scope === claim.scope && limit === claim.limit;
				});
		// Above the share, but not above the limit: it would pass if the shared state answered.
		if (!reservation.granted && reservation.refusal.waitMs === null && whole && whole.amount <= whole.max) {
			throw limitsUnavailable();
		}
		return reservation;
	}

	/** Waits for an operation as long as the policy allows. What comes later goes to `undo`. */
	async #within<T>(run: () => Promise<T>, undo?: (late: T) => unknown): Promise<Outcome<T>> {
		if (!this.#isUp) return FAILED;
		const { promise: expired, resolve: expire } = Promise.withResolvers<typeof FAILED>();
		let isLate = false;
		const cancel = afterOverdue(this.#clock, this.#policy.timeoutMs, () => {
			isLate = true;
			expire(FAILED);
		});
		const done = run().then(
			async (value): Promise<Outcome<T>> => {
				if (isLate) await undo?.(value);
				return { ok: true, value };
			},
			() => FAILED,
		);
		const outcome = await Promise.race([done, expired]);
		cancel();
		if (isLate) done.catch(() => this.#unconfirmed++);
		this.#note(outcome.ok);
		return outcome;
	}

	#note(isAnswered: boolean): void {
		if (isAnswered) {
			this.#failures = 0;
			if (this.#kept.length > 0) void this.#flush();
		} else if (++this.#failures >= FAILURES_MAX) this.#probeLater();
	}

	#probeLater(): void {
		if (this.#closed || this.#isProbing) return;
		this.#isProbing = true;
		this.#cancelProbe = this.#clock.after(PROBE_EVERY_MS, () => void this.#probe());
	}

	/** Only one probe is under way at a time, however long its answer takes. */
	async #probe(): Promise<void> {
		try {
			const now = this.#clock.now();
			const ask = { tenantId: 'probe', claims: PROBE, now, expiresAt: now + PROBE_LIFE_MS };
			const reservation = await this.#shared.reserve(ask);
			if (reservation.granted) await this.#shared.release(reservation.ticket, this.#clock.now());
			this.#isProbing = false;
			this.#failures = 0;
			await this.#flush();
		} catch {
			// Down still, as health() says.
			this.#isProbing = false;
			this.#probeLater();
		}
	}

	/** Sends the settlements that could not be sent while the shared state was down. */
	async #flush(): Promise<void> {
		if (this.#isFlushing) return;
		this.#isFlushing = true;
		// While this waits more may be kept, and the shared state may be gone again.
		while (this.#kept.length > 0 && this.#isUp) {
			for (const kept of this.#kept.drain()) {
				if (this.#isUp) await this.#settleKept(kept);
				else this.#kept.push(kept);
			}
		}
		if (this.#kept.length > 0) this.#probeLater();
		this.#isFlushing = false;
	}

	async #settleKept({ ticket, actual }: Kept): Promise<void> {
		try {
			await this.#shared.settle(ticket, actual, this.#clock.now());
		} catch {
			this.#unconfirmed++;
		}
	}
}
