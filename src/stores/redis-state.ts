import { Redis } from 'ioredis';
import { z } from 'zod';
import { type Clock, sleep } from '../base/clock.ts';
import { isFinal, type Measured, standing, strictest, ticketFor } from '../policy/limits.ts';
import { PlimsollError } from '../spec/errors.ts';
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
import { RESERVE, type RedisScript, SETTLE, USAGE } from './redis-scripts.ts';

const CONNECT_MS = 1_000;
const RECONNECT_MS_MAX = 1_000;
/** A connection on which an answer is overdue for so long is dead, and another is made. */
const SILENT_MS_MAX = 5_000;
const CLOSE_MS = 1_000;

const numbers = z.array(z.number());

/**
 * Counters in Redis 7 or Valkey, shared by all replicas: one script, one round trip for each operation. Time comes from
 * the callers, whose clocks should agree within a second or so.
 */
export class RedisState implements SharedState {
	readonly #redis: Redis;
	readonly #clock: Clock;
	readonly #prefix: string;

	/** @param options.onTrouble told about each failed connection, in words without the address's password. */
	constructor(options: { url: string; clock: Clock; onTrouble: (message: string) => void; prefix?: string }) {
		this.#clock = options.clock;
		this.#prefix = options.prefix ?? 'plimsoll';
		this.#redis = new Redis(options.url, {
			lazyConnect: true,
			connectionName: 'plimsoll',
			connectTimeout: CONNECT_MS,
			socketTimeout: SILENT_MS_MAX,
			// Nothing waits for a connection, and nothing is sent twice: a request gets its answer now or never.
			enableOfflineQueue: false,
			autoResendUnfulfilledCommands: false,
			maxRetriesPerRequest: 0,
			retryStrategy: (attempts) => Math.min(50 * attempts, RECONNECT_MS_MAX),
		});
		this.#redis.on('error', (error) => options.onTrouble(error.message));
	}

	/** Resolves when the connection stands, or when it could not be made at once: attempts go on by themselves. */
	async connect(): Promise<void> {
		try {
			await this.#redis.connect();
		} catch {
			// The handler of errors has been told; until there is a connection, health() says down.
		}
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
		if (refusal === null) throw unavailable(new Error('a refusal without a claim in the way'));
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
		const isUp = this.#redis.status === 'ready';
		return { backend: 'redis', status: isUp ? 'up' : 'down', onFailure: null, unsettled: 0 };
	}

	/** What was sent before is done before the connection closes. */
	async close(): Promise<void> {
		if (this.#redis.status === 'ready') {
			const quit = this.#redis.quit().catch(() => undefined);
			await Promise.race([quit, sleep(this.#clock, CLOSE_MS)]);
		}
		this.#redis.disconnect();
	}

	/** The braces make a cluster keep all counters of one tenant together, as a script needs them. */
	#keys(tenantId: string, counters: readonly Counter[]): string[] {
		return counters.map(({ scope, limit }) => `${this.#prefix}:{${tenantId}}:${scope}:${limit}`);
	}

	async #run(script: RedisScript, keys: readonly string[], values: readonly number[]): Promise<readonly number[]> {
		try {
			const args = [...keys, ...values.map(String)];
			const reply = await this.#redis.evalsha(script.sha, keys.length, ...args).catch((error: unknown) => {
				// A Redis that was restarted knows no scripts; with its text it learns this one again.
				if (!(error instanceof Error && error.message.startsWith('NOSCRIPT'))) throw error;
				return this.#redis.eval(script.lua, keys.length, ...args);
			});
			return numbers.parse(reply);
		} catch (thrown) {
			throw unavailable(thrown);
		}
	}
}

function unavailable(cause: unknown): PlimsollError {
	const internal = cause instanceof Error ? cause.message : String(cause);
	return new PlimsollError('limits_unavailable', 'The shared state behind the limits does not answer.', {
		retryAfterMs: 1_000,
		internal,
		cause,
	});
}
