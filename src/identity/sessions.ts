import { createHmac, timingSafeEqual } from 'node:crypto';
import type { Clock } from '../base/clock.ts';
import { randomText } from '../base/ids.ts';
import type { Random } from '../base/random.ts';
import { requireScope } from '../policy/access.ts';
import { PlimsollError } from '../spec/errors.ts';
import type { Caller } from '../spec/identity.ts';
import type { Scope } from '../spec/records.ts';
import type { Keyring } from './keyring.ts';
import type { SignInGuard } from './sign-in-guard.ts';

/** A session sees and manages; it never calls a feature and never ingests. */
const SCOPES_OF_SESSIONS: readonly Scope[] = ['read', 'admin'];
/** Version, key, beginning and end in base 36, a random part, and the signature over all of it. */
const FORM = /^(v1\.([0-9a-z]{12})\.([0-9a-z]{1,9})\.([0-9a-z]{1,9})\.[0-9a-z]{26})\.([A-Za-z0-9_-]{43})$/;
/** Replicas' clocks may be apart by so much. */
const SKEW_MS = 60_000;

export interface BrowserSession {
	/** What the cookie holds. */
	readonly value: string;
	readonly caller: Caller;
	/** What a request that changes something must show beside the cookie. */
	readonly csrfToken: string;
	/** Milliseconds since the epoch. */
	readonly expiresAt: number;
}

interface SessionParts {
	readonly keyring: Keyring;
	readonly guard: SignInGuard;
	readonly clock: Clock;
	readonly random: Random;
	/** Whoever has it can make sessions of any key that is in force. */
	readonly secret: string;
	readonly lifeMs: number;
}

/**
 * Sessions of the dashboard: a signed value in a cookie stands for a key. Nothing is stored, so that every replica with the
 * secret knows every session; and since the key is looked up each time, a session ends with its key.
 */
export class Sessions {
	readonly #parts: SessionParts;

	constructor(parts: SessionParts) {
		this.#parts = parts;
	}

	/**
	 * Begins a session with a whole key. Throws `sign_in_limited`, `key_invalid`, `key_expired`, or `scope_missing` for a
	 * key that can neither read nor manage.
	 * @param address whose attempts are counted together.
	 */
	signIn(key: string, address: string): BrowserSession {
		const { keyring, guard, clock, random, lifeMs } = this.#parts;
		guard.requireRoom(address);
		let caller: Caller;
		try {
			caller = keyring.identify(key);
		} catch (thrown) {
			guard.failed(address);
			throw thrown;
		}
		if (!caller.scopes.includes('admin')) requireScope(caller, 'read');
		const now = clock.now();
		const head = ['v1', caller.keyId, now.toString(36), (now + lifeMs).toString(36), randomText(random, 26)].join('.');
		return this.read(`${head}.${this.#sign('session', head)}`);
	}

	/** Throws `session_invalid` for what is no session, or one that is over: by its time, or with its key. */
	read(value: string): BrowserSession {
		const [, head = '', keyId = '', begun = '', ends = '', signature = ''] = FORM.exec(value) ?? [];
		const isGenuine = isSame(this.#sign('session', head), signature);
		const { clock, keyring, lifeMs } = this.#parts;
		const now = clock.now();
		const expiresAt = Number.parseInt(ends, 36);
		// The life is bounded from both ends: a clock that is set back must not lengthen it.
		const isInTime =
			now < expiresAt && Number.parseInt(begun, 36) <= now + SKEW_MS && expiresAt <= now + lifeMs + SKEW_MS;
		const caller = isGenuine && isInTime ? keyring.callerOf(keyId) : null;
		if (caller === null)
			throw new PlimsollError('session_invalid', 'There is no session, or it is over: sign in with a key.');
		const scopes = caller.scopes.filter((scope) => SCOPES_OF_SESSIONS.includes(scope));
		return { value, caller: { ...caller, scopes }, csrfToken: this.#sign('csrf', value), expiresAt };
	}

	/** Throws `csrf_token_missing` unless the token belongs to the session. */
	requireToken(session: BrowserSession, token: string | undefined): void {
		if (isSame(session.csrfToken, token ?? '')) return;
		throw new PlimsollError('csrf_token_missing', 'A change in a session needs its token in the header x-csrf-token.');
	}

	#sign(purpose: 'session' | 'csrf', text: string): string {
		return createHmac('sha256', this.#parts.secret).update(`${purpose}\n${text}`).digest('base64url');
	}
}

function isSame(expected: string, presented: string): boolean {
	const [one, other] = [Buffer.from(expected), Buffer.from(presented)];
	return one.length === other.length && timingSafeEqual(one, other);
}
