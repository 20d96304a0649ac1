import { z } from 'zod';
import { organisationSettings, tenantSettings } from '../contracts/limits-schema.ts';
import { ALERT_SEVERITIES } from '../spec/alerts.ts';
import { QUARANTINE_KINDS, QUARANTINE_STATES } from '../spec/quarantine.ts';
import { AUDIT_ACTIONS, SCOPES } from '../spec/records.ts';
import type { CollectionStatus, IngestProgress } from '../spec/retrieval.ts';
import { LIMITS } from '../spec/shared-state.ts';
import type { FeatureStats, RequestTrace } from '../spec/trace.ts';
import { ingestReport } from '../stores/report-row.ts';
import { featureStats, requestSummary } from '../telemetry/trace-schema.ts';

/** What a Plimsoll server says, checked before it is used: the address may belong to something else, or to another version. */

export const errorReply = z.object({
	error: z.object({
		message: z.string(),
		code: z.string().nullish(),
		param: z.string().nullish(),
	}),
});

const citation = z.object({
	number: z.int(),
	document: z.string(),
	title: z.string(),
	heading: z.string(),
	chunk: z.string(),
	start: z.int(),
	end: z.int(),
});

const usage = z.looseObject({
	prompt_tokens: z.int(),
	completion_tokens: z.int(),
});

const extras = z.object({
	request_id: z.string(),
	feature: z.string().nullable(),
	release: z.string().nullable(),
	upstream: z.string().nullable(),
	degraded: z.string().nullable(),
	confidence: z.number().nullable(),
	citations: z.array(citation),
});

/** An answer with all that the gateway tells about it. */
export type AskReply = z.output<typeof extras> & {
	readonly answer: string;
	readonly finish_reason: string | null;
	readonly usage: z.output<typeof usage> | null;
};

/** One event of a streamed answer; a bare upstream's events have no `plimsoll`. */
export const chatEvent = z.looseObject({
	choices: z
		.array(
			z.looseObject({
				delta: z.looseObject({ content: z.string().nullish() }).nullish(),
				finish_reason: z.string().nullish(),
			}),
		)
		.default([]),
	usage: usage.nullish(),
	plimsoll: extras.optional(),
});

const hit = z.object({
	rank: z.int(),
	chunk: z.string(),
	document: z.string(),
	source: z.string(),
	title: z.string(),
	heading_path: z.array(z.string()).readonly(),
	score: z.number(),
	lexical_score: z.number().nullable(),
	vector_score: z.number().nullable(),
	start: z.int(),
	end: z.int(),
	ordinal: z.int(),
	tokens: z.int(),
	text: z.string(),
});

export const searchReply = z.object({
	request_id: z.string(),
	collection: z.string(),
	generation: z.string(),
	mode: z.enum(['hybrid', 'lexical', 'vector']),
	degraded: z.string().nullable(),
	lexical_ms: z.number().nullable(),
	vector_ms: z.number().nullable(),
	hits: z.array(hit),
});
export type SearchReply = z.output<typeof searchReply>;

const ingestProgress = z.object({
	source: z.string(),
	phase: z.enum(['scan', 'write', 'index']),
	done: z.int(),
	total: z.int().nullable(),
	tokens: z.int().optional(),
	costMicros: z.int().optional(),
}) satisfies z.ZodType<IngestProgress>;

export const upstreamReply = z.object({
	upstream: z.string(),
	state: z.enum(['closed', 'open', 'probing', 'off']),
	why: z.enum(['failures', 'slow', 'quota', 'hand']).nullable(),
	since: z.string().nullable(),
	wait_ms: z.number().nullable(),
	calls: z.int(),
	failures: z.int(),
	slow: z.int(),
	retries_left: z.int(),
	errors: z
		.array(z.object({ at: z.string(), kind: z.string(), status: z.int().nullable(), message: z.string() }))
		.readonly(),
});
export type UpstreamReply = z.output<typeof upstreamReply>;

const scalar = z.union([z.string(), z.number(), z.boolean(), z.null()]);

export const alertReply = z.object({
	id: z.string(),
	key: z.string(),
	rule: z.string(),
	severity: z.enum(ALERT_SEVERITIES),
	subject: z.union([
		z.object({ collection: z.string() }),
		z.object({ feature: z.string() }),
		z.object({ embedder: z.string() }),
	]),
	message: z.string(),
	detail: z.record(z.string(), scalar).readonly(),
	count: z.int(),
	opened_at: z.string(),
	raised_at: z.string(),
	acknowledged_at: z.string().nullable(),
	acknowledged_by: z.string().nullable(),
	resolved_at: z.string().nullable(),
});
export type AlertReply = z.output<typeof alertReply>;

export const alertsReply = z.object({ alerts: z.array(alertReply) });

export const quarantineReply = z.object({
	id: z.string(),
	collection: z.string(),
	source: z.string(),
	document: z.string(),
	kind: z.enum(QUARANTINE_KINDS),
	reasons: z.array(z.string()).readonly(),
	content_hash: z.string().nullable(),
	run_id: z.string(),
	first_at: z.string(),
	last_at: z.string(),
	kept: z.boolean(),
	state: z.enum(QUARANTINE_STATES),
});
export type QuarantineReply = z.output<typeof quarantineReply>;

