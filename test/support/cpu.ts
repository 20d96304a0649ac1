/** In steps of this many microseconds the kernel counts a thread's CPU. */
export const TICK_MICROS = 4_000;

/** Microseconds of this thread's CPU, the least of several runs: what else the machine does is not in it. */
export function leastCpu(run: () => void): number {
	let best = Number.POSITIVE_INFINITY;
	for (let i = 0; i < 4; i++) {
		const before = process.threadCpuUsage();
		run();
		const { user, system } = process.threadCpuUsage(before);
		best = Math.min(best, user + system);
	}
	return best;
}
