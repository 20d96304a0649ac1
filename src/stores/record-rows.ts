import { z } from 'zod';
import { organisationSettings, tenantSettings } from '../contracts/limits-schema.ts';
import {
	type Allowance,
	AUDIT_ACTIONS,
	type AuditEntry,
	type KeyRecord,
	type RunRecord,
	SCOPES,
	type SpaceRecord,
} from '../spec/records.ts';
import { LIMITS } from '../spec/shared-state.ts';
import type { SettingsRecord } from '../spec/tenants.ts';
import { json } from './json-column.ts';
import { ingestReport } from './report-row.ts';

export const count = z.int().min(0);

export const keyRow: z.ZodType<KeyRecord> = z.object({
	id: z.string(),
	tenantId: z.string(),
	name: z.string(),
	scopes: json(z.array(z.enum(SCOPES))),
	secretHash: z.string(),
	createdAt: z.int(),
	revokedAt: z.int().nullable(),
	features: json(z.array(z.string())).nullable(),
	expiresAt: z.int().nullable(),
	lastUsedAt: z.int().nullable(),
});

export const auditRow: z.ZodType<AuditEntry> = z.object({
	at: z.int(),
	actor: z.string(),
	action: z.enum(AUDIT_ACTIONS),
	subject: z.string(),
	tenantId: z.string().nullable(),
	detail: json(z.record(z.string(), z.union([z.string(), z.number(), z.null()]))),
});

export const spaceRow: z.ZodType<SpaceRecord> = z.object({
	name: z.string(),
	space: json(z.unknown()),
	measuredAt: z.int(),
	usedAt: z.int(),
});

export const runRow: z.ZodType<RunRecord> = z.object({
	id: z.string(),
	collection: z.string(),
	startedAt: z.int(),
	endedAt: z.int().nullable(),
	outcome: z.enum(['running', 'succeeded', 'refused', 'failed', 'cancelled']),
	report: json(ingestReport).nullable(),
	error: z.string().nullable(),
});

export const allowanceRow: z.ZodType<Allowance> = z.object({
	tenantId: z.string(),
	scope: z.string(),
	limit: z.enum(LIMITS),
	until: count,
	micros: count,
});

const change = { name: z.string(), version: count, changedAt: z.int(), changedBy: z.string() };

export const settingsRow: z.ZodType<SettingsRecord> = z.discriminatedUnion('kind', [
	z.object({ kind: z.literal('tenant'), settings: json(tenantSettings).nullable(), ...change }),
	z.object({ kind: z.literal('organisation'), settings: json(organisationSettings).nullable(), ...change }),
]);
