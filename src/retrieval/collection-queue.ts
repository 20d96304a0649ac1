import { PlimsollError } from '../spec/errors.ts';

/** Runs of one collection that may wait for the one that runs. Each finds less to do than the one before. */
const WAITING_MAX = 8;

/** Whatever writes to a collection's index takes turns; collections do not wait for each other. */
export class CollectionQueue {
	readonly #queues = new Map<string, { tail: Promise<unknown>; length: number }>();

	/**
	 * Runs a task after those that came before it. Throws `concurrency_exceeded` when too many wait.
	 * @param signal a caller that leaves need not wait for a task that is still to start or to wind down.
	 */
	async run<T>(collection: string, task: () => Promise<T>, signal: AbortSignal): Promise<T> {
		const queue = this.#queues.get(collection) ?? { tail: Promise.resolve(), length: 0 };
		if (queue.length > WAITING_MAX) {
			throw new PlimsollError(
				'concurrency_exceeded',
				`${WAITING_MAX} ingestions of ${collection} are waiting already.`,
			);
		}
		queue.length++;
		this.#queues.set(collection, queue);
		const run = queue.tail.then(() => {
			signal.throwIfAborted();
			return task();
		});
		queue.tail = run.catch(() => null).finally(() => queue.length--);
		const ended = new AbortController();
		return Promise.race([run, aborted(signal, ended.signal)]).finally(() => ended.abort());
	}

	/** Resolves when nothing is under way. */
	async idle(): Promise<void> {
		await Promise.all([...this.#queues.values()].map(({ tail }) => tail));
	}
}

function aborted(signal: AbortSignal, ended: AbortSignal): Promise<never> {
	return new Promise((_, reject) => {
		if (signal.aborted) reject(signal.reason);
		else signal.addEventListener('abort', () => reject(signal.reason), { signal: ended });
	});
}
