/**
 * Whether one tenant's flood is felt by another. Both may run ten requests at once. The quiet one keeps five under way, alone
 * and beside a tenant that floods at twenty times its limit; upstream, gateway and flood are processes of their own, and the
 * order alternates. Then the CPU that one refusal costs, in process.
 *
 *   npm run bench:tenants                 three rounds, under a minute
 *   npm run bench:tenants -- --quick      one round
 */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { parseArgs } from 'node:util';
import { systemClock } from '../src/base/clock.ts';
import { feature, KEY, NO_LIMITS, runtimeOf, UNLIMITED } from '../test/support/runtime-fixture.ts';
import { ScriptedModel } from '../test/support/scripted-model.ts';
import { type LoadResult, load, quantile } from './overhead/load.ts';
import { startProcess } from './overhead/process.ts';

const { values: options } = parseArgs({ options: { quick: { type: 'boolean' } } });
const ROUNDS = options.quick ? 1 : 3;
const SECONDS = options.quick ? 3 : 4;
const UPSTREAM_MS = 50;
const QUIET_CLIENTS = 5;
const REFUSALS = 20_000;

/** What the flood was answered, as its process says. */
interface Told {
	readonly served: number;
	readonly refused: number;
	readonly without_wait: number;
	readonly wait_ms_sum: number;
	readonly codes: string;
}

const upstream = await startProcess('./upstream.ts', ['--latency-ms', String(UPSTREAM_MS), '--chunks', '5']);
const plimsoll = await startProcess('../tenants/plimsoll.ts', [upstream.ready.url ?? '']);
const { url = '', quiet = '', flood = '' } = plimsoll.ready;
const body = JSON.stringify({
	model: 'bench/double',
	messages: [{ role: 'user', content: 'Who put the line there?' }],
});
const target = {
	url: `${url}/v1/chat/completions`,
	headers: { 'content-type': 'application/json', authorization: `Bearer ${quiet}` },
	body,
};
const measure = (warmUpSeconds: number) =>
	load(target, { concurrency: QUIET_CLIENTS, seconds: SECONDS, warmUpSeconds });

async function startFlood(): Promise<ChildProcess> {
	const child = fork(new URL('./tenants/flood.ts', import.meta.url), [url, flood, body]);
	await once(child, 'message');
	child.send('start');
	return child;
}

async function beside(): Promise<{ result: LoadResult; told: Told }> {
	const child = await startFlood();
	const result = await measure(1);
	const answered = once(child, 'message');
	child.send('stop');
	const [told] = (await answered) as [Told];
	return { result, told };
}

const alone: LoadResult[] = [];
const flooded: LoadResult[] = [];
const told: Told[] = [];
await load(target, { concurrency: QUIET_CLIENTS, seconds: 0, warmUpSeconds: 2 });
for (let round = 0; round < ROUNDS; round++) {
	if (round % 2 === 0) alone.push(await measure(0.5));
	const one = await beside();
	flooded.push(one.result);
	told.push(one.told);
	if (round % 2 === 1) alone.push(await measure(0.5));
}
await plimsoll.stop();
await upstream.stop();

const pooled = (results: readonly LoadResult[]) =>
	Float64Array.from(results.flatMap(({ latencies }) => [...latencies])).sort();
const [before, during] = [pooled(alone), pooled(flooded)];
const errors = (results: readonly LoadResult[]) => results.reduce((sum, result) => sum + result.errors, 0);
const total = (of: (one: Told) => number) => told.reduce((sum, one) => sum + of(one), 0);
console.log(
	`Two tenants with ten places each, an upstream of ${UPSTREAM_MS} ms, ${ROUNDS} × ${SECONDS} s; quiet: ${QUIET_CLIENTS} clients, flood: 200`,
);
for (const q of [0.5, 0.99]) {
	const [a, b] = [quantile(before, q), quantile(during, q)];
	console.log(
		`  quiet p${q * 100}: ${a.toFixed(1)} ms alone, ${b.toFixed(1)} ms beside the flood, ratio ${(b / a).toFixed(2)}`,
	);
}
console.log(
	`  quiet refused or failed: ${errors(alone)} alone, ${errors(flooded)} beside (${before.length} and ${during.length} requests)`,
);
const refused = total((one) => one.refused);
console.log(
	`  flood: ${total((one) => one.served)} served, ${refused} refused (${told.map((one) => one.codes).join('; ')})`,
);
const waited = refused - total((one) => one.without_wait);
console.log(
	`  flood told to wait ${(total((one) => one.wait_ms_sum) / Math.max(1, waited)).toFixed(0)} ms on average, ${total((one) => one.without_wait)} of the refusals without a wait`,
);

/** CPU of refusals alone, by a runtime whose only place and only seat in the queue are taken. */
async function refusalMicros(): Promise<number> {
	const model = new ScriptedModel(systemClock, [{ kind: 'silent' }]);
	const tenant = [{ limit: 'concurrent_requests' as const, max: 1 }];
	const { runtime } = runtimeOf(systemClock, [feature({}, { route: [model] })], {
		limits: { ...NO_LIMITS, tenants: { acme: { ...UNLIMITED, tenant } } },
		admission: { queuedPerTenantMax: 1, queuedMax: 1 },
	});
	const send = async () => {
		const context = runtime.open();
		await runtime.admit(context, { kind: 'authorization', header: KEY, scope: 'invoke' });
		const messages = [{ role: 'user', content: 'Hello?' }];
		const ask = { model: 'greet', messages, variables: {}, parameters: {}, sink: null, user: null };
		return { context, answer: runtime.chat(context, ask).catch(() => null) };
	};
	const held = [await send(), await send()];
	const refuse = async (count: number) => {
		for (let n = 0; n < count; n++) await send().catch(() => null);
	};
	await refuse(REFUSALS / 10);
	const start = process.cpuUsage();
	await refuse(REFUSALS);
	const { user, system } = process.cpuUsage(start);
	for (const { context } of held) context.clientLeft();
	await Promise.all(held.map(({ answer }) => answer));
	return (user + system) / REFUSALS;
}
console.log(
	`  a refusal for a full queue costs ${(await refusalMicros()).toFixed(0)} µs of CPU in process, HTTP apart`,
);
