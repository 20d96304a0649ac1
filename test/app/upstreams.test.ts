import { setTimeout as pause } from 'node:timers/promises';
import { Redis } from 'ioredis';
import pino from 'pino';
import { describe, expect, it, onTestFinished } from 'vitest';
import { BreakerHints } from '../../src/app/breaker-hints.ts';
import { loadProject } from '../../src/app/load-project.ts';
import { openServices } from '../../src/app/services.ts';
import { systemClock } from '../../src/base/clock.ts';
import { VirtualClock } from '../../src/base/virtual-clock.ts';
import { Breakers } from '../../src/policy/breakers.ts';
import { formatProblem } from '../../src/spec/problem.ts';
import { RedisHints } from '../../src/stores/redis-hints.ts';
import { RedisLink } from '../../src/stores/redis-link.ts';
import { projectFolder, VALID_PROJECT } from '../support/project-folder.ts';
import { NO_REDIS, startRedis } from '../support/redis-server.ts';
import { BREAKER } from '../support/runtime-fixture.ts';

const LOG = pino({ level: 'silent' });
const YAML = VALID_PROJECT['plimsoll.yaml'] ?? '';
const BY = { kind: 'in_process', tenantId: 'default', keyId: null, keyName: null, user: null } as const;
const CALLER = { ...BY, scopes: [], features: null, groups: [] };

async function load(yaml: string) {
	return loadProject(await projectFolder({ ...VALID_PROJECT, 'plimsoll.yaml': yaml }), {});
}

describe('the upstreams of a project', () => {
	it('have a breaker and retries by default, and none where they are switched off', async () => {
		const standard = await load(YAML);
		expect(standard.value?.config.retries).toEqual({ ratio: 0.1, floor: 10, tenantFloor: 5, tenantsMax: 10_000 });
		expect(standard.value?.config.upstreams.get('openai/default')?.breaker).toEqual(BREAKER);
		const off = await load(YAML.replace('family: extractive', 'family: extractive\n    breaker: null'));
		expect(off.value?.config.upstreams.get('local/extractive')?.breaker).toBeNull();
	});

	it.each([
		['retries: {ratio: 1.5}', 'retries.ratio'],
		['retries: {floor: -1}', 'retries.floor'],
		['retries: {budget: 3}', 'budget'],
	])('refuse %s', async (setting, named) => {
		const { problems } = await load(`${YAML}${setting}\n`);
		expect(problems.map(formatProblem).join('\n')).toContain(named);
	});

	it('are taken out and in by hand, which the log keeps, and an unknown one is refused', async () => {
		const loaded = await load(YAML);
		if (!loaded.ok) throw new Error('the project is broken');
		const services = await openServices(loaded.value, LOG);
		onTestFinished(() => services.close());
		const { operator, runtime } = services;
		const opened = await operator.orderBreaker('local/extractive', { state: 'open', forMs: 60_000 }, CALLER);
		expect(opened).toMatchObject({ state: 'open', why: 'hand', retriesLeft: 10 });
		expect(opened.waitMs).toBeGreaterThan(50_000);
		expect(runtime.breakers.waitMs('local/extractive')).toBeGreaterThan(0);
		const closed = await operator.orderBreaker('local/extractive', { state: 'closed' }, CALLER);
		expect(closed).toMatchObject({ state: 'closed', why: null, waitMs: null });
		expect(operator.upstreams().map(({ upstream }) => upstream)).toEqual(['local/extractive']);
		expect((await operator.listAudit(10)).map(({ action, subject, actor }) => [action, subject, actor])).toEqual([
			['breaker_closed', 'local/extractive', 'process'],
			['breaker_opened', 'local/extractive', 'process'],
		]);
		await expect(operator.orderBreaker('no/body', { state: 'closed' }, CALLER)).rejects.toMatchObject({
			code: 'model_not_found',
		});
	});
});

