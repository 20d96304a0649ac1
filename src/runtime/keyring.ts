import { timingSafeEqual } from 'node:crypto';
import { sha256 } from '../base/hash.ts';
import { PlimsollError } from '../spec/errors.ts';
import type { KeyRecord, Scope } from '../spec/records.ts';

const KEY_FORM = /^plim_([0-9a-z]{12})_([0-9a-z]{52})$/;

/** Compared against when no key has the id, so that an unknown id takes as long as a wrong secret. */
const NO_HASH = sha256('no such key');

/** The keys that may enter, in memory: checking one touches no disk. */
export class Keyring {
	#keys: ReadonlyMap<string, KeyRecord> = new Map();

	/** Replaces all keys at once: a revoked key stops working with this call. */
	replace(keys: readonly KeyRecord[]): void {
		this.#keys = new Map(keys.map((key) => [key.id, key]));
	}

	/**
	 * The key behind an `authorization` header. Throws `key_missing`, `key_invalid` or `scope_missing`; unknown, wrong
	 * and revoked keys are refused in the same words and, but for noise, in the same time.
	 */
	identify(authorization: string | undefined, scope: Scope): KeyRecord {
		if (authorization === undefined || authorization === '') {
			throw new PlimsollError('key_missing', 'The request carries no key: send "authorization: Bearer plim_…".');
		}
		const match = KEY_FORM.exec(authorization.replace(/^Bearer +/i, '').trim());
		const key = match ? this.#keys.get(match[1] as string) : undefined;
		const presented = Buffer.from(sha256(match ? (match[2] as string) : authorization.slice(0, 256)));
		const same = timingSafeEqual(presented, Buffer.from(key?.secretHash ?? NO_HASH));
		if (!key || !same || key.revokedAt !== null) {
			throw new PlimsollError('key_invalid', 'The key is not valid: unknown, malformed or revoked.');
		}
		if (!key.scopes.includes(scope)) {
			const has = key.scopes.join(', ');
			throw new PlimsollError('scope_missing', `This needs a key with the scope "${scope}"; this key has: ${has}.`);
		}
		return key;
	}
}
