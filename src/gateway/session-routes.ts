import { z } from 'zod';
import type { BrowserSession } from '../identity/sessions.ts';
import { PlimsollError } from '../spec/errors.ts';
import { checkBody } from './json-body.ts';
import { type Exchange, iso, type Route } from './route.ts';
import { sessionCookie, setCookie } from './session-cookie.ts';

/** Strangers may send this body: it holds a key and nothing else. */
const BODY_BYTES_MAX = 1_024;

const SignInBody = z.strictObject({ key: z.string().min(1).max(200) });

/** Sessions of the dashboard. Open, since each looks at the key or the cookie itself. */
export const SESSION_ROUTES: readonly Route[] = [
	{
		method: 'POST',
		path: '/admin/session',
		scope: null,
		traced: false,
		summary:
			'Signs a browser in with a key that has the scope read or admin: sets a cookie, and answers with the CSRF token.',
		body: SignInBody,
		bodyBytesMax: BODY_BYTES_MAX,
		handle: signIn,
	},
	{
		method: 'GET',
		path: '/admin/session',
		scope: null,
		traced: false,
		summary: 'The session of the cookie: whose it is, what it may, until when, and its CSRF token.',
		body: null,
		handle: (exchange) => answer(exchange, sessionOf(exchange)),
	},
	{
		method: 'DELETE',
		path: '/admin/session',
		scope: null,
		traced: false,
		summary: 'Signs the browser out. Needs the CSRF token.',
		body: null,
		headers: { 'x-csrf-token': 'the token of the session' },
		handle: signOut,
	},
];

function signIn(exchange: Exchange): unknown {
	const { request, reply, parts } = exchange;
	const { key } = checkBody(SignInBody, request.body);
	const session = parts.sessions.signIn(key, request.ip);
	reply.header('set-cookie', setCookie(request, session.value, session.expiresAt - parts.clock.now()));
	reply.code(201);
	return answer(exchange, session);
}

function signOut(exchange: Exchange): unknown {
	const { request, reply, parts } = exchange;
	const token = request.headers['x-csrf-token'];
	parts.sessions.requireToken(sessionOf(exchange), typeof token === 'string' ? token : undefined);
	reply.header('set-cookie', setCookie(request, '', 0));
	return { signed_out: true };
}

function sessionOf({ request, parts }: Exchange): BrowserSession {
	const value = sessionCookie(request);
	if (value === null) {
		throw new PlimsollError('session_invalid', 'There is no session: POST /admin/session with a key begins one.');
	}
	return parts.sessions.read(value);
}

function answer({ reply }: Exchange, { caller, csrfToken, expiresAt }: BrowserSession) {
	reply.header('cache-control', 'no-store');
	return {
		key: caller.keyId,
		name: caller.keyName,
		tenant: caller.tenantId,
		scopes: caller.scopes,
		csrf_token: csrfToken,
		expires_at: iso(expiresAt),
	};
}
