import { z } from 'zod';
import { organisationSettings, tenantSettings } from '../contracts/limits-schema.ts';
import type { VerificationReport } from '../spec/generations.ts';
import {
	type Allowance,
	AUDIT_ACTIONS,
	type AuditEntry,
	type KeyRecord,
	type RunRecord,
	SCOPES,
	type SpaceRecord,
} from '../spec/records.ts';
import type { IngestReport } from '../spec/retrieval.ts';
import { LIMITS } from '../spec/shared-state.ts';
import type { SettingsRecord } from '../spec/tenants.ts';

/** A JSON column: text that must parse, and whose value must satisfy `schema`. */
export function json<T extends z.ZodType>(schema: T) {
	const parsed = z.string().transform((text, context) => {
		try {
			return JSON.parse(text) as unknown;
		} catch {
			context.addIssue({ code: 'custom', message: 'not JSON' });
			return z.NEVER;
		}
	});
	return parsed.pipe(schema);
}

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

export const verificationReport: z.ZodType<VerificationReport> = z.object({
	at: z.int(),
	passed: z.boolean(),
	checks: z.array(
		z.object({
			check: z.string(),
			passed: z.boolean(),
			overrulable: z.boolean(),
			message: z.string(),
			detail: z.json(),
		}),
	),
});

const refusal = z.object({ generation: z.string(), verification: verificationReport });

const report: z.ZodType<IngestReport> = z.object({
	runId: z.string(),
	collection: z.string(),
	generation: z.string().nullable(),
	promoted: z.boolean(),
	refused: refusal.nullable().default(null),
	sources: z.array(
		z.object({
			source: z.string(),
			seen: count,
			new: count,
			changed: count,
			unchanged: count,
			deleted: count,
			failed: z.array(z.object({ document: z.string(), reason: z.string() })),
			chunks: count,
			tokens: count,
			seconds: z.number(),
		}),
	),
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
	report: json(report).nullable(),
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
