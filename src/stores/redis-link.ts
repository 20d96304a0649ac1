import { Redis } from 'ioredis';
import { type Clock, sleep } from '../base/clock.ts';
import type { RedisScript } from './redis-scripts.ts';

const CONNECT_MS = 1_000;
const RECONNECT_MS_MAX = 1_000;
/** A connection on which an answer is overdue for so long is dead, and another is made. */
const SILENT_MS_MAX = 5_000;
const CLOSE_MS = 1_000;

/**
 * The connection to a Redis 7 or Valkey that everything shared goes through. It never queues: an operation gets its
 * answer from the connection that stands, or fails at once.
 */
export class RedisLink {
	readonly #redis: Redis;
	readonly #clock: Clock;
	readonly #onTrouble: (message: string) => void;
	readonly #listeners: Redis[] = [];
	/** In front of every key, so that several deployments can share one Redis. */
	readonly prefix: string;

	/** @param options.onTrouble told about each failed connection, in words without the address's password. */
	constructor(options: { url: string; clock: Clock; onTrouble: (message: string) => void; prefix?: string }) {
		this.#clock = options.clock;
		this.#onTrouble = options.onTrouble;
		this.prefix = options.prefix ?? 'plimsoll';
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
			// The handler of errors has been told; until there is a connection, isReady says no.
		}
	}

	get isReady(): boolean {
		return this.#redis.status === 'ready';
	}

	/** Runs a script in one round trip. Rejects with the driver's error. */
	async run(
		script: RedisScript,
		keys: readonly string[],
		values: readonly (string | number | Buffer)[],
	): Promise<unknown> {
		const args = [...keys, ...values.map((value) => (typeof value === 'number' ? String(value) : value))];
		return this.#redis.evalsha(script.sha, keys.length, ...args).catch((error: unknown) => {
			// A Redis that was restarted knows no scripts; with its text it learns this one again.
			if (!(error instanceof Error && error.message.startsWith('NOSCRIPT'))) throw error;
			return this.#redis.eval(script.lua, keys.length, ...args);
		});
	}

	/**
	 * Hears a channel on a connection of its own, which is made anew whenever it breaks.
	 * @param on.joined called each time from which on messages come.
	 */
	listen(channel: string, on: { message(text: string): void; joined(): void }): void {
		const listener = this.#redis.duplicate({ connectionName: 'plimsoll-listener', autoResubscribe: false });
		this.#listeners.push(listener);
		listener.on('error', (error) => this.#onTrouble(error.message));
		listener.on('message', (_, text) => on.message(text));
		listener.on('ready', () => {
			listener.subscribe(channel).then(
				() => on.joined(),
				// A connection that cannot hear is of no use: the next one may.
				() => listener.disconnect(true),
			);
		});
		listener.connect().catch(() => {
			// The handler of errors has been told; attempts go on by themselves.
		});
	}

	/** What was sent before is done before the connection closes. */
	async close(): Promise<void> {
		for (const listener of this.#listeners.splice(0)) listener.disconnect();
		if (this.isReady) {
			const quit = this.#redis.quit().catch(() => undefined);
			await Promise.race([quit, sleep(this.#clock, CLOSE_MS)]);
		}
		this.#redis.disconnect();
	}
}
