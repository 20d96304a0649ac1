import type { Clock } from '../base/clock.ts';
import type { OpenReason } from '../policy/breaker.ts';
import type { BreakerChange, Breakers } from '../policy/breakers.ts';
import type { Hint, RedisHints } from '../stores/redis-hints.ts';

/** How often a replica asks what the others found. */
const POLL_MS = 1_000;

/** An order to close stands as long as the longest order to open may. */
const CLOSED_MS = 7 * 86_400_000;

const FOUND: readonly OpenReason[] = ['failures', 'slow', 'quota'];

/** What a hand said last of an upstream, and when, milliseconds since the epoch: the latest holds on every replica. */
interface Order {
	readonly state: 'open' | 'closed';
	readonly at: number;
}

/**
 * Tells other replicas when an upstream's breaker opens or closes here, and listens to them: so that an outage is found
 * once, and what is said by hand holds everywhere, also where it could not be heard at first or Redis has forgotten it.
 * Never in a request's way; without Redis each replica finds out for itself.
 */
export class BreakerHints {
	readonly #hints: RedisHints;
	readonly #breakers: Breakers;
	readonly #clock: Clock;
	/** Changed while the others were asked: what they say is older. */
	readonly #changed = new Set<string>();
	/** The latest that was said here or heard of. */
	readonly #orders = new Map<string, Order>();
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
		for (const [at, name] of names.entries()) {
			const told = hints[at];
			if (told === undefined || this.#changed.has(name)) continue;
			this.#obey(name, told.ordered);
			this.#heed(name, told.found);
		}
		this.#isListening = false;
	}

	#obey(upstream: string, hint: Hint | null): void {
		const known = this.#orders.get(upstream);
		const told = orderIn(hint);
		if (told !== null && hint !== null && told.at > (known?.at ?? 0)) {
			this.#orders.set(upstream, told);
			if (told.state === 'open') this.#breakers.open(upstream, 'hand', hint.forMs);
			else if (!this.#breakers.isClosed(upstream)) this.#breakers.close(upstream);
			return;
		}
		if (known === undefined || known.at === told?.at) return;
		// The others have not heard of it: Redis was away, or has lost it. What is over in a moment nobody needs to hear.
		const isOver = known.state === 'open' ? this.#breakers.waitMs(upstream) < 2 * POLL_MS : told === null;
		if (!isOver) this.#order(upstream, known, this.#breakers.waitMs(upstream));
	}

	#heed(upstream: string, hint: Hint | null): void {
		const why = FOUND.find((reason) => reason === hint?.word);
		if (hint === null || why === undefined || this.#breakers.whyOpen(upstream) !== null) return;
		this.#breakers.open(upstream, why, hint.forMs);
	}

	#tell(upstream: string, { why, waitMs, byHand }: BreakerChange): void {
		this.#changed.add(upstream);
		if (this.#isListening) return;
		const hint = byHand || why === null ? null : { word: why, forMs: waitMs };
		const found = this.#hints.find(upstream, hint);
		// Only a hint: the others will find out for themselves, as this one did.
		const told = found.catch(() => {});
		if (!byHand) return;
		const order: Order = { state: why === null ? 'closed' : 'open', at: this.#clock.now() };
		this.#orders.set(upstream, order);
		// After what was found is gone: whoever hears the order to close must not find an outage beside it.
		void told.then(() => this.#order(upstream, order, waitMs));
	}

	/** What does not arrive is said again, once others are heard that do not know it. */
	#order(upstream: string, { state, at }: Order, waitMs: number): void {
		const forMs = state === 'open' ? waitMs : CLOSED_MS;
		this.#hints.order(upstream, { word: `${state} ${at}`, forMs }).catch(() => {});
	}

	#later(): void {
		if (this.#closed) return;
		this.#cancel = this.#clock.after(POLL_MS, () => {
			const next = () => this.#later();
			this.poll().then(next, next);
		});
	}
}

function orderIn(hint: Hint | null): Order | null {
	const [, state, at] = /^(open|closed) (\d{1,15})$/.exec(hint?.word ?? '') ?? [];
	return state === undefined ? null : { state: state === 'open' ? 'open' : 'closed', at: Number(at) };
}
