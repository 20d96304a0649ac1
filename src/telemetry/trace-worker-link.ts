import { Worker } from 'node:worker_threads';
import type { Clock } from '../base/clock.ts';
import { PlimsollError } from '../spec/errors.ts';
import type { Answer, Answers, FromWorker, Question, ToWorker, WorkerStart } from './trace-protocol.ts';

/** The first restart comes at once, the next ones after 1 s, 2 s, … up to this, until a batch is written again. */
const RESTART_MS_MAX = 60_000;

/** More questions than this at once are refused: the worker answers one at a time. */
const QUESTIONS_MAX = 128;

export type StartWorker = (start: WorkerStart) => Worker;

/** The worker beside this file: `.ts` in a checkout, where Node strips the types, `.js` after a build. */
export const startTraceWorker: StartWorker = (workerData) => {
	const extension = import.meta.url.endsWith('.ts') ? 'ts' : 'js';
	return new Worker(new URL(`./trace-worker.${extension}`, import.meta.url), { workerData });
};

interface LinkOptions {
	readonly file: string;
	readonly clock: Clock;
	readonly startWorker: StartWorker;
	/** The worker answers again after a restart. */
	onUp(): void;
	warn(message: string): void;
}

interface Waiter {
	settle(answer: Answer): void;
	fail(error: PlimsollError): void;
}

/** The way to the worker: questions and answers, and a new worker when one is lost. */
export class TraceWorkerLink {
	readonly #options: LinkOptions;
	readonly #waiters = new Map<number, Waiter>();
	#worker: Worker | null = null;
	#up = false;
	#closing = false;
	#nextId = 0;
	#restarts = 0;
	#cancelRestart: (() => void) | null = null;

	constructor(options: LinkOptions) {
		this.#options = options;
	}

	/** Whether a worker is there to answer. */
	get up(): boolean {
		return this.#up;
	}

	/** Starts the first worker. Throws PlimsollError `storage_failed` when it cannot use the file. */
	start(): Promise<void> {
		const { file, clock, startWorker } = this.#options;
		const worker = startWorker({ file, now: clock.now() });
		this.#worker = worker;
		let reason = 'it ended by itself';
		return new Promise((resolve, reject) => {
			worker.on('message', (message: FromWorker) => {
				if (message.kind === 'opened') {
					this.#up = true;
					worker.unref();
					resolve();
				} else if (message.kind === 'refused') {
					reason = message.message;
					reject(storageFailed(message.message, message.internal));
				} else this.#receive(message);
			});
			worker.on('error', (error) => {
				reason = error instanceof Error ? error.message : String(error);
			});
			worker.on('exit', () => {
				reject(storageFailed(`The trace worker of ${file} could not start: ${reason}`, null));
				this.#lost(reason);
			});
		});
	}

	/**
	 * Asks the worker. Throws PlimsollError `storage_failed` when it cannot answer, is lost, or takes longer than
	 * `timeoutMs`.
	 */
	ask<K extends Question['kind']>(question: Question & { readonly kind: K }, timeoutMs: number): Promise<Answers[K]> {
		const worker = this.#worker;
		if (!worker || !this.#up) return Promise.reject(this.#unavailable('has no worker at the moment; retry.'));
		// Batches are bounded where they come from, and must not be lost to curiosity.
		if (this.#waiters.size >= QUESTIONS_MAX && question.kind !== 'write') {
			return Promise.reject(this.#unavailable(`has ${QUESTIONS_MAX} questions waiting; retry.`));
		}
		const id = this.#nextId++;
		return new Promise((resolve, reject) => {
			const cancelTimer = this.#options.clock.after(timeoutMs, () => {
				this.#forget(id);
				this.#post({ kind: 'cancel', id });
				reject(this.#unavailable(`did not answer within ${timeoutMs} ms.`));
			});
			this.#waiters.set(id, {
				settle: (answer) => {
					cancelTimer();
					if (isAnswerTo(question.kind, answer)) resolve(answer.value);
					else reject(this.#unavailable(`answered a ${question.kind} with a ${answer.kind}.`));
				},
				fail: (error) => {
					cancelTimer();
					reject(error);
				},
			});
			// While somebody waits the process must not end; while nobody does, the worker must not keep it alive.
			worker.ref();
			this.#post({ kind: 'question', id, question });
		});
	}

	/** A batch was written: the next loss starts over with an immediate restart. */
	healthy(): void {
		this.#restarts = 0;
	}

	/** Closes the file and ends the worker, or leaves it behind after `timeoutMs`. */
	async close(timeoutMs: number): Promise<void> {
		this.#closing = true;
		this.#cancelRestart?.();
		const worker = this.#worker;
		if (!worker) return;
		try {
			await this.ask({ kind: 'close' }, timeoutMs);
			await worker.terminate();
		} catch (thrown) {
			// Never terminate a worker that DuckDB still works for: its binding aborts the whole process then.
			worker.unref();
			this.#options.warn(`The trace store was not closed cleanly: ${messageOf(thrown)}`);
		}
	}

	#receive(message: FromWorker): void {
		if (message.kind === 'warning') this.#options.warn(message.message);
		else if (message.kind === 'answer') this.#forget(message.id)?.settle(message.answer);
		else if (message.kind === 'failed')
			this.#forget(message.id)?.fail(storageFailed(message.message, message.internal));
	}

	#lost(reason: string): void {
		const wasUp = this.#up;
		this.#up = false;
		this.#worker = null;
		const waiters = [...this.#waiters.values()];
		this.#waiters.clear();
		for (const waiter of waiters) waiter.fail(this.#unavailable(`lost its worker: ${reason}.`));
		if (this.#closing || (!wasUp && this.#restarts === 0)) return;
		const delay = this.#restarts === 0 ? 0 : Math.min(RESTART_MS_MAX, 1_000 * 2 ** (this.#restarts - 1));
		this.#restarts++;
		this.#options.warn(`The trace worker was lost: ${reason}. Another one starts in ${delay} ms.`);
		this.#cancelRestart = this.#options.clock.after(delay, () => this.#restart());
	}

	#restart(): void {
		this.start().then(
			() => this.#options.onUp(),
			// The exit that follows is what counts: it reports the reason and plans the next attempt.
			() => undefined,
		);
	}

	#forget(id: number): Waiter | undefined {
		const waiter = this.#waiters.get(id);
		this.#waiters.delete(id);
		if (this.#waiters.size === 0) this.#worker?.unref();
		return waiter;
	}

	#post(message: ToWorker): void {
		this.#worker?.postMessage(message);
	}

	#unavailable(what: string): PlimsollError {
		return storageFailed(`The trace store ${this.#options.file} ${what}`, null);
	}
}

function isAnswerTo<K extends keyof Answers>(
	kind: K,
	answer: Answer,
): answer is Answer & { kind: K; value: Answers[K] } {
	return answer.kind === kind;
}

function storageFailed(message: string, internal: string | null): PlimsollError {
	return new PlimsollError('storage_failed', message, internal === null ? {} : { internal });
}

function messageOf(thrown: unknown): string {
	return thrown instanceof Error ? thrown.message : String(thrown);
}
