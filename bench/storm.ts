import { parseArgs } from 'node:util';
import OpenAI from 'openai';
import { sleep, systemClock } from '../src/base/clock.ts';
import { type MeasuredProcess, startProcess } from './overhead/process.ts';

/**
 * A storm: an upstream fails for a minute, scaled, under clients with the real OpenAI library's default retries and users
 * who click again. Once behind a naive gateway that retries three times, once behind Plimsoll: how many attempts each
 * request of a user becomes, what the provider bills, and how long it takes until everyone is answered at once again. The
 * library's own waits cannot be scaled.
 *
 *   node bench/storm.ts [--quick]
 */
const { values } = parseArgs({ options: { quick: { type: 'boolean', default: false } } });
const SCALE = values.quick ? 0.1 : 0.3;
const USERS_PER_S = 15;
/** The provider takes four times the usual load. */
const CAPACITY_PER_S = 4 * USERS_PER_S;
const OUTAGE_MS = 60_000 * SCALE;
const PROBE_MS = 5_000 * SCALE;
const PATIENCE_MS = 10_000 * SCALE;
const CALM_MS = 3_000;
const AFTER_MS = Math.max(8 * PROBE_MS, 8_000);
const CLICKS_MAX = 3;

interface Visit {
	readonly startedAt: number;
	clicks: number;
	answered: boolean;
}

interface Counts {
	readonly attempts: number;
	readonly billed: number;
}

/** One user with one question: waits, clicks again when nothing comes or an error does, and gives up at last. */
async function visit(client: OpenAI): Promise<Visit> {
	const own: Visit = { startedAt: systemClock.monotonic(), clicks: 0, answered: false };
	while (own.clicks < CLICKS_MAX && !own.answered) {
		own.clicks++;
		const abort = new AbortController();
		const asked = client.chat.completions
			.create({ model: 'echo', messages: [{ role: 'user', content: 'Hello?' }] }, { signal: abort.signal })
			.then(
				() => 'answered',
				() => 'failed',
			);
		const patience = sleep(systemClock, PATIENCE_MS).then(() => 'waiting');
		const ending = await Promise.race([asked, patience]);
		own.answered = ending === 'answered';
		if (ending === 'waiting') abort.abort();
		if (ending === 'failed') await sleep(systemClock, PATIENCE_MS / 5);
	}
	return own;
}

interface Storm {
	readonly requests: number;
	readonly inOutage: number;
	readonly whole: number;
	readonly billed: number;
	readonly answered: number;
	readonly recovery: number;
}

async function storm(upstream: MeasuredProcess, gateway: MeasuredProcess): Promise<Storm> {
	const { url, key } = gateway.ready;
	const client = new OpenAI({ baseURL: `${url}/v1`, apiKey: key ?? '' });
	const visits: Promise<Visit>[] = [];
	const arrive = async (ms: number) => {
		const end = systemClock.monotonic() + ms;
		while (systemClock.monotonic() < end) {
			visits.push(visit(client));
			await sleep(systemClock, 1000 / USERS_PER_S);
		}
	};
	const count = async (message: string) => (await upstream.ask(message)) as Counts;
	await arrive(CALM_MS);
	await Promise.all(visits.splice(0));
	const before = await count('break');
	await arrive(OUTAGE_MS);
	const stormy = visits.length;
	const healed = await count('heal');
	const healedAt = systemClock.monotonic();
	await arrive(AFTER_MS);
	const all = await Promise.all(visits);
	const after = await count('count');
	const late = all.filter(({ startedAt }) => startedAt >= healedAt);
	const lastBad = late.findLast(({ clicks, answered }) => clicks > 1 || !answered);
	const firstGood = late.find(({ startedAt }) => startedAt > (lastBad?.startedAt ?? 0));
	return {
		requests: all.length,
		inOutage: (healed.attempts - before.attempts) / stormy,
		whole: (after.attempts - before.attempts) / all.length,
		billed: (after.billed - before.billed) / all.filter(({ answered }) => answered).length,
		answered: all.filter(({ answered }) => answered).length / all.length,
		recovery: ((firstGood?.startedAt ?? Number.POSITIVE_INFINITY) - healedAt) / PROBE_MS,
	};
}

async function behind(module: string, ...args: string[]): Promise<Storm> {
	const upstream = await startProcess('../storm/upstream.ts', [String(CAPACITY_PER_S), String(SCALE)]);
	const gateway = await startProcess(module, [upstream.ready.url ?? '', ...args]);
	try {
		return await storm(upstream, gateway);
	} finally {
		await gateway.stop();
		await upstream.stop();
	}
}

console.log(
	`An upstream down for ${OUTAGE_MS / 1000} s (60 s × ${SCALE}), ${USERS_PER_S} users a second who wait ${PATIENCE_MS / 1000} s ` +
		`and click at most ${CLICKS_MAX} times, the OpenAI library's 2 retries; a probe each ${PROBE_MS / 1000} s.`,
);
const naive = await behind('../storm/naive-gateway.ts');
const ours = await behind('plimsoll.ts', `{probe_interval_ms: ${PROBE_MS}}`);

const rows: readonly (readonly [string, (storm: Storm) => string])[] = [
	['requests of users', ({ requests }) => String(requests)],
	['attempts per request, in the outage', ({ inOutage }) => inOutage.toFixed(2)],
	['attempts per request, until all is well', ({ whole }) => whole.toFixed(2)],
	['billed calls per answer', ({ billed }) => billed.toFixed(2)],
	['cost added', ({ billed }) => `${((billed - 1) * 100).toFixed(0)} %`],
	['answered in the end', ({ answered }) => `${(answered * 100).toFixed(0)} %`],
	['recovery, in probe intervals', ({ recovery }) => recovery.toFixed(2)],
];
console.log(`${''.padEnd(42)}${'naive'.padStart(10)}${'Plimsoll'.padStart(10)}`);
for (const [name, show] of rows) {
	console.log(`${name.padEnd(42)}${show(naive).padStart(10)}${show(ours).padStart(10)}`);
}
console.log(`Attempts in the outage, naive / Plimsoll: ${(naive.inOutage / ours.inOutage).toFixed(1)}`);
