export const AUDIT_ACTIONS = [
	'key_created',
	'key_rotated',
	'key_revoked',
	'user_hash_rotated',
	'tenant_changed',
	'tenant_suspended',
	'tenant_resumed',
	'tenant_deleted',
	'organisation_changed',
	'organisation_deleted',
	'breaker_opened',
	'breaker_closed',
	'alert_acknowledged',
	'alert_closed',
	'canaries_accepted',
	'generation_promoted',
	'generation_rolled_back',
	'feedback_deleted',
	'documents_purged',
] as const;

/** Who changed what. Holds no secret and no user's name. */
export interface AuditEntry {
	/** Milliseconds since the epoch. */
	readonly at: number;
	/** `key:<id>`, `jwt:<issuer>:<hash of the user>`, or `process` for a command or the server itself. */
	readonly actor: string;
	readonly action: (typeof AUDIT_ACTIONS)[number];
	/** What was changed, such as the id of a key or the name of a tenant. */
	readonly subject: string;
	/** Whose it is; null when it is everybody's. */
	readonly tenantId: string | null;
	readonly detail: Readonly<Record<string, string | number | null>>;
}
