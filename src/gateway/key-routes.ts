import { z } from 'zod';
import type { AuditEntry } from '../spec/records.ts';
import { checkBody, queryNumber } from './json-body.ts';
import { KeyBody, RotateBody } from './key-body.ts';
import type { KeyView } from './operator.ts';
import { callerOf, type Exchange, iso, pathParameter, queryParameter, type Route } from './route.ts';

/** Keys, the secret of the users' hashes, and the log of who changed them. */
export const KEY_ROUTES: readonly Route[] = [
	{
		method: 'GET',
		path: '/admin/keys',
		scope: 'admin',
		traced: false,
		summary: 'All keys, without their secrets.',
		body: null,
		handle: async ({ parts }) => ({ keys: (await parts.operator.listKeys()).map(keyRow) }),
	},
	{
		method: 'POST',
		path: '/admin/keys',
		scope: 'admin',
		traced: false,
		summary: 'Makes a key. Its secret is shown in this answer and never again.',
		body: KeyBody,
		handle: createKey,
	},
	{
		method: 'POST',
		path: '/admin/keys/{key}/rotate',
		scope: 'admin',
		traced: false,
		summary: 'Makes a key with the same rights; the old one expires after the overlap. The new secret is shown once.',
		body: RotateBody,
		handle: rotateKey,
	},
	{
		method: 'DELETE',
		path: '/admin/keys/{key}',
		scope: 'admin',
		traced: false,
		summary: 'Revokes a key at once.',
		body: null,
		handle: async (exchange) => {
			const id = pathParameter(exchange.request, 'key');
			await exchange.parts.operator.revokeKey(id, callerOf(exchange));
			return { id, revoked: true };
		},
	},
	{
		method: 'POST',
		path: '/admin/user-hash/rotate',
		scope: 'admin',
		traced: false,
		summary: 'Takes a new secret for the hashes of users. Hashes of before and after cannot be linked.',
		body: null,
		handle: async (exchange) => ({ version: await exchange.parts.operator.rotateUserHash(callerOf(exchange)) }),
	},
	{
		method: 'GET',
		path: '/admin/audit',
		scope: 'admin',
		traced: false,
		summary: 'Who changed which key, tenant or organisation, and who took an upstream out or in; newest first.',
		body: null,
		query: { limit: 'at most this many, 1 to 1000 (default 100)' },
		handle: listAudit,
	},
];

async function createKey(exchange: Exchange): Promise<unknown> {
	const ask = newKey(checkBody(KeyBody, exchange.request.body));
	const { key, secret } = await exchange.parts.operator.createKey(ask, callerOf(exchange));
	exchange.reply.code(201);
	return { ...keyRow(key), secret };
}

async function rotateKey(exchange: Exchange): Promise<unknown> {
	const ask = rotation(checkBody(RotateBody, exchange.request.body ?? {}));
	const id = pathParameter(exchange.request, 'key');
	const { key, secret } = await exchange.parts.operator.rotateKey(id, ask, callerOf(exchange));
	exchange.reply.code(201);
	return { ...keyRow(key), secret };
}

const AuditQuery = z.object({ limit: queryNumber(1, 1_000) });

async function listAudit({ request, parts }: Exchange): Promise<unknown> {
	const { limit } = checkBody(AuditQuery, { limit: queryParameter(request, 'limit') ?? '100' });
	return { entries: (await parts.operator.listAudit(limit)).map(auditEntryRow) };
}

/** What a checked body asks for, in the operator's words. */
export function newKey({ name, tenant, scopes, features, expires_at }: z.output<typeof KeyBody>) {
	return { name, tenantId: tenant, scopes, features: features ?? null, expiresAt: instant(expires_at) };
}

/** The same for a rotation. */
export function rotation({ overlap_ms: overlapMs, expires_at }: z.output<typeof RotateBody>) {
	return { overlapMs, expiresAt: instant(expires_at) };
}

/** A key as clients see it. */
export function keyRow(key: KeyView) {
	return {
		id: key.id,
		name: key.name,
		tenant: key.tenantId,
		scopes: key.scopes,
		features: key.features,
		created_at: iso(key.createdAt),
		expires_at: iso(key.expiresAt),
		last_used_at: iso(key.lastUsedAt),
		revoked_at: iso(key.revokedAt),
	};
}

/** An entry of the log as clients see it. */
export function auditEntryRow({ at, actor, action, subject, tenantId, detail }: AuditEntry) {
	return { at: iso(at), actor, action, subject, tenant: tenantId, detail };
}

function instant(text: string | null | undefined): number | null {
	return text === null || text === undefined ? null : Date.parse(text);
}