export const quarantineListReply = z.object({
	collection: z.string(),
	count: z.object({ held: z.int(), retry: z.int(), dropped: z.int(), unlisted: z.int() }),
	documents: z.array(quarantineReply),
});
export type QuarantineListReply = z.output<typeof quarantineListReply>;

export const quarantineMarkReply = z.object({ collection: z.string(), documents: z.int() });

export const upstreamsReply = z.object({ upstreams: z.array(upstreamReply) });

/** One line of an ingestion: progress, then the report. An error comes as `errorReply`. */
export const ingestLine = z.union([z.object({ report: ingestReport }), z.object({ progress: ingestProgress })]);

const collectionStatus = z.object({
	collection: z.string(),
	generation: z.string().nullable(),
	documents: z.int(),
	chunks: z.int(),
}) satisfies z.ZodType<CollectionStatus>;

export const collectionsReply = z.object({ collections: z.array(collectionStatus) });

export interface TracesReply {
	readonly requests: readonly Omit<RequestTrace, 'steps'>[];
	readonly stats: readonly FeatureStats[];
}

export const tracesReply = z.object({
	requests: z.array(requestSummary),
	stats: z.array(featureStats),
}) satisfies z.ZodType<TracesReply>;

const key = z.object({
	id: z.string(),
	name: z.string(),
	tenant: z.string(),
	scopes: z.array(z.enum(SCOPES)).readonly(),
	features: z.array(z.string()).readonly().nullable(),
	created_at: z.string(),
	expires_at: z.string().nullable(),
	last_used_at: z.string().nullable(),
	revoked_at: z.string().nullable(),
});
export type KeyReply = z.output<typeof key>;

export const keysReply = z.object({ keys: z.array(key) });
export const newKeyReply = key.extend({ secret: z.string() });
export type NewKeyReply = z.output<typeof newKeyReply>;
export const revokedReply = z.object({ id: z.string() });
export const userHashReply = z.object({ version: z.string() });

const auditEntry = z.object({
	at: z.string(),
	actor: z.string(),
	action: z.enum(AUDIT_ACTIONS),
	subject: z.string(),
	tenant: z.string().nullable(),
	detail: z.record(z.string(), z.union([z.string(), z.number(), z.null()])).readonly(),
});
export type AuditReply = z.output<typeof auditEntry>;

export const auditReply = z.object({ entries: z.array(auditEntry) });

const version = {
	name: z.string(),
	version: z.int(),
	managed_by_file: z.array(z.object({ field: z.string(), file: z.string(), line: z.int() })),
	keys: z.int().nullable(),
	tenants: z.array(z.string()).readonly().nullable(),
	changed_at: z.string().nullable(),
	changed_by: z.string().nullable(),
};
const tenant = z.object({ settings: tenantSettings, effective: tenantSettings, ...version });
const organisation = z.object({ settings: organisationSettings, effective: organisationSettings, ...version });
export const SETTINGS_REPLY = { tenant, organisation } as const;
export type SettingsReply = z.output<typeof tenant> | z.output<typeof organisation>;

export const settingsListReply = z.union([
	z.object({ tenants: z.array(tenant) }).transform(({ tenants }) => tenants),
	z.object({ organisations: z.array(organisation) }).transform(({ organisations }) => organisations),
]);
export const removedReply = z.object({ name: z.string(), deleted: z.literal(true), keys_revoked: z.int() });
const flagValue = z.union([z.boolean(), z.string(), z.number()]);

const flag = z.object({
	flag: z.string(),
	description: z.string().nullable(),
	provider: z.string(),
	state: z.enum(['enabled', 'disabled']).nullable(),
	variants: z.record(z.string(), flagValue).readonly().nullable(),
	default_variant: z.string().nullable(),
	rules: z.int().nullable(),
	used_by: z.array(z.string()).readonly(),
});
export type FlagReply = z.output<typeof flag>;

export const flagsReply = z.object({ flags: z.array(flag) });

export const explanationReply = z.object({
	flag: z.string(),
	value: flagValue,
	variant: z.string().nullable(),
	reason: z.string(),
	decided_by: z.string().nullable(),
	error: z.string().nullable(),
	sample: z.record(z.string(), z.int()).readonly().nullable(),
});
export type ExplanationReply = z.output<typeof explanationReply>;

const limit = z.object({
	tenant: z.string().nullable(),
	scope: z.string(),
	limit: z.enum(LIMITS),
	unit: z.enum(['requests', 'tokens', 'micro_usd']),
	max: z.int(),
	used: z.int().nullable(),
	reserved: z.int().nullable(),
	left: z.int().nullable(),
});
export type LimitReply = z.output<typeof limit>;

export const limitsReply = z.object({ limits: z.array(limit) });

const counts = z.object({ interactive: z.int(), batch: z.int() });

export const admissionReply = z.object({
	/** Null for a tenant, which sees itself alone. */
	server: z
		.object({
			limit: z.int(),
			limit_max: z.int(),
			running: counts,
			queued: counts,
			buffered_bytes: z.int(),
			buffered_bytes_max: z.int(),
		})
		.nullable(),
	tenants: z.array(z.object({ tenant: z.string(), running: z.int(), queued: counts })),
});
export type AdmissionReply = z.output<typeof admissionReply>;
