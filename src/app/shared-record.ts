import { z } from 'zod';
import { canonicalJson } from '../base/canonical-json.ts';
import { organisationSettings, tenantSettings } from '../contracts/limits-schema.ts';
import { type KeyRecord, SCOPES } from '../spec/records.ts';
import type { SettingsRecord } from '../spec/tenants.ts';

export type SharedRecord =
	| { readonly kind: 'key'; readonly key: KeyRecord }
	| { readonly kind: 'settings'; readonly record: SettingsRecord };

const instant = z.int().min(0);
const change = { name: z.string().min(1).max(100), version: z.int().min(1), changedAt: instant, changedBy: z.string() };

/** What stands in the shared directory. Last uses stay at home: they change every minute. */
const wire = z.discriminatedUnion('kind', [
	z.object({
		kind: z.literal('key'),
		id: z.string().regex(/^[0-9a-z]{12}$/),
		tenantId: z.string(),
		name: z.string(),
		scopes: z.array(z.enum(SCOPES)),
		secretHash: z.string().regex(/^[0-9a-f]{64}$/),
		createdAt: instant,
		revokedAt: instant.nullable(),
		features: z.array(z.string()).nullable(),
		expiresAt: instant.nullable(),
	}),
	z.object({ kind: z.literal('tenant'), settings: tenantSettings.nullable(), ...change }),
	z.object({ kind: z.literal('organisation'), settings: organisationSettings.nullable(), ...change }),
]);

/** Null for what is none of ours, or of a release that knows more. */
export function readShared(text: string): SharedRecord | null {
	let value: unknown;
	try {
		value = JSON.parse(text);
	} catch {
		return null;
	}
	const read = wire.safeParse(value);
	if (!read.success) return null;
	if (read.data.kind !== 'key') return { kind: 'settings', record: read.data };
	const { kind, ...key } = read.data;
	return { kind, key: { ...key, lastUsedAt: null } };
}

/** The same record has the same text, whoever writes it. */
export function writeShared(shared: SharedRecord): string {
	if (shared.kind === 'settings') return canonicalJson(shared.record);
	const { lastUsedAt: _, ...key } = shared.key;
	return canonicalJson({ kind: 'key', ...key });
}

/** The name under which it stands. */
export function sharedName(shared: SharedRecord): string {
	return shared.kind === 'key' ? `key ${shared.key.id}` : `${shared.record.kind} ${shared.record.name}`;
}
