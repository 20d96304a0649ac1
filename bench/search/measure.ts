import { monitorEventLoopDelay } from 'node:perf_hooks';
import { setImmediate } from 'node:timers/promises';
import { systemClock } from '../../src/base/clock.ts';
import type { BenchQuery } from './corpus.ts';

/** One way to search, under test. */
export type Run = (query: BenchQuery) => Promise<unknown>;

/** Milliseconds, but for the last two. */
export interface Figures {
	readonly p50: number;
	readonly p99: number;
	readonly loopP99: number;
	/** Of all threads, for one search: what else the machine does hardly moves it. */
	readonly cpu: number;
	readonly searchesPerSecond: number;
	readonly searches: number;
}

/** As many clients as asked for, each with one search at a time, for so long or so many searches. */
export async function measure(
	run: Run,
	queries: readonly BenchQuery[],
	{ clients, seconds, searchesMax }: { clients: number; seconds: number; searchesMax: number },
): Promise<Figures> {
	const query = (at: number) => queries[at % queries.length] as BenchQuery;
	for (let at = 0; at < Math.min(20, searchesMax); at++) await run(query(at));
	const took: number[] = [];
	const loop = monitorEventLoopDelay({ resolution: 1 });
	const cpuBefore = process.cpuUsage();
	const from = systemClock.monotonic();
	let started = 0;
	loop.enable();
	await Promise.all(
		Array.from({ length: clients }, async () => {
			while (started < searchesMax && systemClock.monotonic() - from < seconds * 1_000) {
				const at = systemClock.monotonic();
				await run(query(started++));
				took.push(systemClock.monotonic() - at);
				// What a server does between two requests: without it, a system that never waits would starve the loop unseen.
				await setImmediate();
			}
		}),
	);
	loop.disable();
	const elapsed = systemClock.monotonic() - from;
	const { user, system } = process.cpuUsage(cpuBefore);
	took.sort((a, b) => a - b);
	const at = (share: number) => took[Math.min(took.length - 1, Math.floor(took.length * share))] ?? 0;
	return {
		p50: at(0.5),
		p99: at(0.99),
		// The timer's own millisecond is in what it measures.
		loopP99: Math.max(0, loop.percentile(99) / 1e6 - 1),
		cpu: (user + system) / 1_000 / took.length,
		searchesPerSecond: (took.length / elapsed) * 1_000,
		searches: took.length,
	};
}
