import { setTimeout as pause } from 'node:timers/promises';
import pino from 'pino';
import { describe, expect, it, onTestFinished } from 'vitest';
import { BreakerHints } from '../../src/app/breaker-hints.ts';
import { loadProject } from '../../src/app/load-project.ts';
import { openServices } from '../../src/app/services.ts';
import { systemClock } from '../../src/base/clock.ts';
import { VirtualClock } from '../../src/base/virtual-clock.ts';
import { Breakers } from '../../src/runtime/breakers.ts';
import { formatProblem } from '../../src/spec/problem.ts';
import { RedisHints } from '../../src/stores/redis-hints.ts';
import { RedisLink } from '../../src/stores/redis-link.ts';
import { projectFolder, VALID_PROJECT } from '../support/project-folder.ts';
import { NO_REDIS, startRedis } from '../support/redis-server.ts';
import { BREAKER } from '../support/runtime-fixture.ts';

const LOG = pino({ level: 'silent' });
const YAML = VALID_PROJECT['plimsoll.yaml'] ?? '';
const BY = { kind: 'in_process', tenantId: 'default', keyId: null, keyName: null, user: null } as const;
const CALLER = { ...BY, scopes: [], features: null };

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
		/** Two replicas on one Redis, each with a clock of its own that stands still. */
		async function replicas() {
			const redis = await startRedis();
			onTestFinished(() => redis.kill());
			const make = async () => {
				const link = new RedisLink({ url: redis.url, clock: systemClock, onTrouble: () => {} });
				onTestFinished(() => link.close());
				await link.connect();
				const clock = new VirtualClock();
				const breakers = new Breakers(clock);
				breakers.update(new Map([['a/1', BREAKER]]));
				const hints = new RedisHints(link);
				return { breakers, hints, told: new BreakerHints({ hints, breakers, clock }) };
			};
			return { redis, one: await make(), two: await make() };
		}

		function fail(breakers: Breakers): void {
			for (let n = 0; n < BREAKER.failuresInARow; n++) {
				const passage = breakers.enter('a/1');
				if ('end' in passage) passage.end({ verdict: 'failed', tookMs: 1, error: null });
			}
		}

		it('an outage that one found is known to the other, and so is its end by hand', async () => {
			const { one, two } = await replicas();
			fail(one.breakers);
			await expect.poll(() => one.hints.read(['a/1']), { timeout: 20_000 }).toMatchObject([{ word: 'failures' }]);
			await two.told.poll();
			expect(two.breakers.whyOpen('a/1')).toBe('failures');
			one.breakers.open('a/1', 'hand', 60_000);
			await expect.poll(() => one.hints.read(['a/1']), { timeout: 20_000 }).toMatchObject([{ word: 'hand' }]);
			await two.told.poll();
			expect(two.breakers.whyOpen('a/1')).toBe('hand');
			two.breakers.close('a/1');
			await expect.poll(() => one.hints.read(['a/1']), { timeout: 20_000 }).toEqual([null]);
			expect(one.breakers.whyOpen('a/1')).toBe('hand');
		});

		it('what a hand wrote is not overwritten by what a call found', async () => {
			const { one, two } = await replicas();
			await one.hints.put('a/1', 'hand', 60_000);
			await two.hints.put('a/1', 'failures', 60_000);
			await two.hints.drop('a/1', false);
			expect(await one.hints.read(['a/1'])).toMatchObject([{ word: 'hand' }]);
			await two.hints.drop('a/1', true);
			expect(await one.hints.read(['a/1'])).toEqual([null]);
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
