import fc from 'fast-check';
import { describe, expect, it, onTestFinished } from 'vitest';
import { KeyAdmin } from '../../src/app/keys.ts';
import { Replication } from '../../src/app/replication.ts';
import { seededRandom } from '../../src/base/random.ts';
import { VirtualClock } from '../../src/base/virtual-clock.ts';
import { Keyring } from '../../src/identity/keyring.ts';
import { mergeKeys, mergeSettings } from '../../src/policy/shared-records.ts';
import type { KeyRecord } from '../../src/spec/records.ts';
import type { SharedDirectory } from '../../src/spec/shared-directory.ts';
import { NO_SETTINGS, type SettingsRecord } from '../../src/spec/tenants.ts';
import { openSqliteRecords } from '../../src/stores/sqlite.ts';
import { key } from '../stores/record-store.suite.ts';

const RECONCILE_MS = 15_000;

/** A directory that loses messages and goes away when told to. */
class LossyDirectory {
	readonly entries = new Map<string, string>();
	readonly #listeners: { readonly replica: number; readonly on: Parameters<SharedDirectory['listen']>[0] }[] = [];
	#revision = 0;
	/** Replicas that cannot reach it. */
	readonly away = new Set<number>();
	/** Replicas that hear nothing. */
	readonly deaf = new Set<number>();

