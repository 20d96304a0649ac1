import { type ChildProcess, fork, type Serializable } from 'node:child_process';
import { once } from 'node:events';

/** What a measured process says of itself when asked. */
export interface Vitals {
	/** Microseconds of CPU since the process started, user and system. */
	readonly cpuMicros: number;
	readonly rssBytes: number;
	/** After a full collection. */
	readonly heapBytes: number;
}

/** A server in a process of its own. */
export interface MeasuredProcess {
	/** What the process sent when it was ready. */
	readonly ready: Record<string, string>;
	vitals(): Promise<Vitals>;
	/** The process's answer to a message; only one may be under way. */
	ask(message: string): Promise<unknown>;
	stop(): Promise<void>;
}

const READY_MS_MAX = 60_000;

/** Starts a module with `--expose-gc` that calls `reportVitals` and then sends its first message when it is ready. */
export async function startProcess(module: string, args: readonly string[]): Promise<MeasuredProcess> {
	const child = fork(new URL(module, import.meta.url), args, {
		execArgv: ['--expose-gc'],
		stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
	});
	const ready = (await next(child)) as Record<string, string>;
	return {
		ready,
		async vitals() {
			child.send('vitals');
			return (await next(child)) as unknown as Vitals;
		},
		ask(message) {
			child.send(message);
			return next(child);
		},
		async stop() {
			const exited = once(child, 'exit');
			child.kill('SIGTERM');
			await exited;
		},
	};
}

/** The child's next message. Rejects when it ends first, or says nothing for a minute. */
async function next(child: ChildProcess): Promise<unknown> {
	const waits = new AbortController();
	const signal = AbortSignal.any([waits.signal, AbortSignal.timeout(READY_MS_MAX)]);
	const failed = once(child, 'exit', { signal }).then(([code]) => {
		throw new Error(`a measured process ended with ${code}`);
	});
	try {
		const [message] = await Promise.race([once(child, 'message', { signal }), failed]);
		return message;
	} finally {
		waits.abort();
		failed.catch(() => {});
	}
}

/** In the measured process: answers the parent's questions. */
export function reportVitals(): void {
	process.on('message', () => {
		globalThis.gc?.();
		const { user, system } = process.cpuUsage();
		const { rss, heapUsed } = process.memoryUsage();
		process.send?.({ cpuMicros: user + system, rssBytes: rss, heapBytes: heapUsed } satisfies Vitals);
	});
}

export function sayReady(message: Serializable): void {
	process.send?.(message);
}
