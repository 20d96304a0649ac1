import type { Clock } from '../../base/clock.ts';
import { PlimsollError } from '../../spec/errors.ts';

interface PacerLimits {
	/** The embedder's. */
	readonly name: string;
	readonly concurrencyMax: number;
	readonly requestsPerMinute: number | null;
	readonly tokensPerMinute: number | null;
}

interface Waiting {
	readonly tokens: number;
	readonly go: () => void;
}

/** Calls that may wait for their turn. */
const WAITING_MAX = 10_000;
const MINUTE_MS = 60_000;
/** The share of a minute's allowance that may be used at once. */
const BURST = 0.1;

/**
 * Lets calls to one endpoint go: so many at once, so many requests and tokens in any minute. Queries go before documents,
 * each in the order of their coming.
 */
export class Pacer {
	readonly #clock: Clock;
	readonly #name: string;
	readonly #concurrencyMax: number;
	readonly #requests: Allowance | null;
	readonly #tokens: Allowance | null;
	readonly #urgent: Waiting[] = [];
	readonly #patient: Waiting[] = [];
	#running = 0;
	#pausedUntil = 0;
	#cancelTimer: (() => void) | null = null;

	constructor(clock: Clock, limits: PacerLimits) {
		const { name, concurrencyMax, requestsPerMinute, tokensPerMinute } = limits;
		this.#clock = clock;
		this.#name = name;
		this.#concurrencyMax = concurrencyMax;
		const now = clock.monotonic();
		this.#requests = requestsPerMinute === null ? null : new Allowance(requestsPerMinute, now);
		this.#tokens = tokensPerMinute === null ? null : new Allowance(tokensPerMinute, now);
	}

	/** The most tokens that a call should have, so that it can go at once; null: no limit. */
	get burstTokens(): number | null {
		return this.#tokens?.burst ?? null;
	}

	get waiting(): number {
		return this.#urgent.length + this.#patient.length;
	}

	get running(): number {
		return this.#running;
	}

	/** Resolves when the call may go, with what must be called once when it has ended. Rejects with the signal's reason, or PlimsollError `concurrency_exceeded`. */
	enter({ tokens, urgent, signal }: { tokens: number; urgent: boolean; signal: AbortSignal }): Promise<() => void> {
		return new Promise((resolve, reject) => {
			if (signal.aborted) return reject(signal.reason);
			if (this.waiting >= WAITING_MAX) {
				return reject(new PlimsollError('concurrency_exceeded', `${WAITING_MAX} calls of ${this.#name} wait already.`));
			}
			const queue = urgent ? this.#urgent : this.#patient;
			const leave = () => {
				queue.splice(queue.indexOf(entry), 1);
				reject(signal.reason);
				this.#pump();
			};
			const entry: Waiting = {
				tokens,
				go: () => {
					signal.removeEventListener('abort', leave);
					resolve(() => this.#left());
				},
			};
			signal.addEventListener('abort', leave, { once: true });
			queue.push(entry);
			this.#pump();
		});
	}

	/** Nobody goes for so long: the provider asked for it. */
	pause(ms: number): void {
		this.#pausedUntil = Math.max(this.#pausedUntil, this.#clock.monotonic() + ms);
	}

	/** The provider counted other tokens than we did. */
	correct(tokens: number): void {
		this.#tokens?.take(tokens);
	}

	close(): void {
		this.#cancelTimer?.();
	}

	#left(): void {
		this.#running--;
		this.#pump();
	}

	#pump(): void {
		this.#cancelTimer?.();
		this.#cancelTimer = null;
		for (;;) {
			const queue = this.#urgent.length > 0 ? this.#urgent : this.#patient;
			const [next] = queue;
			if (!next || this.#running >= this.#concurrencyMax) return;
			const waitMs = this.#waitMs(next);
			if (waitMs > 0) {
				this.#cancelTimer = this.#clock.after(Math.ceil(waitMs), () => this.#pump());
				return;
			}
			queue.shift();
			this.#running++;
			this.#requests?.take(1);
			this.#tokens?.take(next.tokens);
			next.go();
		}
	}

	#waitMs({ tokens }: Waiting): number {
		const now = this.#clock.monotonic();
		const paused = this.#pausedUntil - now;
		return Math.max(0, paused, this.#requests?.waitMs(1, now) ?? 0, this.#tokens?.waitMs(tokens, now) ?? 0);
	}
}

/**
 * A token bucket whose burst and flow together never pass the allowance of any minute. What is larger than the burst goes
 * when the bucket is full, and the others wait until it is paid off.
 */
class Allowance {
	readonly burst: number;
	readonly #perMs: number;
	#level: number;
	#at: number;

	constructor(perMinute: number, now: number) {
		this.burst = Math.max(1, Math.floor(perMinute * BURST));
		this.#perMs = Math.max(perMinute - this.burst, perMinute / 2) / MINUTE_MS;
		this.#level = this.burst;
		this.#at = now;
	}

	waitMs(amount: number, now: number): number {
		this.#level = Math.min(this.burst, this.#level + (now - this.#at) * this.#perMs);
		this.#at = now;
		return (Math.min(amount, this.burst) - this.#level) / this.#perMs;
	}

	/** A negative amount gives back. */
	take(amount: number): void {
		this.#level = Math.min(this.burst, this.#level - amount);
	}
}