	/** As one replica sees it. */
	of(replica: number): SharedDirectory {
		const reached = <T>(run: () => T): Promise<T> =>
			this.away.has(replica) ? Promise.reject(new Error('away')) : Promise.resolve().then(run);
		return {
			list: () => reached(() => ({ revision: String(this.#revision), entries: new Map(this.entries) })),
			revision: () => reached(() => String(this.#revision)),
			exchange: (name, expected, next) => reached(() => this.#exchange(name, expected, next)),
			listen: (on) => void this.#listeners.push({ replica, on }),
		};
	}

	#exchange(name: string, expected: string | null, next: string) {
		const current = this.entries.get(name) ?? null;
		if (current !== expected) return { stored: false as const, current };
		this.entries.set(name, next);
		this.#revision++;
		for (const { replica, on } of this.#listeners) {
			if (!this.away.has(replica) && !this.deaf.has(replica)) on.message(next);
		}
		return { stored: true as const };
	}
}

function replicas(count: number) {
	const clock = new VirtualClock();
	const directory = new LossyDirectory();
	const all = Array.from({ length: count }, (_, n) => {
		const records = openSqliteRecords(':memory:');
		const keyring = new Keyring(clock);
		const replication: Replication = new Replication({
			directory: directory.of(n),
			records,
			clock,
			warn: () => {},
			onChanged: () => keys.load(),
		});
		const keys: KeyAdmin = new KeyAdmin({
			records,
			keyring,
			clock,
			random: seededRandom(n + 1),
			onWritten: (changed) => replication.publish(changed.map((one) => ({ kind: 'key', key: one }))),
		});
		return { records, keyring, keys, replication };
	});
	const close = async () => {
		for (const { records, replication } of all) {
			await Promise.all([replication.close(), clock.advance(3_000)]);
			await records.close();
		}
	};
	return { clock, directory, all, close };
}

function isIn(keyring: Keyring, secret: string): boolean {
	try {
		keyring.identify(secret);
		return true;
	} catch {
		return false;
	}
}

const ASK = { name: 'shop', tenantId: 'acme', scopes: ['invoke'], features: null, expiresAt: null } as const;

describe('replicas that share a directory', () => {
	it('let a key in everywhere that one of them made, and nowhere once one of them has revoked it', async () => {
		const { clock, all, close } = replicas(3);
		onTestFinished(close);
		for (const { replication } of all) await replication.start();
		const made = await all[0]?.keys.create(ASK, 'process');
		const secret = made?.secret ?? '';
		await clock.advance(0);
		expect(all.map(({ keyring }) => isIn(keyring, secret))).toEqual([true, true, true]);
		await all[1]?.keys.revoke(made?.key.id ?? '', 'process');
		await clock.advance(0);
		expect(all.map(({ keyring }) => isIn(keyring, secret))).toEqual([false, false, false]);
		const [entry] = (await all[2]?.records.listAudit(1)) ?? [];
		expect(entry).toMatchObject({ actor: 'replica', action: 'key_revoked', subject: made?.key.id });
	});

	it('change a key at once where the directory is away, say that others do not know, and tell them later', async () => {
		const { clock, directory, all, close } = replicas(2);
		onTestFinished(close);
		for (const { replication } of all) await replication.start();
		const [here, there] = all;
		const made = await here?.keys.create(ASK, 'process');
		await clock.advance(0);
		directory.away.add(0);
		await here?.keys.revoke(made?.key.id ?? '', 'process');
		expect(isIn(here?.keyring as Keyring, made?.secret ?? '')).toBe(false);
		expect(here?.replication.pending).toBe(true);
		expect(isIn(there?.keyring as Keyring, made?.secret ?? '')).toBe(true);
		directory.away.clear();
		await clock.advance(1_000);
		expect(here?.replication.pending).toBe(false);
		expect(isIn(there?.keyring as Keyring, made?.secret ?? '')).toBe(false);
	});

	it('fill a directory that has lost everything, and leave alone what they cannot read', async () => {
		const { clock, directory, all, close } = replicas(2);
		onTestFinished(close);
		directory.entries.set('key of a later release', '{"kind":"passkey"}');
		for (const { replication } of all) await replication.start();
		const made = await all[0]?.keys.create(ASK, 'process');
		await all[1]?.keys.revoke(made?.key.id ?? '', 'process');
		directory.entries.delete(`key ${made?.key.id}`);
		// Any change makes the others compare.
		await all[0]?.keys.create(ASK, 'process');
		await clock.advance(RECONCILE_MS);
		expect(directory.entries.get(`key ${made?.key.id}`)).toContain('"revokedAt":17');
		expect(directory.entries.get('key of a later release')).toBe('{"kind":"passkey"}');
		expect([...directory.entries.values()].join()).not.toContain(made?.secret.slice(-52));
	});

	it('agree after any order and loss of messages, and never let a revoked key in again', async () => {
		const step = fc.record({
			replica: fc.nat(2),
			key: fc.nat(3),
			kind: fc.constantFrom('create', 'revoke', 'rotate', 'set', 'delete', 'away', 'deaf', 'back', 'wait'),
		});
		await fc.assert(
			fc.asyncProperty(fc.array(step, { maxLength: 25 }), async (steps) => {
				const { clock, directory, all, close } = replicas(3);
				try {
					for (const { replication } of all) await replication.start();
					const made: { readonly id: string; readonly secret: string }[] = [];
					const revoked = new Map<number, Set<string>>(all.map((_, n) => [n, new Set()]));
					for (const { replica, key: at, kind } of steps) {
						const one = all[replica] as (typeof all)[number];
						const target = made[at % Math.max(1, made.length)];
						const doing = act(one, { kind, target, clock, directory, replica });
						await Promise.all([doing, clock.advance(kind === 'wait' ? 16_000 : 1)]);
						const fresh = await doing;
						if (fresh) made.push(fresh);
						// What a replica has once refused for good it refuses ever after.
						for (const [n, { records, keyring }] of all.entries()) {
							const gone = revoked.get(n) as Set<string>;
							for (const { id, revokedAt } of await records.listKeys()) if (revokedAt !== null) gone.add(id);
							for (const { id, secret } of made) if (gone.has(id)) expect(isIn(keyring, secret)).toBe(false);
						}
					}
					directory.away.clear();
					directory.deaf.clear();
					await clock.advance(3 * RECONCILE_MS);
					const known = await Promise.all(
						all.map(async ({ records }) => [await records.listKeys(), await records.listSettings()]),
					);
					expect(known[1]).toEqual(known[0]);
					expect(known[2]).toEqual(known[0]);
					const everywhere = new Set([...revoked.values()].flatMap((ids) => [...ids]));
					for (const { keyring } of all) {
						for (const { id, secret } of made) if (everywhere.has(id)) expect(isIn(keyring, secret)).toBe(false);
					}
				} finally {
					await close();
				}
			}),
			{ numRuns: 60 },
		);
	});
});

type Replica = ReturnType<typeof replicas>['all'][number];

/** One step of a history; the new key where it made one. */
async function act(
	{ keys, records, replication }: Replica,
	step: {
		kind: string;
		target: { readonly id: string } | undefined;
		clock: VirtualClock;
		directory: LossyDirectory;
		replica: number;
	},
): Promise<{ id: string; secret: string } | null> {
	const { kind, target, clock, directory, replica } = step;
	if (kind === 'away') directory.away.add(replica);
	if (kind === 'deaf') directory.deaf.add(replica);
	if (kind === 'back') for (const set of [directory.away, directory.deaf]) set.delete(replica);
	if (kind === 'create') {
		const { key: made, secret } = await keys.create(ASK, 'process');
		return { id: made.id, secret };
	}
	if (kind === 'set' || kind === 'delete') {
		const before = (await records.listSettings()).find(({ name }) => name === 'acme');
		const limits = { requests_per_minute: replica };
		const record: SettingsRecord = {
			kind: 'tenant',
			name: 'acme',
			settings: kind === 'delete' ? null : { ...NO_SETTINGS, limits },
			version: (before?.version ?? 0) + 1,
			changedAt: clock.now(),
			changedBy: `key:${replica}`,
		};
		await records.putSettings(record, []);
		await replication.publish([{ kind: 'settings', record }]);
		if (kind === 'delete') await keys.written(({ tenantId }) => tenantId === 'acme');
	}
	if (!target || (kind !== 'revoke' && kind !== 'rotate')) return null;
	try {
		if (kind === 'revoke') await keys.revoke(target.id, 'process');
		else {
			const { key: made, secret } = await keys.rotate(target.id, { overlapMs: 5_000, expiresAt: null }, 'process');
			return { id: made.id, secret };
		}
	} catch {
		// Unknown here, or gone already.
	}
	return null;
}

describe('what replicas know of a record, together,', () => {
	const instant = fc.option(fc.nat(5), { nil: null });
	const keys: fc.Arbitrary<KeyRecord> = fc
		.record({ revokedAt: instant, expiresAt: instant, lastUsedAt: instant, name: fc.constantFrom('a', 'b') })
		.map((fields) => key(fields));
	const settings: fc.Arbitrary<SettingsRecord> = fc
		.record({ version: fc.nat(3), changedAt: fc.nat(2), limit: fc.option(fc.nat(2), { nil: null }) })
		.map(({ version, changedAt, limit }) => ({
			kind: 'organisation',
			name: 'globex',
			settings: limit === null ? null : { limits: { tokens_per_minute: limit } },
			version,
			changedAt,
			changedBy: 'key:x',
		}));

	it('is the same in whatever order and however often it is merged', () => {
		const laws = <T>(arbitrary: fc.Arbitrary<T>, merge: (a: T, b: T) => T) =>
			fc.assert(
				fc.property(arbitrary, arbitrary, arbitrary, (a, b, c) => {
					expect(merge(a, b)).toEqual(merge(b, a));
					expect(merge(merge(a, b), c)).toEqual(merge(a, merge(b, c)));
					expect(merge(a, a)).toEqual(a);
				}),
			);
		laws(keys, mergeKeys);
		laws(settings, mergeSettings);
	});

	it('keeps a revocation and the shortest life, and of two changes of one version the earlier', () => {
		const merged = mergeKeys(key({ revokedAt: 7, expiresAt: 90 }), key({ expiresAt: 50 }));
		expect(merged).toMatchObject({ revokedAt: 7, expiresAt: 50 });
		const change = (changedAt: number, version = 1): SettingsRecord => ({
			kind: 'organisation',
			name: 'globex',
			settings: { limits: {} },
			version,
			changedAt,
			changedBy: `at ${changedAt}`,
		});
		expect(mergeSettings(change(5), change(3))).toMatchObject({ changedBy: 'at 3' });
		expect(mergeSettings(change(5, 2), change(3))).toMatchObject({ changedBy: 'at 5' });
	});
});
