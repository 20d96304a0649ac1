import { Worker } from 'node:worker_threads';
import type { Clock } from '../base/clock.ts';
import type { ChunkerConfig } from '../contracts/collection.ts';
import type { DocumentRules } from '../contracts/document-rules.ts';
import type { Fit } from './ingestion/fit-document.ts';
import type { ChunkedDocument } from './readers/read-document.ts';
import type { SourceDocument } from './source-item.ts';

export interface DocumentTask {
	readonly document: SourceDocument;
	readonly chunker: ChunkerConfig;
	/** What it must be to fit. */
	readonly rules: DocumentRules;
	/** Milliseconds since the epoch. */
	readonly now: number;
}

export type DocumentAnswer =
	| { readonly ok: true; readonly chunked: ChunkedDocument; readonly fit: Fit }
	| { readonly ok: false; readonly reason: string };

/** Longest that one document may take; what takes longer is hostile or broken. */
const DOCUMENT_MS_MAX = 60_000;
const HEAP_MB_MAX = 1_024;

/** Documents that the thread holds: while it reads one, the next is on its way. */
const POSTED_MAX = 2;

interface Waiting {
	readonly task: DocumentTask;
	readonly answer: (answer: DocumentAnswer) => void;
}

/**
 * Reads and chunks documents in a thread of its own, because a large page or PDF takes seconds that requests must not
 * wait for. A document that crashes, exhausts or stalls the thread is a failure of that document alone.
 */
export class DocumentReader {
	readonly #clock: Clock;
	#worker: Worker | null = null;
	/** In order; the first ones are with the thread, which works at the very first. */
	#waiting: Waiting[] = [];
	#posted = 0;
	#cancelTimer = () => {};

	constructor(clock: Clock) {
		this.#clock = clock;
	}

	/** Answers in the order of the calls; whoever calls bounds how many wait. Rejects with the signal's reason when it aborts. */
	async read(task: DocumentTask, signal: AbortSignal): Promise<DocumentAnswer> {
		signal.throwIfAborted();
		const { promise, resolve, reject } = Promise.withResolvers<DocumentAnswer>();
		const waiting = { task, answer: resolve };
		const onAbort = () => {
			reject(signal.reason);
			this.#withdraw(waiting);
		};
		signal.addEventListener('abort', onAbort, { once: true });
		this.#waiting.push(waiting);
		this.#post();
		try {
			return await promise;
		} finally {
			signal.removeEventListener('abort', onAbort);
		}
	}

	async close(): Promise<void> {
		const worker = this.#worker;
		this.#worker = null;
		this.#cancelTimer();
		await worker?.terminate();
	}

	/** Sends what the thread has room for. */
	#post(): void {
		const next = this.#waiting[this.#posted];
		if (this.#posted >= POSTED_MAX || !next) return;
		this.#worker ??= this.#start();
		this.#worker.postMessage(next.task);
		this.#posted++;
		if (this.#posted === 1) this.#begin(this.#worker);
		this.#post();
	}

	/** The thread turned to the first document. */
	#begin(worker: Worker): void {
		// An idle thread keeps no process alive; one that works does.
		worker.ref();
		this.#cancelTimer = this.#clock.after(DOCUMENT_MS_MAX, () =>
			this.#drop(worker, `reading it took longer than ${DOCUMENT_MS_MAX / 1_000} s`),
		);
	}

	#answered(worker: Worker, answer: DocumentAnswer): void {
		if (this.#worker !== worker) return;
		this.#cancelTimer();
		worker.unref();
		this.#posted--;
		this.#waiting.shift()?.answer(answer);
		if (this.#posted > 0) this.#begin(worker);
		this.#post();
	}

	#withdraw(waiting: Waiting): void {
		const at = this.#waiting.indexOf(waiting);
		if (at < 0) return;
		if (at === 0 && this.#worker) this.#drop(this.#worker, 'the run was cancelled');
		// The thread will answer for what it was sent, to nobody.
		else if (at < this.#posted) this.#waiting[at] = { ...waiting, answer: () => {} };
		else this.#waiting.splice(at, 1);
	}

	#start(): Worker {
		// The published package holds .js files where the repository holds .ts files.
		const file = import.meta.url.endsWith('.ts') ? './document-worker.ts' : './document-worker.js';
		const limits = { maxOldGenerationSizeMb: HEAP_MB_MAX };
		const worker = new Worker(new URL(file, import.meta.url), { resourceLimits: limits });
		worker.on('message', (answer: DocumentAnswer) => this.#answered(worker, answer));
		worker.on('error', (cause) => this.#drop(worker, `reading it failed: ${describe(cause)}`));
		worker.on('exit', () => this.#drop(worker, 'the thread that read it ended'));
		return worker;
	}

	/** Gives up a thread and answers for the document that it worked at; those behind it go to a new thread. */
	#drop(worker: Worker, reason: string): void {
		if (this.#worker !== worker) return;
		this.#worker = null;
		this.#cancelTimer();
		this.#posted = 0;
		worker.terminate().catch(() => {
			// The thread is gone either way; the document's failure is what gets reported.
		});
		this.#waiting.shift()?.answer({ ok: false, reason });
		this.#post();
	}
}

function describe(cause: unknown): string {
	return cause instanceof Error ? cause.message : String(cause);
}
