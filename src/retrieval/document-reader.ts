import { Worker } from 'node:worker_threads';
import type { Clock } from '../base/clock.ts';
import type { ChunkerConfig } from './chunker.ts';
import type { ChunkedDocument } from './read-document.ts';
import type { SourceDocument } from './source.ts';

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

	constructor(clock: Clock) {
		this.#clock = clock;
	}

	/** One document at a time. Rejects with the signal's reason when it aborts. */
	async read(task: DocumentTask, signal: AbortSignal): Promise<DocumentAnswer> {
		signal.throwIfAborted();
		this.#worker ??= startWorker();
		const worker = this.#worker;
		const ended = new AbortController();
		try {
			return await new Promise<DocumentAnswer>((resolve, reject) => {
				const cancelTimer = this.#clock.after(DOCUMENT_MS_MAX, () => {
					resolve(this.#drop(`reading it took longer than ${DOCUMENT_MS_MAX / 1_000} s`));
				});
				ended.signal.addEventListener('abort', cancelTimer);
				const onAbort = () => {
					this.#drop('');
					reject(signal.reason);
				};
				signal.addEventListener('abort', onAbort, { signal: ended.signal });
				worker.once('message', resolve);
				worker.once('error', (cause) =>
					resolve(this.#drop(`reading it failed: ${cause instanceof Error ? cause.message : String(cause)}`)),
				);
				worker.once('exit', () => resolve(this.#drop('the thread that read it ended')));
				worker.postMessage(task);
			});
		} finally {
			ended.abort();
			worker.removeAllListeners();
		}
	}

	async close(): Promise<void> {
		const worker = this.#worker;
		this.#worker = null;
		await worker?.terminate();
	}

	#drop(reason: string): DocumentAnswer {
		const worker = this.#worker;
		this.#worker = null;
		worker?.terminate().catch(() => {
			// The thread is gone either way; the document's failure is what gets reported.
		});
		return { ok: false, reason };
	}
}

function startWorker(): Worker {
	// The published package holds .js files where the repository holds .ts files.
	const file = import.meta.url.endsWith('.ts') ? './document-worker.ts' : './document-worker.js';
	const worker = new Worker(new URL(file, import.meta.url), {
		resourceLimits: { maxOldGenerationSizeMb: HEAP_MB_MAX },
	});
	worker.unref();
	return worker;
}
