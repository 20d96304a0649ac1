import type { Clock } from '../base/clock.ts';
import type { BreakerSettings } from '../contracts/breaker-settings.ts';
import type { UpstreamError } from '../spec/model.ts';
import {
	admit,
	type BreakerState,
	begun,
	closedBreaker,
	type OpenReason,
	openedFor,
	settle,
	type Verdict,
	windowOf,
} from './breaker.ts';

/** By upstream; null: its breaker is off. */
export type BreakerTable = ReadonlyMap<string, BreakerSettings | null>;

/** A call that was let through. It must be ended exactly once, whatever becomes of it. */
export interface Passage {
	/** The answer has begun, so many milliseconds after the call. */
	begun(tookMs: number): void;
	end(call: { verdict: Verdict; tookMs: number; error: UpstreamError | null }): void;
}

/** An upstream that is not asked. */
export interface Closure {
	readonly why: OpenReason;
	readonly waitMs: number;
}

/** How an upstream stands, for its operators. */
export interface UpstreamStatus {
	readonly upstream: string;
	/** `off`: nothing but a hand opens it. */
	readonly state: BreakerState['phase'] | 'off';
	readonly why: OpenReason | null;
	/** Milliseconds since the epoch; null while it never changed. */
	readonly since: number | null;
	/** Until the next probe, or until everyone may ask again; null when closed. */
	readonly waitMs: number | null;
	readonly window: { readonly calls: number; readonly failures: number; readonly slow: number };
	/** Newest first. */
	readonly errors: readonly UpstreamFault[];
}

interface UpstreamFault {
	/** Milliseconds since the epoch. */
	readonly at: number;
	readonly kind: string;
	readonly status: number | null;
	/** The provider's words, cut; a family leaves secrets out of them. */
	readonly message: string;
}

export interface BreakerChange {
	/** Null: it closed. */
	readonly why: OpenReason | null;
	readonly waitMs: number;
	/** Somebody said so; no call did. */
	readonly byHand: boolean;
}

/** Told when a breaker opens or closes, for the log and for other replicas. */
type BreakerListener = (upstream: string, change: BreakerChange) => void;

const ERRORS_KEPT = 5;
const MESSAGE_CHARS_MAX = 200;

interface Entry {
	settings: BreakerSettings | null;
	state: BreakerState;
	readonly errors: UpstreamFault[];
}

const FREE: Passage = { begun: () => {}, end: () => {} };

/** The breakers of all upstreams, in this process. */
export class Breakers {
	readonly #clock: Clock;
	readonly #listeners: BreakerListener[] = [];
	#entries: ReadonlyMap<string, Entry> = new Map();

	constructor(clock: Clock) {
		this.#clock = clock;
	}

	listen(listener: BreakerListener): void {
		this.#listeners.push(listener);
	}

	get names(): readonly string[] {
		return [...this.#entries.keys()];
	}

	/** Takes new settings. What is known of an upstream stays. */
	update(table: BreakerTable): void {
		const now = this.#clock.monotonic();
		const entries = [...table].map(([name, settings]): [string, Entry] => {
			const known = this.#entries.get(name);
			if (known) known.settings = settings;
			return [name, known ?? { settings, state: closedBreaker(now), errors: [] }];
		});
		this.#entries = new Map(entries);
	}

	/** Lets a call through, or says how long nobody is. An upstream without an entry is always let through. */
	enter(upstream: string): Passage | Closure {
		const entry = this.#entries.get(upstream);
		if (!entry) return FREE;
		const decision = admit(entry.state, entry.settings, this.#clock.monotonic());
		if (!decision.admitted) return decision;
		this.#move(upstream, entry, decision.state);
		let { epoch } = decision.state;
		let isProbe = false;
		return {
			begun: (tookMs) => {
				const next = begun(entry.state, entry.settings, { epoch, tookMs, now: this.#clock.monotonic() });
				if (next === entry.state) return;
				isProbe = true;
				epoch = next.epoch;
				this.#move(upstream, entry, next);
			},
			end: ({ verdict, tookMs, error }) => {
				if (error !== null && verdict !== 'nothing') this.#keep(entry, error);
				const retryAfterMs = error?.retryAfterMs ?? null;
				const now = this.#clock.monotonic();
				this.#move(
					upstream,
					entry,
					settle(entry.state, entry.settings, { epoch, verdict, tookMs, retryAfterMs, isProbe, now }),
				);
			},
		};
	}

	/** Milliseconds until a call may be let through; zero: now. Changes nothing. */
	waitMs(upstream: string): number {
		const entry = this.#entries.get(upstream);
		if (!entry) return 0;
		const decision = admit(entry.state, entry.settings, this.#clock.monotonic());
		return decision.admitted ? 0 : decision.waitMs;
	}

	has(upstream: string): boolean {
		return this.#entries.has(upstream);
	}

	/** Keeps everyone away, probes too when it was said by hand. One that is off listens to hands only. */
	open(upstream: string, why: OpenReason, forMs: number): void {
		const entry = this.#entries.get(upstream);
		if (!entry || (entry.settings === null && why !== 'hand')) return;
		const now = this.#clock.monotonic();
		const next = openedFor(entry.state, why, { now, until: now + forMs });
		this.#move(upstream, entry, next, { byHand: why === 'hand' });
	}

	isClosed(upstream: string): boolean {
		return this.#entries.get(upstream)?.state.phase === 'closed';
	}

	/** Lets calls through again, and forgets what was counted. Told also of one that is closed: elsewhere it may be open. */
	close(upstream: string): void {
		const entry = this.#entries.get(upstream);
		if (!entry) return;
		this.#move(upstream, entry, closedBreaker(this.#clock.monotonic(), entry.state.epoch + 1), { byHand: true });
	}

	/** Why an upstream is open at this moment; null when it is not. */
	whyOpen(upstream: string): OpenReason | null {
		const entry = this.#entries.get(upstream);
		return entry && this.waitMs(upstream) > 0 ? entry.state.why : null;
	}

	status(): readonly UpstreamStatus[] {
		const now = this.#clock.monotonic();
		const wall = this.#clock.now();
		return [...this.#entries].map(([upstream, { settings, state, errors }]) => {
			const decision = admit(state, settings, now);
			// A probe that is due changes the state only when somebody makes it.
			const { phase, why } = decision.admitted && decision.state.phase === 'closed' ? decision.state : state;
			return {
				upstream,
				state: settings === null && phase === 'closed' ? 'off' : phase,
				why,
				since: state.epoch === 0 ? null : Math.round(wall - (now - state.since)),
				waitMs: phase === 'closed' ? null : decision.admitted ? 0 : Math.ceil(decision.waitMs),
				window: settings === null ? { calls: 0, failures: 0, slow: 0 } : windowOf(state, settings, now),
				errors,
			};
		});
	}

	#move(upstream: string, entry: Entry, next: BreakerState, { byHand } = { byHand: false }): void {
		const before = entry.state;
		if (next === before) return;
		entry.state = next;
		// A probe is no news, and neither is that it failed.
		const isNews = (before.phase === 'closed') !== (next.phase === 'closed') || before.why !== next.why;
		if (!isNews && !byHand) return;
		const change = { why: next.why, waitMs: Math.max(0, next.until - this.#clock.monotonic()), byHand };
		for (const listener of this.#listeners) listener(upstream, change);
	}

	#keep({ errors }: Entry, error: UpstreamError): void {
		const { kind, status, message } = error;
		errors.unshift({ at: this.#clock.now(), kind, status, message: message.slice(0, MESSAGE_CHARS_MAX) });
		if (errors.length > ERRORS_KEPT) errors.pop();
	}
}
