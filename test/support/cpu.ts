/** In steps of this many microseconds the kernel counts a thread's CPU. */
const TICK_MICROS = 4_000;
/** A busy machine can slow one measurement down, but not the same one each time. */
const ROUNDS = 4;

/** Microseconds of this thread's CPU, the least of several runs: what else the machine does is not in it. */
function leastCpu(run: () => void): number {
	let best = Number.POSITIVE_INFINITY;
	for (let i = 0; i < 2; i++) {
		const before = process.threadCpuUsage();
		run();
		const { user, system } = process.threadCpuUsage(before);
		best = Math.min(best, user + system);
	}
	return best;
}

/** How many times the CPU of one piece of work another takes: measured anew until it is below `enough`, a few times at most. */
export function growth(small: () => void, large: () => void, enough: number): number {
	let least = Number.POSITIVE_INFINITY;
	for (let round = 0; round < ROUNDS && least >= enough; round++) {
		least = Math.min(least, leastCpu(large) / Math.max(leastCpu(small), TICK_MICROS));
	}
	return least;
}
