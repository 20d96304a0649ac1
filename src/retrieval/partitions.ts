import type { Clock } from '../base/clock.ts';
import type { PartitionConfig } from '../contracts/ranking-config.ts';
import { PlimsollError } from '../spec/errors.ts';
import { OTHER } from '../spec/names.ts';
import type { Filter, PartitionView, Reader } from '../spec/retrieval.ts';

/** Where a search goes that names no partition. */
const EVERYTHING = '*';
/** More partitions than this share the places of one. */
const GATES_MAX = 1_000;
/** Since a search last found all places taken, milliseconds. */
const HOT_MS = 60_000;
/** Of one partition, for its figure. */
const LATENCIES = 512;
const RETRY_MS = { least: 50, most: 5_000, unknown: 500 };
/** What the latest search weighs in the mean of all. */
const NEWEST_WEIGHT = 1 / 16;
/** A partition that was asked within so long has searches to be protected. */
const ACTIVE_MS = 1_000;
/** A place of a hot partition rests no longer than this. */
const REST_MS_MAX = 1_000;
/** Cores that a search keeps busy, about. */
const CORES_OF_SEARCH = 2;

/** How a search may run: as it was planned, or by words alone. Must be left once. */
export interface Passage {
	readonly degraded: string | null;
	leave(): void;
}

/**
 * The one partition that can answer: the caller's tenant, or the one value that every document must have of the field. A search
 * that may find documents of several has all of them before it.
 */
export function partitionFor(by: string, filter: Filter | null, caller: Reader | 'operator' | undefined): string {
	if (by === 'tenant') return caller === undefined || caller === 'operator' ? EVERYTHING : caller.tenantId;
	return (filter && onlyValue(filter, by)) ?? EVERYTHING;
}

function onlyValue(filter: Filter, field: string): string | null {
	if ('all' in filter) {
		for (const one of filter.all) {
			const value = onlyValue(one, field);
			if (value !== null) return value;
		}
		return null;
	}
	if ('any' in filter || 'not' in filter || filter.field !== field) return null;
	if (filter.is === 'equal') return String(filter.value);
	return filter.is === 'one_of' && filter.values.length === 1 ? String(filter.values[0]) : null;
}

/** The partitions of one collection. */
export class Partitions {
	readonly #clock: Clock;
	readonly #cores: number;
	readonly #gates = new Map<string, Gate>();

	/** @param cores of the machine. */
	constructor(clock: Clock, cores: number) {
		this.#clock = clock;
		this.#cores = cores;
	}

	/** Throws PlimsollError `partition_busy` with the time to come back, or the signal's reason. */
	enter(
		name: string,
		config: PartitionConfig,
		ask: { collection: string; msMax: number; signal: AbortSignal | null },
	): Promise<Passage> {
		return this.#gate(name).enter(config, ask);
	}

	/** Those that were asked of late, the busiest first. */
	view(): PartitionView[] {
		return [...this.#gates.values()].map((gate) => gate.view()).sort((a, b) => weight(b) - weight(a));
	}

	#gate(name: string): Gate {
		const known = this.#gates.get(name);
		if (known) return known;
		if (this.#gates.size >= GATES_MAX) {
			const idle = [...this.#gates].find(([, gate]) => gate.isIdle);
			if (idle) this.#gates.delete(idle[0]);
			else if (name !== OTHER) return this.#gate(OTHER);
		}
		const gate = new Gate(name, this.#clock, () => this.#isCrowded());
		this.#gates.set(name, gate);
		return gate;
	}

	/** Whether partitions that are not hot need what the machine has. */
	#isCrowded(): boolean {
		let running = 0;
		let isNeeded = false;
		for (const gate of this.#gates.values()) {
			running += gate.searching;
			isNeeded ||= gate.isQuiet;
		}
		return isNeeded && running * CORES_OF_SEARCH >= this.#cores;
	}
}

function weight({ running, queued, shed }: PartitionView): number {
	return (running + queued) * 1_000_000 + shed;
}

class Gate {
	readonly #name: string;
	readonly #clock: Clock;
	readonly #isCrowded: () => boolean;
	readonly #waiting: { readonly begin: () => void }[] = [];
	readonly #latencies: number[] = [];
	#meanMs: number | null = null;
	/** Until when places are spoken for by those who were told to come back, on the monotonic clock. */
	#takenUntil = 0;
	#searches = 0;
	/** Places that are taken. */
	#running = 0;
	#lexical = 0;
	/** Of both, those whose search has ended. */
	#resting = 0;
	#shed = 0;
	#degraded = 0;
	/** When a search last found all places taken, on the monotonic clock. */
	#fullAt = Number.NEGATIVE_INFINITY;
	/** When it was last asked, on the same clock. */
	#askedAt = Number.NEGATIVE_INFINITY;

	constructor(name: string, clock: Clock, isCrowded: () => boolean) {
		this.#name = name;
		this.#clock = clock;
		this.#isCrowded = isCrowded;
	}

