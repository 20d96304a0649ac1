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

/** A disk that does not answer for so long fails the operation; its request is told. */
const OPERATION_MS_MAX = 5_000;
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
	const store = new SqliteIdempotency(startWorker({ file, bounds: options.bounds }), options.clock);
	await store.opened;
	return store;
}

/** The worker beside this file: `.ts` in a checkout, `.js` after a build. */
function startWorker(start: WorkerStart): Worker {
	const extension = import.meta.url.endsWith('.ts') ? 'ts' : 'js';
	return new Worker(new URL(`./idempotency-worker.${extension}`, import.meta.url), { workerData: start });
}

class SqliteIdempotency implements IdempotencyStore {
	readonly opened: Promise<void>;
	readonly #worker: Worker;
	readonly #clock: Clock;
	readonly #waiting = new Map<number, Waiter>();
	#nextId = 0;
	#lost: string | null = null;

	constructor(worker: Worker, clock: Clock) {
		this.#worker = worker;
		this.#clock = clock;
		const { promise, resolve, reject } = Promise.withResolvers<void>();
		this.opened = promise;
		worker.on('message', (message: FromWorker) => {
			if (message.kind === 'opened') {
				worker.unref();
				resolve();
			} else if (message.kind === 'refused') reject(new PlimsollError('storage_failed', message.message));
			else this.#receive(message);
		});
		let reason = 'it ended by itself';
		worker.on('error', (error) => {
			reason = error instanceof Error ? error.message : String(error);
		});
		worker.on('exit', () => {
			this.#lost = `The idempotency store has lost its worker: ${reason}`;
			reject(new PlimsollError('storage_failed', this.#lost));
			for (const waiter of this.#waiting.values()) waiter.fail(this.#lost);
			this.#waiting.clear();
		});
	}

	async claim(claim: KeyClaim): Promise<KeyState> {
		const state = await this.#ask({ kind: 'claim', claim });
		if (typeof state === 'object') return state;
		throw unavailable('The idempotency store answered a claim with something else.');
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
		if (this.#lost === null) await this.#ask({ kind: 'close' }).catch(() => undefined);
		await this.#worker.terminate();
	}

	async #held(operation: Operation): Promise<boolean> {
		return (await this.#ask(operation)) === true;
	}

	#ask(operation: ToWorker['operation']): Promise<OperationResult> {
		if (this.#lost !== null) return Promise.reject(unavailable(this.#lost));
		if (this.#waiting.size >= WAITING_MAX) {
			return Promise.reject(unavailable(`The idempotency store has ${WAITING_MAX} operations waiting.`));
		}
		const id = this.#nextId++;
		return new Promise((resolve, reject) => {
			const cancel = this.#clock.after(OPERATION_MS_MAX, () => {
				this.#forget(id);
				reject(unavailable(`The idempotency store did not answer within ${OPERATION_MS_MAX} ms.`));
			});
			this.#waiting.set(id, {
				settle: (result) => {
					cancel();
					resolve(result);
				},
				fail: (message) => {
					cancel();
					reject(unavailable(message));
				},
			});
			// While somebody waits the process must not end; while nobody does, the worker must not keep it alive.
			this.#worker.ref();
			this.#worker.postMessage({ id, operation } satisfies ToWorker);
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
		if (this.#waiting.size === 0) this.#worker.unref();
		return waiter;
	}
}

/** @param internal for the operator: where the file stands is nobody else's to know. */
function unavailable(internal: string): PlimsollError {
	return new PlimsollError('idempotency_unavailable', 'The store of idempotency keys does not answer.', {
		retryAfterMs: 1_000,
		internal,
	});
}
