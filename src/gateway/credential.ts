import type { IncomingHttpHeaders } from 'node:http';

/**
 * What shows who calls: the authorization, or in its absence the key in the header in which Anthropic's clients send
 * theirs, which then counts as a bearer token.
 */
export function authorizationOf(headers: IncomingHttpHeaders): string | undefined {
	const { authorization, 'x-api-key': key } = headers;
	if (authorization !== undefined || typeof key !== 'string') return authorization;
	return `Bearer ${key}`;
}
