import type { Clock } from '../base/clock.ts';
import { PlimsollError } from '../spec/errors.ts';
import type { FeatureStats, RequestTrace, TraceFilter, TraceReader, TraceSink } from '../spec/trace.ts';
import type { StatsFilter } from './trace-queries.ts';
import type { RequestSummary } from './trace-schema.ts';
import { type StartWorker, startTraceWorker, TraceWorkerLink } from './trace-worker-link.ts';

/** A batch leaves when it has this many traces, or `FLUSH_MS` after its first one. */
const BATCH_TRACES = 1_024;
/** When the worker is behind, larger batches cost it less. */
const BATCH_TRACES_MAX = 2_048;
/** Far above that many traces of usual size; bounds what the worker holds at once. */
const BATCH_CHARS_MAX = 8 * 1024 * 1024;
const FLUSH_MS = 250;
const BATCHES_IN_FLIGHT_MAX = 3;
/** Room for a worker that stalls for some seconds at full load (a checkpoint takes up to one). */
const BUFFER_TRACES = 20_000;
const BUFFER_CHARS = 64 * 1024 * 1024;

const WRITE_TIMEOUT_MS = 60_000;
const QUERY_TIMEOUT_MS = 10_000;
const PRUNE_TIMEOUT_MS = 600_000;
const PRUNE_EVERY_MS = 3_600_000;
const WARN_EVERY_MS = 10_000;
const DAY_MS = 86_400_000;

const DROP_REASONS = ['buffer_full', 'not_a_trace', 'write_failed', 'worker_lost', 'closed'] as const;
type DropReason = (typeof DROP_REASONS)[number];

export interface TraceStoreOptions {
	/** The DuckDB file; it and its folder are created when absent. */
	readonly file: string;
	readonly clock: Clock;
	/** Requests that started longer ago are removed, at the start and every hour. */
	readonly retentionDays: number;
	/** What an operator should know: drops, a file set aside, a lost worker. Drops are reported at most every 10 s. */
	warn(message: string): void;
	/** The most traces that wait for the worker; 20,000 unless given. */
	readonly bufferTraces?: number;
	readonly startWorker?: StartWorker;
}

/**
 * Traces in a DuckDB file that a worker thread writes and reads. `record` costs the caller one JSON.stringify; kill -9
 * loses what was recorded in the last 250 ms and the batch being written; a clean `close` loses nothing.
 */
export interface TraceStore extends TraceSink, TraceReader {
	/** `dropped`, by reason. */
	readonly droppedBy: Readonly<Record<DropReason, number>>;
	/** Writes what is buffered and ends the worker. Never throws; what could not be written is counted and reported. */
	close(): Promise<void>;
}

/**
 * Opens or creates the trace store. A corrupt file, or one of a newer format, is set aside under a name with the time,
 * and a warning says so. Throws PlimsollError `storage_failed` when the file is another program's, locked, or cannot be
 * written.
 */
export async function openTraceStore(options: TraceStoreOptions): Promise<TraceStore> {
	const store = new DuckDbTraceStore(options);
	await store.open();
	return store;
}

