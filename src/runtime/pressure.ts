import type { Clock } from '../base/clock.ts';
import { type AdaptiveState, adapt, signalOf } from '../policy/adaptive-limit.ts';
import type { AttemptTrace, RequestTrace } from '../spec/trace.ts';
import type { Places } from './places.ts';

/** A step of the limit needs so much to go by. */
const WINDOW_MS = 1_000;
const WINDOW_SAMPLES_MIN = 10;

/** How calls ended that say how busy their upstream is; a refusal or a broken connection does not. */
const TELLING = new Set(['ok', 'timeout_first_token', 'timeout_total']);

/** Watches how fast upstreams answer, and sets how many requests may run accordingly. */
export class Pressure {
	readonly #clock: Clock;
	readonly #places: Places;
	#state: AdaptiveState;
	#signals = new Map<string, { sumMs: number; count: number }>();
	#samples = 0;
	#running = 0;
	#sinceMs: number;

	constructor(clock: Clock, places: Places) {
		this.#clock = clock;
		this.#places = places;
		this.#state = { limit: places.limit, baselines: new Map() };
		this.#sinceMs = clock.monotonic();
	}

	/** Learns from a request that has ended. */
	observe({ steps }: RequestTrace): void {
		this.#running = Math.max(this.#running, this.#places.running);
		for (const { attempts } of steps) for (const attempt of attempts) this.#add(attempt);
		const now = this.#clock.monotonic();
		if (this.#samples < WINDOW_SAMPLES_MIN || now - this.#sinceMs < WINDOW_MS) return;
		this.#step();
		this.#sinceMs = now;
	}

	#add(attempt: AttemptTrace): void {
		if (!TELLING.has(attempt.outcome)) return;
		const { upstream, latency_ms: latencyMs, time_to_first_token_ms: firstTokenMs, tokens_out: tokensOut } = attempt;
		const { name, ms } = signalOf({ upstream, latencyMs, firstTokenMs, tokensOut });
		const signal = this.#signals.get(name);
		if (signal) {
			signal.sumMs += ms;
			signal.count++;
		} else this.#signals.set(name, { sumMs: ms, count: 1 });
		this.#samples++;
	}

	#step(): void {
		const { adaptiveMin: min, concurrentRequestsMax: max } = this.#places.rules;
		// An edit may have moved the bounds, or switched this off for a while.
		const limit = this.#places.limit === max ? max : this.#state.limit;
		this.#state = adapt(
			{ ...this.#state, limit },
			{ running: this.#running, signals: this.#signals },
			{ min: min ?? max, max },
		);
		this.#places.setLimit(Math.floor(this.#state.limit));
		this.#signals = new Map();
		this.#samples = 0;
		this.#running = 0;
	}
}
