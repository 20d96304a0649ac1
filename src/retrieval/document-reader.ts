import { Worker } from 'node:worker_threads';
import { type Clock, nextTurn } from '../base/clock.ts';
import type { ChunkerConfig } from '../contracts/collection.ts';
import type { DocumentRules } from '../contracts/document-rules.ts';
import type { Fit } from './ingestion/fit-document.ts';
import type { ChunkedDocument } from './readers/read-document.ts';
import type { SourceDocument } from './source-item.ts';

/** What documents of one source have in common. */
export interface ReaderSettings {
	readonly chunker: ChunkerConfig;
	/** What a document must be to fit. */
	readonly rules: DocumentRules;
}

export interface DocumentTask extends ReaderSettings {
	readonly document: SourceDocument;
	/** Milliseconds since the epoch. */
	readonly now: number;
}

/** Tasks on their way: a message costs as much as reading a small document, and settings cost more. */
export interface PostedTasks {
	/** Null: those of the tasks before. */
	readonly settings: ReaderSettings | null;
	readonly tasks: readonly Pick<DocumentTask, 'document' | 'now'>[];
}

export type DocumentAnswer =
	| { readonly ok: true; readonly chunked: ChunkedDocument; readonly fit: Fit }
	| { readonly ok: false; readonly reason: string };

/** Longest that one document may take; what takes longer is hostile or broken. */
const DOCUMENT_MS_MAX = 60_000;
const HEAP_MB_MAX = 1_024;
/** What a document leaves behind is gone with the next one: a larger nursery is swept less often. */
const YOUNG_MB_MAX = 32;

/** When the thread has no more than this, the next ones are sent to it. */
const POSTED_MIN = 1;
/** Documents, and bytes of them, that are sent at once; one may be larger. */
const SENT_MAX = 32;
const SENT_BYTES_MAX = 1_048_576;

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
	/** Those that the thread has. */
	#settings: ReaderSettings | null = null;
	#isGathering = false;
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

	/** Whoever reads many small documents gives the next ones within one turn of the event loop. */
	#post(): void {
		if (this.#isGathering) return;
		this.#isGathering = true;
		void nextTurn().then(() => {
			this.#isGathering = false;
			this.#send();
		});
	}

	/** Sends the next ones before the thread runs out of work. */
	#send(): void {
		const next = this.#waiting[this.#posted]?.task;
		if (this.#posted > POSTED_MIN || !next) return;
		this.#worker ??= this.#start();
		const { chunker, rules } = next;
		const isOfThese = (of: ReaderSettings | null) => of?.chunker === chunker && of.rules === rules;
		const isKnown = isOfThese(this.#settings);
		if (!isKnown) this.#settings = { chunker, rules };
		const tasks: PostedTasks['tasks'][number][] = [];
		let bytes = 0;
		for (const { task } of this.#waiting.slice(this.#posted, this.#posted + SENT_MAX)) {
			bytes += task.document.bytes.byteLength;
			if (tasks.length > 0 && (bytes > SENT_BYTES_MAX || !isOfThese(task))) break;
			tasks.push({ document: { ...task.document, bytes: alone(task.document.bytes) }, now: task.now });
		}
		this.#worker.postMessage({ settings: isKnown ? null : this.#settings, tasks } satisfies PostedTasks);
		if (this.#posted === 0) this.#begin(this.#worker);
		this.#posted += tasks.length;
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
		const limits = { maxOldGenerationSizeMb: HEAP_MB_MAX, maxYoungGenerationSizeMb: YOUNG_MB_MAX };
		this.#settings = null;
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

/** Small buffers share one piece of memory, which would be copied with each of them. */
function alone(bytes: Uint8Array): Uint8Array {
	return bytes.buffer.byteLength > 2 * bytes.byteLength ? new Uint8Array(bytes) : bytes;
}

function describe(cause: unknown): string {
	return cause instanceof Error ? cause.message : String(cause);
}
