import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { json, plimsoll, type Running, startPlimsoll } from '../support/cli-process.ts';
import { VALID_PROJECT, writeInto } from '../support/project-folder.ts';
import { NO_REDIS, portOf, type RedisServer, startRedis } from '../support/redis-server.ts';

/** Of expectations that a busy machine may keep waiting. */
const PATIENCE = { timeout: 120_000, interval: 50 };

interface Replica {
	readonly dir: string;
	readonly server: Running;
	readonly url: string;
}

describe.skipIf(NO_REDIS !== null)(
	`three processes over a real Redis${NO_REDIS === null ? '' : ` (skipped where ${NO_REDIS})`}`,
	() => {
		let redis: RedisServer;
		let env: Record<string, string> = {};
		const replicas: Replica[] = [];
		beforeAll(async () => {
			redis = await startRedis();
			env = { REDIS_URL: redis.url };
			const started = [0, 1, 2].map(async (n) => {
				const dir = await mkdtemp(join(tmpdir(), `plimsoll-replica-${n}-`));
				const files = { ...VALID_PROJECT, 'docs/a.md': '# Load lines\n\nA load line is a mark on the hull.\n' };
				for (const [file, content] of Object.entries(files)) await writeInto(dir, file, content);
				await writeInto(
					dir,
					'plimsoll.yaml',
					`${VALID_PROJECT['plimsoll.yaml']}shared_state: {redis: {env: REDIS_URL}}\n`,
				);
				const server = startPlimsoll(['start', '--port', '0'], { cwd: dir, env });
				const [, url = ''] = await server.saw(/listens on (http:\S+)/);
				replicas.push({ dir, server, url });
			});
			await Promise.all(started);
		}, 300_000);
		afterAll(async () => {
			for (const { server, dir } of replicas) {
				await server.kill();
				await rm(dir, { recursive: true, force: true });
			}
			await redis.kill();
		});

		const at = (n: number) => replicas[n] as Replica;
		const run = (n: number, ...args: string[]) => plimsoll([...args, '--json'], { cwd: at(n).dir, env });
		const models = async (n: number, secret: string) => {
			const response = await fetch(`${at(n).url}/v1/models`, { headers: { authorization: `Bearer ${secret}` } });
			const body: ReturnType<typeof JSON.parse> = await response.json();
			return body.error?.code ?? response.status;
		};
		const everywhere = (secret: string) => Promise.all([0, 1, 2].map((n) => models(n, secret)));
		const newKey = async (n: number, tenant: string): Promise<{ id: string; secret: string }> =>
			json(await run(n, 'keys', 'create', '--name', 'shared', '--tenant', tenant)) as { id: string; secret: string };

		it('let in everywhere a key that one of them made, and refuse it everywhere when another revokes it', async () => {
			const { id, secret } = await newKey(0, 'acme');
			await expect.poll(() => everywhere(secret), PATIENCE).toEqual([200, 200, 200]);
			await run(1, 'keys', 'revoke', id);
			// Where it was revoked, at once.
			expect(await models(1, secret)).toBe('key_invalid');
			await expect.poll(() => everywhere(secret), PATIENCE).toEqual(['key_invalid', 'key_invalid', 'key_invalid']);
		}, 400_000);

		it('hold a tenant that is suspended on one of them, and see its version', async () => {
			const { secret } = await newKey(2, 'paused');
			await expect.poll(() => everywhere(secret), PATIENCE).toEqual([200, 200, 200]);
			await run(2, 'tenants', 'suspend', 'paused');
			const refused = ['tenant_suspended', 'tenant_suspended', 'tenant_suspended'];
			await expect.poll(() => everywhere(secret), PATIENCE).toEqual(refused);
			const stale = await run(0, 'tenants', 'resume', 'paused', '--if-version', '0');
			expect(stale.stdout + stale.stderr).toContain('version_conflict');
			await run(0, 'tenants', 'resume', 'paused', '--if-version', '1');
			await expect.poll(() => everywhere(secret), PATIENCE).toEqual([200, 200, 200]);
		}, 400_000);

		it('say that others hear later while Redis is away, and tell them when it is back', async () => {
			const { id, secret } = await newKey(0, 'acme');
			await expect.poll(() => everywhere(secret), PATIENCE).toEqual([200, 200, 200]);
			const port = portOf(redis);
			await redis.kill();
			const revoked = await run(0, 'keys', 'revoke', id);
			expect(revoked.code).toBe(0);
			expect(revoked.stderr).toContain('other replicas hear of this change');
			expect(await models(0, secret)).toBe('key_invalid');
			expect(await models(1, secret)).toBe(200);
			// It has forgotten everything, and learns it again.
			redis = await startRedis(port);
			await expect.poll(() => everywhere(secret), PATIENCE).toEqual(['key_invalid', 'key_invalid', 'key_invalid']);
		}, 400_000);
	},
);