class DuckDbTraceStore implements TraceStore {
	readonly #options: TraceStoreOptions;
	readonly #link: TraceWorkerLink;
	readonly #bufferTraces: number;
	readonly #drops: Record<DropReason, number> = {
		buffer_full: 0,
		not_a_trace: 0,
		write_failed: 0,
		worker_lost: 0,
		closed: 0,
	};
	#buffer: string[] = [];
	#bufferChars = 0;
	/** Traces are numbered as they are accepted; each is taken into a batch, then settled: written or dropped. */
	#accepted = 0;
	#taken = 0;
	#settled = 0;
	/** Traces up to this number leave without waiting for a full batch. */
	#due = 0;
	#inFlight = 0;
	#closed = false;
	#waiters: { readonly upTo: number; resolve(): void }[] = [];
	#cancelFlush: (() => void) | null = null;
	#cancelPrune: (() => void) | null = null;
	#cancelWarn: (() => void) | null = null;
	#reported = 0;
	#lastReason = '';

	constructor(options: TraceStoreOptions) {
		this.#options = options;
		this.#bufferTraces = options.bufferTraces ?? BUFFER_TRACES;
		this.#link = new TraceWorkerLink({
			file: options.file,
			clock: options.clock,
			startWorker: options.startWorker ?? startTraceWorker,
			onUp: () => this.#send(),
			warn: options.warn,
		});
	}

	async open(): Promise<void> {
		await this.#link.start();
		this.#prune();
	}

	get dropped(): number {
		let sum = 0;
		for (const reason of DROP_REASONS) sum += this.#drops[reason];
		return sum;
	}

	get droppedBy(): Readonly<Record<DropReason, number>> {
		return { ...this.#drops };
	}

	record(trace: RequestTrace): void {
		if (this.#closed) {
			this.#drop('closed', 1, 'the store is closed');
			return;
		}
		let text: string;
		try {
			text = JSON.stringify(trace);
		} catch (thrown) {
			this.#drop('not_a_trace', 1, messageOf(thrown));
			return;
		}
		if (this.#buffer.length >= this.#bufferTraces || this.#bufferChars + text.length > BUFFER_CHARS) {
			this.#drop('buffer_full', 1, `${this.#buffer.length} traces wait for the worker`);
			return;
		}
		this.#buffer.push(text);
		this.#bufferChars += text.length;
		this.#accepted++;
		if (this.#buffer.length >= BATCH_TRACES) this.#send();
		else this.#cancelFlush ??= this.#options.clock.after(FLUSH_MS, () => this.#sendAll());
	}

	async flush(): Promise<void> {
		if (this.#settled === this.#accepted) return;
		const upTo = this.#accepted;
		await new Promise<void>((resolve, reject) => {
			const cancelTimer = this.#options.clock.after(WRITE_TIMEOUT_MS, () => {
				this.#waiters = this.#waiters.filter((other) => other !== waiter);
				const text = `The trace store ${this.#options.file} did not write its traces within ${WRITE_TIMEOUT_MS} ms.`;
				reject(new PlimsollError('storage_failed', text));
			});
			const waiter = {
				upTo,
				resolve() {
					cancelTimer();
					resolve();
				},
			};
			this.#waiters.push(waiter);
			this.#sendAll();
		});
	}

	find(requestId: string, tenantId: string | null): Promise<RequestTrace | null> {
		return this.#query(() => this.#link.ask({ kind: 'find', requestId, tenantId }, QUERY_TIMEOUT_MS));
	}

	recent(filter: TraceFilter): Promise<readonly RequestSummary[]> {
		return this.#query(() => this.#link.ask({ kind: 'recent', filter }, QUERY_TIMEOUT_MS));
	}

	stats(filter: StatsFilter): Promise<readonly FeatureStats[]> {
		return this.#query(() => this.#link.ask({ kind: 'stats', filter }, QUERY_TIMEOUT_MS));
	}

	async close(): Promise<void> {
		if (this.#closed) return;
		this.#closed = true;
		this.#cancelPrune?.();
		// Without a worker there is nobody to wait for.
		if (this.#link.up) await this.flush().catch((thrown) => this.#options.warn(messageOf(thrown)));
		this.#cancelFlush?.();
		await this.#link.close(WRITE_TIMEOUT_MS);
		const left = this.#buffer.length;
		this.#buffer = [];
		if (left > 0) this.#settle(left, 'closed', 'the store was closed before they could be written');
		this.#cancelWarn?.();
		this.#report();
	}

	/** A question sees everything that was recorded before it. */
	async #query<T>(ask: () => Promise<T>): Promise<T> {
		if (this.#link.up) await this.flush();
		return ask();
	}

	#sendAll(): void {
		this.#cancelFlush?.();
		this.#cancelFlush = null;
		this.#due = this.#accepted;
		this.#send();
	}

	/** Hands full or due batches to the worker, a bounded number at a time; the rest stays in the buffer. */
	#send(): void {
		while (this.#link.up && this.#inFlight < BATCHES_IN_FLIGHT_MAX && this.#hasBatch()) {
			const traces = this.#takeBatch();
			this.#taken += traces.length;
			this.#inFlight++;
			void this.#write(traces);
		}
	}

	#takeBatch(): string[] {
		let count = 0;
		let chars = 0;
		for (const text of this.#buffer) {
			if (count === BATCH_TRACES_MAX || (count > 0 && chars + text.length > BATCH_CHARS_MAX)) break;
			chars += text.length;
			count++;
		}
		this.#bufferChars -= chars;
		return this.#buffer.splice(0, count);
	}

	#hasBatch(): boolean {
		return this.#buffer.length >= BATCH_TRACES || (this.#buffer.length > 0 && this.#taken < this.#due);
	}

	async #write(traces: readonly string[]): Promise<void> {
		try {
			const report = await this.#link.ask({ kind: 'write', traces }, WRITE_TIMEOUT_MS);
			this.#inFlight--;
			if (report.written > 0) this.#link.healthy();
			if (report.invalid > 0) this.#drop('not_a_trace', report.invalid, report.reason ?? '');
			if (report.failed > 0) this.#drop('write_failed', report.failed, report.reason ?? '');
			this.#settle(traces.length, null, '');
		} catch (thrown) {
			this.#inFlight--;
			// Lost with its worker, or with the patience for one: a stuck disk may still take it, so that more may be on disk
			// than was counted, never less.
			this.#settle(traces.length, 'worker_lost', messageOf(thrown));
		}
		this.#send();
	}

	#settle(count: number, lost: DropReason | null, why: string): void {
		this.#settled += count;
		if (lost) this.#drop(lost, count, why);
		// Batches settle in order, so that a count tells which traces are done.
		const done = this.#waiters.filter(({ upTo }) => upTo <= this.#settled);
		if (done.length === 0) return;
		this.#waiters = this.#waiters.filter(({ upTo }) => upTo > this.#settled);
		for (const waiter of done) waiter.resolve();
	}

	#drop(reason: DropReason, count: number, why: string): void {
		this.#drops[reason] += count;
		this.#lastReason = `${reason}: ${why}`;
		if (this.#cancelWarn) return;
		this.#report();
		this.#cancelWarn = this.#options.clock.after(WARN_EVERY_MS, () => {
			this.#cancelWarn = null;
			this.#report();
		});
	}

	#report(): void {
		const news = this.dropped - this.#reported;
		if (news === 0) return;
		this.#reported = this.dropped;
		const traces = news === 1 ? '1 trace was' : `${news} traces were`;
		this.#options.warn(`${traces} dropped, ${this.dropped} since the start (${this.#lastReason}).`);
	}

	#prune(): void {
		const { clock, retentionDays, warn } = this.#options;
		this.#link
			.ask({ kind: 'prune', beforeMs: clock.now() - retentionDays * DAY_MS }, PRUNE_TIMEOUT_MS)
			.catch((thrown) => warn(`Old traces could not be removed: ${messageOf(thrown)}`))
			.finally(() => {
				if (!this.#closed) this.#cancelPrune = clock.after(PRUNE_EVERY_MS, () => this.#prune());
			});
	}
}

function messageOf(thrown: unknown): string {
	return thrown instanceof Error ? thrown.message : String(thrown);
}
