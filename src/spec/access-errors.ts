import type { CatalogueEntry } from './error-category.ts';

/** Errors about who may do what: keys, tokens, tenants and organisations. */
export const ACCESS_ERRORS = {
	key_missing: {
		category: 'unauthenticated',
		retryable: false,
		meaning: 'The request carries no key.',
		remedy: 'Send "authorization: Bearer plim_…"; plimsoll keys create makes a key.',
	},
	key_invalid: {
		category: 'unauthenticated',
		retryable: false,
		meaning: 'The key is unknown, malformed or revoked.',
		remedy: 'Check the key; plimsoll keys list shows which exist.',
	},
	key_expired: {
		category: 'unauthenticated',
		retryable: false,
		meaning: 'The key was valid until the instant that the message names.',
		remedy: 'Use the key that replaced it; plimsoll keys create makes another.',
	},
	token_invalid: {
		category: 'unauthenticated',
		retryable: false,
		meaning:
			'The token is no valid JWT of a configured issuer: its form, signature, issuer, audience, algorithm, times or claims are not as identity.jwt wants them. Which of them is not told to the client.',
		remedy: 'Compare the token with the issuer under identity.jwt in plimsoll.yaml.',
	},
	token_expired: {
		category: 'unauthenticated',
		retryable: false,
		meaning: 'The token is genuine, but past its exp, or older than age_max_s.',
		remedy: 'Get a new token from the issuer.',
	},
	identity_unavailable: {
		category: 'unavailable',
		retryable: true,
		meaning: 'The signing keys of the token’s issuer cannot be fetched, and none that are fresh enough are kept.',
		remedy: 'Check that the server reaches jwks_url; the log has the reason.',
	},
	scope_missing: {
		category: 'forbidden',
		retryable: false,
		meaning: 'The key or token is valid but lacks the scope that this route needs.',
		remedy: 'Use a key or a token with the scope that the message names.',
	},
	session_invalid: {
		category: 'unauthenticated',
		retryable: false,
		meaning: 'The browser has no session, or it is over: by its time, or because its key expired or was revoked.',
		remedy: 'Sign in again: POST /admin/session with a key that has the scope read or admin.',
	},
	csrf_token_missing: {
		category: 'forbidden',
		retryable: false,
		meaning: 'A request with a session’s cookie would change something and lacks the session’s CSRF token.',
		remedy: 'Send the csrf_token of GET /admin/session in the header x-csrf-token.',
	},
	sign_in_limited: {
		category: 'overloaded',
		retryable: true,
		meaning: 'Ten attempts to sign in failed within a minute from one address.',
		remedy: 'Wait for the time in retry-after-ms, and check the key.',
	},
	tenant_suspended: {
		category: 'forbidden',
		retryable: false,
		meaning: 'An operator suspended the tenant: nothing of it is let in until it is resumed. Its keys stay.',
		remedy: 'Ask the operator; plimsoll tenants resume ends it.',
	},
	managed_by_file: {
		category: 'forbidden',
		retryable: false,
		meaning:
			'The setting is declared in plimsoll.yaml, on the line that the message names, and cannot be changed live.',
		remedy: 'Edit the file, which counts at once, or take the setting out of it.',
	},
	version_conflict: {
		category: 'precondition_failed',
		retryable: false,
		meaning: 'Somebody else changed the tenant or organisation after it was read: its version is another one.',
		remedy: 'Read it again, and repeat the change if it is still wanted.',
	},
	feature_not_allowed: {
		category: 'forbidden',
		retryable: false,
		meaning:
			'The key or token is held to a list of features, and the request asks for another one, an upstream or a collection.',
		remedy: 'Ask for a feature on the list (GET /v1/models), or use another key.',
	},
	key_not_found: {
		category: 'not_found',
		retryable: false,
		meaning: 'No key that is in force has this id.',
		remedy: 'plimsoll keys list shows the ids.',
	},
	tenant_not_found: {
		category: 'not_found',
		retryable: false,
		meaning: 'No key, no issuer of tokens, no entry of plimsoll.yaml and no live setting knows a tenant of this name.',
		remedy: 'plimsoll tenants list shows the names.',
	},
	organisation_not_found: {
		category: 'not_found',
		retryable: false,
		meaning: 'No entry of plimsoll.yaml and no live setting knows an organisation of this name.',
		remedy: 'plimsoll organisations list shows the names.',
	},
	organisation_in_use: {
		category: 'unprocessable',
		retryable: false,
		meaning: 'The organisation still has tenants; without it nothing would hold them together.',
		remedy: 'Take the tenants out of it first; the message names them.',
	},
} as const satisfies Record<string, CatalogueEntry>;
