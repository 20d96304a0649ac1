import type { Caller } from '../spec/identity.ts';
import type { OrganisationSettings, SettingsKind, TenantSettings } from '../spec/tenants.ts';

/** A tenant or an organisation as an operator sees it. */
export interface SettingsView {
	readonly kind: SettingsKind;
	readonly name: string;
	/** Zero when nothing was ever set live. */
	readonly version: number;
	/** What was set live, and can be. */
	readonly settings: TenantSettings | OrganisationSettings;
	/** What is in force: with what the file declares, and without the defaults of all tenants. */
	readonly effective: TenantSettings | OrganisationSettings;
	/** What the file declares, and where. */
	readonly managedByFile: readonly { readonly field: string; readonly line: number }[];
	/** Keys in force, of a tenant. */
	readonly keys: number | null;
	/** Of an organisation. */
	readonly tenants: readonly string[] | null;
	/** Milliseconds since the epoch; null: never. */
	readonly changedAt: number | null;
	readonly changedBy: string | null;
}

/** What is changed: which one, and which version of it the change was made for. */
export interface SettingsTarget {
	readonly kind: SettingsKind;
	readonly name: string;
	/** Null: whichever there is. Zero: only where nothing is set live. */
	readonly ifVersion: number | null;
}

/** Tenants and organisations as an operator manages them. Changes hold for new requests as soon as they resolve. */
export interface SettingsOperator {
	list(kind: SettingsKind): Promise<readonly SettingsView[]>;
	/** Throws `tenant_not_found` or `organisation_not_found`. */
	show(kind: SettingsKind, name: string): Promise<SettingsView>;
	/** Throws `version_conflict`, `managed_by_file`, `organisation_not_found` or `request_invalid`. */
	set(target: SettingsTarget, settings: unknown, by: Caller): Promise<SettingsView>;
	/** How many keys were revoked with it. Throws what `set` does, `tenant_not_found` or `organisation_in_use`. */
	remove(target: SettingsTarget, by: Caller): Promise<number>;
}
