import { Worker } from 'node:worker_threads';
import { type Clock, nextTurn } from '../base/clock.ts';
import { type ErrorCode, PlimsollError } from '../spec/errors.ts';
import type { PushInput, Refused } from '../spec/push.ts';
import { type ReadDocuments, readBody } from './document-body.ts';

export type BodyAsk =
	| { readonly kind: 'read'; readonly bytes: Uint8Array; readonly isLines: boolean }
	| { readonly kind: 'next' };

export type BodyAnswer =
	| {
			readonly kind: 'part';
			readonly documents: readonly (PushInput | Refused)[];
			readonly single: boolean;
			readonly isLast: boolean;
	  }
	| { readonly kind: 'refused'; readonly code: ErrorCode; readonly message: string; readonly param: string | null };

/** What takes a millisecond or two is read at once. */
const SMALL_BYTES_MAX = 32_768;
/** Longest that one body may take; what takes longer is hostile. */
const BODY_MS_MAX = 60_000;
/** Above what the largest body can take that is parsed at all. */
const HEAP_MB_MAX = 1_024;

/**
 * Reads bodies of documents, large ones in a thread of its own, because parsing and checking megabytes takes as long as requests
 * must not wait for. A body that ends or stalls the thread is refused, and no other one. They take turns; what
 * waits is bounded by what bodies may hold in memory.
 */
export class DocumentBodies {
	readonly #clock: Clock;
	#worker: Worker | null = null;
	#waiting: { resolve(answer: BodyAnswer): void; reject(cause: Error): void } | null = null;
	#tail: Promise<unknown> = Promise.resolve();
	#isClosed = false;

	constructor(clock: Clock) {
		this.#clock = clock;
	}

	/**
	 * @param bytes are gone afterwards. Throws as `readBody`, and `body_too_large` for what cannot be read.
	 * @param left aborts when the client leaves: its body is counted no more, and so must not be kept until its turn.
	 */
	read(bytes: Buffer, isLines: boolean, left?: AbortSignal): Promise<ReadDocuments> {
		if (bytes.byteLength <= SMALL_BYTES_MAX) return Promise.try(readBody, bytes, isLines);
		const { promise, resolve, reject } = Promise.withResolvers<ReadDocuments>();
		let waiting: Buffer | null = bytes;
		const leave = () => {
			waiting = null;
			reject(left?.reason);
		};
		if (left?.aborted) leave();
		else left?.addEventListener('abort', leave, { once: true });
		// What was read goes to whoever asked and is not kept here until the next one comes.
		this.#tail = this.#tail
			.then(() => (waiting === null ? Promise.reject(left?.reason) : this.#read(waiting, isLines)))
			.then(resolve, reject);
		return promise;
	}

	async close(): Promise<void> {
		const worker = this.#worker;
		this.#isClosed = true;
		this.#drop(worker, stopping());
		await worker?.terminate();
	}

	async #read(bytes: Buffer, isLines: boolean): Promise<ReadDocuments> {
		if (this.#isClosed) throw stopping();
		this.#worker ??= this.#start();
		const worker = this.#worker;
		// An idle thread keeps no process alive; one that works does.
		worker.ref();
		const late = `reading it takes longer than ${BODY_MS_MAX / 1_000} s`;
		const cancel = this.#clock.after(BODY_MS_MAX, () => this.#drop(worker, unreadable(late)));
		const documents: (PushInput | Refused)[] = [];
		try {
			let ask: BodyAsk = { kind: 'read', bytes: alone(bytes), isLines };
			for (;;) {
				const answer: BodyAnswer = await this.#ask(worker, ask);
				if (answer.kind === 'refused') {
					const { code, message, param } = answer;
					throw new PlimsollError(code, message, param === null ? {} : { param });
				}
				documents.push(...answer.documents);
				if (answer.isLast) return { documents, single: answer.single };
				ask = { kind: 'next' };
				await nextTurn();
			}
		} finally {
			cancel();
			worker.unref();
		}
	}

	#ask(worker: Worker, ask: BodyAsk): Promise<BodyAnswer> {
		const { promise, resolve, reject } = Promise.withResolvers<BodyAnswer>();
		// It may have ended between two parts.
		if (this.#worker !== worker) return Promise.reject(unreadable('the thread that read it ended'));
		this.#waiting = { resolve, reject };
		worker.postMessage(ask, ask.kind === 'read' ? [ask.bytes.buffer as ArrayBuffer] : []);
		return promise;
	}

	#start(): Worker {
		// The published package holds .js files where the repository holds .ts files.
		const file = import.meta.url.endsWith('.ts') ? './document-body-worker.ts' : './document-body-worker.js';
		const resourceLimits = { maxOldGenerationSizeMb: HEAP_MB_MAX };
		const worker = new Worker(new URL(file, import.meta.url), { resourceLimits });
		worker.on('message', (answer: BodyAnswer) => {
			// One that was dropped may still be heard, and its documents are another body's.
			if (this.#worker === worker) this.#waiting?.resolve(answer);
		});
		worker.on('error', (cause) => {
			this.#drop(worker, unreadable(cause instanceof Error ? cause.message : String(cause), cause));
		});
		worker.on('exit', () => this.#drop(worker, unreadable('the thread that read it ended')));
		return worker;
	}

	/** The body that it works at is refused; the next one has a new thread. */
	#drop(worker: Worker | null, why: PlimsollError): void {
		if (worker === null || this.#worker !== worker) return;
		this.#worker = null;
		this.#waiting?.reject(why);
		worker.terminate().catch(() => {
			// The thread is gone either way; that the body could not be read is what gets told.
		});
	}
}

function stopping(): PlimsollError {
	return new PlimsollError('server_draining', 'Plimsoll is stopping.');
}

function unreadable(reason: string, cause?: unknown): PlimsollError {
	const message = `The body could not be read: ${reason}. Send fewer documents at once.`;
	return new PlimsollError('body_too_large', message, { cause });
}

/** Memory of its own, which can be handed over. */
function alone(bytes: Buffer): Uint8Array {
	return bytes.buffer.byteLength === bytes.byteLength ? bytes : new Uint8Array(bytes);
}
