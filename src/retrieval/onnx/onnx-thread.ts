import { Worker } from 'node:worker_threads';
import type { Clock } from '../../base/clock.ts';
import type { FromOnnx, ModelFacts, OnnxInput, OnnxOutput, OnnxRefusal, OnnxStart, ToOnnx } from './onnx-protocol.ts';

export const ONNX_PACKAGE = '@huggingface/transformers';
/** Its native part comes inside the package; the scripts would only fetch GPU libraries. */
export const ONNX_INSTALL = `npm install --save-prod --ignore-scripts ${ONNX_PACKAGE}@4.3.1`;
/** Texts that wait: more are refused at once. */
const WAITING_MAX = 1_024;
/** A model of the hub is downloaded meanwhile. */
const LOAD_MS_MAX = 600_000;
/** What one text may take before the thread is given up. */
const RUN_MS_MAX = 120_000;
/** How long a thread that is to end may still compute. */
const CLOSE_MS_MAX = 10_000;
/** How long a model that could not be loaded is not tried again. */
const RETRY_AFTER_MS = 30_000;

/** A model that cannot be used. */
export class ModelRefused extends Error {
	readonly code: OnnxRefusal['code'];

	constructor({ code, reason }: OnnxRefusal) {
		super(reason);
		this.code = code;
	}
}

interface Job {
	readonly input: OnnxInput;
	readonly settle: (output: OnnxOutput) => void;
	readonly fail: (reason: Error) => void;
}

interface RunOptions {
	/** Goes before what can wait, as a query before documents. */
	readonly urgent: boolean;
	readonly signal: AbortSignal | null;
}

interface Opened {
	readonly worker: Worker;
	readonly facts: Promise<ModelFacts>;
	readonly ended: Promise<void>;
}

/**
 * A model in a thread of its own, since the package computes in the thread that calls it: one text at a time, urgent ones
 * first. A thread that ends or hangs fails the text that it worked at; those behind it go to a new one. A thread is asked to end
 * and never terminated: in the middle of native code that would end the process.
 */
export class OnnxThread {
	readonly #start: OnnxStart;
	readonly #clock: Clock;
	readonly #urgent: Job[] = [];
	readonly #patient: Job[] = [];
	#opened: Opened | null = null;
	#failed: { readonly at: number; readonly cause: Error } | null = null;
	#isReady = false;
	#running: Job | null = null;
	#cancelTimer = () => {};
	#isClosed = false;

	constructor(start: Omit<OnnxStart, 'packageName'> & { readonly packageName?: string }, clock: Clock) {
		const { task, model, cacheDir, packageName = ONNX_PACKAGE } = start;
		// Only this is sent to the thread.
		this.#start = { task, model, cacheDir, packageName };
		this.#clock = clock;
	}

