import { PlimsollError } from '../spec/errors.ts';
import type { Authenticator, Caller } from '../spec/identity.ts';
import type { Keyring } from './keyring.ts';

/** Keys and, where issuers are configured, tokens: both come as `authorization: Bearer …`. */
export class BearerAuthenticator implements Authenticator {
	readonly #keyring: Keyring;

	constructor(keyring: Keyring) {
		this.#keyring = keyring;
	}

	authenticate(authorization: string | undefined): Caller | Promise<Caller> {
		if (authorization === undefined || authorization === '') {
			throw new PlimsollError('key_missing', 'The request carries no key: send "authorization: Bearer plim_…".');
		}
		const secret = authorization.replace(/^Bearer +/i, '').trim();
		return this.#keyring.identify(secret);
	}
}
