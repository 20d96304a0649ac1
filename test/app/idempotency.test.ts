import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it, onTestFinished } from 'vitest';
import { systemClock } from '../../src/base/clock.ts';
import { openSqliteIdempotency } from '../../src/stores/sqlite-idempotency.ts';
import { type Running, startPlimsoll } from '../support/cli-process.ts';
import { startGateway } from '../support/gateway-fixture.ts';
import { projectFolder } from '../support/project-folder.ts';
import { NO_REDIS, startRedis } from '../support/redis-server.ts';
import { KEY } from '../support/runtime-fixture.ts';
import { type Plan, startUpstreamDouble, type UpstreamDouble } from '../support/upstream-double.ts';

const BOUNDS = { recordsMax: 1_000, bytesMax: 10_000_000 };
const CHILD = fileURLToPath(new URL('../support/crashing-child.ts', import.meta.url));

interface Server {
	readonly running: Running;
	readonly url: string;
	readonly key: string;
}

async function doubleOf(plan: Plan): Promise<UpstreamDouble> {
	const double = await startUpstreamDouble({ plan });
	onTestFinished(() => double.close());
	return double;
}

function projectOver(double: UpstreamDouble, settings = ''): Promise<string> {
	const upstream = (acts: boolean) =>
		`{family: openai-compatible, base_url: "${double.url}", model: m, side_effects: ${acts}}`;
	const yaml = `upstreams:\n  test/plain: ${upstream(false)}\n  test/acts: ${upstream(true)}\n${settings}`;
	return projectFolder({ 'plimsoll.yaml': yaml });
}

async function start(dir: string): Promise<Server> {
	const running = startPlimsoll(['start', '--port', '0'], { cwd: dir });
	onTestFinished(() => running.kill());
	const [, url = ''] = await running.saw(/listens on (http:\S+)/);
	const key = await readFile(join(dir, '.plimsoll', 'development-key'), 'utf8');
	return { running, url, key: key.trim() };
}

function ask({ url, key }: Pick<Server, 'url' | 'key'>, idempotencyKey: string, body: Record<string, unknown> = {}) {
	return fetch(`${url}/v1/chat/completions`, {
		method: 'POST',
		headers: {
			authorization: `Bearer ${key}`,
			'content-type': 'application/json',
			'idempotency-key': idempotencyKey,
		},
		body: JSON.stringify({ model: 'test/plain', messages: [{ role: 'user', content: 'hello' }], ...body }),
	});
}

async function codeOf(response: Response): Promise<unknown> {
	return ((await response.json()) as { error: { code: unknown } }).error.code;
}

/** Calls in `lanes`, each of which asks one after the other; resolves with the bodies that each key got. */
async function inLanes(lanes: number, calls: readonly (() => Promise<readonly [key: string, body: string]>)[]) {
	const bodies = new Map<string, Set<string>>();
	const queue = calls.values();
	await Promise.all(
		Array.from({ length: lanes }, async () => {
			for (const call of queue) {
				const [key, body] = await call();
				bodies.set(key, (bodies.get(key) ?? new Set()).add(body));
			}
		}),
	);
	return bodies;
}

const KEYS = 50;

/** 1,000 calls, twenty of each key and half of them streams, over these servers in turn. */
function duplicates(servers: readonly Server[]) {
	return Array.from({ length: 1_000 }, (_, n) => async () => {
		const key = `key-${n % KEYS}`;
		const server = servers[Math.floor(n / KEYS) % servers.length] as Server;
		const response = await ask(server, key, n % 2 === 0 ? {} : { stream: true });
		const body = await response.text();
		expect([response.status, body.slice(0, 300)]).toEqual([200, expect.any(String)]);
		return [key, body] as const;
	});
}

describe('a thousand duplicate calls', () => {
	it.skipIf(NO_REDIS !== null)(
		`over four processes and one Redis are one execution for each key${NO_REDIS === null ? '' : ` (skipped where ${NO_REDIS})`}`,
		async () => {
			const redis = await startRedis();
			onTestFinished(() => redis.kill());
			const double = await doubleOf({ latencyMs: 30 });
			const settings = `shared_state: {redis: "${redis.url}", timeout_ms: 1000}\n`;
			const servers: Server[] = [];
			for (let n = 0; n < 4; n++) servers.push(await start(await projectOver(double, settings)));
			const bodies = await inLanes(100, duplicates(servers));
			expect(double.requests).toBe(KEYS);
			expect([...bodies.values()].map(({ size }) => size)).toEqual(Array.from({ length: KEYS }, () => 1));
		},
		180_000,
	);

	it('from four clients of one process are one execution for each key', async () => {
		const double = await doubleOf({ latencyMs: 5 });
		const server = await start(await projectOver(double));
		const bodies = await inLanes(4, duplicates([server]));
		expect(double.requests).toBe(KEYS);
		expect([...bodies.values()].map(({ size }) => size)).toEqual(Array.from({ length: KEYS }, () => 1));
	}, 180_000);
});