	/** Loads the model, unless it is. Throws ModelRefused, or Error when the thread is lost meanwhile. */
	async open(): Promise<ModelFacts> {
		if (this.#isClosed) throw closed();
		if (this.#failed && this.#clock.monotonic() - this.#failed.at < RETRY_AFTER_MS) throw this.#failed.cause;
		this.#opened ??= this.#load();
		return this.#opened.facts;
	}

	/** Throws what `open` throws, Error when the run fails or too much waits, or the signal's reason. */
	async run(input: OnnxInput, { urgent, signal }: RunOptions): Promise<OnnxOutput> {
		signal?.throwIfAborted();
		if (this.#isClosed) throw closed();
		if (this.#urgent.length + this.#patient.length >= WAITING_MAX)
			throw new Error(`${WAITING_MAX} texts wait for the model already`);
		const { promise, resolve, reject } = Promise.withResolvers<OnnxOutput>();
		const queue = urgent ? this.#urgent : this.#patient;
		const job = { input, settle: resolve, fail: reject };
		const onAbort = () => {
			const at = queue.indexOf(job);
			if (at >= 0) queue.splice(at, 1);
			reject(signal?.reason);
		};
		signal?.addEventListener('abort', onAbort, { once: true });
		queue.push(job);
		this.#next();
		try {
			return await promise;
		} finally {
			signal?.removeEventListener('abort', onAbort);
		}
	}

	/** What runs may end; what waits fails. */
	async close(): Promise<void> {
		this.#isClosed = true;
		this.#failAll(closed());
		if (this.#opened === null) return;
		const { worker, ended } = this.#opened;
		dismiss(worker);
		const { promise: timeUp, resolve } = Promise.withResolvers<void>();
		const cancelTimer = this.#clock.after(CLOSE_MS_MAX, resolve);
		worker.ref();
		await Promise.race([ended, timeUp]);
		cancelTimer();
		this.#cancelTimer();
		this.#running?.fail(closed());
		this.#opened = null;
		worker.unref();
	}

	#next(): void {
		if (this.#running || this.#isClosed) return;
		const first = this.#urgent[0] ?? this.#patient[0];
		const worker = this.#opened?.worker;
		if (!first) worker?.unref();
		else if (!this.#isReady || !worker) void this.open().catch((cause: Error) => this.#failAll(cause));
		else {
			(this.#urgent[0] === first ? this.#urgent : this.#patient).shift();
			this.#running = first;
			// A thread at work keeps the process alive.
			worker.ref();
			worker.postMessage(first.input satisfies ToOnnx);
			this.#cancelTimer = this.#clock.after(RUN_MS_MAX, () =>
				this.#lose(worker, 'the model gave no answer for too long'),
			);
		}
	}

	#load(): Opened {
		const { promise: facts, resolve, reject } = Promise.withResolvers<ModelFacts>();
		const { promise: ended, resolve: end } = Promise.withResolvers<void>();
		// The published package holds .js files where the repository holds .ts files.
		const file = import.meta.url.endsWith('.ts') ? './onnx-worker.ts' : './onnx-worker.js';
		const worker = new Worker(new URL(file, import.meta.url), { workerData: this.#start });
		const refuse = (cause: Error) => {
			this.#failed = { at: this.#clock.monotonic(), cause };
			reject(cause);
			this.#lose(worker, cause.message);
		};
		const tooLate = () => refuse(new Error(`the model was not loaded within ${LOAD_MS_MAX / 1_000} s`));
		this.#cancelTimer = this.#clock.after(LOAD_MS_MAX, tooLate);
		worker.on('message', (message: FromOnnx) => {
			if (this.#opened?.worker !== worker) return;
			if (message.kind === 'refused') refuse(new ModelRefused(message.refusal));
			else if (message.kind === 'ready') {
				this.#cancelTimer();
				this.#isReady = true;
				this.#failed = null;
				resolve(message.facts);
				this.#next();
			} else this.#answered(message);
		});
		let last = 'it ended by itself';
		worker.on('error', (thrown) => {
			last = thrown instanceof Error ? thrown.message : String(thrown);
		});
		worker.on('exit', () => {
			const reason = `the model’s thread was lost: ${last}`;
			if (this.#opened?.worker === worker && !this.#isReady) refuse(new Error(reason));
			reject(new Error(reason));
			this.#lose(worker, reason);
			end();
		});
		facts.catch(() => {}); // Whoever waits is told; nobody may.
		return { worker, facts, ended };
	}

	#answered(message: Extract<FromOnnx, { kind: 'answer' | 'failed' }>): void {
		this.#cancelTimer();
		const job = this.#running;
		this.#running = null;
		if (message.kind === 'answer') job?.settle(message.output);
		else job?.fail(new Error(message.reason));
		this.#next();
	}

	/** Gives up a thread; what waits goes to a new one. */
	#lose(worker: Worker, reason: string): void {
		if (this.#opened?.worker !== worker) return;
		this.#cancelTimer();
		this.#opened = null;
		this.#isReady = false;
		const job = this.#running;
		this.#running = null;
		dismiss(worker);
		job?.fail(new Error(reason));
		this.#next();
	}

	#failAll(cause: Error): void {
		for (const job of [...this.#urgent.splice(0), ...this.#patient.splice(0)]) job.fail(cause);
	}
}

function closed(): Error {
	return new Error('the model was closed');
}

/** It ends by itself when it has done what it is at, and keeps no process alive for that. */
function dismiss(worker: Worker): void {
	worker.postMessage('close' satisfies ToOnnx);
	worker.unref();
}
