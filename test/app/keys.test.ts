import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { KeyAdmin } from '../../src/app/keys.ts';
import { UserHash } from '../../src/app/user-hash.ts';
import { seededRandom } from '../../src/base/random.ts';
import { VirtualClock } from '../../src/base/virtual-clock.ts';
import { Keyring } from '../../src/identity/keyring.ts';
import { PlimsollError } from '../../src/spec/errors.ts';
import type { RecordStore } from '../../src/spec/records.ts';
import { openSqliteRecords } from '../../src/stores/sqlite.ts';

const ASK = { name: 'shop', tenantId: 'acme', scopes: ['invoke'], features: ['ask-docs'], expiresAt: null } as const;

function admin() {
	const clock = new VirtualClock();
	const records = openSqliteRecords(':memory:');
	onTestFinished(() => records.close());
	const keyring = new Keyring(clock);
	return { clock, records, keyring, keys: new KeyAdmin({ records, keyring, clock, random: seededRandom(1) }) };
}

function codeOf(run: () => unknown): string {
	try {
		run();
		return 'let in';
	} catch (thrown) {
		return thrown instanceof PlimsollError ? thrown.code : String(thrown);
	}
}

describe('rotation', () => {
	test('gives a key with the same rights, and both work until the overlap is over', async () => {
		const { clock, keyring, keys } = admin();
		const old = await keys.create(ASK, 'process');
		const next = await keys.rotate(old.key.id, { overlapMs: 1000, expiresAt: null }, 'process');
		const rights = { kind: 'key', tenantId: 'acme', scopes: ['invoke'], features: ['ask-docs'] };
		expect(keyring.identify(old.secret)).toMatchObject(rights);
		expect(keyring.identify(next.secret)).toMatchObject(rights);
		await clock.advance(1000);
		expect(codeOf(() => keyring.identify(old.secret))).toBe('key_expired');
		expect(codeOf(() => keyring.identify(next.secret))).toBe('let in');
	});

	test('gives the new key as long a life as the old one was given', async () => {
		const { clock, keys } = admin();
		const old = await keys.create({ ...ASK, expiresAt: clock.now() + 5000 }, 'process');
		await clock.advance(4000);
		const { key } = await keys.rotate(old.key.id, { overlapMs: 60_000, expiresAt: null }, 'process');
		expect(key.expiresAt).toBe(clock.now() + 5000);
		expect((await keys.list()).find(({ id }) => id === old.key.id)?.expiresAt).toBe(clock.now() + 1000);
	});

	test('is refused for a key that is unknown, revoked or expired', async () => {
		const { clock, keys } = admin();
		const { key } = await keys.create(ASK, 'process');
		const brief = await keys.create({ ...ASK, expiresAt: clock.now() + 10 }, 'process');
		await keys.revoke(key.id, 'process');
		await clock.advance(10);
		for (const id of [key.id, brief.key.id, 'nobody']) {
			const rotated = keys.rotate(id, { overlapMs: 0, expiresAt: null }, 'process');
			await expect(rotated).rejects.toMatchObject({ code: 'key_not_found' });
		}
		expect(await keys.list()).toHaveLength(2);
	});

	test('and revocation at once never bring a revoked key back', async () => {
		const { keyring, keys } = admin();
		const { key, secret } = await keys.create(ASK, 'process');
		const rotation = { overlapMs: 9000, expiresAt: null };
		await Promise.allSettled([keys.rotate(key.id, rotation, 'process'), keys.revoke(key.id, 'process')]);
		expect(codeOf(() => keyring.identify(secret))).toBe('key_invalid');
	});
});

test('a key that would have expired already is not made', async () => {
	const { clock, keys } = admin();
	const made = keys.create({ ...ASK, expiresAt: clock.now() }, 'process');
	await expect(made).rejects.toMatchObject({ code: 'request_invalid', param: 'expires_at' });
	expect(await keys.list()).toEqual([]);
});

