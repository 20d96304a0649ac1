import type { LimitName } from './shared-state.ts';

/** Limits as they are written in files and in requests: costs in US dollars; null takes a default away. */
export type LimitSettings = { readonly [L in LimitName]?: number | null | undefined };

type Named = Readonly<Record<string, LimitSettings>>;

/** One tenant, as it is written. */
export interface TenantSettings {
	/** Null: the tenant stands by itself. */
	readonly organisation: string | null;
	/** Nothing is let in while it is; its keys stay. Never in a file. */
	readonly suspended: boolean;
	readonly limits: LimitSettings;
	/** By a key's id or name. */
	readonly keys: Named;
	readonly features: Named;
	readonly each_user: LimitSettings;
	/** Its share of what is free, against the other tenants that wait: 1 unless set. */
	readonly weight?: number | undefined;
	/** Keys, by id or name, all of whose requests are batch work. */
	readonly batch_keys?: readonly string[] | undefined;
}

/** One organisation, as it is written: its limits hold over all its tenants together. */
export interface OrganisationSettings {
	readonly limits: LimitSettings;
}

export type SettingsKind = 'tenant' | 'organisation';

interface LiveRecord<K extends SettingsKind, S> {
	readonly kind: K;
	readonly name: string;
	/** Null: deleted. The mark stays, so that replicas agree. */
	readonly settings: S | null;
	/** One more with every change; of two records of a name the one with the higher version holds. */
	readonly version: number;
	/** Milliseconds since the epoch. */
	readonly changedAt: number;
	/** As in the audit log. */
	readonly changedBy: string;
}

/** What an operator set while the server ran. */
export type SettingsRecord = LiveRecord<'tenant', TenantSettings> | LiveRecord<'organisation', OrganisationSettings>;

export const NO_SETTINGS: TenantSettings = {
	organisation: null,
	suspended: false,
	limits: {},
	keys: {},
	features: {},
	each_user: {},
};