describe('a server that is killed', () => {
	it('with an answer on record gives it again after a restart, byte for byte, also a stream', async () => {
		const double = await doubleOf({});
		const dir = await projectOver(double);
		const before = await start(dir);
		const whole = await (await ask(before, 'whole', { model: 'test/acts' })).text();
		const stream = await (await ask(before, 'stream', { stream: true })).text();
		before.running.child.kill('SIGKILL');
		await before.running.ended;
		const after = await start(dir);
		expect(await (await ask(after, 'whole', { model: 'test/acts' })).text()).toBe(whole);
		expect(await (await ask(after, 'stream', { stream: true })).text()).toBe(stream);
		expect(double.requests).toBe(2);
	}, 120_000);

	it('in the middle of an answer executes it anew, unless its upstream acts on the world', async () => {
		const double = await doubleOf({ chunks: 100, gapMs: 100 });
		const dir = await projectOver(double);
		const before = await start(dir);
		for (const model of ['test/plain', 'test/acts']) {
			const response = await ask(before, model, { model, stream: true });
			await response.body?.getReader().read();
		}
		before.running.child.kill('SIGKILL');
		await before.running.ended;
		const after = await start(dir);
		double.next({});
		const anew = await ask(after, 'test/plain', { model: 'test/plain', stream: true });
		expect(await anew.text()).toContain('[DONE]');
		const refused = await ask(after, 'test/acts', { model: 'test/acts', stream: true });
		expect([refused.status, await codeOf(refused)]).toEqual([409, 'idempotency_outcome_unknown']);
		expect(double.requests).toBe(3);
	}, 120_000);

	it('by an operator lets what runs end, and refuses afterwards what had begun to act', async () => {
		const double = await doubleOf({ fault: 'silent' });
		const dir = await projectOver(double, 'server: {drain_ms: 0}\n');
		const before = await start(dir);
		const waiting = ask(before, 'acts', { model: 'test/acts' }).catch(() => null);
		await double.arrived(1);
		before.running.child.kill('SIGTERM');
		expect((await before.running.ended).code).toBe(0);
		await waiting;
		const after = await start(dir);
		const refused = await ask(after, 'acts', { model: 'test/acts' });
		expect([refused.status, await codeOf(refused)]).toEqual([409, 'idempotency_outcome_unknown']);
		expect(double.requests).toBe(1);
	}, 120_000);
});

type Repetition = 'executed' | 'replayed' | 'refused';

/** Where the process dies, how often its upstream is asked in all, and what the repetition after the restart gets. */
const POINTS: readonly (readonly [operation: string, when: string, kind: 'acts' | 'plain', number, Repetition])[] = [
	['claim', 'before', 'acts', 1, 'executed'],
	['claim', 'after', 'acts', 1, 'executed'],
	['claim', 'after', 'plain', 1, 'executed'],
	['reserve', 'after', 'acts', 1, 'executed'],
	['beginEffect', 'before', 'acts', 1, 'executed'],
	// Written down and not sent: refusing too much is safe, repeating is not.
	['beginEffect', 'after', 'acts', 0, 'refused'],
	['settle', 'before', 'acts', 1, 'refused'],
	['settle', 'before', 'plain', 2, 'executed'],
	['settle', 'after', 'acts', 1, 'refused'],
	['complete', 'before', 'acts', 1, 'refused'],
	['complete', 'before', 'plain', 2, 'executed'],
	['complete', 'after', 'acts', 1, 'replayed'],
];

describe('a process that dies', () => {
	it.each(POINTS)(
		'at %s, %s it is done, over an upstream that is %s: it was asked %i times, and the repetition is %s',
		async (operation, when, kind, asked, gets) => {
			const folder = await mkdtemp(join(tmpdir(), 'plimsoll-crash-'));
			onTestFinished(() => rm(folder, { recursive: true, force: true }));
			const file = join(folder, 'idempotency.sqlite');
			const double = await doubleOf({});
			const body = { model: 'test/primary' };
			const dying = await startChild([file, double.url, kind, operation, when]);
			await ask({ url: dying.url, key: KEY }, 'one', body).catch(() => null);
			await dying.ended;

			const keyed = await openSqliteIdempotency(file, { bounds: BOUNDS, clock: systemClock });
			onTestFinished(() => keyed.close());
			const after = await startGateway({ keyed, sideEffects: kind === 'acts', upstreamUrl: double.url });
			onTestFinished(() => after.close());
			const again = await ask({ url: after.url, key: KEY }, 'one', body);
			const replayed = again.headers.get('idempotency-replayed') === 'true';
			if (gets === 'refused') expect(await codeOf(again)).toBe('idempotency_outcome_unknown');
			else expect([again.status, replayed]).toEqual([200, gets === 'replayed']);
			expect(double.requests).toBe(asked);
			// Whatever came of it stays so.
			expect((await ask({ url: after.url, key: KEY }, 'one', body)).status).toBe(again.status);
			expect(double.requests).toBe(asked);
		},
		60_000,
	);
});

async function startChild(args: readonly string[]) {
	const child = spawn(process.execPath, [CHILD, ...args], { stdio: ['ignore', 'pipe', 'inherit'] });
	const ended = once(child, 'exit');
	onTestFinished(async () => {
		child.kill('SIGKILL');
		await ended;
	});
	const [line] = await once(child.stdout.setEncoding('utf8'), 'data');
	return { url: String(line).trim(), ended };
}
