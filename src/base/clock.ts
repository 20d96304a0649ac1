/** The only door to time. Everything that waits or measures takes a Clock, so that tests run on virtual time. */
export interface Clock {
	/** Wall time, milliseconds since the epoch. For records, never for measuring. */
	now(): number;
	/** Monotonic milliseconds with a fraction, from an arbitrary origin. For measuring and deadlines. */
	monotonic(): number;
	/** Calls `run` once after `ms`; the timer never keeps the process alive. Returns a function that cancels it. */
	after(ms: number, run: () => void): () => void;
}

export const systemClock: Clock = {
	now: () => Date.now(),
	monotonic: () => performance.now(),
	after(ms, run) {
		// Node turns a delay above 2^31 - 1 into 1 ms; a wait that long is "never" for a process.
		const timer = setTimeout(run, Math.min(ms, 2_147_483_647));
		timer.unref();
		return () => clearTimeout(timer);
	},
};

/** Resolves after `ms` on `clock`, or rejects with the signal's reason when it aborts first. */
export function sleep(clock: Clock, ms: number, signal?: AbortSignal): Promise<void> {
	return new Promise((resolve, reject) => {
		if (signal?.aborted) return reject(signal.reason);
		const stop = () => {
			cancel();
			reject(signal?.reason);
		};
		const cancel = clock.after(ms, () => {
			signal?.removeEventListener('abort', stop);
			resolve();
		});
		signal?.addEventListener('abort', stop, { once: true });
	});
}

/**
 * Calls `run` after `ms` and one more turn of the event loop: an answer that came in time may lie in its socket while this
 * process was busy. Returns a function that cancels it.
 */
export function afterOverdue(clock: Clock, ms: number, run: () => void): () => void {
	let cancel = clock.after(ms, () => {
		cancel = clock.after(0, run);
	});
	return () => cancel();
}

/** Keeps the process alive until `work` has settled: what waits for a clock alone does not. */
export async function keptAlive<T>(work: Promise<T>): Promise<T> {
	const timer = setInterval(() => {}, 2_147_483_647);
	try {
		return await work;
	} finally {
		clearInterval(timer);
	}
}

/** Resolves after what waits on the event loop had its turn: for long computations that must not stall requests. */
export function nextTurn(): Promise<void> {
	return new Promise((resolve) => setImmediate(resolve));
}
