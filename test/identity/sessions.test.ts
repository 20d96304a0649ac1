import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { seededRandom } from '../../src/base/random.ts';
import { VirtualClock } from '../../src/base/virtual-clock.ts';
import { Keyring } from '../../src/identity/keyring.ts';
import { Sessions } from '../../src/identity/sessions.ts';
import { SignInGuard } from '../../src/identity/sign-in-guard.ts';
import { PlimsollError } from '../../src/spec/errors.ts';
import { KEY, keyRecord } from '../support/runtime-fixture.ts';

const LIFE_MS = 3_600_000;

function setUp(change: Parameters<typeof keyRecord>[0] = {}, secret = 's'.repeat(32)) {
	const clock = new VirtualClock();
	const keyring = new Keyring(clock);
	keyring.replace([keyRecord(change)]);
	const parts = { keyring, clock, random: seededRandom(3), secret, lifeMs: LIFE_MS };
	return { clock, keyring, sessions: new Sessions({ ...parts, guard: new SignInGuard(clock) }) };
}

function codeOf(run: () => unknown): string {
	try {
		run();
		return 'let in';
	} catch (thrown) {
		return thrown instanceof PlimsollError ? thrown.code : String(thrown);
	}
}

describe('a session', () => {
	test('stands for its key’s tenant with the scopes read and admin, and no other', () => {
		const { sessions } = setUp();
		const { value, caller } = sessions.signIn(KEY, 'here');
		expect(caller).toMatchObject({ kind: 'key', tenantId: 'acme', keyId: 'a'.repeat(12), scopes: ['read', 'admin'] });
		expect(value).not.toContain('b'.repeat(8));
		expect(sessions.read(value).caller).toEqual(caller);
		expect(codeOf(() => setUp({ scopes: ['invoke', 'ingest'] }).sessions.signIn(KEY, 'here'))).toBe('scope_missing');
	});

	test('is over with its time, its key’s expiry or its key’s revocation', async () => {
		const timed = setUp();
		const { value } = timed.sessions.signIn(KEY, 'here');
		await timed.clock.advance(LIFE_MS - 1);
		expect(codeOf(() => timed.sessions.read(value))).toBe('let in');
		await timed.clock.advance(1);
		expect(codeOf(() => timed.sessions.read(value))).toBe('session_invalid');
		const expiring = setUp({ expiresAt: new VirtualClock().now() + 1_000 });
		const brief = expiring.sessions.signIn(KEY, 'here').value;
		await expiring.clock.advance(1_000);
		expect(codeOf(() => expiring.sessions.read(brief))).toBe('session_invalid');
		const revoked = setUp();
		const gone = revoked.sessions.signIn(KEY, 'here').value;
		revoked.keyring.replace([keyRecord({ revokedAt: 1 })]);
		expect(codeOf(() => revoked.sessions.read(gone))).toBe('session_invalid');
	});

	test('is known to every replica with the secret, and to none without', () => {
		const { value, csrfToken } = setUp().sessions.signIn(KEY, 'here');
		const elsewhere = setUp().sessions.read(value);
		expect(elsewhere.csrfToken).toBe(csrfToken);
		expect(codeOf(() => setUp({}, 't'.repeat(32)).sessions.read(value))).toBe('session_invalid');
	});

	test('with any character changed is none, and neither is anything else', () => {
		const { sessions } = setUp();
		const { value } = sessions.signIn(KEY, 'here');
		fc.assert(
			fc.property(fc.nat(value.length - 1), fc.constantFrom(...'0aZ._-%'), (at, char) => {
				const changed = value.slice(0, at) + char + value.slice(at + 1);
				// The last character of the signature carries two bits that say nothing.
				fc.pre(changed !== value && at < value.length - 1);
				expect(codeOf(() => sessions.read(changed))).toBe('session_invalid');
			}),
		);
		fc.assert(
			fc.property(fc.string({ maxLength: 300 }), (text) => {
				expect(codeOf(() => sessions.read(text))).toBe('session_invalid');
			}),
		);
	});

	test('is not lengthened by a clock that is set back', () => {
		const { sessions, keyring } = setUp();
		const { value } = sessions.signIn(KEY, 'here');
		const at = (epoch: number) => {
			const clock = new VirtualClock(epoch);
			const parts = { keyring, clock, random: seededRandom(3), secret: 's'.repeat(32), lifeMs: LIFE_MS };
			return codeOf(() => new Sessions({ ...parts, guard: new SignInGuard(clock) }).read(value));
		};
		const begun = new VirtualClock().now();
		expect(at(begun - 30_000)).toBe('let in');
		expect(at(begun - 120_000)).toBe('session_invalid');
		expect(at(0)).toBe('session_invalid');
		expect(at(begun + 10 * LIFE_MS)).toBe('session_invalid');
	});

	test('lets a change through with its own CSRF token and no other', () => {
		const { sessions } = setUp();
		const [one, other] = [sessions.signIn(KEY, 'here'), sessions.signIn(KEY, 'here')];
		expect(codeOf(() => sessions.requireToken(one, one.csrfToken))).toBe('let in');
		for (const token of [undefined, '', other.csrfToken, one.value, `${one.csrfToken} `]) {
			expect(codeOf(() => sessions.requireToken(one, token))).toBe('csrf_token_missing');
		}
	});

	test('is refused to an address after ten failures in a minute, also with the right key, and then not any more', async () => {
		const { sessions, clock } = setUp();
		const wrong = KEY.replace('b', 'c');
		for (let n = 0; n < 10; n++) expect(codeOf(() => sessions.signIn(wrong, 'here'))).toBe('key_invalid');
		expect(codeOf(() => sessions.signIn(KEY, 'here'))).toBe('sign_in_limited');
		expect(codeOf(() => sessions.signIn(KEY, 'there'))).toBe('let in');
		await clock.advance(60_000);
		expect(codeOf(() => sessions.signIn(KEY, 'here'))).toBe('let in');
	});

	test('of any number of addresses takes no more memory than of a thousand', () => {
		const clock = new VirtualClock();
		const guard = new SignInGuard(clock);
		for (let n = 0; n < 10; n++) guard.failed('first');
		expect(codeOf(() => guard.requireRoom('first'))).toBe('sign_in_limited');
		for (let n = 0; n < 1_000; n++) guard.failed(`address ${n}`);
		expect(codeOf(() => guard.requireRoom('first'))).toBe('let in');
	});
});
