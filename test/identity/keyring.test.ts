import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { sha256 } from '../../src/base/hash.ts';
import { VirtualClock } from '../../src/base/virtual-clock.ts';
import { BearerAuthenticator } from '../../src/identity/authenticator.ts';
import { Keyring } from '../../src/identity/keyring.ts';
import type { KeyRecord } from '../../src/spec/records.ts';
import { KEY, keyRecord } from '../support/runtime-fixture.ts';

const ID = 'a'.repeat(12);

function ringOf(...keys: readonly KeyRecord[]) {
	const clock = new VirtualClock();
	const ring = new Keyring(clock);
	ring.replace(keys);
	return { clock, ring };
}

function refusalOf(run: () => unknown): string {
	try {
		run();
		return 'let in';
	} catch (thrown) {
		return `${(thrown as { code?: string }).code}: ${(thrown as Error).message}`;
	}
}

test('a key expires at its instant, not a millisecond later', async () => {
	const { clock, ring } = ringOf(keyRecord({ expiresAt: new VirtualClock().now() + 1000 }));
	await clock.advance(999);
	expect(ring.identify(KEY)).toMatchObject({ kind: 'key', keyId: ID, tenantId: 'acme' });
	await clock.advance(1);
	expect(refusalOf(() => ring.identify(KEY))).toBe('key_expired: The key expired at 2025-06-15T15:06:41.000Z.');
});

test('that a key has expired is told to nobody without its secret, and of a revoked one not at all', () => {
	const { ring } = ringOf(keyRecord({ expiresAt: 1 }));
	const wrong = refusalOf(() => ring.identify(KEY.replace(/b$/, 'c')));
	expect(wrong).toMatch(/^key_invalid/);
	expect(refusalOf(() => ring.identify(`plim_${'z'.repeat(12)}_${'b'.repeat(52)}`))).toBe(wrong);
	ring.replace([keyRecord({ expiresAt: 1, revokedAt: 1 })]);
	expect(refusalOf(() => ring.identify(KEY))).toBe(wrong);
});

test('a revoked key is refused from the replacement on', () => {
	const { ring } = ringOf(keyRecord());
	expect(refusalOf(() => ring.identify(KEY))).toBe('let in');
	ring.replace([keyRecord({ revokedAt: 5 })]);
	expect(refusalOf(() => ring.identify(KEY))).toMatch(/^key_invalid/);
});

test('no text but the key itself is let in', () => {
	const { ring } = ringOf(keyRecord());
	const edits = fc.record({ at: fc.nat(KEY.length), drop: fc.nat(3), put: fc.string({ maxLength: 3 }) });
	const changed = edits.map(({ at, drop, put }) => KEY.slice(0, at) + put + KEY.slice(at + drop));
	fc.assert(
		fc.property(fc.oneof(fc.string(), changed), (text) => {
			fc.pre(text !== KEY);
			expect(refusalOf(() => ring.identify(text))).toMatch(/^key_invalid/);
		}),
	);
});

describe('the last use of a key', () => {
	test('is noted at most once a minute, and handed out once', async () => {
		const { clock, ring } = ringOf(keyRecord());
		const first = clock.now();
		for (let n = 0; n < 100; n++) ring.identify(KEY);
		expect(ring.takeUses()).toEqual([{ id: ID, at: first }]);
		await clock.advance(59_999);
		ring.identify(KEY);
		expect(ring.takeUses()).toEqual([]);
		expect(ring.lastUsedAt(ID)).toBe(first);
		await clock.advance(1);
		ring.identify(KEY);
		expect(ring.takeUses()).toEqual([{ id: ID, at: first + 60_000 }]);
	});

	test('survives that the keys are replaced, and is kept when it could not be written', () => {
		const { clock, ring } = ringOf(keyRecord());
		ring.identify(KEY);
		ring.replace([keyRecord(), keyRecord({ id: 'other', secretHash: sha256('x') })]);
		const uses = ring.takeUses();
		expect(uses).toEqual([{ id: ID, at: clock.now() }]);
		ring.returnUses(uses);
		expect(ring.takeUses()).toEqual(uses);
		ring.returnUses(uses);
		ring.replace([]);
		expect(ring.takeUses()).toEqual([]);
		expect(ring.lastUsedAt(ID)).toBeNull();
	});

	test('is not noted for a refusal', () => {
		const { ring } = ringOf(keyRecord({ expiresAt: 1 }));
		refusalOf(() => ring.identify(KEY));
		refusalOf(() => ring.identify('plim_x'));
		expect(ring.takeUses()).toEqual([]);
	});
});

test('without issuers a token is a key that is not valid', () => {
	const { ring } = ringOf(keyRecord());
	const authenticator = new BearerAuthenticator(ring, null);
	expect(refusalOf(() => authenticator.authenticate('Bearer a.b.c'))).toMatch(/^key_invalid/);
	expect(refusalOf(() => authenticator.authenticate(undefined))).toMatch(/^key_missing/);
	expect(authenticator.authenticate(`bearer  ${KEY} `)).toMatchObject({ keyId: ID });
});
