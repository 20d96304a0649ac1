/**
 * What Plimsoll adds: the same requests sent directly to an upstream, through a bare proxy, and through Plimsoll with
 * key, contract, budget, guards and trace on. Every server is a process of its own; the order alternates between runs.
 *
 *   npm run bench:overhead                       all cells, about seven minutes
 *   npm run bench:overhead -- --quick            one second a run, concurrency 32 only
 *   npm run bench:overhead -- --memory           100,000 requests through Plimsoll, heap and RSS on the way
 */
import { parseArgs } from 'node:util';
import { type LoadResult, load, quantile, type Target } from './overhead/load.ts';
import { type MeasuredProcess, startProcess } from './overhead/process.ts';

const { values: options } = parseArgs({ options: { quick: { type: 'boolean' }, memory: { type: 'boolean' } } });
const RUNS = 3;
/** A fresh process compiles its hot code first: a server in service has done so. */
const WARM_UP_SECONDS = 3;
const SECONDS = options.quick ? 1 : 2.5;
const CONCURRENCIES = options.quick ? [32] : [1, 32, 256];
const SYSTEMS = ['direct', 'bare proxy', 'plimsoll'] as const;
type System = (typeof SYSTEMS)[number];

interface Run {
	readonly throughput: number;
	readonly p50: number;
	readonly p99: number;
	readonly firstByteP50: number;
	/** Of the server in front of the upstream; NaN for direct. */
	readonly cpuMicros: number;
	readonly errors: number;
}

interface Bed {
	readonly targets: Readonly<Record<System, Target>>;
	readonly servers: Readonly<Record<System, MeasuredProcess | null>>;
	stop(): Promise<void>;
}

const MESSAGES = [{ role: 'user', content: 'What does the load line of a ship tell a sailor, and who put it there?' }];

/** One upstream of the given latency, and the systems in front of it. */
async function lay(latencyMs: number, stream: boolean): Promise<Bed> {
	const double = await startProcess('./upstream.ts', ['--latency-ms', String(latencyMs), '--chunks', '50']);
	const upstream = double.ready.url ?? '';
	const proxy = await startProcess('./bare-proxy.ts', [upstream]);
	const plimsoll = await startProcess('./plimsoll.ts', [upstream]);
	const body = (model: string) => JSON.stringify({ model, messages: MESSAGES, stream });
	const headers = { 'content-type': 'application/json' };
	const path = '/chat/completions';
	return {
		targets: {
			direct: { url: upstream + path, headers, body: body('double-1') },
			'bare proxy': { url: `${proxy.ready.url}/v1${path}`, headers, body: body('double-1') },
			plimsoll: {
				url: `${plimsoll.ready.url}/v1${path}`,
				headers: { ...headers, authorization: `Bearer ${plimsoll.ready.key}` },
				body: body('echo'),
			},
		},
		servers: { direct: null, 'bare proxy': proxy, plimsoll },
		stop: async () => {
			await Promise.all([proxy.stop(), plimsoll.stop()]);
			await double.stop();
		},
	};
}

async function measure(bed: Bed, system: System, concurrency: number): Promise<Run> {
	const server = bed.servers[system];
	await load(bed.targets[system], { concurrency, seconds: 0, warmUpSeconds: 0.5 });
	const before = await server?.vitals();
	const result: LoadResult = await load(bed.targets[system], { concurrency, seconds: SECONDS, warmUpSeconds: 0 });
	const after = await server?.vitals();
	return {
		throughput: result.requests / result.seconds,
		p50: quantile(result.latencies, 0.5),
		p99: quantile(result.latencies, 0.99),
		firstByteP50: quantile(result.firstBytes, 0.5),
		cpuMicros: before && after ? (after.cpuMicros - before.cpuMicros) / result.requests : Number.NaN,
		errors: result.errors,
	};
}

async function cell(bed: Bed, name: string, concurrency: number): Promise<void> {
	const runs: Record<System, Run[]> = { direct: [], 'bare proxy': [], plimsoll: [] };
	for (let run = 0; run < RUNS; run++) {
		const order = run % 2 === 0 ? SYSTEMS : [...SYSTEMS].reverse();
		for (const system of order) runs[system].push(await measure(bed, system, concurrency));
	}
	const direct = median(runs.direct);
	const proxy = median(runs['bare proxy']);
	for (const system of SYSTEMS) {
		const all = runs[system];
		const { throughput, p50, p99, firstByteP50, cpuMicros } = median(all);
		const errors = all.reduce((sum, run) => sum + run.errors, 0);
		console.log(
			[
				name.padEnd(22),
				String(concurrency).padStart(5),
				system.padEnd(11),
				throughput.toFixed(0).padStart(8),
				(throughput / proxy.throughput).toFixed(2).padStart(8),
				p50.toFixed(2).padStart(9),
				p99.toFixed(2).padStart(9),
				(p99 - direct.p99).toFixed(2).padStart(9),
				(firstByteP50 - direct.firstByteP50).toFixed(2).padStart(10),
				(Number.isNaN(cpuMicros) ? '–' : cpuMicros.toFixed(0)).padStart(8),
				String(errors).padStart(7),
			].join(' '),
		);
	}
}

function median(runs: readonly Run[]): Run {
	const of = (pick: (run: Run) => number) =>
		runs.map(pick).sort((a, b) => a - b)[Math.floor(runs.length / 2)] ?? Number.NaN;
	return {
		throughput: of((run) => run.throughput),
		p50: of((run) => run.p50),
		p99: of((run) => run.p99),
		firstByteP50: of((run) => run.firstByteP50),
		cpuMicros: of((run) => run.cpuMicros),
		errors: of((run) => run.errors),
	};
}

async function latencies(): Promise<void> {
	console.log(
		'cell                    conc system        req/s  ×proxy    p50 ms    p99 ms  +p99 ms +first ms  CPU µs  errors',
	);
	for (const latencyMs of [0, 50]) {
		for (const stream of [false, true]) {
			const bed = await lay(latencyMs, stream);
			for (const system of SYSTEMS) {
				await load(bed.targets[system], { concurrency: 32, seconds: 0, warmUpSeconds: WARM_UP_SECONDS });
			}
			for (const concurrency of CONCURRENCIES) {
				await cell(bed, `${latencyMs} ms, ${stream ? '50-chunk stream' : 'plain'}`, concurrency);
			}
			await bed.stop();
		}
	}
	console.log(
		`\nMedians of ${RUNS} runs of ${SECONDS} s. +p99 and +first are over direct; CPU is of the server in front, per request.`,
	);
}

async function memory(): Promise<void> {
	const bed = await lay(0, false);
	const server = bed.servers.plimsoll;
	console.log('requests   heap MB    RSS MB');
	for (let done = 0; done <= 100_000; done += 20_000) {
		const vitals = await server?.vitals();
		console.log(
			`${String(done).padStart(8)} ${mb(vitals?.heapBytes ?? 0).padStart(9)} ${mb(vitals?.rssBytes ?? 0).padStart(9)}`,
		);
		if (done === 100_000) break;
		await load(bed.targets.plimsoll, { concurrency: 32, seconds: 600, warmUpSeconds: 0, requestsMax: 20_000 });
	}
	await bed.stop();
}

function mb(bytes: number): string {
	return (bytes / 1_048_576).toFixed(1);
}

await (options.memory ? memory() : latencies());
