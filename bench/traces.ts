import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { setTimeout as wait } from 'node:timers/promises';
import { systemClock } from '../src/base/clock.ts';
import { createIds } from '../src/base/ids.ts';
import { systemRandom } from '../src/base/random.ts';
import { type RequestTrace, STAGES } from '../src/spec/trace.ts';
import { openTraceStore, type TraceStore } from '../src/telemetry/trace-store.ts';

/**
 * What traces cost: 1,000,000 steps (125,000 requests of 8) are recorded at a steady rate, and the same loop is run
 * once without recording, so that the difference is the main thread's cost of the store.
 *
 *   node bench/traces.ts [requests, 125000] [requests per second, 5000]
 */
const REQUESTS = Number(process.argv[2] ?? 125_000);
const PER_SECOND = Number(process.argv[3] ?? 5_000);
const TICK_MS = 5;
const LOOKUPS = 200;
/** Made beforehand and reused with new ids, so that making them is not measured. */
const SAMPLES = 1_000;

const newId = createIds(systemClock, systemRandom);

function sample(n: number): RequestTrace {
	const score = () => Math.round(systemRandom.next() * 1e6) / 1e6;
	return {
		request_id: '',
		started_at: 0,
		tenant_id: `tenant-${n % 7}`,
		key_id: newId('key').slice(4, 20),
		user_id_hash: newId('u') + newId('u'),
		feature: n % 3 ? 'support-answer' : 'ask-docs',
		release: '0123456789ab',
		variant: 'control',
		flags: { 'answer-route': n % 2 ? 'careful' : 'fast' },
		flag_reasons: { 'answer-route': 'SPLIT' },
		prompt_name: 'answer',
		prompt_version: '1.2.0',
		prompt_hash: newId('h') + newId('h'),
		upstream: 'openai/large',
		model_name: 'large-2026-10-01',
		provider: 'openai',
		provider_fingerprint: 'fp_44709d6fcb',
		streamed: n % 2 === 0,
		tokens_in: 1_500 + (n % 700),
		tokens_out: 100 + (n % 300),
		tokens_cached: n % 2 ? 1_024 : 0,
		tokens_cache_written: 0,
		tokens_reasoning: 0,
		cost_usd_micros: 900 + (n % 900),
		cost_source: 'reported',
		price_version: '2026-11-01',
		latency_ms: 500 + 900 * score(),
		time_to_first_token_ms: 150 + 200 * score(),
		retries: 0,
		client_retries: 0,
		cache_hit: 'none',
		retrieval_collection: 'docs',
		retrieval_generation: 'gen_01jf3k8v9n4zq6t0w2x7y5r8ab',
		retrieval_doc_ids: Array.from({ length: 5 }, (_, k) => `guide/page-${(n * 7 + k) % 900}.md#${k}`),
		retrieval_scores: Array.from({ length: 5 }, score),
		guard_verdicts: [
			{ guard: 'citations', verdict: 'pass', reason: null },
			{ guard: 'answer_length', verdict: 'pass', reason: null },
		],
		escalated_from: null,
		degraded: false,
		degraded_reason: null,
		outcome: 'ok',
		error_code: null,
		finish_reason: 'stop',
		steps: STAGES.map((stage, seq) => ({
			seq,
			stage,
			started_ms: seq * 90 + score(),
			latency_ms: 80 * score(),
			outcome: 'ok',
			error_code: null,
			detail: { mode: 'hybrid', hits: 5, lexical_ms: score(), used: n % 6, route: 'openai/large' },
			attempts:
				stage === 'generate'
					? [
							{
								seq: 0,
								upstream: 'openai/large',
								model_name: 'large-2026-10-01',
								provider_response_id: newId('chatcmpl'),
								started_ms: 300 + score(),
								latency_ms: 700 * score(),
								time_to_first_token_ms: 200 * score(),
								outcome: 'ok',
								error: null,
								tokens_in: 1_500 + (n % 700),
								tokens_out: 100 + (n % 300),
								cost_usd_micros: 900 + (n % 900),
								kind: 'first' as const,
							},
						]
					: [],
		})),
	};
}

const samples = Array.from({ length: SAMPLES }, (_, n) => sample(n));

interface Run {
	readonly seconds: number;
	/** CPU time of the main thread alone. */
	readonly mainMicros: number;
	readonly allMicros: number;
	readonly delayP50: number;
	readonly delayP99: number;
	readonly delayMax: number;
}

