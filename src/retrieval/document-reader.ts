import { Worker } from 'node:worker_threads';
import type { Clock } from '../base/clock.ts';
import type { ChunkerConfig } from '../contracts/collection.ts';
import type { ChunkedDocument } from './readers/read-document.ts';
import type { SourceDocument } from './source-item.ts';

export interface DocumentTask {
	readonly document: SourceDocument;
	readonly chunker: ChunkerConfig;
}

export type DocumentAnswer =
	| { readonly ok: true; readonly chunked: ChunkedDocument }
	| { readonly ok: false; readonly reason: string };

/** Longest that one document may take; what takes longer is hostile or broken. */
const DOCUMENT_MS_MAX = 60_000;
const HEAP_MB_MAX = 1_024;

/**
 * Reads and chunks documents in a thread of its own, because a large page or PDF takes seconds that requests must not
 * wait for. A document that crashes, exhausts or stalls the thread is a failure of that document alone.
 */
export class DocumentReader {
	readonly #clock: Clock;
	#worker: Worker | null = null;
	/** Takes the answer for the document that is being read. */
	#answer: (answer: DocumentAnswer) => void = () => {};

	constructor(clock: Clock) {
		this.#clock = clock;
	}

	/** One document at a time. Rejects with the signal's reason when it aborts. */
	async read(task: DocumentTask, signal: AbortSignal): Promise<DocumentAnswer> {
		signal.throwIfAborted();
		this.#worker ??= this.#start();
		const worker = this.#worker;
		const { promise, resolve, reject } = Promise.withResolvers<DocumentAnswer>();
		this.#answer = resolve;
		const cancelTimer = this.#clock.after(DOCUMENT_MS_MAX, () =>
			this.#drop(worker, `reading it took longer than ${DOCUMENT_MS_MAX / 1_000} s`),
		);
		const onAbort = () => {
			reject(signal.reason);
			this.#drop(worker, 'the run was cancelled');
		};
		signal.addEventListener('abort', onAbort, { once: true });
		// An idle thread keeps no process alive; one that works does.
		worker.ref();
		worker.postMessage(task);
		try {
			return await promise;
		} finally {
			cancelTimer();
			signal.removeEventListener('abort', onAbort);
			worker.unref();
		}
	}

	async close(): Promise<void> {
		const worker = this.#worker;
		this.#worker = null;
		await worker?.terminate();
	}

	#start(): Worker {
		// The published package holds .js files where the repository holds .ts files.
		const file = import.meta.url.endsWith('.ts') ? './document-worker.ts' : './document-worker.js';
		const limits = { maxOldGenerationSizeMb: HEAP_MB_MAX };
		const worker = new Worker(new URL(file, import.meta.url), { resourceLimits: limits });
		worker.on('message', (answer: DocumentAnswer) => this.#answer(answer));
		worker.on('error', (cause) => this.#drop(worker, `reading it failed: ${describe(cause)}`));
		worker.on('exit', () => this.#drop(worker, 'the thread that read it ended'));
		return worker;
	}

	/** Gives up a thread, so that the next document gets a new one, and answers for the document it had. */
	#drop(worker: Worker, reason: string): void {
		if (this.#worker !== worker) return;
		this.#worker = null;
		this.#answer({ ok: false, reason });
		worker.terminate().catch(() => {
			// The thread is gone either way; the document's failure is what gets reported.
		});
	}
}

function describe(cause: unknown): string {
	return cause instanceof Error ? cause.message : String(cause);
}
