import { systemClock } from '../src/base/clock.ts';
import type { LimitSet, LimitTable } from '../src/contracts/project.ts';
import { RequestLimits } from '../src/runtime/limits.ts';
import type { SharedState } from '../src/spec/shared-state.ts';
import { MemoryState } from '../src/stores/memory-state.ts';
import { RedisLink } from '../src/stores/redis-link.ts';
import { RedisState } from '../src/stores/redis-state.ts';
import { openSqliteRecords } from '../src/stores/sqlite.ts';
import { NO_REDIS, startRedis } from '../test/support/redis-server.ts';

/**
 * What limits cost a request: admission (one claim of requests and places), and the whole of it with a call's tokens and
 * cost reserved and settled. In process as CPU time, over a real Redis as latency with nothing else running and as
 * throughput with 64 requests in flight.
 *
 *   node bench/limits.ts [requests, 200000]
 */
const REQUESTS = Number(process.argv[2] ?? 200_000);
const IN_FLIGHT = 64;
const WIDE = 1_000_000_000;

const requests: LimitSet = [
	{ limit: 'requests_per_minute', max: WIDE },
	{ limit: 'concurrent_requests', max: WIDE },
];
const all: LimitSet = [
	...requests,
	{ limit: 'tokens_per_minute', max: WIDE },
	{ limit: 'cost_usd_per_day', max: WIDE * 1000 },
	{ limit: 'cost_usd_per_month', max: WIDE * 1000 },
];
const none = {
	organisation: null,
	suspended: false,
	tenant: [],
	keys: {},
	features: {},
	eachUser: [],
	weight: 1,
	batchKeys: [],
};
const TABLES: Readonly<Record<string, LimitTable>> = {
	'no limits': { standard: none, tenants: {}, organisations: {} },
	'tenant: requests, places': { standard: { ...none, tenant: requests }, tenants: {}, organisations: {} },
	'tenant: all five': { standard: { ...none, tenant: all }, tenants: {}, organisations: {} },
	'tenant and key: all ten': { standard: { ...none, tenant: all, keys: { web: all } }, tenants: {}, organisations: {} },
};

const CALLER = { tenantId: 'acme', keyId: 'k', keyName: 'web' };
const NOTES = { detail: {} };

async function enter(state: SharedState, table: LimitTable): Promise<RequestLimits> {
	const limits = new RequestLimits({ state, clock: systemClock, table, requestMsMax: 30_000 }, CALLER);
	await limits.enter(NOTES);
	return limits;
}

async function whole(state: SharedState, table: LimitTable): Promise<void> {
	const limits = await enter(state, table);
	const ticket = await limits.reserveCall({ tokens: 900, costMicros: 5_000 }, 30_000, NOTES);
	await limits.settleCall(ticket, { tokens: 400, costMicros: 2_000 });
	await limits.leave();
}

/** CPU microseconds of this process for each run. */
async function cpu(count: number, run: () => Promise<unknown>): Promise<number> {
	for (let n = 0; n < count / 10; n++) await run();
	const before = process.cpuUsage();
	for (let n = 0; n < count; n++) await run();
	const { user, system } = process.cpuUsage(before);
	return (user + system) / count;
}

console.log(`In process, CPU for each request, ${REQUESTS} requests`);
for (const [name, table] of Object.entries(TABLES)) {
	const records = openSqliteRecords(':memory:');
	const state = await MemoryState.open(records, systemClock.now());
	const admission = await cpu(REQUESTS, async () => (await enter(state, table)).leave());
	const everything = await cpu(REQUESTS, () => whole(state, table));
	console.log(`  ${name.padEnd(26)} admission ${admission.toFixed(1)} µs, with a call ${everything.toFixed(1)} µs`);
	await records.close();
}

if (NO_REDIS !== null) console.log(`Over Redis: not measured, ${NO_REDIS}`);
else {
	const redis = await startRedis();
	const link = new RedisLink({ url: redis.url, clock: systemClock, onTrouble: (message) => console.error(message) });
	const state = new RedisState(link);
	await link.connect();
	const count = Math.max(1_000, REQUESTS / 20);
	console.log(`Over Redis on this machine, ${count} requests`);
	for (const [name, table] of Object.entries(TABLES).slice(1)) {
		const times: number[] = [];
		for (let n = 0; n < count; n++) {
			const before = systemClock.monotonic();
			const limits = await enter(state, table);
			times.push(systemClock.monotonic() - before);
			await limits.leave();
		}
		times.sort((a, b) => a - b);
		const at = (share: number) => `${((times[Math.floor(times.length * share)] ?? 0) * 1000).toFixed(0)} µs`;
		const before = systemClock.monotonic();
		const lane = async () => {
			for (let n = 0; n < count / IN_FLIGHT; n++) await whole(state, table);
		};
		await Promise.all(Array.from({ length: IN_FLIGHT }, lane));
		const perSecond = (count / (systemClock.monotonic() - before)) * 1000;
		console.log(
			`  ${name.padEnd(26)} admission p50 ${at(0.5)}, p99 ${at(0.99)}; ${perSecond.toFixed(0)} requests/s with a call`,
		);
	}
	await link.close();
	await redis.kill();
}
