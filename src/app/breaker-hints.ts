import type { Clock } from '../base/clock.ts';
import type { OpenReason } from '../policy/breaker.ts';
import type { BreakerChange, Breakers } from '../runtime/breakers.ts';
import type { RedisHints } from '../stores/redis-hints.ts';

/** How often a replica asks what the others found. */
const POLL_MS = 1_000;

const REASONS: readonly OpenReason[] = ['failures', 'slow', 'quota', 'hand'];

/**
 * Tells other replicas when an upstream's breaker opens or closes here, and listens to them: so that an outage is found
 * once, and what is said by hand holds everywhere. Never in a request's way; without Redis each replica finds out for itself.
 */
export class BreakerHints {
	readonly #hints: RedisHints;
	readonly #breakers: Breakers;
	readonly #clock: Clock;
	/** Changed while the others were asked: what they say is older. */
	readonly #changed = new Set<string>();
	/** Held open by a hand elsewhere. */
	readonly #held = new Set<string>();
	#isListening = false;
	#cancel = () => {};
	#closed = false;

	constructor(parts: { hints: RedisHints; breakers: Breakers; clock: Clock }) {
		this.#hints = parts.hints;
		this.#breakers = parts.breakers;
		this.#clock = parts.clock;
		this.#breakers.listen((upstream, change) => this.#tell(upstream, change));
		this.#later();
	}

	close(): void {
		this.#closed = true;
		this.#cancel();
	}

	/** Asks once, and does as the others say. Rejects when Redis does not answer. */
	async poll(): Promise<void> {
		this.#changed.clear();
		const names = this.#breakers.names;
		const hints = await this.#hints.read(names);
		this.#isListening = true;
		for (const [at, name] of names.entries()) if (!this.#changed.has(name)) this.#heed(name, hints[at] ?? null);
		this.#isListening = false;
	}

	#heed(upstream: string, hint: { word: string; forMs: number } | null): void {
		const own = this.#breakers.whyOpen(upstream);
		const why = REASONS.find((reason) => reason === hint?.word);
		if (hint === null || why === undefined) {
			if (this.#held.delete(upstream) && own === 'hand') this.#breakers.close(upstream);
			return;
		}
		if (own !== null && (why !== 'hand' || own === 'hand')) return;
		if (why === 'hand') this.#held.add(upstream);
		this.#breakers.open(upstream, why, hint.forMs);
	}

	#tell(upstream: string, { why, waitMs, byHand }: BreakerChange): void {
		this.#changed.add(upstream);
		if (this.#isListening) return;
		this.#held.delete(upstream);
		const told = why === null ? this.#hints.drop(upstream, byHand) : this.#hints.put(upstream, why, waitMs);
		// Only a hint: the others will find out for themselves, as this one did.
		told.catch(() => {});
	}

	#later(): void {
		if (this.#closed) return;
		this.#cancel = this.#clock.after(POLL_MS, () => {
			const next = () => this.#later();
			this.poll().then(next, next);
		});
	}
}
