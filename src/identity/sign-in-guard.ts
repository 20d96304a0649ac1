import type { Clock } from '../base/clock.ts';
import { PlimsollError } from '../spec/errors.ts';

const FAILURES_MAX = 10;
const WINDOW_MS = 60_000;
/** Of so many addresses failures are remembered; beyond them the oldest is forgotten. */
const ADDRESSES_MAX = 1_000;

/** Bounds failed attempts to sign in. Keys cannot be guessed; this keeps those who try from keeping us busy. */
export class SignInGuard {
	readonly #clock: Clock;
	readonly #failures = new Map<string, { count: number; readonly since: number }>();

	constructor(clock: Clock) {
		this.#clock = clock;
	}

	/** Throws `sign_in_limited` after ten failures within a minute. */
	requireRoom(address: string): void {
		const failures = this.#failures.get(address);
		if (!failures) return;
		const leftMs = failures.since + WINDOW_MS - this.#clock.monotonic();
		if (leftMs <= 0) this.#failures.delete(address);
		else if (failures.count >= FAILURES_MAX) {
			const retryAfterMs = Math.ceil(leftMs);
			throw new PlimsollError('sign_in_limited', 'Too many attempts to sign in failed.', { retryAfterMs });
		}
	}

	failed(address: string): void {
		const failures = this.#failures.get(address);
		if (failures) {
			failures.count++;
			return;
		}
		const [oldest] = this.#failures.keys();
		if (this.#failures.size >= ADDRESSES_MAX && oldest !== undefined) this.#failures.delete(oldest);
		this.#failures.set(address, { count: 1, since: this.#clock.monotonic() });
	}
}
