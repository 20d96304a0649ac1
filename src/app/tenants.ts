import type { z } from 'zod';
import type { Clock } from '../base/clock.ts';
import { type LiveSettings, limitTable, mergedTenant } from '../contracts/compile-limits.ts';
import { organisationKey, organisationSettings, tenantKey, tenantSettings } from '../contracts/limits-schema.ts';
import type { DeclaredTenants, LimitTable } from '../contracts/project.ts';
import { checkBody } from '../gateway/json-body.ts';
import type { SettingsTarget, SettingsView } from '../gateway/settings-operator.ts';
import { PlimsollError } from '../spec/errors.ts';
import type { AuditEntry, RecordStore } from '../spec/records.ts';
import {
	NO_SETTINGS,
	type OrganisationSettings,
	type SettingsKind,
	type SettingsRecord,
	type TenantSettings,
} from '../spec/tenants.ts';
import { isInForce, type KeyAdmin } from './keys.ts';
import { changeDetail, declaredFields, managedByFile, SECTION, withoutDeclared } from './settings-change.ts';

/** More than these, and something makes them up. */
const RECORDS_MAX = 10_000;
const NO_LIMITS: OrganisationSettings = { limits: {} };

interface TenantParts {
	readonly records: RecordStore;
	readonly keys: KeyAdmin;
	readonly clock: Clock;
	/** Tenants that exist without keys, live settings or an entry of the file: those that tokens can name. */
	readonly named: () => readonly string[];
	/** Told after every change: puts the new limits in force. */
	readonly onChange: (table: LimitTable) => void;
	/** Told what was written, for other replicas. */
	readonly onWritten?: (record: SettingsRecord) => Promise<void>;
}

/** Tenants and organisations as an operator manages them: what the file does not declare can be set while it runs. */
export class TenantAdmin {
	readonly #parts: TenantParts;
	#declared: DeclaredTenants;
	#records: ReadonlyMap<string, SettingsRecord> = new Map();

	constructor(parts: TenantParts, declared: DeclaredTenants) {
		this.#parts = parts;
		this.#declared = declared;
	}