async function steadily(requests: number, record: (trace: RequestTrace) => void): Promise<Run> {
	const delay = monitorEventLoopDelay({ resolution: 1 });
	delay.enable();
	const [mainBefore, allBefore, start] = [process.threadCpuUsage(), process.cpuUsage(), performance.now()];
	for (let n = 0; n < requests; ) {
		const due = Math.min(requests, Math.ceil(((performance.now() - start) * PER_SECOND) / 1_000));
		for (; n < due; n++) {
			const like = samples[n % SAMPLES];
			if (like) record({ ...like, request_id: newId('req'), started_at: systemClock.now() });
		}
		await wait(TICK_MS);
	}
	const [main, all] = [process.threadCpuUsage(mainBefore), process.cpuUsage(allBefore)];
	delay.disable();
	return {
		seconds: (performance.now() - start) / 1_000,
		mainMicros: main.user + main.system,
		allMicros: all.user + all.system,
		// The timer itself fires every millisecond; what is above that is delay.
		delayP50: delay.percentile(50) / 1e6 - 1,
		delayP99: delay.percentile(99) / 1e6 - 1,
		delayMax: delay.max / 1e6 - 1,
	};
}

async function timed(times: number, run: () => Promise<unknown>): Promise<string> {
	const took: number[] = [];
	for (let n = 0; n < times; n++) {
		const start = performance.now();
		await run();
		took.push(performance.now() - start);
	}
	took.sort((a, b) => a - b);
	const at = (share: number) => (took[Math.min(took.length - 1, Math.floor(share * took.length))] ?? 0).toFixed(1);
	return `p50 ${at(0.5)} ms, p99 ${at(0.99)} ms, max ${at(1)} ms`;
}

async function main(store: TraceStore, file: string): Promise<void> {
	const print = (name: string, value: string) => console.log(`${name.padEnd(34)} ${value}`);
	const ids: string[] = [];
	// Both loops once for the compiler's sake; the store then starts warm, as a server's does after its first minutes.
	await steadily(10_000, () => undefined);
	const bare = await steadily(Math.min(REQUESTS, 25_000), () => undefined);
	const run = await steadily(REQUESTS, (trace) => {
		if (ids.length < LOOKUPS && Math.random() < (2 * LOOKUPS) / REQUESTS) ids.push(trace.request_id);
		store.record(trace);
	});
	const tail = performance.now();
	await store.flush();
	const seconds = run.seconds + (performance.now() - tail) / 1_000;
	const steps = REQUESTS * STAGES.length;
	const bareMicros = bare.mainMicros / Math.min(REQUESTS, 25_000);
	print('recorded', `${REQUESTS} requests, ${steps} steps at ${PER_SECOND} requests/s, ${store.dropped} dropped`);
	print(
		'written',
		`${Math.round(steps / seconds)} steps/s, all rows ${Math.round((steps + 2 * REQUESTS) / seconds)}/s`,
	);
	print('event-loop delay, recording', delays(run));
	print('event-loop delay, not recording', delays(bare));
	print('main thread', `${(run.mainMicros / REQUESTS - bareMicros).toFixed(1)} µs CPU per trace of 8 steps`);
	print('worker and database', `${((run.allMicros - run.mainMicros) / REQUESTS).toFixed(1)} µs CPU per trace`);
	let next = 0;
	print('find', await timed(LOOKUPS, () => store.find(ids[next++ % ids.length] ?? '', null)));
	print('find, no such request', await timed(50, () => store.find('req_nobody', null)));
	print(
		'recent 50 of a tenant',
		await timed(50, () => store.recent({ tenantId: 'tenant-3', feature: null, limit: 50 })),
	);
	print('stats of all features', await timed(50, () => store.stats({ tenantId: null, feature: null, sinceMs: 0 })));
	await unpaced(store, print);
	const closing = performance.now();
	await store.close();
	print('close', `${(performance.now() - closing).toFixed(0)} ms`);
	const bytes = statSync(file).size;
	print('on disk', `${(bytes / 1e6).toFixed(1)} MB, all requests included`);
}

/** As fast as the worker takes them: the most that one process can trace. */
async function unpaced(store: TraceStore, print: (name: string, value: string) => void): Promise<void> {
	const requests = Math.min(REQUESTS, 50_000);
	const start = performance.now();
	for (let n = 0; n < requests; n++) {
		const like = samples[n % SAMPLES];
		if (like) store.record({ ...like, request_id: newId('req'), started_at: systemClock.now() });
		if (n % 5_000 === 4_999) await store.flush();
	}
	await store.flush();
	print(
		'at full speed',
		`${Math.round((requests * 1_000) / (performance.now() - start))} requests/s, ${store.dropped} dropped`,
	);
}

function delays({ delayP50, delayP99, delayMax }: Run): string {
	return `p50 ${delayP50.toFixed(2)} ms, p99 ${delayP99.toFixed(2)} ms, max ${delayMax.toFixed(1)} ms`;
}

const dir = mkdtempSync(join(tmpdir(), 'plimsoll-bench-'));
try {
	const file = join(dir, 'traces.duckdb');
	const store = await openTraceStore({ file, clock: systemClock, retentionDays: 30, warn: console.warn });
	await main(store, file);
} finally {
	rmSync(dir, { recursive: true, force: true });
}