test('the log says who did what to which key, and no secret', async () => {
	const { records, keys } = admin();
	const first = await keys.create(ASK, 'key:root');
	const next = await keys.rotate(first.key.id, { overlapMs: 0, expiresAt: null }, 'jwt:staff:v1:ab');
	await keys.revoke(next.key.id, 'process');
	await expect(keys.revoke(next.key.id, 'process')).rejects.toMatchObject({ code: 'key_not_found' });
	const log = await records.listAudit(10);
	expect(log.map(({ actor, action, subject }) => [actor, action, subject])).toEqual([
		['process', 'key_revoked', next.key.id],
		['jwt:staff:v1:ab', 'key_rotated', first.key.id],
		['key:root', 'key_created', first.key.id],
	]);
	expect(JSON.stringify(log)).not.toContain(first.secret.slice(-20));
	expect(log[2]?.detail).toEqual({ name: 'shop', scopes: 'invoke', features: 'ask-docs', expires_at: null });
});

describe('uses of keys', () => {
	test('are on disk after a minute, and the rest at the end', async () => {
		const { clock, records, keyring, keys } = admin();
		const { secret } = await keys.create(ASK, 'process');
		const end = keys.recordUses(() => {});
		keyring.identify(secret);
		const used = clock.now();
		const stored = async () => (await records.listKeys()).map(({ lastUsedAt }) => lastUsedAt);
		expect(await stored()).toEqual([null]);
		expect((await keys.list()).map(({ lastUsedAt }) => lastUsedAt)).toEqual([used]);
		await clock.advance(60_000);
		expect(await stored()).toEqual([used]);
		keyring.identify(secret);
		await end();
		expect(await stored()).toEqual([used + 60_000]);
		expect(clock.pending).toBe(0);
	});

	test('that cannot be written are told of and kept', async () => {
		const { clock, records, keyring } = admin();
		let broken = true;
		const flaky: RecordStore = Object.assign(Object.create(records), {
			listKeys: () => records.listKeys(),
			putKey: (...change: Parameters<RecordStore['putKey']>) => records.putKey(...change),
			touchKeys: (uses: Parameters<RecordStore['touchKeys']>[0]) =>
				broken ? Promise.reject(new PlimsollError('storage_failed', 'disk full')) : records.touchKeys(uses),
		});
		const keys = new KeyAdmin({ records: flaky, keyring, clock, random: seededRandom(2) });
		const { secret } = await keys.create(ASK, 'process');
		const warnings: string[] = [];
		const end = keys.recordUses((message) => warnings.push(message));
		const used = clock.now();
		keyring.identify(secret);
		await clock.advance(60_000);
		expect(warnings).toEqual([expect.stringContaining('disk full')]);
		broken = false;
		await clock.advance(60_000);
		expect((await records.listKeys())[0]?.lastUsedAt).toBe(used);
		await end();
	});
});

describe('the hash of a user', () => {
	function folder(): string {
		const dir = mkdtempSync(join(tmpdir(), 'plimsoll-users-'));
		onTestFinished(() => rmSync(dir, { recursive: true, force: true }));
		return join(dir, 'user-hash-key');
	}

	test('is the same over restarts, and another for another tenant or user', () => {
		const file = folder();
		const hash = new UserHash(file, seededRandom(1)).of('acme', 'ann');
		expect(hash).toMatch(/^v1:[0-9a-f]{32}$/);
		const again = new UserHash(file, seededRandom(2));
		expect(again.of('acme', 'ann')).toBe(hash);
		expect(again.of('beta', 'ann')).not.toBe(hash);
		expect(again.of('acme', 'bob')).not.toBe(hash);
		expect(statSync(file).mode & 0o777).toBe(0o600);
	});

	test('names the version of its secret, and after a rotation nothing of the old one is left', () => {
		const file = folder();
		const users = new UserHash(file, seededRandom(1));
		const [before, secret] = [users.of('acme', 'ann'), readFileSync(file, 'utf8').trim().slice(3)];
		expect(users.rotate()).toBe('v2');
		const after = users.of('acme', 'ann');
		expect(after).toMatch(/^v2:[0-9a-f]{32}$/);
		expect(after.slice(3)).not.toBe(before.slice(3));
		expect(readFileSync(file, 'utf8')).not.toContain(secret);
		expect(new UserHash(file, seededRandom(3)).of('acme', 'ann')).toBe(after);
	});

	test('keeps the secret that the first release wrote without a version', () => {
		const file = folder();
		writeFileSync(file, 'bare-secret-of-before\n');
		const users = new UserHash(file, seededRandom(1));
		expect(users.of('acme', 'ann')).toBe(new UserHash(file, seededRandom(9)).of('acme', 'ann'));
		expect(users.of('acme', 'ann')).toMatch(/^v1:/);
		expect(users.rotate()).toBe('v2');
	});
});
