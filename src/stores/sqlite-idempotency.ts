import { Worker } from 'node:worker_threads';
import type { Clock } from '../base/clock.ts';
import { PlimsollError } from '../spec/errors.ts';
import type {
	Effect,
	IdempotencyBounds,
	IdempotencyStore,
	KeyClaim,
	KeyHolder,
	KeyState,
	StoredResponse,
} from '../spec/idempotency.ts';
import type { Operation, OperationResult } from './idempotency-table.ts';
import type { FromWorker, ToWorker, WorkerStart } from './idempotency-worker.ts';
import { keysUnavailable } from './unavailable.ts';

/** A disk that does not answer for so long fails the operation; its request is told. */
const OPERATION_MS_MAX = 5_000;
/** A worker that is lost is replaced after so long. */
const RESTART_MS = 1_000;
/** More operations under way than this are refused. */
const WAITING_MAX = 10_000;

interface Waiter {
	settle(result: OperationResult): void;
	fail(message: string): void;
}

/**
 * Idempotency records in one SQLite file, created when absent; `:memory:` keeps them for the life of the store. The
 * file belongs to one process, whose data folder is locked. Throws PlimsollError `storage_failed` when it cannot be used.
 */
export async function openSqliteIdempotency(
	file: string,
	options: { readonly bounds: IdempotencyBounds; readonly clock: Clock },
): Promise<IdempotencyStore> {
	const store = new SqliteIdempotency({ file, bounds: options.bounds }, options.clock);
	try {
		await store.run();
	} catch (thrown) {
		await store.close();
		throw thrown;
	}
	return store;
}

/** The worker beside this file: `.ts` in a checkout, `.js` after a build. */
function startWorker(start: WorkerStart): Worker {
	const extension = import.meta.url.endsWith('.ts') ? 'ts' : 'js';
	return new Worker(new URL(`./idempotency-worker.${extension}`, import.meta.url), { workerData: start });
}

class SqliteIdempotency implements IdempotencyStore {
	readonly #start: WorkerStart;
	readonly #clock: Clock;
	readonly #waiting = new Map<number, Waiter>();
	#worker: Worker | null = null;
	#nextId = 0;
	/** Why nothing can be asked; null while the worker is at work. */
	#lost: string | null = 'The idempotency store is not open yet.';
	#isClosed = false;
	#cancelRestart: () => void = () => {};

	constructor(start: WorkerStart, clock: Clock) {
		this.#start = start;
		this.#clock = clock;
	}

	isUp(): boolean {
		return this.#lost === null;
	}

	/** Resolves when a worker has opened the file. One that is lost later is replaced until the store is closed. */
	run(): Promise<void> {
		const { promise, resolve, reject } = Promise.withResolvers<void>();
		const worker = startWorker(this.#start);
		this.#worker = worker;
		let reason = 'it ended by itself';
		worker.on('message', (message: FromWorker) => {
			if (message.kind === 'opened') {
				this.#lost = null;
				worker.unref();
				resolve();
			} else if (message.kind === 'refused') {
				reason = message.message;
				reject(new PlimsollError('storage_failed', reason));
			} else this.#receive(message);
		});
		worker.on('error', (error) => {
			reason = error instanceof Error ? error.message : String(error);
		});
		worker.on('exit', () => {
			this.#lose(`The idempotency store has lost its worker: ${reason}`);
			reject(new PlimsollError('storage_failed', this.#lost ?? reason));
		});
		return promise;
	}

	#lose(why: string): void {
		this.#lost = why;
		for (const waiter of this.#waiting.values()) waiter.fail(why);
		this.#waiting.clear();
		if (this.#isClosed) return;
		// When that one is lost too, this is called again.
		this.#cancelRestart = this.#clock.after(RESTART_MS, () => void this.run().catch(() => undefined));
	}

	async claim(claim: KeyClaim): Promise<KeyState> {
		const state = await this.#ask({ kind: 'claim', claim });
		if (typeof state === 'object') return state;
		throw keysUnavailable('The idempotency store answered a claim with something else.');
	}

	renew(holder: KeyHolder, leaseUntil: number): Promise<boolean> {
		return this.#held({ kind: 'renew', holder, leaseUntil });
	}

	beginEffect(holder: KeyHolder, effect: Effect): Promise<boolean> {
		return this.#held({ kind: 'begin_effect', holder, effect });
	}

	voidEffect(holder: KeyHolder, effect: Effect): Promise<boolean> {
		return this.#held({ kind: 'void_effect', holder, effect });
	}

	complete(holder: KeyHolder, end: { response: StoredResponse | null; expiresAt: number }): Promise<boolean> {
		return this.#held({ kind: 'complete', holder, response: end.response, expiresAt: end.expiresAt });
	}

	release(holder: KeyHolder): Promise<boolean> {
		return this.#held({ kind: 'release', holder });
	}

	async sweep(now: number, max: number): Promise<number> {
		return Number(await this.#ask({ kind: 'sweep', now, max }));
	}

	async close(): Promise<void> {
		this.#isClosed = true;
		this.#cancelRestart();
		if (this.isUp()) await this.#ask({ kind: 'close' }).catch(() => undefined);
		await this.#worker?.terminate();
	}

	async #held(operation: Operation): Promise<boolean> {
		return (await this.#ask(operation)) === true;
	}

	#ask(operation: ToWorker['operation']): Promise<OperationResult> {
		const worker = this.#worker;
		if (worker === null || this.#lost !== null) return Promise.reject(keysUnavailable(this.#lost ?? ''));
		if (this.#waiting.size >= WAITING_MAX) {
			return Promise.reject(keysUnavailable(`The idempotency store has ${WAITING_MAX} operations waiting.`));
		}
		const id = this.#nextId++;
		return new Promise((resolve, reject) => {
			const cancel = this.#clock.after(OPERATION_MS_MAX, () => {
				this.#forget(id);
				reject(keysUnavailable(`The idempotency store did not answer within ${OPERATION_MS_MAX} ms.`));
			});
			this.#waiting.set(id, {
				settle: (result) => {
					cancel();
					resolve(result);
				},
				fail: (message) => {
					cancel();
					reject(keysUnavailable(message));
				},
			});
			// While somebody waits the process must not end; while nobody does, the worker must not keep it alive.
			worker.ref();
			worker.postMessage({ id, operation } satisfies ToWorker);
		});
	}

	#receive(message: Extract<FromWorker, { id: number }>): void {
		const waiter = this.#forget(message.id);
		if (message.kind === 'done') waiter?.settle(message.result);
		else waiter?.fail(message.message);
	}

	#forget(id: number): Waiter | undefined {
		const waiter = this.#waiting.get(id);
		this.#waiting.delete(id);
		if (this.#waiting.size === 0) this.#worker?.unref();
		return waiter;
	}
}
