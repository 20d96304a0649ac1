import { type Clock, sleep } from '../../base/clock.ts';
import { asPlimsollError } from '../../spec/errors.ts';
import type { Ingester } from '../../spec/retrieval.ts';

/** A run that failed is tried again after so long, twice as long each time. */
const RETRY_MS = 5_000;
const RETRY_MS_MAX = 600_000;

/** A run that was asked for. */
export interface AskedRun {
	readonly runId: string;
	/** Why it did not end well; null: it did. Never rejects. */
	readonly ended: Promise<string | null>;
}

interface Ask {
	/** How long the run waits for further documents. */
	readonly batchMs: number;
	readonly accept: boolean;
}

interface Parts {
	readonly ingester: Ingester;
	readonly clock: Clock;
	readonly ids: (prefix: string) => string;
}

interface Failing {
	/** How often it was tried again. */
	readonly retries: number;
	/** Keeps it from being tried again; null while it is. */
	readonly cancel: (() => void) | null;
}

/** Brings what was sent into indexes: one run for all that comes until it begins, and one after another. */
export class PushRuns {
	readonly #parts: Parts;
	readonly #closed = new AbortController();
	/** Runs that have not begun: whatever is stored before they do is in them. */
	readonly #asked = new Map<string, AskedRun & { accept: boolean }>();
	readonly #last = new Map<string, Promise<unknown>>();
	/** Collections whose last run failed. */
	readonly #failing = new Map<string, Failing>();
	/** Those of them that are no longer in the configuration: nothing is tried until they are back. */
	readonly #gone = new Set<string>();

	constructor(parts: Parts) {
		this.#parts = parts;
	}

	/** The run that reads all that is stored by now. */
	ask(collection: string, { batchMs, accept }: Ask): AskedRun {
		const asked = this.#asked.get(collection);
		if (asked) {
			asked.accept ||= accept;
			return asked;
		}
		const { clock, ids } = this.#parts;
		const before = this.#last.get(collection);
		const runId = ids('run');
		const begins = async (): Promise<string | null> => {
			await sleep(clock, batchMs, this.#closed.signal);
			await before;
			this.#asked.delete(collection);
			return this.#ingest(collection, run);
		};
		const ended = begins().catch((thrown: unknown) => asPlimsollError(thrown).message);
		const run: AskedRun & { accept: boolean } = { runId, ended, accept };
		this.#asked.set(collection, run);
		this.#last.set(collection, ended);
		return run;
	}

	/** Whether a run of this id waits to begin. */
	isAsked(collection: string, runId: string): boolean {
		return this.#asked.get(collection)?.runId === runId;
	}

	/** Tries again what left the configuration before its documents were read, and came back. */
	resume(isConfigured: (collection: string) => boolean): void {
		for (const collection of this.#gone)
			if (isConfigured(collection)) this.ask(collection, { batchMs: 0, accept: false });
	}

	/** Ends what runs; nothing is lost, since the next start reads what is stored. */
	close(reason: Error): void {
		this.#closed.abort(reason);
		for (const { cancel } of this.#failing.values()) cancel?.();
	}

	async #ingest(collection: string, { runId, accept }: { runId: string; accept: boolean }): Promise<string | null> {
		const { ingester } = this.#parts;
		const { signal } = this.#closed;
		try {
			const { refused } = await ingester.ingest(collection, { signal, runId, accept, pushedOnly: true });
			this.#settle(collection);
			if (refused === null) return null;
			const failed = refused.verification.checks.filter(({ passed }) => !passed);
			return `${refused.generation} was refused: ${failed.map(({ check, message }) => `${check}: ${message}`).join('; ')}`;
		} catch (thrown) {
			const { code, message } = asPlimsollError(thrown);
			if (code === 'collection_not_found') {
				this.#settle(collection);
				this.#gone.add(collection);
			} else if (!signal.aborted) this.#retry(collection);
			return message;
		}
	}

	/** Nothing is tried again. */
	#settle(collection: string): void {
		this.#failing.get(collection)?.cancel?.();
		this.#failing.delete(collection);
		this.#gone.delete(collection);
	}

	/** One for each collection, however many runs fail before it is due. */
	#retry(collection: string): void {
		const { retries, cancel: isDue } = this.#failing.get(collection) ?? { retries: 0, cancel: null };
		if (isDue) return;
		const cancel = this.#parts.clock.after(Math.min(RETRY_MS_MAX, RETRY_MS * 2 ** retries), () => {
			this.#failing.set(collection, { retries: retries + 1, cancel: null });
			this.ask(collection, { batchMs: 0, accept: false });
		});
		this.#failing.set(collection, { retries, cancel });
	}
}
