import type { Scope } from './records.ts';

/** Who asks, as far as it has been proved. What it does not say, it does not allow. */
export interface Caller {
	readonly kind: 'key' | 'token' | 'in_process';
	readonly tenantId: string;
	/** The id of the key, or `jwt:<issuer's name>` for a token; null for code in our own process. */
	readonly keyId: string | null;
	/** The name of the key; null for a token and for code in our own process. */
	readonly keyName: string | null;
	readonly scopes: readonly Scope[];
	/** The only features that it may call, and then no upstream and no collection by name; null: everything. */
	readonly features: readonly string[] | null;
	/** The user that a token proves; null: whoever the request names. Stored only as a keyed hash. */
	readonly user: string | null;
	/** The groups of the user that a token proves. */
	readonly groups: readonly string[];
}

/** Finds out who asks. */
export interface Authenticator {
	/**
	 * The caller behind an `authorization` header. Without a promise where the answer is known already. Throws or rejects
	 * with `key_missing`, `key_invalid`, `key_expired`, `token_invalid`, `token_expired` or `identity_unavailable`.
	 */
	authenticate(authorization: string | undefined): Caller | Promise<Caller>;
}