	/** All limits in force. */
	get table(): LimitTable {
		return limitTable(this.#declared, this.#live);
	}

	/** Takes what the store holds into force. */
	async load(): Promise<void> {
		const records = await this.#parts.records.listSettings();
		this.#records = new Map(records.map((record) => [idOf(record), record]));
		this.#parts.onChange(this.table);
	}

	/** Takes what a file says now; the caller puts the table in force. */
	declare(declared: DeclaredTenants): void {
		this.#declared = declared;
	}

	async list(kind: SettingsKind): Promise<readonly SettingsView[]> {
		const keys = await this.#keysByTenant();
		return [...this.#names(kind, keys)].sort().map((name) => this.#view(kind, name, keys));
	}

	async show(kind: SettingsKind, name: string): Promise<SettingsView> {
		const keys = await this.#keysByTenant();
		if (!this.#names(kind, keys).has(name)) throw notFound(kind, name);
		return this.#view(kind, name, keys);
	}

	async set(target: SettingsTarget, asked: unknown, actor: string): Promise<SettingsView> {
		const { kind, name } = target;
		checkName(kind, name);
		const schema: z.ZodType<TenantSettings | OrganisationSettings> =
			kind === 'tenant' ? tenantSettings : organisationSettings;
		const checked = checkBody(schema, asked);
		const settings = withoutDeclared(checked, this.#declared, target);
		if ('organisation' in settings && settings.organisation !== null) {
			if (!this.#names('organisation', new Map()).has(settings.organisation)) {
				throw notFound('organisation', settings.organisation);
			}
		}
		const before = this.#records.get(idOf(target));
		if (before === undefined && this.#records.size >= RECORDS_MAX) {
			throw new PlimsollError('request_invalid', `There are ${RECORDS_MAX} live settings, the most that are kept.`);
		}
		const action = actionOf(kind, before?.settings ?? null, settings);
		const detail = changeDetail(before?.settings ?? null, settings);
		const record = { kind, name, settings, ...this.#next(target, actor) } as SettingsRecord;
		await this.#write(record, [{ ...this.#entry(record), action, detail }]);
		return this.show(kind, name);
	}

	async remove(target: SettingsTarget, actor: string): Promise<number> {
		const { kind, name } = target;
		const keys = await this.#keysByTenant();
		if (!this.#names(kind, keys).has(name)) throw notFound(kind, name);
		const declared = own(this.#declared.lines[SECTION[kind]], name);
		if (declared) throw managedByFile({ ...target, field: null, line: declared.entry });
		this.#refuseInUse(kind, name);
		const revoked = kind === 'tenant' ? (keys.get(name) ?? []) : [];
		const before = this.#records.get(idOf(target))?.settings ?? null;
		const record: SettingsRecord = { kind, name, settings: null, ...this.#next(target, actor) };
		const entry = this.#entry(record);
		const detail = { ...changeDetail(before, null), ...(kind === 'tenant' ? { keys_revoked: revoked.length } : {}) };
		await this.#write(record, [
			...revoked.map((id) => ({ ...entry, action: 'key_revoked' as const, subject: id, detail: {} })),
			{ ...entry, action: `${kind}_deleted`, detail },
		]);
		return revoked.length;
	}

	get #live(): LiveSettings {
		const tenants = new Map<string, TenantSettings>();
		const organisations = new Map<string, OrganisationSettings>();
		for (const record of this.#records.values()) {
			if (record.settings === null) continue;
			if (record.kind === 'tenant') tenants.set(record.name, record.settings);
			else organisations.set(record.name, record.settings);
		}
		return { tenants, organisations };
	}

	async #write(record: SettingsRecord, entries: readonly AuditEntry[]): Promise<void> {
		if (!(await this.#parts.records.putSettings(record, entries))) {
			await this.load();
			throw conflict(record, this.#records.get(idOf(record))?.version ?? 0);
		}
		const isGone = record.kind === 'tenant' && record.settings === null;
		// In force here before anybody else is told.
		if (isGone) await this.#parts.keys.load();
		await this.load();
		await this.#parts.onWritten?.(record);
		if (isGone) {
			await this.#parts.keys.written(({ tenantId }) => tenantId === record.name);
		}
	}

	/** The version that a change makes. Throws `version_conflict` when it was made for another one. */
	#next(target: SettingsTarget, changedBy: string): Pick<SettingsRecord, 'version' | 'changedAt' | 'changedBy'> {
		const stored = this.#records.get(idOf(target));
		const version = stored?.version ?? 0;
		const isFree = target.ifVersion === 0 && (stored?.settings ?? null) === null;
		if (target.ifVersion !== null && target.ifVersion !== version && !isFree) throw conflict(target, version);
		return { version: version + 1, changedAt: this.#parts.clock.now(), changedBy };
	}

	#entry({ kind, name, changedAt, changedBy }: SettingsRecord): Omit<AuditEntry, 'action' | 'detail'> {
		return { at: changedAt, actor: changedBy, subject: name, tenantId: kind === 'tenant' ? name : null };
	}

	#refuseInUse(kind: SettingsKind, name: string): void {
		const members = kind === 'organisation' ? this.#members(name) : [];
		if (members.length === 0) return;
		const some = members.slice(0, 10).join(', ');
		const counted = members.length === 1 ? '1 tenant' : `${members.length} tenants`;
		const message = `The organisation ${name} still has ${counted}: ${some}${members.length > 10 ? ', …' : ''}.`;
		throw new PlimsollError('organisation_in_use', message);
	}

	#members(organisation: string): readonly string[] {
		const { tenants } = this.table;
		return Object.keys(tenants).filter((name) => tenants[name]?.organisation === organisation);
	}

	#names(kind: SettingsKind, keys: ReadonlyMap<string, readonly string[]>): ReadonlySet<string> {
		const live = [...this.#records.values()].filter((record) => record.kind === kind && record.settings !== null);
		const all = [...Object.keys(this.#declared[SECTION[kind]]), ...live.map(({ name }) => name)];
		return new Set(kind === 'tenant' ? [...all, ...keys.keys(), ...this.#parts.named()] : all);
	}

	#view(kind: SettingsKind, name: string, keys: ReadonlyMap<string, readonly string[]>): SettingsView {
		const record = this.#records.get(idOf({ kind, name }));
		const live = record?.settings ?? null;
		const isTenant = kind === 'tenant';
		const file = own(this.#declared[SECTION[kind]], name);
		return {
			kind,
			name,
			version: record?.version ?? 0,
			settings: live ?? (isTenant ? NO_SETTINGS : NO_LIMITS),
			effective: isTenant
				? mergedTenant(file as TenantSettings | undefined, (live ?? undefined) as TenantSettings | undefined)
				: { limits: { ...live?.limits, ...file?.limits } },
			managedByFile: declaredFields(this.#declared, { kind, name }),
			keys: isTenant ? (keys.get(name)?.length ?? 0) : null,
			tenants: isTenant ? null : this.#members(name),
			changedAt: record?.changedAt ?? null,
			changedBy: record?.changedBy ?? null,
		};
	}

	/** Ids of the keys in force of each tenant that has any. */
	async #keysByTenant(): Promise<ReadonlyMap<string, readonly string[]>> {
		const now = this.#parts.clock.now();
		const keys = (await this.#parts.keys.list()).filter((key) => isInForce(key, now));
		const byTenant = Map.groupBy(keys, ({ tenantId }) => tenantId);
		return new Map([...byTenant].map(([tenant, its]) => [tenant, its.map(({ id }) => id)]));
	}
}

function actionOf(kind: SettingsKind, before: object | null, after: object): AuditEntry['action'] {
	const [was, is] = [before, after].map((one) => one !== null && 'suspended' in one && one.suspended === true);
	if (was !== is) return is ? 'tenant_suspended' : 'tenant_resumed';
	return `${kind}_changed`;
}

function checkName(kind: SettingsKind, name: string): void {
	if ((kind === 'tenant' ? tenantKey : organisationKey).safeParse(name).success) return;
	const message = `"${name.slice(0, 100)}" is no name: expected up to 63 lower-case letters, digits, dots, dashes and underscores.`;
	throw new PlimsollError('request_invalid', message, { param: kind });
}

function idOf({ kind, name }: { kind: SettingsKind; name: string }): string {
	return `${kind} ${name}`;
}

function own<T>(all: Readonly<Record<string, T>>, name: string): T | undefined {
	return Object.hasOwn(all, name) ? all[name] : undefined;
}

function conflict({ kind, name }: { kind: SettingsKind; name: string }, version: number): PlimsollError {
	const message = `The ${kind} ${name} has version ${version} by now: somebody else changed it. Read it again.`;
	return new PlimsollError('version_conflict', message);
}

function notFound(kind: SettingsKind, name: string): PlimsollError {
	return new PlimsollError(`${kind}_not_found`, `There is no ${kind} named "${name.slice(0, 100)}".`);
}
