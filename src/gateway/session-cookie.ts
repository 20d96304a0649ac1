import type { FastifyRequest } from 'fastify';

const NAME = 'plimsoll_session';
const VALUE_CHARS_MAX = 200;

/** The session that a request's cookie names; null when there is none, or more than one: then somebody planted one. */
export function sessionCookie({ headers }: Pick<FastifyRequest, 'headers'>): string | null {
	const found = (headers.cookie ?? '').split(';').flatMap((pair) => {
		const at = pair.indexOf('=');
		return at > 0 && pair.slice(0, at).trim() === NAME ? [pair.slice(at + 1).trim()] : [];
	});
	const [value = '', ...others] = found;
	return others.length > 0 || value === '' || value.length > VALUE_CHARS_MAX ? null : value;
}

/** Never for scripts, never from another site, and without TLS on this machine alone. An empty value takes it away. */
export function setCookie(request: FastifyRequest, value: string, lifeMs: number): string {
	const secure = isLoopback(request) ? '' : '; Secure';
	return `${NAME}=${value}; Path=/; Max-Age=${Math.max(0, Math.floor(lifeMs / 1000))}; HttpOnly; SameSite=Strict${secure}`;
}

/** Whether the browser itself is on this machine and speaks plain HTTP: what it calls us, and what a proxy says of it. */
function isLoopback({ headers }: FastifyRequest): boolean {
	if (headers['x-forwarded-proto'] !== undefined && headers['x-forwarded-proto'] !== 'http') return false;
	return /^(localhost|127(\.\d{1,3}){3}|\[::1\])(:\d+)?$/i.test(headers.host ?? '');
}
