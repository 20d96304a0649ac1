import { z } from 'zod';
import { isFinal, type Measured, ownerOf, standing, strictest, ticketFor } from '../policy/limits.ts';
import type {
	Counter,
	CounterUsage,
	Reservation,
	ReserveAsk,
	SharedState,
	Standing,
	StateHealth,
	Ticket,
} from '../spec/shared-state.ts';
import type { RedisLink } from './redis-link.ts';
import { RESERVE, type RedisScript, SETTLE, USAGE } from './redis-scripts.ts';
import { limitsUnavailable } from './unavailable.ts';

const numbers = z.array(z.number());

/**
 * Counters in Redis 7 or Valkey, shared by all replicas: one script, one round trip for each operation. Time comes from
 * the callers, whose clocks should agree within a second or so.
 */
export class RedisState implements SharedState {
	readonly #link: RedisLink;

	/** @param link stays open when this is closed: others use it too. */
	constructor(link: RedisLink) {
		this.#link = link;
	}

	async reserve(ask: ReserveAsk): Promise<Reservation> {
		const ticket = ticketFor(ask, 'shared');
		const reply = await this.#run(RESERVE, this.#keys(ask.tenantId, ask.claims), [
			ask.now,
			ticket.expiresAt,
			...ask.claims.flatMap(({ limit, max, amount }, at) => [
				max,
				amount,
				ticket.until[at] ?? 0,
				isFinal(limit) ? 1 : 0,
			]),
		]);
		const measured = ask.claims.map((_, at): Measured => {
			const [used = 0, resetMs = 0, waitMs = 0] = reply.slice(1 + at * 3);
			return { used, resetMs, waitMs: waitMs === -1 ? null : waitMs };
		});
		const standings = ask.claims.map((claim, at) => standing(claim, measured[at] as Measured));
		if (reply[0] === 1) return { granted: true, ticket, standings };
		const refusal = strictest(ask.claims, measured);
		if (refusal === null) throw limitsUnavailable(new Error('a refusal without a claim in the way'));
		return { granted: false, refusal, standings };
	}

	async settle(ticket: Ticket, actual: readonly number[], now: number): Promise<readonly Standing[]> {
		const { claims, until, expiresAt } = ticket;
		const reply = await this.#run(SETTLE, this.#keys(ticket.tenantId, claims), [
			now,
			expiresAt,
			...claims.flatMap(({ limit, amount }, at) => [amount, until[at] ?? 0, actual[at] ?? 0, isFinal(limit) ? 1 : 0]),
		]);
		return claims.map((claim, at) => {
			const [used = 0, resetMs = 0] = reply.slice(at * 2);
			return standing(claim, { used, resetMs, waitMs: 0 });
		});
	}

	release(ticket: Ticket, now: number): Promise<readonly Standing[]> {
		return this.settle(ticket, [], now);
	}

	async usage(tenantId: string, counters: readonly Counter[], now: number): Promise<readonly CounterUsage[]> {
		const reply = await this.#run(USAGE, this.#keys(tenantId, counters), [now]);
		return counters.map((_, at) => {
			const [settled = 0, reserved = 0] = reply.slice(at * 2);
			return { settled, reserved };
		});
	}

	health(): StateHealth {
		return { backend: 'redis', status: this.#link.isReady ? 'up' : 'down', onFailure: null, unsettled: 0 };
	}

	async close(): Promise<void> {}

	/**
	 * The braces keep all counters together where keys are spread over slots: one script takes those of a tenant and of
	 * its organisation, and a tenant that changes its organisation keeps what was counted.
	 */
	#keys(tenantId: string, counters: readonly Counter[]): string[] {
		const { prefix } = this.#link;
		return counters.map((one) => `{${prefix}}:${ownerOf(tenantId, one)}:${one.scope}:${one.limit}`);
	}

	async #run(script: RedisScript, keys: readonly string[], values: readonly number[]): Promise<readonly number[]> {
		try {
			return numbers.parse(await this.#link.run(script, keys, values));
		} catch (thrown) {
			throw limitsUnavailable(thrown);
		}
	}
}
