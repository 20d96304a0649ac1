import { PlimsollError } from '../spec/errors.ts';
import type { Authenticator, Caller } from '../spec/identity.ts';
import type { Keyring } from './keyring.ts';
import type { TokenVerifier } from './token-verifier.ts';

/** Keys and, where issuers are configured, tokens: both come as `authorization: Bearer …`. */
export class BearerAuthenticator implements Authenticator {
	readonly #keyring: Keyring;
	readonly #tokens: TokenVerifier | null;

	/** @param tokens null: keys alone. */
	constructor(keyring: Keyring, tokens: TokenVerifier | null) {
		this.#keyring = keyring;
		this.#tokens = tokens;
	}

	/** Begins to fetch issuers' keys; nobody waits for them. */
	prepare(): void {
		this.#tokens?.prepare();
	}

	authenticate(authorization: string | undefined): Caller | Promise<Caller> {
		if (authorization === undefined || authorization === '') {
			throw new PlimsollError('key_missing', 'The request carries no key: send "authorization: Bearer plim_…".');
		}
		const secret = authorization.replace(/^Bearer +/i, '').trim();
		if (this.#tokens?.active && !secret.startsWith('plim_') && secret.includes('.')) {
			return this.#tokens.authenticate(secret);
		}
		return this.#keyring.identify(secret);
	}
}