describe.skipIf(NO_REDIS !== null)(
	`hints between replicas${NO_REDIS === null ? '' : ` (skipped where ${NO_REDIS})`}`,
	() => {
		/** Two replicas on one Redis, each with a clock of its own that moves only when somebody gives an order. */
		async function replicas() {
			const redis = await startRedis();
			onTestFinished(() => redis.kill());
			const admin = new Redis(redis.url);
			onTestFinished(() => admin.disconnect());
			const wall = { now: 1_800_000_000_000 };
			const make = async () => {
				const link = new RedisLink({ url: redis.url, clock: systemClock, onTrouble: () => {} });
				onTestFinished(() => link.close());
				await link.connect();
				const clock = new VirtualClock();
				clock.now = () => wall.now;
				const breakers = new Breakers(clock);
				breakers.update(new Map([['a/1', BREAKER]]));
				const hints = new RedisHints(link);
				return { breakers, hints, told: new BreakerHints({ hints, breakers, clock }) };
			};
			const [one, two] = [await make(), await make()];
			/** Waits until Redis has what was said, and lets both hear of it. */
			const spread = async (word: RegExp) => {
				await expect
					.poll(async () => (await one.hints.read(['a/1']))[0]?.ordered?.word ?? '', { timeout: 20_000 })
					.toMatch(word);
				wall.now++;
				await one.told.poll();
				await two.told.poll();
				return [one.breakers.whyOpen('a/1'), two.breakers.whyOpen('a/1')];
			};
			return { redis, admin, one, two, spread };
		}

		function fail(breakers: Breakers): void {
			for (let n = 0; n < BREAKER.failuresInARow; n++) {
				const passage = breakers.enter('a/1');
				if ('end' in passage) passage.end({ verdict: 'failed', tookMs: 1, error: null });
			}
		}

		it('an outage that one found is known to the other, and so is what a hand says, to whichever of them', async () => {
			const { one, two, spread } = await replicas();
			fail(one.breakers);
			const found = async () => (await one.hints.read(['a/1']))[0]?.found?.word;
			await expect.poll(found, { timeout: 20_000 }).toBe('failures');
			await two.told.poll();
			expect(two.breakers.whyOpen('a/1')).toBe('failures');
			one.breakers.open('a/1', 'hand', 60_000);
			expect(await spread(/^open/)).toEqual(['hand', 'hand']);
			two.breakers.close('a/1');
			expect(await spread(/^closed/)).toEqual([null, null]);
			expect(await found()).toBeUndefined();
			one.breakers.open('a/1', 'hand', 60_000);
			expect(await spread(/^open/)).toEqual(['hand', 'hand']);
		});

		it('what a hand says reaches those who found an outage, also from one that found none', async () => {
			const { one, two, spread } = await replicas();
			fail(one.breakers);
			const found = async () => (await one.hints.read(['a/1']))[0]?.found?.word;
			await expect.poll(found, { timeout: 20_000 }).toBe('failures');
			two.breakers.close('a/1');
			expect(await spread(/^closed/)).toEqual([null, null]);
		});

		it('what calls find changes nothing of what a hand said', async () => {
			const { one, two, spread } = await replicas();
			one.breakers.open('a/1', 'hand', 60_000);
			expect(await spread(/^open/)).toEqual(['hand', 'hand']);
			await two.hints.find('a/1', { word: 'failures', forMs: 60_000 });
			await two.hints.find('a/1', null);
			expect(await spread(/^open/)).toEqual(['hand', 'hand']);
		});

		it('what a hand said holds on when Redis forgets it, or did not hear it', async () => {
			const { admin, one, spread } = await replicas();
			one.breakers.open('a/1', 'hand', 60_000);
			expect(await spread(/^open/)).toEqual(['hand', 'hand']);
			await admin.flushall();
			expect(await spread(/^/)).toEqual(['hand', 'hand']);
			expect(await spread(/^open/)).toEqual(['hand', 'hand']);
			await admin.config('SET', 'maxmemory', '1');
			one.breakers.close('a/1');
			await admin.ping();
			await one.hints.find('a/1', null);
			expect(await spread(/^open/)).toEqual([null, 'hand']);
			await admin.config('SET', 'maxmemory', '0');
			await one.told.poll();
			expect(await spread(/^closed/)).toEqual([null, null]);
		});

		it('are missed by nobody when Redis is gone: each replica finds out for itself', async () => {
			const { redis, one } = await replicas();
			await redis.kill();
			await pause(0);
			await expect(one.told.poll()).rejects.toThrow();
			fail(one.breakers);
			expect(one.breakers.whyOpen('a/1')).toBe('failures');
		});
	},
);
