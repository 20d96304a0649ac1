import pino from 'pino';
import { describe, expect, it, onTestFinished } from 'vitest';
import { createRuntime } from '../../src/app/create-runtime.ts';
import { loadProject } from '../../src/app/load-project.ts';
import { openServices } from '../../src/app/services.ts';
import { formatProblem } from '../../src/spec/problem.ts';
import { projectFolder, VALID_PROJECT } from '../support/project-folder.ts';
import { NO_REDIS, startRedis } from '../support/redis-server.ts';

const LOG = pino({ level: 'silent' });

function project(settings: string): Promise<string> {
	return projectFolder({ ...VALID_PROJECT, 'plimsoll.yaml': `${VALID_PROJECT['plimsoll.yaml']}${settings}` });
}

async function problemsOf(settings: string, env: Record<string, string> = {}): Promise<string> {
	return (await loadProject(await project(settings), env)).problems.map(formatProblem).join('\n');
}

const REDIS = 'limits: {requests_per_minute: 4}\nshared_state: {redis: {env: REDIS_URL}, on_failure: ';

describe('the shared state of a project', () => {
	it('is refused when its address is none or holds a password, which no message repeats', async () => {
		expect(await problemsOf(`${REDIS}fail_open}`)).toContain('REDIS_URL is not set');
		expect(await problemsOf(`${REDIS}fail_open}`, { REDIS_URL: 'http://h' })).toContain('redis or rediss address');
		const written = await problemsOf('shared_state: {redis: "redis://:hunter2@h:6379"}');
		expect(written).toContain('holds a password');
		expect(written).not.toContain('hunter2');
		expect(await problemsOf(`${REDIS}fail_open}`, { REDIS_URL: 'rediss://:hunter2@h:6379' })).toBe('');
	});

	it('that is not there at the start lets the server start, not ready where the policy is to refuse', async () => {
		for (const policy of ['fail_closed', 'local_share'] as const) {
			const dir = await project(`${REDIS}${policy}}`);
			const loaded = await loadProject(dir, { REDIS_URL: 'redis://127.0.0.1:1' });
			if (!loaded.ok) throw new Error('the project is broken');
			const services = await openServices(loaded.value, LOG);
			const { sharedState, idempotency } = services.operator.readiness();
			expect(idempotency).toEqual({ status: 'down', onFailure: 'refuse' });
			expect(sharedState).toMatchObject({ backend: 'redis', status: 'down', onFailure: policy });
			const context = services.runtime.open();
			const entered = services.runtime.admit(context, { kind: 'in_process', tenantId: 'acme' });
			if (policy === 'fail_closed') await expect(entered).rejects.toMatchObject({ code: 'limits_unavailable' });
			else await entered;
			context.end(null);
			await services.close();
		}
	});

	it.skipIf(NO_REDIS !== null)(
		`holds one limit over two processes' data folders${NO_REDIS === null ? '' : ` (skipped where ${NO_REDIS})`}`,
		async () => {
			const redis = await startRedis();
			onTestFinished(() => redis.kill());
			const env = { REDIS_URL: redis.url };
			const runtimes = [];
			for (let n = 0; n < 2; n++) {
				const dir = await project(`${REDIS}fail_closed}`);
				runtimes.push(await createRuntime({ dir, env, tenant: 'acme', log: LOG }));
			}
			const codes: unknown[] = [];
			for (let n = 0; n < 6; n++) {
				const asked = runtimes[n % 2]?.ask('ask', { question: 'hello?' });
				codes.push(await asked?.catch((error: { code: string }) => error.code));
			}
			// The index is empty; what matters is who was let in to hear so.
			expect(codes.map((code) => code === 'rate_limited')).toEqual([false, false, false, false, true, true]);
			for (const runtime of runtimes) await runtime.close();
		},
		60_000,
	);
});