	get isIdle(): boolean {
		return this.#running + this.#lexical + this.#waiting.length === 0;
	}

	/** Searches that go on. */
	get searching(): number {
		return this.#running + this.#lexical - this.#resting;
	}

	/** Asked of late, and within its places. */
	get isQuiet(): boolean {
		return !this.#isHot && this.#clock.monotonic() - this.#askedAt < ACTIVE_MS;
	}

	async enter(
		config: PartitionConfig,
		{ collection, msMax, signal }: { collection: string; msMax: number; signal: AbortSignal | null },
	): Promise<Passage> {
		signal?.throwIfAborted();
		this.#askedAt = this.#clock.monotonic();
		if (this.#running < config.searchesMax) return this.#begin();
		this.#fullAt = this.#clock.monotonic();
		if (this.#waiting.length < config.queuedMax && (await this.#wait(msMax, signal))) return this.#started(null);
		if (config.over === 'lexical' && this.#lexical < config.searchesMax) {
			this.#lexical++;
			this.#degraded++;
			return this.#started(`the partition ${this.#name} is busy: the search was lexical`);
		}
		this.#shed++;
		const message = `The partition ${this.#name} of ${collection} has as many searches as it may.`;
		throw new PlimsollError('partition_busy', message, { retryAfterMs: this.#retryAfterMs(config) });
	}

	view(): PartitionView {
		// Of a thousand partitions a reader wants these of a few: they are sorted when it looks.
		let sorted: Float64Array | null = null;
		const quantile = (share: number) => {
			sorted ??= Float64Array.from(this.#latencies).sort();
			return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? null;
		};
		return {
			partition: this.#name,
			running: this.searching,
			queued: this.#waiting.length,
			searches: this.#searches,
			shed: this.#shed,
			degraded: this.#degraded,
			get latencyMsP50() {
				return quantile(0.5);
			},
			get latencyMsP99() {
				return quantile(0.99);
			},
			hot: this.#isHot,
		};
	}

	#begin(): Passage {
		this.#running++;
		return this.#started(null);
	}

	#started(degraded: string | null): Passage {
		const startedAt = this.#clock.monotonic();
		let left = false;
		return {
			degraded,
			leave: () => {
				if (left) return;
				left = true;
				const ms = this.#clock.monotonic() - startedAt;
				this.#latencies[this.#searches++ % LATENCIES] = ms;
				const restMs = this.#restMs(ms);
				this.#note(ms + restMs);
				if (restMs === 0) return this.#free(degraded);
				this.#resting++;
				this.#clock.after(restMs, () => {
					this.#resting--;
					this.#free(degraded);
				});
			},
		};
	}

	/** Whoever leaves hands over the place, so that nobody overtakes who waits. */
	#free(degraded: string | null): void {
		if (degraded !== null) this.#lexical--;
		else {
			const next = this.#waiting.shift();
			if (next) next.begin();
			else this.#running--;
		}
	}

	/**
	 * For how long a place stays empty. Places bound how many searches of a hot partition run, and not how much of the machine
	 * they take, which can be all of it: where others need it, each leaves them as much time as it took.
	 */
	#restMs(ms: number): number {
		return this.#isHot && this.#isCrowded() ? Math.min(ms, REST_MS_MAX) : 0;
	}

	get #isHot(): boolean {
		return this.#clock.monotonic() - this.#fullAt < HOT_MS;
	}

	/** @param ms for which a place was taken. */
	#note(ms: number): void {
		this.#meanMs = this.#meanMs === null ? ms : this.#meanMs + (ms - this.#meanMs) * NEWEST_WEIGHT;
	}

	/** False when no place became free in time. */
	async #wait(msMax: number, signal: AbortSignal | null): Promise<boolean> {
		const { promise, resolve, reject } = Promise.withResolvers<boolean>();
		const entry = { begin: () => resolve(true) };
		this.#waiting.push(entry);
		const withdraw = () => {
			const at = this.#waiting.indexOf(entry);
			if (at !== -1) this.#waiting.splice(at, 1);
			return at !== -1;
		};
		const cancel = this.#clock.after(msMax, () => withdraw() && resolve(false));
		const onAbort = () => withdraw() && reject(signal?.reason);
		signal?.addEventListener('abort', onAbort, { once: true });
		try {
			return await promise;
		} finally {
			cancel();
			signal?.removeEventListener('abort', onAbort);
		}
	}

	/** Each who is refused gets a turn of its own behind those who wait, so that a flood comes back one by one. Until something was measured, a moment. */
	#retryAfterMs({ searchesMax }: PartitionConfig): number {
		if (this.#meanMs === null) return RETRY_MS.unknown;
		const now = this.#clock.monotonic();
		const turnMs = this.#meanMs / searchesMax;
		const from = Math.max(this.#takenUntil, now + turnMs * this.#waiting.length);
		this.#takenUntil = Math.min(now + RETRY_MS.most, from + turnMs);
		return Math.ceil(Math.max(RETRY_MS.least, this.#takenUntil - now));
	}
}
